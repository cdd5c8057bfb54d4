"""From one checkpoint of a training run to another: which ones, and what changed between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from aftertune.analysis.grouping import Point
from aftertune.types import Floats

Steps = dict[int, tuple[Point, Point]]
"""t → the checkpoints after epochs t and t + 1 of one training run."""


def neighbours(run: Sequence[Point]) -> list[tuple[Point, Point]]:
    """Each measured checkpoint of a run with the next one, whatever lies between them."""
    return list(pairwise(run))


def whole_steps(run: Sequence[Point]) -> Steps:
    """The whole epochs t ≥ 1 of a run that are followed by t + 1."""
    whole = {int(point.epoch): point for point in run if point.epoch >= 1 and point.epoch.is_integer()}
    return {t: (whole[t], whole[t + 1]) for t in whole if t + 1 in whole}


def having_both(a: Point, b: Point, score: str) -> np.ndarray:
    """Mask of the items that have quality and the score at both checkpoints."""
    return a.having(score) & b.having(score)


def changes(a: Point, b: Point, score: str, items: np.ndarray) -> tuple[Floats, Floats]:
    """Changes of confidence and of quality from a to b, of the items of a mask."""
    return (b.scores[score] - a.scores[score])[items], (b.quality - a.quality)[items]
