"""What a person can do with the scores: AUROC, percentages, review thresholds, alerts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan

import numpy as np

from aftertune.analysis.checkpoints import (
    Comparison,
    EffectsOfSetting,
    Point,
    Setting,
    listed,
    named_points,
    rows_by,
)
from aftertune.analysis.items import input_of
from aftertune.analysis.labels import NO_VALIDATION, JudgedPoint, JudgedSetting, by_auroc, left_out_note
from aftertune.analysis.schema import (
    ALERTS,
    CHOSEN,
    DOWNSTREAM,
    DOWNSTREAM_CHANGE,
    PERCENTAGES,
    RELIABILITY,
    REVIEW,
    JudgedItems,
    Row,
)
from aftertune.stats.alerts import (
    ERROR,
    ERROR_AFTER_EPOCHS,
    ERROR_ON_THE_SAME,
    Threshold,
    alert,
    candidate_thresholds,
    review,
    review_threshold,
)
from aftertune.stats.calibration import (
    FITS,
    NoMap,
    PercentageMap,
    VennAbers,
    calibration,
    fit_min_max,
    map_for,
    percent,
    supported,
    venn_abers,
)
from aftertune.stats.change import NOTHING_VARIES, spread_for_models, spread_for_training, spread_over_runs
from aftertune.stats.discrimination import aurc, auroc, auroc_interval, prediction_rejection_ratio, why_one_class
from aftertune.stats.verdict import FEWEST_DIFFERENT, holm
from aftertune.types import Floats, Records

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


LARGEST_CHANGE = 1.0
"""Of an AUROC."""

_NAN = float("nan")


def downstream_rows(judged: JudgedSetting, names: Sequence[str]) -> list[Row]:
    """One row for each checkpoint and score."""
    return [_downstream_row(judged.setting, judged.at(p), name) for p in judged.setting.points for name in names]


def _downstream_row(setting: Setting, at: JudgedPoint, name: str) -> Row:
    confidence, correct = at.test.of(name)
    percentages = fitted(at, name)
    found = calibration(percentages.map(confidence), correct) if not percentages.reason else calibration([], [])
    low, high = auroc_interval(confidence, correct)
    status = [_why_no_items(at, name) or why_one_class(correct)]
    status += [f"no percentages: {percentages.reason}" if percentages.reason and len(correct) else ""]
    return DOWNSTREAM.row(
        **setting.names,
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
        map=percentages.kind if found.n else "",
        n_validation=percentages.n,
        status="; ".join(filter(None, status)),
    )


def _why_no_items(at: JudgedPoint, name: str) -> str:
    if np.isnan(at.test.label).all():
        return "no answer is judged"
    if np.isnan(at.test.scores[name]).all():
        return "no item has this score"
    return "" if at.test.having(name).any() else "no item has both a label and this score"


def auroc_change_rows(judged: JudgedSetting, comparisons: Sequence[Comparison]) -> Iterator[Row]:
    """As change.csv, but on the items that have a label and the score at all checkpoints compared.

    AUROC is (1 + adjusted rho) / 2 of labels. Each interval is of one score by itself; p-values are corrected by
    Holm. Because an answer that was right before can be wrong after, the two AUROCs are of different positives and
    negatives: DeLong's test does not apply.
    """
    setting = replace(judged.setting, points=tuple(judged.labelled(p) for p in judged.setting.points))
    points = {point.key: point for point in setting.points}
    of_setting = EffectsOfSetting(setting)
    for c in comparisons:
        pairs = [tuple(points[point.key] for point in pair) for pair in c.ends]
        items = np.logical_and.reduce([point.having(c.score) for pair in pairs for point in pair])
        yield from _auroc_change(setting, c, pairs, items, of_setting)


def _auroc_change(
    setting: Setting,
    c: Comparison,
    pairs: Sequence[tuple[Point, ...]],
    items: np.ndarray,
    of_setting: EffectsOfSetting,
) -> Iterator[Row]:
    found = [[of_setting.on(point, [c.score], items)[0] for point in pair] for pair in pairs]
    labels = [point.quality[items] for pair in pairs for point in pair]
    values = np.array([[auroc(p.scores[c.score][items], p.quality[items]) for p in pair] for pair in pairs])
    deviation = np.array([to.deviation - from_.deviation for from_, to in found]) / 2
    difference = values[:, 1] - values[:, 0]
    reason = next(filter(None, map(why_one_class, labels)), "") if items.any() else _NO_LABELLED
    fewest = min((int(min(one.sum(), len(one) - one.sum())) for one in labels), default=0)
    if not reason and fewest < FEWEST_DIFFERENT:
        reason = f"only {fewest} right, or wrong, at a checkpoint compared: {FEWEST_DIFFERENT} have an interval"
    # A constant score has an AUROC of 0.5, and neither order nor spread.
    reason = reason or (_CONSTANT if np.isnan(deviation).any() else "")
    spreads = {"models": spread_for_models(deviation)}
    if len(pairs) > 1:
        spreads["training"] = spread_for_training(difference[:, None], deviation)
    mean = float(difference.mean())
    for scope, spread in spreads.items():
        half = _NAN if reason else spread.half_width(0)
        why = reason or (NOTHING_VARIES if math.isnan(half) else "")
        yield DOWNSTREAM_CHANGE.row(
            **setting.names,
            score=c.score,
            from_=c.from_,
            to=c.to,
            n_items=int(items.sum()),
            n_seeds=len(pairs),
            auroc_from=float(values[:, 0].mean()),
            auroc_to=float(values[:, 1].mean()),
            mean=mean,
            sd=spread_over_runs(difference),
            ci_low=max(mean - half, -LARGEST_CHANGE),
            ci_high=min(mean + half, LARGEST_CHANGE),
            ci_scope=scope,
            p_change=_NAN if why else spread.p_value(0, mean),
            p_change_holm=_NAN,
            status=why,
        )


_NO_LABELLED = "no item_id has a label and this score at every checkpoint compared"
_CONSTANT = "confidence is constant at a checkpoint compared"


def auroc_change_with_holm(rows: Sequence[Row]) -> list[Row]:
    """Corrected over all rows with the same setting, from, to and scope."""
    corrected = list(rows)
    for index in rows_by((r.setting, r.from_, r.to, r.ci_scope) for r in rows).values():
        for i, p in zip(index, holm([rows[i].p_change for i in index])):
            corrected[i] = rows[i]._replace(p_change_holm=float(p))
    return corrected


MIN_MAX = "min-max"
MAPS = (*FITS, MIN_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A map, its name, and the validation items that it was fitted on; `reason` says why it has none."""

    map: PercentageMap
    kind: str
    n: int

    @property
    def reason(self) -> str:
        return self.map.reason if isinstance(self.map, NoMap) else ""


