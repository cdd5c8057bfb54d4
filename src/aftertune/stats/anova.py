"""One-way analysis of variance over training runs: the paper's test (method, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from aftertune.types import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Anova:
    """F statistic and p-value; both NaN where F is undefined."""

    f: float
    p: float


def one_way_anova(groups: Sequence[Floats]) -> Anova:
    """Do k groups of runs' correlations have the same mean?

    F = (sum_g R_g (m_g − m)² / (k − 1)) / (sum_g sum_r (rho_gr − m_g)² / (R − k)), with R_g runs of mean m_g in
    group g and R runs of mean m in all; p is the upper tail of F on k − 1 and R − k degrees of freedom.

    NaN with fewer than two groups, a group with fewer than two runs, an undefined correlation, or only constant
    groups, where F is infinite or 0 / 0: a score that does not depend on the seed is no evidence of anything.

    >>> one_way_anova([np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0])]).f
    6.0
    """
    values = [np.asarray(group, dtype=np.float64) for group in groups]
    undefined = Anova(f=float("nan"), p=float("nan"))
    if len(values) < 2 or min(map(len, values)) < 2 or not all(np.isfinite(v).all() for v in values):
        return undefined
    if all(np.ptp(v) < 1e-12 for v in values):
        return undefined
    found = stats.f_oneway(*values)
    return Anova(f=float(found.statistic), p=float(found.pvalue))
