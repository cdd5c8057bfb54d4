"""What the interval of a change says about a score, and the correction for many tests."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from aftertune.types import Floats


def verdict(mean: float, low: float, high: float, *, margin: float) -> str:
    """Verdict on a change of rho by its mean and 95 % interval; the first of these that applies.

    - "improved": low > 0.
    - "holds": low > −margin. A change that is not significant is not enough: the interval must exclude a fall
      by the margin. A significant fall that is surely smaller than the margin holds.
    - "degraded": high < 0 and mean < −margin.
    - "inconclusive": none of these; the interval is too wide (`items_needed`).

    Parameters
    ----------
    margin
        delta, at least 0, in Spearman's rho; ``options.MARGIN`` unless the user says otherwise.

    Raises
    ------
    ValueError
        If a number is NaN: an undefined change has no verdict, and the caller says why it is undefined.

    >>> changes = [(0.1, 0.02, 0.2), (-0.01, -0.03, 0.02), (-0.1, -0.2, -0.01), (-0.04, -0.1, 0.02)]
    >>> [verdict(*change, margin=0.05) for change in changes]
    ['improved', 'holds', 'degraded', 'inconclusive']
    """
    if math.isnan(mean + low + high):
        raise ValueError("an undefined change has no verdict")
    if low > 0:
        return "improved"
    if low > -margin:
        return "holds"
    if high < 0 and mean < -margin:
        return "degraded"
    return "inconclusive"


def items_needed(mean: float, low: float, high: float, *, n: int, margin: float, floor: float = 0.0) -> int | None:
    """Estimated number of items that would settle an inconclusive verdict if the mean stayed where it is.

    With N items instead of n a half-width h becomes sqrt(floor² + (h² − floor²) n / N). The verdict is settled
    when the lower end passes −margin (mean above −margin) or the upper end passes 0 (mean below −margin).

    Parameters
    ----------
    n
        Items of the interval.
    floor
        Half-width that no number of items removes: that of the training runs' own spread.

    Returns
    -------
    None where no number of items settles it: the mean is at −margin, or the runs spread too much; then more
    training runs are needed, not more items.

    >>> items_needed(0.0, -0.1, 0.1, n=100, margin=0.05)
    401
    >>> items_needed(0.0, -0.1, 0.1, n=100, margin=0.05, floor=0.06) is None
    True
    """
    half, target = (mean - low, mean + margin) if mean >= -margin else (high - mean, -mean)
    if target <= floor or half <= floor:
        return None
    # The ends must pass the limit, not touch it.
    return max(math.floor(n * (half**2 - floor**2) / (target**2 - floor**2) * (1 + 1e-9)), n) + 1


def holm(p: ArrayLike) -> Floats:
    """Holm's (1979) step-down adjusted p-values, in the order given.

    Sorted upwards, p'_(i) = max over j ≤ i of min(1, (m − j + 1) p_(j)); m counts the p-values that are defined.
    NaNs are no tests: they are left out of m and stay NaN. Equal to ``multipletests(p, method="holm")`` of
    statsmodels where no p is NaN; that counts NaNs as tests, and is thousands of times slower.

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
