"""What the interval of a change says about a score, what would settle it, and the correction for many tests."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from aftertune.types import Floats

Verdict = Literal["improved", "holds", "degraded", "fell", "inconclusive"]
VERDICTS: tuple[Verdict, ...] = ("improved", "holds", "degraded", "fell", "inconclusive")

FEWEST_ITEMS = 30
"""Fewer test items with quality and the score get numbers, and no verdict."""

FEWEST_DIFFERENT = 3
"""Fewer items whose quality is not the most common one say nothing of the spread: no verdict either."""

MOST_ITEMS = 10_000
"""Larger numbers of needed items are given as one more than this: "more than 10,000"."""

POWER = 0.8
"""Wanted chance that a verdict is settled."""

_AVERAGE = 0.85
"""What `items_needed` asks of the mean chance over the true changes that an estimate leaves possible.

A little above `POWER`: verdicts are inconclusive most often where the truth lies between "no change" and the
margin, and there the same number of items settles least.
"""


def verdict(low: float, high: float, *, margin: float) -> Verdict:
    """Verdict on a change of the tie-adjusted rho by its interval; the first of these that applies.

    - "improved": low > 0, a rise is shown.
    - "holds": low > −margin, a fall beyond the margin is excluded.
    - "degraded": high < −margin, a fall beyond the margin is shown.
    - "fell": high < 0, a fall is shown, its size against the margin is not.
    - "inconclusive": none of these; the interval is too wide (`items_needed`).

    Parameters
    ----------
    margin
        delta, at least 0, of the tie-adjusted rho; ``options.MARGIN`` unless the user says otherwise.

    Raises
    ------
    ValueError
        If a number is NaN: an undefined change has no verdict, and the caller says why it is undefined.

    >>> changes = [(0.02, 0.2), (-0.05, -0.01), (-0.3, -0.12), (-0.2, -0.01), (-0.15, 0.02)]
    >>> [verdict(*change, margin=0.1) for change in changes]
    ['improved', 'holds', 'degraded', 'fell', 'inconclusive']
    """
    if math.isnan(low + high):
        raise ValueError("an undefined change has no verdict")
    if low > 0:
        return "improved"
    if low > -margin:
        return "holds"
    if high < -margin:
        return "degraded"
    return "fell" if high < 0 else "inconclusive"


def chances(true: ArrayLike, error: ArrayLike, half: ArrayLike, *, margin: float) -> dict[Verdict, Floats]:
    """Chance of each verdict where the change is `true` and its estimate normal around it.

    Parameters
    ----------
    error, half
        Standard error of the estimate, and half-width of its interval; the three have shapes that broadcast.

    >>> found = chances(0.0, 0.03, 0.06, margin=0.1)
    >>> {name: round(float(chance), 2) for name, chance in found.items()}
    {'improved': 0.02, 'holds': 0.89, 'degraded': 0.0, 'fell': 0.02, 'inconclusive': 0.07}
    """
    true, error, half = (np.asarray(value, dtype=np.float64) for value in (true, error, half))

    def below(limit: Floats) -> Floats:
        return stats.norm.cdf((limit - true) / error)

    improved = 1 - below(half)
    not_holding = below(half - margin)
    degraded = below(-margin - half)
    fell = below(np.minimum(-half, half - margin)) - degraded
    return {
        "improved": improved,
        "holds": 1 - improved - not_holding,
        "degraded": degraded,
        "fell": np.maximum(fell, 0.0),
        "inconclusive": np.maximum(not_holding - degraded - np.maximum(fell, 0.0), 0.0),
    }


class Needed(NamedTuple):
    """Items that would settle a verdict; None where no number of items can. `MOST_ITEMS` + 1 stands for more."""

    items: int | None
    low: int | None
    high: int | None


def items_needed(mean: float, *, variance: float, floor: float, quantile: float, n: int, margin: float) -> Needed:
    """Test items with which an inconclusive verdict would be settled with a chance of about 80 %, and their range.

    The true change is not known: it is taken as normal around `mean` with `variance`. With N new items the
    estimate's variance is floor + (variance − floor) n / N, and its interval `quantile` standard errors to each
    side. `items` settles it with a mean chance of 85 % over these true changes; `low` and `high` are the 10 % and
    90 % quantiles of the numbers that settle each of them with 80 %.

    Parameters
    ----------
    floor
        Part of the variance that no number of items removes: that of the training runs' own spread.
    n
        Items of the interval.

    Notes
    -----
    Simulated share of verdicts that the stated number settles, true changes from −0.2 to 0.05: .77 to .87 on
    average, .78 to .92 without a change, .5 to .7 where the truth lies in the middle of the margin.

    Returns
    -------
    All None where the runs spread too much: then more training runs are needed, not more items.
    """
    grid = np.unique(np.geomspace(n, max(MOST_ITEMS, n) * 100, 400).astype(int))[None]
    weights = (np.arange(41) + 0.5) / 41
    true = (mean + math.sqrt(variance) * stats.norm.ppf(weights))[:, None]
    error = np.sqrt(floor + (variance - floor) * n / grid)
    settled = 1 - chances(true, error, quantile * error, margin=margin)["inconclusive"]
    average = _first(settled.mean(axis=0), grid[0], _AVERAGE)
    if average is None:
        return Needed(None, None, None)
    of_each = [_first(row, grid[0], POWER) or MOST_ITEMS + 1 for row in settled]
    low, high = np.quantile(of_each, (0.1, 0.9), method="nearest")
    return Needed(average, min(int(low), average), max(int(high), average))


def _first(chance: Floats, grid: Floats, wanted: float) -> int | None:
    """The first number of the grid from which the chance stays as `wanted`, cut at `MOST_ITEMS` + 1."""
    short = np.flatnonzero(chance < wanted)
    at = short[-1] + 1 if len(short) else 0
    return None if at == len(chance) else int(min(grid[at], MOST_ITEMS + 1))


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