def fitted(at: JudgedPoint, score: str, kind: str = "") -> Fitted:
    """The map of the name `kind` (`MAPS`), else of `map_for`, at a checkpoint; "min-max" needs no labels."""
    confidence, correct = at.calibrate.of(score)
    kind = kind or map_for(len(correct))
    known = at.calibrate.scores[score]
    if kind == MIN_MAX and len(known):
        known = known[np.isfinite(known)]
        return Fitted(map=fit_min_max(known), kind=kind, n=len(known))
    if at.why_no_validation:
        return Fitted(map=NoMap(reason=at.why_no_validation), kind=kind, n=0)
    return Fitted(map=FITS[kind](confidence, correct), kind=kind, n=len(correct))


SHOWN = 2
"""Scores of a setting in the reliability figure."""

NO_ITEMS = "no test item has both a label and this score"


def percentage_rows(setting: Setting, runs: Sequence[Run], names: Sequence[str]) -> Iterator[Row]:
    for name in names:
        for run in runs:
            for kind in MAPS:
                maps = {stage.name: fitted(stage.at, name, kind) for stage in run}
                for made, used in combinations(run):
                    yield _percentage_row(setting, name, maps[made.name], made, used)


def _percentage_row(setting: Setting, name: str, made: Fitted, fitted_at: Stage, applied: Stage) -> Row:
    confidence, correct = applied.at.test.of(name)
    found = calibration([], []) if made.reason else calibration(made.map(confidence), correct)
    return PERCENTAGES.row(
        **setting.names,
        score=name,
        seed=applied.at.point.seed,
        map=made.kind,
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
        used=made.kind == map_for(len(fitted_at.at.calibrate.of(name)[1])),
    )


