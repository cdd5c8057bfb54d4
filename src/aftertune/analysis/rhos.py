"""Spearman's rho of a score at a checkpoint, computed once for all tables that need it."""

from __future__ import annotations

import numpy as np

from aftertune.analysis.grouping import Point
from aftertune.stats.correlation import rank_correlation


class Rhos:
    """Of the checkpoints of one setting."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[int, float], str, bytes], float] = {}

    def on(self, point: Point, score: str, items: np.ndarray) -> float:
        """On the items of a mask, which all have quality and the score there; NaN where rho is undefined."""
        key = point.key, score, items.tobytes()
        if key not in self._known:
            self._known[key] = rank_correlation(point.scores[score][items], point.quality[items])
        return self._known[key]
