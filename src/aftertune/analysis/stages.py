"""Which two checkpoints of each training run percentages, alerts and review are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aftertune.analysis.changes import named_points
from aftertune.analysis.judged import JudgedPoint, JudgedSetting

_STARTS = ("before", "epoch_1")
_ENDS = ("selected", "last")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A checkpoint and what it is called: before, epoch_1, selected or last."""

    name: str
    at: JudgedPoint


Run = tuple[Stage, ...]
"""From and to, or the only one; review and typical answers are of the last."""


def stages_of(judged: JudgedSetting) -> list[Run]:
    """Of each run: before fine-tuning and the selected checkpoint, else epoch 1, else the last.

    The same two names for all runs of a setting; a run in which these are not two checkpoints is left out (see
    `left_out`). Where no run has two, the only one of each: selected, last or before.
    """
    runs = [named_points(run) for run in judged.setting.runs()]
    pairs = [(start, end) for start in _STARTS for end in _ENDS]
    for pair in pairs:
        both = [named for named in runs if all(name in named for name in pair)]
        found = [named for named in both if named[pair[0]] is not named[pair[1]]]
        if found:
            return [tuple(Stage(name=name, at=judged.at(named[name])) for name in pair) for named in found]
    only = [(next(name for name in (*_ENDS, *_STARTS) if name in named), named) for named in runs]
    return [(Stage(name=name, at=judged.at(named[name])),) for name, named in only]


def left_out(judged: JudgedSetting, runs: Sequence[Run]) -> Iterator[str]:
    """A sentence for each training run of a setting that `stages_of` left out."""
    kept = {run[0].at.point.seed for run in runs}
    names = " → ".join(stage.name for stage in runs[0])
    for run in judged.setting.runs():
        if run[0].seed not in kept:
            yield (
                f"{judged.setting.label}: seed {run[0].seed} has no two checkpoints for {names}: left out of "
                "percentages, alerts and review"
            )


def combinations(run: Run) -> Iterator[tuple[Stage, Stage]]:
    """Where something is made, and where it is used: from–from, from–to, to–to."""
    for i, made in enumerate(run):
        for used in run[i:]:
            yield made, used
