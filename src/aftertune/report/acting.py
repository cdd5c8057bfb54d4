"""What the page says of right and wrong answers: AUROC, percentages, alerts, review (method, section 7)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.analysis.schema import Analysis, Row
from aftertune.report.number_format import number_range
from aftertune.report.outcome import COMPARISONS, group_name, is_at
from aftertune.report.review_words import review_sentences
from aftertune.report.told import Told, at, later, told_answers
from aftertune.report.told_apart import CHANCE, ToldApart, told_apart

MAP = "isotonic"

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreAct:
    """One score; means over seeds, NaN where undefined.

    Attributes
    ----------
    before, after : AUROC on the items of the comparison; of the only checkpoint, `after` alone.
    low, high : 95 % interval of the change, for another training run where it is defined; of the only checkpoint,
        of its AUROC, where one run was measured.
    ece : of isotonic percentages before, after with the map fitted before, after with a new one.
    ece_by_chance : what chance alone would show of each if the percentages were right.
    reversed : "reversed", "reversed before" or "reversed after" where the whole interval of AUROC is below 0.5, in
        every run; else "".
    """

    score: str
    before: float
    after: float
    low: float
    high: float
    ece: tuple[float, float, float]
    ece_by_chance: tuple[float, float, float]
    reversed: str
    n_items: int
    reason: str

    @property
    def change(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """One model, task and setting.

    Attributes
    ----------
    from_, to : checkpoints (before, epoch_1, selected, last); "" where there is one alone.
    told_apart : whether a person can act on a score, and what it was chosen by.
    right : share of right answers before and after, mean over the seeds that are judged at both, if any is; NaN
        where none is judged, and before where there is one checkpoint alone.
    n_answers : test answers with a verdict and a score, one entry for each of these checkpoints and seeds.
    scores : largest AUROC after fine-tuning first, undefined last.
    no_percentages : a sentence that says why there are none, "" where there are.
    alerts : a right and a wrong answer after fine-tuning, each the one in the middle of its kind by percentage.
    told : answers that a person trusts more, or less, than before, and wrongly.
    review : sentences.
    has_threshold : whether one of them names a threshold.
    n_runs : training runs; alerts, told and review are of the first.
    """

    name: str
    from_: str
    to: str
    told_apart: ToldApart
    right: tuple[float, float]
    n_answers: tuple[int, ...]
    scores: tuple[ScoreAct, ...]
    no_percentages: str
    alerts: tuple[Row, ...]
    told: tuple[Told, ...]
    review: tuple[str, ...]
    has_threshold: bool
    n_runs: int

    @property
    def best(self) -> str:
        """The score that was chosen on validation items, "" without any; alerts and review are by it."""
        return self.told_apart.score

    @property
    def has_percentages(self) -> bool:
        return any(math.isfinite(value) for score in self.scores for value in score.ece)

    @property
    def counts(self) -> str:
        """How many answers are right, as a sentence; "" where no answer is judged."""
        told = [
            _share(share) + (f" {at(checkpoint)}" if checkpoint else "")
            for share, checkpoint in zip(self.right, (self.from_, self.to))
            if not math.isnan(share)
        ]
        if not told:
            return ""
        answers = "answer" if max(self.n_answers) == 1 else "answers"
        return f"Right, of {number_range(list(self.n_answers))} judged and scored {answers}: {', '.join(told)}."


def acting(analysis: Analysis) -> tuple[Acting, ...]:
    """One entry for each setting of downstream.csv, in its order."""
    alerts: dict[Key, list[Row]] = {}
    for one in analysis.rows("alerts"):
        alerts.setdefault(_key(one), []).append(one)
    found = dict.fromkeys(map(_key, analysis.rows("downstream")))
    return tuple(_acting(analysis, key, alerts.get(key, [])) for key in found)


def _acting(analysis: Analysis, key: Key, alerts: Sequence[Row]) -> Acting:
    """`alerts` of the setting; those of its first run are shown."""
    changes = [row for row in analysis.rows("downstream_change") if _key(row) == key]
    pairs = {(row.from_, row.to) for row in changes}
    pair = next((pair for pair in COMPARISONS if pair in pairs), None)
    percentages = [row for row in analysis.rows("percentages") if _key(row) == key and row.map == MAP]
    rows = [row for row in analysis.rows("downstream") if _key(row) == key]
    if pair is None:
        scores = _of_one_checkpoint(rows, percentages)
    else:
        own = [row for row in changes if (row.from_, row.to) == pair]
        scores = [_changed(of_score, rows, percentages) for of_score in _by_score(own)]
    apart = told_apart([row for row in analysis.rows("chosen") if _key(row) == key], rows)
    alerts = [one for one in alerts if one.seed == alerts[0].seed]
    reviews = [row for row in analysis.rows("review") if _key(row) == key and row.score == apart.score]
    from_, to = pair or ("", "")
    ends = _ends(rows, pair or ())
    return Acting(
        name=group_name(*key),
        from_=from_,
        to=to,
        told_apart=apart,
        right=(_share_right(ends[0]) if pair else math.nan, _share_right(ends[-1])),
        n_answers=tuple(row.n for end in ends for row in end if row.n),
        scores=tuple(sorted(scores, key=lambda one: (math.isnan(one.after), -one.after))),
        no_percentages=_no_percentages(percentages, apart.score),
        alerts=tuple(_typical(later(alerts))),
        told=told_answers(alerts),
        review=tuple(review_sentences(reviews, shown=apart.shown)),
        has_threshold=any(math.isfinite(row.threshold) for row in reviews if row.seed == reviews[0].seed),
        n_runs=len({row.seed for row in rows}),
    )


def _no_percentages(percentages: Sequence[Row], score: str) -> str:
    """Of the chosen score, else the first: at which of the checkpoints no run has a map, and the reason."""
    score = score or next((row.score for row in percentages), "")
    own = [row for row in percentages if row.score == score and row.fitted == row.applied]
    stages = list(dict.fromkeys(row.applied for row in own))
    lacking = [stage for stage in stages if all(math.isnan(row.ece) for row in own if row.applied == stage)]
    if not lacking:
        return ""
    reasons = dict.fromkeys(row.status for row in own if row.applied in lacking)
    where = "" if lacking == stages else f" {' and '.join(map(at, lacking))}"
    return f"There are no percentages{where} ({'; '.join(reasons)})."


def _key(row: Row | Row | Row | Row | Row | Row) -> Key:
    return row.model, row.task, row.setting


def _by_score(rows: Iterable[Row]) -> list[list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.score, []).append(row)
    return list(found.values())


def _changed(rows: Sequence[Row], of_points: Sequence[Row], percentages: Sequence[Row]) -> ScoreAct:
    told = min(rows, key=lambda row: (math.isnan(row.ci_low), row.ci_scope != "training"))
    combinations = ((told.from_, told.from_), (told.from_, told.to), (told.to, told.to))
    own = _of_whole_runs([row for row in percentages if row.score == told.score], combinations)
    before, carried, renewed = (_mean_ece(own, told.score, *pair) for pair in combinations)
    ends = _ends([row for row in of_points if row.score == told.score], (told.from_, told.to))
    return ScoreAct(
        score=told.score,
        before=told.auroc_from,
        after=told.auroc_to,
        low=told.ci_low,
        high=told.ci_high,
        ece=(before[0], carried[0], renewed[0]),
        ece_by_chance=(before[1], carried[1], renewed[1]),
        reversed=_reversed(*ends),
        n_items=told.n_items,
        reason=told.status,
    )


def _ends(rows: Sequence[Row], names: Sequence[str]) -> list[list[Row]]:
    """Of each checkpoint named, else of the last, the rows with the most items, one for each run that has all.

    Only of the runs that are judged at all of them, if there are any: all shares are then of the same runs.
    """
    found = []
    for seed in dict.fromkeys(row.seed for row in rows):
        run = [row for row in rows if row.seed == seed]
        last = max(row.epoch for row in run)
        ends = [[row for row in run if is_at(row, name, last)] for name in names]
        ends = ends or [[row for row in run if row.epoch == last]]
        if all(ends):
            found.append([max(end, key=lambda row: row.n) for end in ends])
    judged = [run for run in found if all(row.n for row in run)]
    return [list(column) for column in zip(*(judged or found))]


def _share_right(rows: Sequence[Row]) -> float:
    return _mean(row.n_correct / row.n for row in rows if row.n)


def _reversed(before: Sequence[Row], after: Sequence[Row]) -> str:
    found = [_all_below(before), _all_below(after)]
    return {(True, True): "reversed", (True, False): "reversed before", (False, True): "reversed after"}.get(
        (found[0], found[1]), ""
    )


def _all_below(rows: Sequence[Row]) -> bool:
    """Whether the whole interval of AUROC is below 0.5 in every run that has one."""
    highs = [row.auroc_ci_high for row in rows if math.isfinite(row.auroc_ci_high)]
    return bool(highs) and max(highs) < CHANCE


def _share(value: float) -> str:
    """Whole per cent; 0 and 100 of none and of all alone.

    >>> _share(0.004), _share(0.125), _share(1.0)
    ('under 1 %', '12 %', '100 %')
    """
    if 0 < value < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < value < 1 else f"{100 * value:.0f} %"


def _of_one_checkpoint(rows: Sequence[Row], percentages: Sequence[Row]) -> list[ScoreAct]:
    """Of the last checkpoint of each run: there is nothing to compare it with."""
    last: dict[tuple[str, int], Row] = {}
    for row in rows:
        if row.epoch >= last.get((row.score, row.seed), row).epoch:
            last[row.score, row.seed] = row
    found = []
    for score in dict.fromkeys(score for score, _ in last):
        own = [row for (name, _), row in last.items() if name == score]
        stages = dict.fromkeys(row.applied for row in percentages)
        ece = [_mean_ece(percentages, score, stage, stage) for stage in stages]
        found.append(
            ScoreAct(
                score=score,
                before=math.nan,
                after=_mean(row.auroc for row in own),
                low=own[0].auroc_ci_low if len(own) == 1 else math.nan,
                high=own[0].auroc_ci_high if len(own) == 1 else math.nan,
                ece=(math.nan, math.nan, _mean(value for value, _ in ece)),
                ece_by_chance=(math.nan, math.nan, _mean(chance for _, chance in ece)),
                reversed="reversed" if _all_below(own) else "",
                n_items=min(row.n for row in own),
                reason=next((row.status for row in own if math.isnan(row.auroc)), ""),
            )
        )
    return found


def _of_whole_runs(percentages: Sequence[Row], combinations: Sequence[tuple[str, str]]) -> Sequence[Row]:
    """Those of the runs in which the ECE is defined for all (fitted, applied), if there are any, so that the means
    that stand side by side are of the same runs.
    """
    defined = {(r.seed, r.fitted, r.applied) for r in percentages if math.isfinite(r.ece)}
    seeds = {r.seed for r in percentages if all((r.seed, *pair) in defined for pair in combinations)}
    return [r for r in percentages if r.seed in seeds] if seeds else percentages


def _mean_ece(rows: Sequence[Row], score: str, fitted: str, applied: str) -> tuple[float, float]:
    """ECE, and what chance alone would show."""
    own = [r for r in rows if (r.score, r.fitted, r.applied) == (score, fitted, applied)]
    return _mean(r.ece for r in own), _mean(r.ece_if_calibrated for r in own)


def _typical(alerts: Sequence[Row]) -> Iterator[Row]:
    """Of the right and of the wrong answers the one in the middle by its percentage."""
    for correct in (True, False):
        own = [
            (one.chance, one.item_id, one)
            for one in alerts
            if one.correct is correct and one.chance is not None and one.output is not None
        ]
        if own:
            yield sorted(own, key=lambda entry: entry[:2])[(len(own) - 1) // 2][2]


def _mean(values: Iterable[float]) -> float:
    """Of the finite ones; NaN without any."""
    kept = [value for value in values if math.isfinite(value)]
    return float(np.mean(kept)) if kept else math.nan
