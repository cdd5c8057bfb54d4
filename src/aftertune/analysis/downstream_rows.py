"""Rows of downstream.csv and downstream_change.csv: does a score tell right answers from wrong ones?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from aftertune.analysis.changes import Comparison
from aftertune.analysis.grouping import Setting, rows_by
from aftertune.analysis.judged import JudgedPoint, JudgedSetting
from aftertune.analysis.percentage_maps import fitted
from aftertune.analysis.schema import DOWNSTREAM, DOWNSTREAM_CHANGE, Row
from aftertune.seeds import generator
from aftertune.stats.calibration import calibration
from aftertune.stats.change import AurocChange, Interval, auroc_changes, spread_over_runs
from aftertune.stats.discrimination import aurc, auroc, auroc_interval, prediction_rejection_ratio, why_one_class
from aftertune.stats.resampling import Checkpoint
from aftertune.stats.verdict import holm

MAP = "isotonic"

LARGEST_CHANGE = 1.0
"""Of an AUROC."""

_NAN = float("nan")


def downstream_rows(judged: JudgedSetting, names: Sequence[str]) -> list[Row]:
    """One row for each checkpoint and score."""
    return [_row(judged.setting, judged.at(p), name) for p in judged.setting.points for name in names]


def _row(setting: Setting, at: JudgedPoint, name: str) -> Row:
    confidence, correct = at.test.of(name)
    percentages = fitted(at, name, MAP)
    found = calibration(percentages.map(confidence), correct) if not percentages.reason else calibration([], [])
    low, high = auroc_interval(confidence, correct)
    status = [_why_no_items(at, name) or why_one_class(correct)]
    status += [f"no percentages: {percentages.reason}" if percentages.reason and len(correct) else ""]
    return DOWNSTREAM.row(
        model=setting.model,
        task=setting.task,
        setting=setting.setting,
        seed=at.point.seed,
        epoch=at.point.epoch,
        selected=at.point.selected,
        score=name,
        n=len(correct),
        auroc=auroc(confidence, correct),
        prr=prediction_rejection_ratio(confidence, correct),
        aurc=aurc(confidence, correct),
        ece=found.ece,
        auroc_ci_low=low,
        auroc_ci_high=high,
        ece_if_calibrated=found.ece_if_calibrated,
        brier=found.brier,
        n_correct=int(correct.sum()),
        map=MAP if found.n else "",
        n_validation=percentages.n,
        status="; ".join(filter(None, status)),
    )


def _why_no_items(at: JudgedPoint, name: str) -> str:
    if np.isnan(at.test.label).all():
        return "no answer is judged"
    if np.isnan(at.test.scores[name]).all():
        return "no item has this score"
    return "" if at.test.having(name).any() else "no item has both a label and this score"


def downstream_change_rows(
    judged: JudgedSetting, comparisons: Sequence[Comparison], *, resamples: int, seed: int
) -> list[Row]:
    """As change.csv, but on the items that have a label and the score at all checkpoints compared."""
    groups: dict[tuple, list[int]] = {}
    items = []
    for i, c in enumerate(comparisons):
        points = [judged.at(point).test for pair in c.ends for point in pair]
        items.append(np.logical_and.reduce([point.having(c.score) for point in points]))
        groups.setdefault((c.from_, c.to, items[i].tobytes()), []).append(i)
    rows: dict[int, list[Row]] = {}
    for index in groups.values():
        used, members = items[index[0]], [comparisons[i] for i in index]
        if not used.any():
            for i, c in zip(index, members):
                rows[i] = list(_change_rows(judged.setting, c, _without_items(c)))
            continue
        ends = [
            (_checkpoint(judged.at(from_), members, used), _checkpoint(judged.at(to), members, used))
            for from_, to in members[0].ends
        ]
        # The generator of `changes.resample`: the same resampled items as the change of rho.
        rng = generator(seed, "change", int(used.sum()))
        for i, change in zip(index, auroc_changes(ends, resamples=resamples, rng=rng)):
            rows[i] = list(_change_rows(judged.setting, comparisons[i], change))
    return [row for i in range(len(comparisons)) for row in rows[i]]


def _without_items(c: Comparison) -> AurocChange:
    reason = "no item_id has a label and this score at every checkpoint compared"
    none, undefined = np.full(len(c.ends), _NAN), Interval(low=_NAN, high=_NAN, p=_NAN, floor=_NAN, reason=reason)
    training = undefined if len(c.ends) > 1 else None
    return AurocChange(n=0, from_=none, to=none, models=undefined, training=training, reason=reason)


def _checkpoint(at: JudgedPoint, comparisons: Sequence[Comparison], items: np.ndarray) -> Checkpoint:
    return Checkpoint(
        quality=at.test.label[items],
        confidence=np.array([at.test.scores[c.score][items] for c in comparisons]),
    )


def _change_rows(setting: Setting, c: Comparison, change: AurocChange) -> Iterator[Row]:
    scopes = {"models": change.models} | ({"training": change.training} if change.training else {})
    for scope, unlimited in scopes.items():
        interval = unlimited.within(LARGEST_CHANGE)
        yield DOWNSTREAM_CHANGE.row(
            model=setting.model,
            task=setting.task,
            setting=setting.setting,
            score=c.score,
            from_=c.from_,
            to=c.to,
            n_items=change.n,
            n_seeds=len(c.ends),
            auroc_from=float(change.from_.mean()),
            auroc_to=float(change.to.mean()),
            mean=change.mean,
            sd=spread_over_runs(change.changes),
            ci_low=interval.low,
            ci_high=interval.high,
            ci_scope=scope,
            p_bootstrap=interval.p,
            p_bootstrap_holm=_NAN,
            status=change.reason or interval.reason,
        )


def with_holm(rows: Sequence[Row]) -> list[Row]:
    """Corrected over all rows with the same setting, from, to and scope, as in change.csv."""
    corrected = list(rows)
    for index in rows_by((r.setting, r.from_, r.to, r.ci_scope) for r in rows).values():
        for i, p in zip(index, holm([rows[i].p_bootstrap for i in index])):
            corrected[i] = rows[i]._replace(p_bootstrap_holm=float(p))
    return corrected