def reliability_items(setting: Setting, runs: Sequence[Run], ranked: Sequence[str]) -> Iterator[Row]:
    """Of the first training run: items of several are not independent. `ranked`: the best score first."""
    pairs = [run for run in runs if len(run) == 2]
    for rank, name in enumerate(ranked[:SHOWN] if pairs else ()):
        from_, to = pairs[0]
        old, new = fitted(from_.at, name), fitted(to.at, name)
        yield RELIABILITY.row(
            **setting.names,
            score=name,
            seed=to.at.point.seed,
            n_seeds=len(pairs),
            rank=rank,
            from_=from_.name,
            to=to.name,
            before=_judged_items(old, from_, name),
            carried=_judged_items(old, to, name),
            renewed=_judged_items(new, to, name),
        )


def _judged_items(made: Fitted, applied: Stage, name: str) -> JudgedItems:
    confidence, correct = applied.at.test.of(name)
    if made.reason or not len(correct):
        return JudgedItems(chance=(), correct=(), reason=made.reason or NO_ITEMS)
    return JudgedItems(
        chance=tuple(made.map(confidence).tolist()), correct=tuple(bool(value) for value in correct)
    )


WANTED = (0.9, 0.8)


def review_rows(setting: Setting, runs: Sequence[Run], names: Sequence[str], for_alerts: str) -> Iterator[Row]:
    """For each score, run and wanted share: chosen and applied before, carried over, chosen anew.

    `for_alerts` is the score that these validation items did not choose: the guarantee is of its rows.
    """
    for name in names:
        guarantee = "holds" if name == for_alerts else "if named"
        for run in runs:
            for wanted in WANTED:
                found = {stage.name: _threshold(stage, name, wanted) for stage in run}
                for made, used in combinations(run):
                    row = _review_row(setting, name, wanted, made.name, used, *found[made.name])
                    yield row if isnan(row.threshold) else row._replace(guarantee=guarantee)


def _threshold(stage: Stage, name: str, wanted: float) -> tuple[Threshold | None, str]:
    """Candidates are confidences of the test items at the checkpoint, whose labels are not looked at."""
    at = stage.at
    if at.why_no_validation:
        return None, at.why_no_validation
    confidence, correct = at.calibrate.of(name)
    elsewhere = at.test.scores[name][np.isfinite(at.test.scores[name])]
    error = ERROR
    if at.point.selected:
        # Early stopping looked at all validation items.
        error = ERROR_AFTER_EPOCHS if len(at.select.label) else ERROR_ON_THE_SAME
    candidates = candidate_thresholds(elsewhere, len(correct), precision=wanted, error=error)
    found = review_threshold(confidence, correct, candidates, precision=wanted, error=error)
    return found, found.reason


def _review_row(
    setting: Setting, name: str, wanted: float, chosen: str, used: Stage, found: Threshold | None, reason: str
) -> Row:
    confidence, correct = used.at.test.of(name)
    threshold = _NAN if found is None else found.value
    held = review(confidence, correct, threshold)
    return REVIEW.row(
        **setting.names,
        score=name,
        seed=used.at.point.seed,
        wanted=wanted,
        chosen=chosen,
        applied=used.name,
        threshold=threshold,
        n_validation=0 if found is None else found.n,
        bound=_NAN if found is None else found.bound,
        n=held.n,
        kept=held.kept,
        coverage=_NAN if reason else held.coverage,
        precision=held.precision,
        ci_low=held.low,
        ci_high=held.high,
        without=held.without,
        status=reason or held.reason,
        error=_NAN if found is None else found.error,
    )


