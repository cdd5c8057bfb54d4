"""Correlations after fine-tuning beside the same with the output's length removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.analysis.schema import Analysis, Row
from aftertune.report.outcome import Group, is_at


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideLength:
    """One score of a group at the later checkpoint.

    Attributes
    ----------
    rho, given_length : means over the seeds in which both are defined.
    unit : what length is counted in.
    """

    group: Group
    score: str
    rho: float
    given_length: float
    unit: str


def beside_length(analysis: Analysis, found: Sequence[Group]) -> tuple[BesideLength, ...]:
    """One entry for each score of each group that has lengths, in the order of the groups' outcomes."""
    by_score: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in analysis.rows("correlation"):
        by_score.setdefault((row.model, row.task, row.setting, row.score), []).append(row)
    entries = []
    for group in found:
        for outcome in group.outcomes:
            rows = by_score.get((*group.key, outcome.score), [])
            after = [
                row
                for row in _at(rows, group.to)
                if np.isfinite(row.spearman) and np.isfinite(row.spearman_given_length)
            ]
            units = {row.length_unit for row in after}
            if len(units) == 1:
                entries.append(
                    BesideLength(
                        group=group,
                        score=outcome.score,
                        rho=float(np.mean([row.spearman for row in after])),
                        given_length=float(np.mean([row.spearman_given_length for row in after])),
                        unit=units.pop(),
                    )
                )
    return tuple(entries)


def _at(rows: Sequence[Row], checkpoint: str) -> list[Row]:
    last: dict[int, float] = {}
    for row in rows:
        last[row.seed] = max(row.epoch, last.get(row.seed, 0.0))
    return [row for row in rows if is_at(row, checkpoint, last[row.seed])]
