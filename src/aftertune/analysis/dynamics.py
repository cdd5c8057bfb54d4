"""Rows of quadrants.csv and direction.csv: how confidence and quality of single items change."""

from __future__ import annotations

from collections.abc import Sequence

from aftertune.analysis.changes import Comparison
from aftertune.analysis.grouping import Setting
from aftertune.analysis.schema import DIRECTION, QUADRANTS, Row
from aftertune.analysis.transitions import changes, having_both, whole_steps
from aftertune.stats.items import direction, mean_direction, quadrants


def quadrant_rows(setting: Setting, comparisons: Sequence[Comparison]) -> list[Row]:
    """One row for each comparison of change.csv; its runs share their items, so each run has the same weight."""
    rows = []
    for c in comparisons:
        runs = [quadrants(*changes(a, b, c.score, c.items)) for a, b in c.ends]
        total = sum(run.n for run in runs)

        def share(counts: list[int], total: int = total) -> float:
            return sum(counts) / total if total else float("nan")

        rows.append(
            QUADRANTS.row(
                model=setting.model,
                task=setting.task,
                setting=setting.setting,
                score=c.score,
                from_=c.from_,
                to=c.to,
                n=int(c.items.sum()),
                concordant=share([run.concordant for run in runs]),
                overconfident=share([run.overconfident for run in runs]),
                underconfident=share([run.underconfident for run in runs]),
                tied=share([run.tied for run in runs]),
                n_seeds=len(runs),
            )
        )
    return rows


def direction_rows(setting: Setting, names: Sequence[str]) -> list[Row]:
    """One row for each score, over the whole steps of all runs; none where no run has such a step."""
    steps = [step for run in setting.runs() for step in whole_steps(run).values()]
    rows = []
    for name in names if steps else ():
        mean = mean_direction(direction(*changes(a, b, name, having_both(a, b, name))) for a, b in steps)
        rows.append(
            DIRECTION.row(
                model=setting.model,
                task=setting.task,
                setting=setting.setting,
                score=name,
                n=mean.n,
                confidence_not_increased=mean.confidence_not_increased,
                increased_quality_not_improved=mean.increased_quality_not_improved,
                both_increased=mean.both_increased,
                n_transitions=mean.transitions,
            )
        )
    return rows
