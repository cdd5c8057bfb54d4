"""Concordance: in how many pairs of answers of different quality the better one is the more confident.

Also intervals of shares, of which it is one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from aftertune.types import Floats, Ints


class Share(NamedTuple):
    """A share of each of S scores over the same n items.

    Attributes
    ----------
    value : (S,); NaN where undefined.
    deviation : (S, n) each item's share in the sampling error, as `effect.Effect.deviation`.
    weight : (S, n) how much of the denominator is each item's, of sum 1.
    """

    value: Floats
    deviation: Floats
    weight: Floats


def concordances(confidence: Floats, quality: Floats) -> Share:
    """Concordance of (S, n) confidences with (n,) qualities, all finite; NaN without two different qualities.

    Deviations are those of the jackknife: leaving out item i leaves C_i = (W − 2 won_i) / (P − 2 pairs_i), W and P
    the sums of `wins`.
    """
    n = len(quality)
    value = np.full(len(confidence), np.nan)
    deviation, weight = np.zeros((2, len(confidence), n))
    for s, one in enumerate(confidence if n > 1 and np.ptp(quality) > 0 else ()):
        won, pairs = wins(one, quality)
        total = float(pairs.sum())
        value[s] = float(won.sum()) / total
        without = np.maximum(total - 2 * pairs, total / n)
        deviation[s] = 2 * (won - value[s] * pairs) / without * math.sqrt((n - 1) / n)
        weight[s] = pairs / total
    return Share(value, deviation, weight)


def wins(confidence: Floats, quality: Floats) -> tuple[Floats, Floats]:
    """Of each item: in how many pairs the better one is the more confident, and how many pairs there are.

    A pair is two items of different quality; equal confidences count half. The sums over items are twice those
    over pairs, and their ratio is the concordance.

    Returns
    -------
    won, pairs : (n,).

    Notes
    -----
    With the ranks of quality as binary numbers, an item is better than another where both agree down to some bit
    that is 1 for it and 0 for the other: so one sort for each bit counts, for all items at once, how many worse
    ones are less confident. 100,000 items of different quality take a second, right and wrong ones a tenth.

    >>> [values.tolist() for values in wins(np.array([1.0, 2.0, 2.0]), np.array([0.0, 0.0, 1.0]))]
    [[1.0, 0.5, 1.5], [1.0, 1.0, 2.0]]
    """
    n = len(quality)
    level = np.unique(quality, return_inverse=True)[1].reshape(-1)
    sureness = np.unique(confidence, return_inverse=True)[1].reshape(-1)
    equal = np.bincount(level)
    pairs = (n - equal[level]).astype(np.float64)
    better = n - np.cumsum(equal)[level]
    below_worse = np.zeros(n)
    for bit in range(int(level.max()).bit_length()):
        alike, one = level >> (bit + 1), (level >> bit) & 1 == 1
        below_worse[one] += _below(alike[~one] * n + sureness[~one], alike[one] * n + sureness[one], n)
    below_all = _below(sureness, sureness, n)
    below_equal = _below(level * n + sureness, level * n + sureness, n)
    return below_worse + better - (below_all - below_equal - below_worse), pairs


def _below(others: Ints, keys: Ints, n: int) -> Floats:
    """How many of `others` in the same block of n whole numbers are lower than each key, equal ones half."""
    others = np.sort(others)
    low, high = np.searchsorted(others, keys), np.searchsorted(others, keys, side="right")
    return (low + high) / 2 - np.searchsorted(others, keys - keys % n)


def share_interval(
    share: float, variance: Sequence[float], df: Sequence[float], weight: Floats, *, stretch: float = 1.0
) -> tuple[float, float]:
    """95 % interval of a share within [0, 1]; NaN where the share is.

    Wilson's: all θ with (p − θ)² ≤ t² θ (1 − θ) v, where v is the variance of p over p (1 − p) and t Student's
    quantile. Half an item of the largest possible variance is added to v, sum_g w_g³ / 2: near 0 and 1 a sample
    knows too little of its own spread. Where p is 0 or 1 it knows nothing of it, and v is that of independent
    items, sum_g w_g².

    Parameters
    ----------
    variance, df
        Estimates of the variance with their degrees of freedom (`change.Spread`); the widest interval counts.
    weight
        (G,) how much of the denominator comes from each group of items, so that w_g is the most that a group can
        change.
    stretch
        Factor of the standard error.
    """
    if math.isnan(share):
        return math.nan, math.nan
    share = min(max(share, 0.0), 1.0)
    largest = share * (1 - share)
    squares, cubes = float(np.sum(weight**2)), float(np.sum(weight**3))
    ends = []
    for v, d in zip(variance, df):
        relative = (v / largest if largest > 0 else squares) + cubes / 2
        ends.append(wilson(share, relative, stretch * float(special.stdtrit(d, 0.975))))
    return min(low for low, _ in ends), max(high for _, high in ends)


def wilson(share: float, relative: float, quantile: float) -> tuple[float, float]:
    """The θ of [0, 1] with (share − θ)² ≤ quantile² θ (1 − θ) relative.

    >>> [round(end, 3) for end in wilson(0.8, 1 / 50, 1.96)]
    [0.67, 0.888]
    """
    spread = quantile**2 * relative
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
