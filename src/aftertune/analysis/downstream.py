"""One setting → what a person can do with its scores (method, section 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from aftertune.analysis.changes import Comparison
from aftertune.analysis.correctness import left_out_note
from aftertune.analysis.downstream_rows import MAP, downstream_change_rows, downstream_rows
from aftertune.analysis.grouping import Setting, listed
from aftertune.analysis.item_alerts import item_alerts
from aftertune.analysis.judged import NO_VALIDATION, JudgedSetting, by_validation
from aftertune.analysis.percentage_rows import percentage_rows, reliability_items
from aftertune.analysis.review_rows import review_rows
from aftertune.analysis.schema import CHOSEN, Row
from aftertune.analysis.stages import Run, left_out, stages_of
from aftertune.stats.discrimination import auroc, auroc_interval
from aftertune.types import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Downstream:
    """Rows of one setting; changes without Holm's correction, which is over all settings.

    Attributes
    ----------
    unvalidated : name of a setting that has labels and no validation rows at all, else "".
    """

    downstream: list[Row] = field(default_factory=list)
    changes: list[Row] = field(default_factory=list)
    percentages: list[Row] = field(default_factory=list)
    reviews: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    chosen: list[Row] = field(default_factory=list)
    reliabilities: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unvalidated: str = ""


def downstream(
    records: Records,
    judged: JudgedSetting,
    names: Sequence[str],
    comparisons: Sequence[Comparison],
    *,
    resamples: int,
    seed: int,
) -> Downstream:
    """Nothing where no test item of the setting has a label.

    Alerts and the reliability figure are of the scores that are best on the validation items of all stages, never
    on test.
    """
    setting = judged.setting
    if not any(np.isfinite(judged.at(point).test.label).any() for point in setting.points):
        return Downstream()
    runs = stages_of(judged)
    validated = any(not stage.at.why_no_validation for run in runs for stage in run)
    ranked = by_validation([stage.at for run in runs for stage in run], names) if validated else []
    return Downstream(
        downstream=downstream_rows(judged, names),
        changes=downstream_change_rows(judged, comparisons, resamples=resamples, seed=seed),
        percentages=list(percentage_rows(setting, runs, names)) if validated else [],
        reviews=list(review_rows(setting, runs, names)) if validated else [],
        alerts=list(item_alerts(records, setting, runs, ranked[0], MAP)) if ranked else [],
        chosen=list(_chosen(setting, runs, ranked[0], len(names))) if ranked else [],
        reliabilities=list(reliability_items(setting, runs, ranked, MAP)),
        notes=list(_notes(judged, runs, ranked)),
        unvalidated=setting.label if _reasons(runs) == {NO_VALIDATION: len(runs) * len(runs[0])} else "",
    )


def _chosen(setting: Setting, runs: Sequence[Run], name: str, n_scores: int) -> Iterator[Row]:
    """By run, the earlier stage first."""
    for run in runs:
        for stage in run:
            confidence, correct = stage.at.validation.of(name)
            low, high = auroc_interval(confidence, correct)
            yield CHOSEN.row(
                model=setting.model,
                task=setting.task,
                setting=setting.setting,
                score=name,
                n_scores=n_scores,
                seed=stage.at.point.seed,
                epoch=stage.at.point.epoch,
                checkpoint=stage.name,
                n_validation=len(correct),
                n_correct=int(correct.sum()),
                auroc=auroc(confidence, correct),
                low=low,
                high=high,
            )


def unvalidated_note(parts: Sequence[Downstream]) -> Iterator[str]:
    """One sentence on all settings without validation rows."""
    labels = [part.unvalidated for part in parts if part.unvalidated]
    if labels:
        of = "" if all(part.unvalidated for part in parts if part.downstream) else f" of {listed(labels)}"
        yield f"No validation rows{of}: AUROC, PRR and AURC alone, no percentages, alerts or review threshold"


def _reasons(runs: Sequence[Run]) -> Counter[str]:
    """Why nothing can be fitted → at how many checkpoints."""
    found = (stage.at.why_no_validation for run in runs for stage in run)
    return Counter(reason for reason in found if reason)


def _notes(judged: JudgedSetting, runs: Sequence[Run], ranked: Sequence[str]) -> Iterator[str]:
    label = judged.setting.label
    points = [judged.at(point) for point in judged.setting.points]
    lacking = [int(((p.point.row >= 0) & np.isnan(p.test.label)).sum()) for p in points]
    yield from left_out_note(label, len(judged.setting.item_ids), max(lacking))
    if ranked:
        yield from left_out(judged, runs)
    ends, reasons = len(runs) * len(runs[0]), _reasons(runs)
    if reasons and reasons != {NO_VALIDATION: ends}:
        where = f"at {sum(reasons.values())} of {ends} checkpoints {' or '.join(reasons)}"
        yield f"{label}: {where}: no percentages, alerts and review threshold there"
    elif not reasons and not ranked:
        why = "all are right, all are wrong, or lack the score"
        yield f"{label}: no score has an AUROC on the validation items of every checkpoint ({why}): no alerts"
