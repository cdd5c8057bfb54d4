"""What would be seen if nothing changed: largest falls from epoch to epoch, and pairs that come out of order.

Items vary: quality and confidence of an item differ from checkpoint to checkpoint though their correlation does
not. That alone makes one epoch's correlation the lowest, and brings pairs out of order. The functions here say
how much, from the variation that the items themselves show. Training runs are taken as they are.

Notation: n items, K steps from a checkpoint to the next, R training runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from aftertune.types import Floats, Ints

DRAWS = 4000
"""Draws from the distribution of the largest fall."""

MIN_ITEMS = 30
"""With fewer items no range is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """A statistic as it would be if nothing changed: a reference value and its 95 % range; NaN with a `reason`."""

    value: float
    low: float
    high: float
    reason: str = ""

    @classmethod
    def undefined(cls, reason: str) -> Null:
        return cls(value=math.nan, low=math.nan, high=math.nan, reason=reason)


TOO_FEW = f"no range with fewer than {MIN_ITEMS} items"
NOTHING_VARIES = "no item varies: no range"
NO_PAIR = "too few untied pairs"


def largest_fall_null(influence: Floats, *, n_items: int, rng: np.random.Generator, draws: int = DRAWS) -> Null:
    """The mean over R runs of the most negative of K steps of rho, if no step had an expectation other than 0.

    The steps then are jointly normal around 0, with the covariance that their influences have: what an item does
    to one step it also does to the next, and in all runs.

    Parameters
    ----------
    influence
        (R, K, n) each item's share in the sampling error of each step rho(t + 1) − rho(t)
        (`effect.Effect.deviation`); 0 for items that it does not hold.
    n_items
        Fewest items of a step.

    Returns
    -------
    Mean, and the quantiles .025 and .975.

    Notes
    -----
    A permutation of each item's epochs gives the same where epochs are alike, and a fall that is too deep where
    neighbouring epochs are more alike than others: 85 % of the falls were then in its range instead of 95 %.
    """
    runs, steps, n = influence.shape
    if not runs * steps:
        return Null.undefined("no step has a correlation at both ends")
    if n_items < MIN_ITEMS:
        return Null.undefined(TOO_FEW)
    flat = influence.reshape(runs * steps, n)
    covariance = flat @ flat.T * (n_items / (n_items - 1))
    if not np.trace(covariance) > 0:
        return Null.undefined(NOTHING_VARIES)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T  # symmetric: signs of vectors do not matter
    normal = rng.standard_normal((draws, runs * steps)) @ root
    falls = normal.reshape(draws, runs, steps).min(axis=2).mean(axis=1)
    low, high = np.quantile(falls, (0.025, 0.975)).tolist()
    return Null(value=float(falls.mean()), low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class BothWays:
    """Shares of pairs from one checkpoint to another, and read backwards.

    Attributes
    ----------
    shares : (4,) case 1 and case 2 of the untied pairs, then both read backwards.
    influence : (4, m) of each of m items; the sum of squares over the items is the variance of a share.
    n_items : fewest items of a transition that have one.
    """

    shares: Floats
    influence: Floats
    n_items: int

    @classmethod
    def of(cls, counts: Ints, of_each: Ints, n: int) -> BothWays | None:
        """From (6,) counts of all pairs of n items, and those of m items among themselves (`pairs_of_each`).

        The influence is the jackknife's; that of m < n items stands for that of all. None where no pair is
        untied, one way or the other.
        """
        m = of_each.shape[1]
        if m < 2:
            return None
        shares = _shares(counts[:, None])[:, 0]
        without = _shares(of_each.sum(axis=1, keepdims=True) / 2 - of_each)
        if not (np.isfinite(shares).all() and np.isfinite(without).all()):
            return None
        influence = (m - 1) * (without.mean(axis=1, keepdims=True) - without)
        return cls(shares=shares, influence=influence / math.sqrt((m - 1) * n), n_items=m)

    @classmethod
    def mean(cls, transitions: Sequence[BothWays], places: Sequence[Ints], size: int) -> BothWays:
        """Mean over transitions; `places`: of each one's m items among `size`, because they share items."""
        influence = np.zeros((4, size))
        for both, at in zip(transitions, places):
            influence[:, at] += both.influence / len(transitions)
        shares = np.mean([both.shares for both in transitions], axis=0)
        return cls(shares=shares, influence=influence, n_items=min(both.n_items for both in transitions))


def _shares(counts: Floats | Ints) -> Floats:
    """(6, m) counts as of `pairs_of_each` → (4, m) shares as of `BothWays`; NaN without untied pairs."""
    stays, case1, both_flip, case2, case1_back, case2_back = counts
    ways = [stays + case1 + both_flip + case2, stays + case1_back + both_flip + case2_back]
    of = np.stack([ways[0], ways[0], ways[1], ways[1]])
    parts = np.stack([case1, case2, case1_back, case2_back])
    return np.divide(parts, of, out=np.full(parts.shape, np.nan), where=of > 0)


def case1_null(both: BothWays | None) -> Null:
    """The share of case 1 among the untied pairs, if nothing changed."""
    if both is None:
        return Null.undefined(NO_PAIR)
    return _midway(both.shares[0], both.shares[2], both.influence[0] - both.influence[2], both.n_items)


def case1_of_miscorrelated_null(both: BothWays | None) -> Null:
    """Case 1 / (case 1 + case 2), if nothing changed."""
    if both is None:
        return Null.undefined(NO_PAIR)
    first, second = both.shares[::2], both.shares[1::2]
    total = first + second
    if not (total > 0).all():
        return Null.undefined("no pair comes out of order, or none into order")
    ratio = first / total
    moved = (second[:, None] * both.influence[::2] - first[:, None] * both.influence[1::2]) / total[:, None] ** 2
    return _midway(ratio[0], ratio[1], moved[0] - moved[1], both.n_items)


def _midway(forwards: float, backwards: float, influence: Floats, n_items: int) -> Null:
    """Halfway between a share and the same read backwards, which have one expectation if nothing changed.

    The range is where the share lies in 95 %: halfway ± t · sd(forwards − backwards) / 2.
    """
    if n_items < MIN_ITEMS:
        return Null.undefined(TOO_FEW)
    sd = math.sqrt(float(influence @ influence))
    if sd < 1e-12:
        return Null.undefined(NOTHING_VARIES)
    half = float(special.stdtrit(n_items - 1, 0.975)) * sd / 2
    value = (forwards + backwards) / 2
    return Null(value=value, low=max(value - half, 0.0), high=min(value + half, 1.0))