NO_SCORE = "the score is undefined for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """One stage of a run, on the axis of the setting's items.

    Attributes
    ----------
    chance : (n,) by the map fitted at this stage; NaN where it or the score is undefined, or where the validation
        items leave it too wide.
    low, high : (n,) its interval, of those that are too wide as well.
    carried : (n,) the chance by the map fitted at the stage before; NaN where there is none.
    reason : why this stage has no map, else "".
    n : validation items that it is fitted on.
    """

    stage: Stage
    confidence: Floats
    chance: Floats
    low: Floats
    high: Floats
    carried: Floats
    reason: str
    n: int

    def why_none(self, i: int) -> str:
        """Why item i is told no chance."""
        if not np.isfinite(self.confidence[i]):
            return NO_SCORE
        if self.reason:
            return self.reason
        return f"{self.n} validation items leave it between {percent(self.low[i])} % and {percent(self.high[i])} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Percentages:
    """What makes the percentages of alerts at one stage: a map, and the interval of what it says."""

    made: Fitted
    interval: VennAbers | NoMap

    @classmethod
    def at(cls, stage: Stage, score: str) -> _Percentages:
        made = fitted(stage.at, score)
        interval = NoMap(reason=made.reason) if made.reason else venn_abers(*stage.at.calibrate.of(score))
        return cls(made=made, interval=interval)

    def __call__(self, confidence: Floats) -> tuple[Floats, Floats, Floats]:
        """(chance, low, high), see `_Told`."""
        if isinstance(self.interval, NoMap):
            undefined = np.full(len(confidence), np.nan)
            return undefined, undefined, undefined
        low, high = self.interval.interval(confidence)
        return supported(self.made.map(confidence), low, high), low, high


def item_alerts(records: Records, setting: Setting, runs: Sequence[Run], name: str) -> Iterator[Row]:
    """Every test item at each stage of each run, by the map of the score fitted at that stage.

    By run and item, the earlier stage first. A stage without a map says why in each line; a run of which no stage
    has one is left out.
    """
    for run in runs:
        told = _told(run, name)
        if all(one.reason for one in told):
            continue
        for i in range(len(setting.item_ids)):
            for one in told:
                if one.stage.at.point.row[i] >= 0:
                    yield _line(records, setting, one, i, name)


def _told(run: Run, name: str) -> list[_Told]:
    found, old = [], None
    for stage in run:
        confidence, percentages = stage.at.point.scores[name], _Percentages.at(stage, name)
        chance, low, high = percentages(confidence)
        found.append(
            _Told(
                stage=stage,
                confidence=confidence,
                chance=chance,
                low=low,
                high=high,
                carried=np.full(len(confidence), np.nan) if old is None else old(confidence)[0],
                reason=percentages.made.reason,
                n=percentages.made.n,
            )
        )
        old = percentages
    return found


def _line(records: Records, setting: Setting, told: _Told, i: int, name: str) -> Row:
    point, label = told.stage.at.point, float(told.stage.at.test.label[i])
    row, confidence, chance = int(point.row[i]), _known(told.confidence[i]), _known(told.chance[i])
    low, high = _known(told.low[i]), _known(told.high[i])
    interval = (_NAN, _NAN) if low is None or high is None else (low, high)
    return ALERTS.row(
        **setting.names,
        seed=point.seed,
        epoch=point.epoch,
        checkpoint=told.stage.name,
        item_id=str(setting.item_ids[i]),
        score=name,
        confidence=confidence,
        chance=chance,
        alert=alert(_NAN, told.why_none(i)) if chance is None else alert(chance, interval=interval),
        correct=bool(label) if np.isfinite(label) else None,
        input=input_of(records, [row]),
        references=tuple(records.references[row] or ()),
        output=point.output[i],
        chance_by_old_map=_known(told.carried[i]),
        chance_low=low,
        chance_high=high,
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def answer_rows(
    records: Records,
    judged: JudgedSetting,
    names: Sequence[str],
    comparisons: Sequence[Comparison],
    recommendations: Sequence[Row],
) -> tuple[dict[str, Sequence[Row]], list[str], bool]:
    """All rows about the answers of one setting; nothing where none of its test items has a label.

    Alerts and the reliability figure are of the score that is relied on, else of the recommended one (rows of
    `RECOMMENDATION`), else of the one that `score_for_alerts` chooses.

    Returns
    -------
    tables : table → rows, changes without Holm's correction, which is over all settings.
    notes : one sentence each.
    unvalidated : whether there are no validation rows at all.
    """
    setting = judged.setting
    if not any(np.isfinite(judged.at(point).test.label).any() for point in setting.points):
        return {}, [], False
    runs = stages_of(judged)
    validated = any(not stage.at.why_no_validation for run in runs for stage in run)
    ranked, by = score_for_alerts(judged, runs, names, recommendations) if validated else ([], "")
    found: dict[str, Sequence[Row]] = {
        "downstream": downstream_rows(judged, names),
        "downstream_change": list(auroc_change_rows(judged, comparisons)),
        "reliability": list(reliability_items(setting, runs, ranked)),
    }
    if validated:
        found["percentages"] = list(percentage_rows(setting, runs, names))
        found["review"] = list(review_rows(setting, runs, names, ranked[0] if ranked else ""))
    if ranked:
        found["alerts"] = list(item_alerts(records, setting, runs, ranked[0]))
        found["chosen"] = list(_chosen(judged, runs, ranked[0], len(names), by))
    unvalidated = _reasons(runs) == {NO_VALIDATION: len(runs) * len(runs[0])}
    return found, list(_answer_notes(judged, runs, ranked)), unvalidated


def score_for_alerts(
    judged: JudgedSetting, runs: Sequence[Run], names: Sequence[str], recommendations: Sequence[Row]
) -> tuple[list[str], str]:
    """The scores, best first, and what says so, as in `CHOSEN.chosen_by`: never what maps are fitted on.

    The score that is relied on, else the recommended one, comes first. The others, and all where there is neither,
    by the half of the validation items that chooses; by the test items where they are too few to be cut in two.
    """
    stages = [stage.at for run in runs for stage in run]
    if len(names) == 1:
        return by_auroc([at.calibrate for at in stages], names), "nothing"
    by = "validation" if judged.cut else "test"
    ranked = by_auroc([at.select if judged.cut else at.test for at in stages], names)
    first = next((row for row in recommendations if not row.status and row.score in ranked), None)
    if first is None:
        return ranked, by
    if first.role == "relied on":
        by = "nothing"
    ranked.remove(first.score)
    return [first.score, *ranked], by


def _chosen(judged: JudgedSetting, runs: Sequence[Run], name: str, n_scores: int, by: str) -> Iterator[Row]:
    """By run, the earlier stage first."""
    for run in runs:
        for stage in run:
            confidence, correct = stage.at.calibrate.of(name)
            choosing = stage.at.select if by == "validation" else stage.at.test
            low, high = auroc_interval(confidence, correct)
            yield CHOSEN.row(
                **judged.setting.names,
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
                chosen_by=by,
                n_choosing=0 if by == "nothing" else len(choosing.of(name)[1]),
            )


def unvalidated_note(settings: Mapping[str, bool]) -> Iterator[str]:
    """One sentence on the settings without validation rows, of all that have labels."""
    labels = [label for label, unvalidated in settings.items() if unvalidated]
    if labels:
        of = "" if all(settings.values()) else f" of {listed(labels)}"
        yield f"No validation rows{of}: AUROC, PRR and AURC alone, no percentages, alerts or review threshold"


def _reasons(runs: Sequence[Run]) -> Counter[str]:
    """Why nothing can be fitted → at how many checkpoints."""
    found = (stage.at.why_no_validation for run in runs for stage in run)
    return Counter(reason for reason in found if reason)


def _answer_notes(judged: JudgedSetting, runs: Sequence[Run], ranked: Sequence[str]) -> Iterator[str]:
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
        items = "validation" if judged.cut or len(judged.setting.points[0].scores) == 1 else "test"
        yield f"{label}: no score has an AUROC on the {items} items of every checkpoint ({why}): no alerts"
