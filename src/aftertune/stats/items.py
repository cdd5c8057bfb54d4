"""Changes item by item: quadrants of confidence and quality, and direction from epoch to epoch.

The paper's Tables 2, 3 and 9, Figures 4 and 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aftertune.types import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Quadrants:
    """Numbers of items by the signs of dc and dq, the changes of their confidence and of their quality.

    Attributes
    ----------
    n : items.
    overconfident : dc > 0 and dq < 0 (relatively over-confident).
    underconfident : dc < 0 and dq > 0 (relatively under-confident).
    tied : dc = 0 or dq = 0; a part of `concordant`.
    """

    n: int
    overconfident: int
    underconfident: int
    tied: int

    @property
    def concordant(self) -> int:
        """All others: both rose, both fell, or one did not change (`tied`)."""
        return self.n - self.overconfident - self.underconfident

    @property
    def concordant_share(self) -> float:
        """`concordant` / n; NaN without items, as the other shares."""
        return self.concordant / self.n if self.n else math.nan

    @property
    def overconfident_share(self) -> float:
        """`overconfident` / n."""
        return self.overconfident / self.n if self.n else math.nan

    @property
    def underconfident_share(self) -> float:
        """`underconfident` / n."""
        return self.underconfident / self.n if self.n else math.nan

    @property
    def tied_share(self) -> float:
        """`tied` / n, a part of `concordant_share`."""
        return self.tied / self.n if self.n else math.nan


def quadrants(dc: ArrayLike, dq: ArrayLike) -> Quadrants:
    """Quadrants from (n,) changes of confidence and (n,) changes of quality between two checkpoints.

    The paper defines concordant as "both increased, or both decreased" and leaves items open that did not
    change; only with these among the concordant does its Table 2 have 0.98 on GSM8K.

    Raises
    ------
    ValueError
        If the shapes differ or a value is not finite: items without both values are the caller's to leave out.

    >>> quadrants(dc=[0.5, 0.5, -0.5, -0.5, 0.5, 0.0], dq=[1, -1, 1, -1, 0, -1])
    Quadrants(n=6, overconfident=1, underconfident=1, tied=2)
    """
    dc, dq = _checked(dc, dq)
    return Quadrants(
        n=len(dc),
        overconfident=int(np.count_nonzero((dc > 0) & (dq < 0))),
        underconfident=int(np.count_nonzero((dc < 0) & (dq > 0))),
        tied=int(np.count_nonzero((dc == 0) | (dq == 0))),
    )


def _checked(dc: ArrayLike, dq: ArrayLike) -> tuple[Floats, Floats]:
    """The two as float64 arrays; ValueError unless both are (n,) and finite."""
    confidence, quality = np.asarray(dc, dtype=np.float64), np.asarray(dq, dtype=np.float64)
    if confidence.ndim != 1 or confidence.shape != quality.shape:
        raise ValueError(f"changes of confidence have shape {confidence.shape}, of quality {quality.shape}")
    if not (np.isfinite(confidence).all() and np.isfinite(quality).all()):
        raise ValueError("changes of confidence and quality must be finite")
    return confidence, quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """Numbers of items in one transition, from a checkpoint to the next; each item is in one of the three.

    Attributes
    ----------
    confidence_not_increased : dc ≤ 0.
    increased_quality_not_improved : dc > 0 and dq ≤ 0.
    both_increased : dc > 0 and dq > 0.
    """

    confidence_not_increased: int
    increased_quality_not_improved: int
    both_increased: int

    @property
    def n(self) -> int:
        """Items of the transition."""
        return self.confidence_not_increased + self.increased_quality_not_improved + self.both_increased


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDirection:
    """Means over transitions of the three shares, in per cent; they sum to 100, or are NaN without transitions.

    Attributes
    ----------
    transitions : how many are averaged, over epochs and training runs.
    n : their items, an item counted in each transition that it is part of.
    """

    transitions: int
    n: int
    confidence_not_increased: float
    increased_quality_not_improved: float
    both_increased: float


def direction(dc: ArrayLike, dq: ArrayLike) -> Direction:
    """Direction from (n,) changes of confidence and (n,) changes of quality from one checkpoint to the next.

    Raises
    ------
    ValueError
        If the shapes differ or a value is not finite.

    >>> direction(dc=[-0.1, 0.0, 0.1, 0.1, 0.1], dq=[1, -1, -1, 0, 1])
    Direction(confidence_not_increased=2, increased_quality_not_improved=2, both_increased=1)
    """
    dc, dq = _checked(dc, dq)
    increased = dc > 0
    both = int(np.count_nonzero(increased & (dq > 0)))
    n_increased = int(np.count_nonzero(increased))
    return Direction(
        confidence_not_increased=len(dc) - n_increased,
        increased_quality_not_improved=n_increased - both,
        both_increased=both,
    )


def mean_direction(transitions: Iterable[Direction]) -> MeanDirection:
    """Mean of the shares: every transition of every training run counts alike, except those without items.

    >>> few, many = direction([1, 1], [1, 1]), direction([-1, -1, -1, 1], [0, 0, 0, 0])
    >>> mean_direction([few, many]).both_increased
    50.0
    """
    kept = [one for one in transitions if one.n]
    counts = [(t.confidence_not_increased, t.increased_quality_not_improved, t.both_increased) for t in kept]
    shares = [[100 * count / one.n for count in own] for own, one in zip(counts, kept)]
    not_increased, not_improved, both = np.mean(shares, axis=0).tolist() if kept else [math.nan] * 3
    return MeanDirection(
        transitions=len(kept),
        n=sum(one.n for one in kept),
        confidence_not_increased=not_increased,
        increased_quality_not_improved=not_improved,
        both_increased=both,
    )
