"""Which way confidence goes from epoch to epoch, and quality with it (method, section 6; Table 3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aftertune.stats.quadrants import changes

_NAN = float("nan")


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
    """From (n,) changes of confidence and (n,) changes of quality from one checkpoint to the next.

    Raises
    ------
    ValueError
        If the shapes differ or a value is not finite.

    >>> direction(dc=[-0.1, 0.0, 0.1, 0.1, 0.1], dq=[1, -1, -1, 0, 1])
    Direction(confidence_not_increased=2, increased_quality_not_improved=2, both_increased=1)
    """
    dc, dq = changes(dc, dq)
    increased = dc > 0
    both = int(np.count_nonzero(increased & (dq > 0)))
    n_increased = int(np.count_nonzero(increased))
    return Direction(
        confidence_not_increased=len(dc) - n_increased,
        increased_quality_not_improved=n_increased - both,
        both_increased=both,
    )


def mean_direction(transitions: Iterable[Direction]) -> MeanDirection:
    """Every transition of every training run counts alike, however many items it has; one without items does not.

    >>> few, many = direction([1, 1], [1, 1]), direction([-1, -1, -1, 1], [0, 0, 0, 0])
    >>> mean_direction([few, many]).both_increased
    50.0
    """
    kept = [one for one in transitions if one.n]
    counts = [(t.confidence_not_increased, t.increased_quality_not_improved, t.both_increased) for t in kept]
    shares = [[100 * count / one.n for count in own] for own, one in zip(counts, kept)]
    not_increased, not_improved, both = np.mean(shares, axis=0).tolist() if kept else [_NAN] * 3
    return MeanDirection(
        transitions=len(kept),
        n=sum(one.n for one in kept),
        confidence_not_increased=not_increased,
        increased_quality_not_improved=not_improved,
        both_increased=both,
    )
