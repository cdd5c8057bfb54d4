"""Tests of a change over training runs: Welch's and the paired t test, beside the paper's ANOVA.

Notation: R training runs, each with a value before and one after, such as two correlations.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

from aftertune.types import Floats

CONSTANT = 1e-12
"""Values that span less than this do not vary."""


def welch_p(from_: Floats, to: Floats) -> float:
    """Two-sided p of Welch's t test of (R,) values before against (R,) after, as ``scipy.stats.ttest_ind``.

    Where one group is constant it is the one-sample t test of the other against that constant, with R − 1 degrees
    of freedom. NaN with fewer than two runs in a group, a value that is not finite, or two constant groups.

    >>> round(welch_p(np.array([0.1, 0.1, 0.1]), np.array([0.2, 0.3, 0.4])), 4)
    0.0742
    """
    if min(len(from_), len(to)) < 2 or not np.isfinite([*from_, *to]).all():
        return float("nan")
    if np.ptp(from_) < CONSTANT and np.ptp(to) < CONSTANT:
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy doubts the moments of a constant group
        found = stats.ttest_ind(from_, to, equal_var=False)
    return float(found.pvalue)  # pyright: ignore[reportAttributeAccessIssue]


def paired_p(differences: Floats) -> float:
    """Two-sided p of the paired t test, ``scipy.stats.ttest_1samp``: are (R,) differences after − before around 0?

    It asks whether another training run, on average, changes, and takes into account that the two values of a run
    belong together. NaN with fewer than two runs, a value that is not finite, or differences that do not vary.

    >>> round(paired_p(np.array([0.1, 0.2, 0.3])), 4)
    0.0742
    """
    if len(differences) < 2 or not np.isfinite(differences).all() or np.ptp(differences) < CONSTANT:
        return float("nan")
    found = stats.ttest_1samp(differences, 0.0)
    return float(found.pvalue)  # pyright: ignore[reportAttributeAccessIssue]


def constant_group(from_: Floats, to: Floats) -> bool:
    """Whether one of the two groups does not vary over its two or more runs, and the other does.

    An ANOVA then takes the constant group's runs for as many observations without spread, halves the variance and
    rejects too often: at .05 in .11 with three runs, .08 with five, .06 with ten (scripts/simulate/anova.py).

    >>> constant_group(np.array([0.1, 0.1, 0.1]), np.array([0.2, 0.3, 0.4]))
    True
    """
    return min(len(from_), len(to)) > 1 and bool((np.ptp(from_) < CONSTANT) != (np.ptp(to) < CONSTANT))
