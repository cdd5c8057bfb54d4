"""One setting → the rows of the task level: correlations, their changes and verdicts, falls between epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aftertune.analysis.changes import Comparison, change_rows, left_out_items, resample
from aftertune.analysis.correlations import correlation_notes, correlation_rows
from aftertune.analysis.epoch_falls import epoch_fall_rows
from aftertune.analysis.grouping import Setting
from aftertune.analysis.permutations import swap_p_values
from aftertune.analysis.rhos import Rhos
from aftertune.analysis.schema import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLevel:
    """Rows of one setting; changes without Holm's correction, which is over all settings."""

    correlations: list[Row]
    changes: list[Row]
    epoch_falls: list[Row]
    notes: list[str]


def task_level(
    setting: Setting,
    names: Sequence[str],
    comparisons: Sequence[Comparison],
    rhos: Rhos,
    *,
    margin: float,
    resamples: int,
    seed: int,
    permutation: bool,
) -> TaskLevel:
    correlations = correlation_rows(setting, names, seed=seed)
    falls, left_out = epoch_fall_rows(setting, names, rhos)
    draws = resample(setting, comparisons, resamples=resamples, seed=seed)
    swapped = swap_p_values(comparisons, permutations=resamples, seed=seed) if permutation else {}
    changes: list[Row] = []
    for c in comparisons:
        p = swapped.get((c.score, c.from_, c.to), float("nan"))
        changes += change_rows(setting, c, rhos, draws, margin=margin, p_permutation=p)
    notes = [*correlation_notes(setting, correlations), *left_out_items(setting, names, comparisons), *left_out]
    return TaskLevel(correlations=correlations, changes=changes, epoch_falls=falls, notes=notes)
