"""The label-swap permutation test of each comparison, where it was asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aftertune.analysis.changes import Comparison
from aftertune.analysis.grouping import Point
from aftertune.seeds import generator
from aftertune.stats.resampling import Checkpoint, swap_test

PValues = dict[tuple[str, str, str], float]
"""(score, from, to) → p."""


def swap_p_values(comparisons: Sequence[Comparison], *, permutations: int, seed: int) -> PValues:
    """Of the comparisons of one setting; those of the same ends and items share their permutations."""
    together: dict[tuple[str, str, bytes], list[Comparison]] = {}
    for c in comparisons:
        if c.items.any():
            together.setdefault((c.from_, c.to, c.items.tobytes()), []).append(c)
    found: PValues = {}
    for (from_, to, _), members in together.items():
        items, names = members[0].items, [c.score for c in members]
        ends = [(_checkpoint(a, names, items), _checkpoint(b, names, items)) for a, b in members[0].ends]
        rng = generator(seed, "permutation", int(items.sum()))
        for name, p in zip(names, swap_test(ends, permutations=permutations, rng=rng)):
            found[name, from_, to] = float(p)
    return found


def _checkpoint(point: Point, names: Sequence[str], items: np.ndarray) -> Checkpoint:
    return Checkpoint(
        quality=point.quality[items], confidence=np.array([point.scores[name][items] for name in names])
    )
