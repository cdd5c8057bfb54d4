"""The reliability figures of an analysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from aftertune.analysis.schema import Analysis, JudgedItems, Row
from aftertune.report.figures.drawing import Drawing
from aftertune.report.figures.pages import pages
from aftertune.report.figures.reliability import Judged, ReliabilityRow, most_rows_of_reliability, reliability
from aftertune.report.outcome import CHECKPOINT_NAMES, COMPARISONS, group_name
from aftertune.report.palette import Look

TOGETHER = 3
"""Settings that are shown with two scores; of more, the best score alone."""


def draw_answers(analysis: Analysis, looks: Mapping[str, Look], page: float) -> Iterator[Drawing]:
    """A row for each setting and score, a figure for each two checkpoints; the matplotlib style must be set.

    "reliability": of the first pair of `COMPARISONS` that there is, mostly before → selected. Settings with
    another pair have "reliability_epoch_1_last" and the like. A score without any percentage has no row.
    """
    drawn = [
        row for row in analysis.rows("reliability") if any(map(_has_any, (row.before, row.carried, row.renewed)))
    ]
    found = {(row.from_, row.to) for row in drawn}
    for i, pair in enumerate(pair for pair in COMPARISONS if pair in found):
        rows = [row for row in drawn if (row.from_, row.to) == pair]
        if len({(row.model, row.task, row.setting) for row in rows}) > TOGETHER:
            rows = [row for row in rows if row.rank == 0]
        stem = "_".join(("reliability", *pair)) if i else "reliability"
        stages = CHECKPOINT_NAMES[pair[0]], CHECKPOINT_NAMES[pair[1]]
        for name, own in pages(stem, rows, lambda row: row.model, most_rows_of_reliability(page)):
            yield reliability(name, [_row(row) for row in own], dict(looks), "isotonic", stages=stages)


def _has_any(items: JudgedItems) -> bool:
    return bool(items.chance)


def _row(row: Row) -> ReliabilityRow:
    seed = f", seed {row.seed}" if row.n_seeds > 1 else ""
    return ReliabilityRow(
        name=f"{group_name(row.model, row.task, row.setting)}{seed}",
        score=row.score,
        before=_judged(row.before),
        carried=_judged(row.carried),
        renewed=_judged(row.renewed),
    )


def _judged(items: JudgedItems) -> Judged:
    return Judged(
        chance=np.array(items.chance, dtype=np.float64),
        correct=np.array(items.correct, dtype=np.float64),
        reason=items.reason,
    )
