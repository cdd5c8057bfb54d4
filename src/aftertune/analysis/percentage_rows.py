"""Rows of percentages.csv, and what the reliability figure shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aftertune.analysis.grouping import Setting
from aftertune.analysis.percentage_maps import MAPS, Fitted, fitted
from aftertune.analysis.schema import PERCENTAGES, RELIABILITY, JudgedItems, Row
from aftertune.analysis.stages import Run, Stage, combinations
from aftertune.stats.calibration import calibration

SHOWN = 2
"""Scores of a setting in the reliability figure."""

NO_ITEMS = "no test item has both a label and this score"


def percentage_rows(setting: Setting, runs: Sequence[Run], names: Sequence[str]) -> Iterator[Row]:
    for name in names:
        for run in runs:
            for kind in MAPS:
                maps = {stage.name: fitted(stage.at, name, kind) for stage in run}
                for made, used in combinations(run):
                    yield _row(setting, name, kind, maps[made.name], made, used)


def _row(setting: Setting, name: str, kind: str, made: Fitted, fitted_at: Stage, applied: Stage) -> Row:
    confidence, correct = applied.at.test.of(name)
    found = calibration([], []) if made.reason else calibration(made.map(confidence), correct)
    return PERCENTAGES.row(
        model=setting.model,
        task=setting.task,
        setting=setting.setting,
        score=name,
        seed=applied.at.point.seed,
        map=kind,
        fitted=fitted_at.name,
        applied=applied.name,
        n_validation=made.n,
        n=len(correct),
        ece=found.ece,
        ece_if_calibrated=found.ece_if_calibrated,
        brier=found.brier,
        miscalibration=found.miscalibration,
        discrimination=found.discrimination,
        uncertainty=found.uncertainty,
        status=made.reason or ("" if len(correct) else NO_ITEMS),
    )


def reliability_items(setting: Setting, runs: Sequence[Run], ranked: Sequence[str], kind: str) -> Iterator[Row]:
    """Of the first training run: items of several are not independent. `ranked`: see `judged.by_validation`."""
    pairs = [run for run in runs if len(run) == 2]
    for rank, name in enumerate(ranked[:SHOWN] if pairs else ()):
        from_, to = pairs[0]
        old, new = fitted(from_.at, name, kind), fitted(to.at, name, kind)
        yield RELIABILITY.row(
            model=setting.model,
            task=setting.task,
            setting=setting.setting,
            score=name,
            seed=to.at.point.seed,
            n_seeds=len(pairs),
            rank=rank,
            from_=from_.name,
            to=to.name,
            before=_judged(old, from_, name),
            carried=_judged(old, to, name),
            renewed=_judged(new, to, name),
        )


def _judged(made: Fitted, applied: Stage, name: str) -> JudgedItems:
    confidence, correct = applied.at.test.of(name)
    if made.reason or not len(correct):
        return JudgedItems(chance=(), correct=(), reason=made.reason or NO_ITEMS)
    return JudgedItems(
        chance=tuple(made.map(confidence).tolist()), correct=tuple(bool(value) for value in correct)
    )
