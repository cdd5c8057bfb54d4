"""Correction for testing many configurations at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aftertune.types import Floats


def holm(p: ArrayLike) -> Floats:
    """Holm's (1979) step-down adjusted p-values, in the order given.

    Sorted upwards, p'_(i) = max over j ≤ i of min(1, (m − j + 1) p_(j)); m counts the p-values that are
    defined. NaNs are no tests: they are left out of m and stay NaN.

    >>> holm([0.01, float("nan"), 0.04, 0.03]).tolist()
    [0.03, nan, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(values.shape, np.nan)
    tests = np.flatnonzero(~np.isnan(values))
    order = tests[np.argsort(values[tests], kind="stable")]
    steps = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps * values[order]), 1.0)
    return adjusted
