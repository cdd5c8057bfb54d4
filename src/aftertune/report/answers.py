"""Right and wrong answers: can a person act on a score? AUROC, percentages, alerts, review."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aftertune.analysis.checkpoints import COMPARISONS
from aftertune.analysis.checks import percent as share_in_words
from aftertune.analysis.recommending import CROSS_FITTING
from aftertune.analysis.schema import Analysis, Row
from aftertune.quality import QUALITY
from aftertune.report.names import (
    Key,
    at,
    at_checkpoint,
    at_the_end,
    decisive,
    group_name,
    grouped,
    key_of,
)
from aftertune.report.numbers import count, interval, mean, number_range, plain, short
from aftertune.stats.calibration import WIDEST, percent
from aftertune.stats.choosing import MIN_HALF

CHANCE = 0.5
FEW = 20
"""With fewer right, or fewer wrong, validation answers the page says that the choice is not sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One score; means over seeds, NaN where undefined.

    Attributes
    ----------
    before, after : AUROC on the items of the comparison; of the only checkpoint, `after` alone.
    low, high : 95 % interval of the change, of `training` where it is defined; of the only checkpoint,
        of its AUROC, where one run was measured.
    ece : of percentages before, after with the map fitted before, after with a new one.
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
class Choice:
    """The chosen score, and whether it tells right answers from wrong ones on items that did not choose it.

    Attributes
    ----------
    score : "" without any.
    shown : whether the 95 % interval of its AUROC on those is above 0.5 at the later checkpoint, in every run.
    answer : in one sentence.
    grounds : what the score was chosen by, "" where none was.
    by : as `CHOSEN.chosen_by`. Where test items chose, those that did not are the validation items.
    """

    score: str
    shown: bool
    answer: str
    grounds: str
    by: str = ""

    @property
    def doubt(self) -> str:
        """What must stand beside whatever is said by a score that is not shown to tell right from wrong."""
        return "" if self.shown or not self.score else f"{self.score} is not shown to tell right from wrong"


Kind = Literal["turned wrong", "wrong", "right"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One answer before and after that a person trusts more, or less, and wrongly; the clearest of its kind.

    Attributes
    ----------
    kind : "turned wrong": right before, wrong after, and the stated chance rose. "wrong": wrong after, and it
        rose; only where there is none of the first kind. "right": right after, and the stated chance fell.
    n : test items of the kind, of the `of` that are told a chance at both checkpoints.
    """

    kind: Kind
    before: Row
    after: Row
    n: int
    of: int

    @property
    def title(self) -> str:
        return {
            "turned wrong": "trusted more, now wrong",
            "wrong": "trusted more, and wrong",
            "right": "trusted less, though right",
        }[self.kind]

    @property
    def side(self) -> str:
        """As in moved_items.jsonl."""
        return "underconfident" if self.kind == "right" else "overconfident"

    @property
    def sentence(self) -> str:
        """Which answers these are, how many, and which of them this is."""
        start, end = at(self.before.checkpoint), at(self.after.checkpoint)
        share = f"{self.n:,} of {self.of:,} test answers"
        if self.kind == "turned wrong":
            most = "this one" if self.n == 1 else "most of all this one"
            return f"Right {start}, wrong {end}, and yet the stated chance rose: {share}, {most}."
        before = {True: f"It was right {start} too", False: f"It was wrong {start} too", None: ""}
        if self.kind == "wrong":
            earlier = before[self.before.correct] or f"Whether it was right {start} is not known"
            return (
                f"No answer that turned from right to wrong has a higher stated chance {end}. Wrong there, and "
                f"yet the stated chance rose: {share}, most of all this one. {earlier}."
            )
        words = before | {False: f"It was wrong {start}"}
        earlier = f" {words[self.before.correct]}." if words[self.before.correct] else ""
        return f"Right {end}, and yet the stated chance fell: {share}, most of all this one.{earlier}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One model, task and setting.

    Attributes
    ----------
    from_, to : checkpoints (before, epoch_1, selected, last); "" where there is one alone.
    choice : the score that was chosen on validation items; alerts, shifts and review are by it.
    right : share of right answers before and after, mean over the seeds that are judged at both, if any is; NaN
        where none is judged, and before where there is one checkpoint alone.
    n_answers : test answers with a verdict and a score, one entry for each of these checkpoints and seeds.
    scores : largest AUROC after fine-tuning first, undefined last.
    no_percentages : why there are none, and how many answers are told none, in sentences; "" where all are.
    alerts : a right and a wrong answer after fine-tuning, each the one in the middle of its kind by percentage.
    shifts : answers that a person trusts more, or less, than before, and wrongly.
    review : sentences.
    has_threshold : whether one of them names a threshold.
    n_runs : training runs; alerts, shifts and review are of the first.
    """

    key: Key
    from_: str
    to: str
    choice: Choice
    right: tuple[float, float]
    n_answers: tuple[int, ...]
    scores: tuple[ScoreRow, ...]
    no_percentages: str
    alerts: tuple[Row, ...]
    shifts: tuple[Shift, ...]
    review: tuple[str, ...]
    has_threshold: bool
    n_runs: int

    @property
    def name(self) -> str:
        return group_name(*self.key)

    @property
    def has_percentages(self) -> bool:
        return any(math.isfinite(value) for score in self.scores for value in score.ece)

    @property
    def counts(self) -> str:
        """How many answers are right, as a sentence; "" where no answer is judged."""
        shares = [
            share_in_words(share) + (f" {at(checkpoint)}" if checkpoint else "")
            for share, checkpoint in zip(self.right, (self.from_, self.to))
            if not math.isnan(share)
        ]
        if not shares:
            return ""
        answers = "answer" if max(self.n_answers) == 1 else "answers"
        return f"Right, of {number_range(self.n_answers)} judged and scored {answers}: {', '.join(shares)}."


def answers(analysis: Analysis) -> tuple[Answers, ...]:
    """One entry for each setting of downstream.csv, in its order."""
    names = ("downstream", "downstream_change", "percentages", "chosen", "review", "alerts", "recommendation")
    by_key = {name: grouped(analysis.rows(name), key_of) for name in names}
    return tuple(
        _answers(key, {name: rows.get(key, []) for name, rows in by_key.items()}) for key in by_key["downstream"]
    )


def _answers(key: Key, tables: Mapping[str, Sequence[Row]]) -> Answers:
    """`tables` have the rows of one setting."""
    rows = tables["downstream"]
    by_pair = grouped(tables["downstream_change"], lambda row: (row.from_, row.to))
    pair = next((pair for pair in COMPARISONS if pair in by_pair), None)
    percentages = [row for row in tables["percentages"] if row.used]
    if pair is None:
        by_score = grouped(at_the_end(rows), lambda row: row.score)
        scores = [_at_one_checkpoint(own, percentages) for own in by_score.values()]
    else:
        by_score = grouped(by_pair[pair], lambda row: row.score)
        scores = [_changed(decisive(own), rows, percentages) for own in by_score.values()]
    choice = choice_of(tables["chosen"], rows, tables["recommendation"])
    alerts = _of_first_run(tables["alerts"])
    reviews = [row for row in tables["review"] if row.score == choice.score]
    from_, to = pair or ("", "")
    ends = _ends(rows, pair or ())
    right = [mean(row.n_correct / row.n for row in end if row.n) for end in ends]
    return Answers(
        key=key,
        from_=from_,
        to=to,
        choice=choice,
        right=(right[0] if pair else math.nan, right[-1]),
        n_answers=tuple(row.n for end in ends for row in end if row.n),
        scores=tuple(sorted(scores, key=lambda one: (math.isnan(one.after), -one.after))),
        no_percentages=f"{_no_percentages(percentages, choice.score)} {_untold(later(alerts))}".strip(),
        alerts=tuple(_typical(later(alerts))),
        shifts=tuple(shifts(alerts)),
        review=tuple(review_sentences(reviews, shown=choice.shown)),
        has_threshold=any(math.isfinite(row.threshold) for row in _of_first_run(reviews)),
        n_runs=len({row.seed for row in rows}),
    )


def _of_first_run(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.seed == rows[0].seed]


def _no_percentages(percentages: Sequence[Row], score: str) -> str:
    """Why no run has a map at some checkpoint, and at which: of the chosen score, else the first."""
    score = score or next((row.score for row in percentages), "")
    own = [row for row in percentages if row.score == score and row.fitted == row.applied]
    stages = list(dict.fromkeys(row.applied for row in own))
    lacking = [stage for stage in stages if all(math.isnan(row.ece) for row in own if row.applied == stage)]
    if not lacking:
        return ""
    reasons = dict.fromkeys(row.status for row in own if row.applied in lacking)
    where = "" if lacking == stages else f" {' and '.join(map(at, lacking))}"
    return f"There are no percentages{where} ({'; '.join(reasons)})."


def _untold(alerts: Sequence[Row]) -> str:
    """How many answers are told no percentage although there is a map."""
    known = [one for one in alerts if one.chance_low is not None]
    lacking = sum(one.chance is None for one in known)
    if not lacking:
        return ""
    return (
        f"{lacking:,} of {len(known):,} answers are told no percentage: the 95 % interval of their chance is "
        f"wider than {100 * WIDEST:.0f} points."
    )


def _changed(change: Row, rows: Sequence[Row], percentages: Sequence[Row]) -> ScoreRow:
    """One score before and after; `rows` and `percentages` are of all scores."""
    from_, to = change.from_, change.to
    combinations = ((from_, from_), (from_, to), (to, to))
    own = _of_whole_runs([row for row in percentages if row.score == change.score], combinations)
    ece, by_chance = zip(*(_mean_ece(own, *pair) for pair in combinations))
    ends = _ends([row for row in rows if row.score == change.score], (from_, to))
    word = {(True, True): "reversed", (True, False): "reversed before", (False, True): "reversed after"}
    return ScoreRow(
        score=change.score,
        before=change.auroc_from,
        after=change.auroc_to,
        low=change.ci_low,
        high=change.ci_high,
        ece=ece,
        ece_by_chance=by_chance,
        reversed=word.get((_all_below(ends[0]), _all_below(ends[1])), ""),
        n_items=change.n_items,
        reason=change.status,
    )


def _at_one_checkpoint(own: Sequence[Row], percentages: Sequence[Row]) -> ScoreRow:
    """One score at the last checkpoint of each run: there is nothing to compare it with."""
    of_score = [row for row in percentages if row.score == own[0].score]
    ece = [_mean_ece(of_score, stage, stage) for stage in dict.fromkeys(row.applied for row in percentages)]
    return ScoreRow(
        score=own[0].score,
        before=math.nan,
        after=mean(row.auroc for row in own),
        low=own[0].auroc_ci_low if len(own) == 1 else math.nan,
        high=own[0].auroc_ci_high if len(own) == 1 else math.nan,
        ece=(math.nan, math.nan, mean(value for value, _ in ece)),
        ece_by_chance=(math.nan, math.nan, mean(chance for _, chance in ece)),
        reversed="reversed" if _all_below(own) else "",
        n_items=min(row.n for row in own),
        reason=next((row.status for row in own if math.isnan(row.auroc)), ""),
    )


def _ends(rows: Sequence[Row], names: Sequence[str]) -> list[list[Row]]:
    """Rows at each checkpoint named, else at the last: the one with the most items of each run that has them all.

    If some runs are judged at all of them, only these: all shares are then of the same runs.
    """
    found = []
    for run in grouped(rows, lambda row: row.seed).values():
        ends = [at_checkpoint(run, name) for name in names] or [at_the_end(run)]
        if all(ends):
            found.append([max(end, key=lambda row: row.n) for end in ends])
    judged = [run for run in found if all(row.n for row in run)]
    return [list(column) for column in zip(*(judged or found))]


def _all_below(rows: Sequence[Row]) -> bool:
    """Whether the whole interval of AUROC is below 0.5 in every run that has one."""
    highs = [row.auroc_ci_high for row in rows if math.isfinite(row.auroc_ci_high)]
    return bool(highs) and max(highs) < CHANCE


def _of_whole_runs(percentages: Sequence[Row], combinations: Sequence[tuple[str, str]]) -> Sequence[Row]:
    """The rows of the runs in which the ECE is defined for all (fitted, applied), if there are any.

    The means that stand side by side are then of the same runs.
    """
    defined = {(r.seed, r.fitted, r.applied) for r in percentages if math.isfinite(r.ece)}
    seeds = {r.seed for r in percentages if all((r.seed, *pair) in defined for pair in combinations)}
    return [r for r in percentages if r.seed in seeds] if seeds else percentages


def _mean_ece(rows: Sequence[Row], fitted: str, applied: str) -> tuple[float, float]:
    """ECE, and what chance alone would show; `rows` are of one score."""
    own = [row for row in rows if (row.fitted, row.applied) == (fitted, applied)]
    return mean(row.ece for row in own), mean(row.ece_if_calibrated for row in own)


def _typical(alerts: Sequence[Row]) -> Iterator[Row]:
    """The answer in the middle by its percentage, among the right ones and among the wrong ones."""
    known = [one for one in alerts if one.chance is not None and one.output is not None]
    for correct in (True, False):
        own = sorted((one for one in known if one.correct is correct), key=lambda one: (one.chance, one.item_id))
        if own:
            yield own[(len(own) - 1) // 2]


# Which score, and does it tell right answers from wrong ones?


def choice_of(chosen: Sequence[Row], rows: Sequence[Row], recommended: Sequence[Row] = ()) -> Choice:
    """`chosen`, `rows` and `recommended` of one setting; the answer is from items that did not choose."""
    if not chosen:
        why = "it takes validation items, some right and some wrong"
        return Choice(score="", shown=False, answer=f"Not answered: {why}.", grounds="")
    score, last, by = chosen[0].score, chosen[-1].checkpoint, chosen[0].chosen_by
    ends = [one for one in chosen if one.checkpoint == last]
    validation = [_Area(value=one.auroc, low=one.low, high=one.high) for one in ends]
    places = {(one.seed, one.epoch) for one in ends}
    test = [
        _Area(value=row.auroc, low=row.auroc_ci_low, high=row.auroc_ci_high)
        for row in rows
        if row.score == score and (row.seed, row.epoch) in places
    ]
    judged = validation if by == "test" else test
    folds = [row for row in recommended if (row.score, row.chosen_on, row.status) == (score, CROSS_FITTING, "")]
    if by == "test" and folds and not folds[0].graded:
        fair = folds[0]
        judged = [_Area(value=fair.concordance, low=fair.concordance_low, high=fair.concordance_high)]
    shown = all(one.low > CHANCE for one in judged)
    answer = _answer(ends[0], validation, judged, folded=judged is not validation and by == "test")
    return Choice(score=score, shown=shown, answer=answer, grounds=_grounds(chosen), by=by)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Area:
    """An AUROC and its 95 % interval."""

    value: float
    low: float
    high: float


def _answer(first: Row, validation: Sequence[_Area], judged: Sequence[_Area], *, folded: bool = False) -> str:
    """Of the chosen score at the later checkpoint, by each run's AUROC on the items that did not choose it.

    Parameters
    ----------
    first : of the first run.
    judged : `validation` where test items chose; or one for all runs, of folds that did not choose it.
    folded : whether it is the latter.
    """
    where, several, by_test = at(first.checkpoint), first.n_scores > 1, first.chosen_by == "test"
    chose, on = ("test", "validation") if by_test and not folded else ("validation", "test")
    best = f"{first.score} looks best on {chose}, but" if several else f"{first.score} is the only score, and"
    if several and first.chosen_by == "nothing":
        best = f"{first.score} is relied on, but"
    aurocs = [one.value for one in judged if math.isfinite(one.value)]
    if not aurocs:
        return f"Not shown: {best} on {on} its AUROC is undefined {where}."
    average = mean(aurocs)
    above = sum(one.low > CHANCE for one in judged)
    below = sum(one.high < CHANCE for one in judged)
    if len(judged) == 1:
        ends = interval(judged[0].low, judged[0].high, sign=False)
        value = f"AUROC {plain(average)} {ends} {where}"
        value += " on folds that did not choose it" if folded else " on validation items" if by_test else ""
    else:
        lacking = len(judged) - len(aurocs)
        runs = f"{len(judged)} training runs" + (" on validation items" if by_test else "")
        runs += f", undefined in {lacking}" if lacking else ""
        often = "all" if above == len(judged) else above or "none"
        value = f"mean AUROC {plain(average)} {where} of {runs}, its interval above {CHANCE:g} in {often} of them"
        value += f", below it in {below}" if below else ""
    value = f"({value}; {CHANCE:g} is chance)"
    if above == len(judged):
        of_100 = 100 if average == 1 else min(round(100 * average), 99)
        pairs = f"in {of_100} of 100 pairs of a right and a wrong answer"
        return f"Yes, by {first.score}: {pairs} the right one is the more confident {value}."
    if below == len(judged):
        return f"No: {best} on {on} wrong answers are the more confident {value}."
    beats = f"is not shown to beat chance on {on}"
    if not (by_test or folded) and not any(one.low > CHANCE for one in validation):
        beats = f"is shown to beat chance neither {'there' if several else 'on validation items'} nor on test"
    return f"Not shown: {best} {beats} {value}."


def _grounds(chosen: Sequence[Row]) -> str:
    """What chose the score, and its AUROC on validation items of the first run, which did not."""
    first = [one for one in chosen if one.seed == chosen[0].seed and one.n_validation]
    runs, of, by = len({one.seed for one in chosen}), chosen[0].n_scores, chosen[0].chosen_by
    how = f"It was chosen from {of} scores" if of > 1 else "It is the only score"
    how += f" over {runs} training runs" if runs > 1 and of > 1 else ""
    if by == "nothing" and of > 1:
        how = "It is the score that is relied on"
    elif of > 1:
        choosing = number_range([one.n_choosing for one in chosen if one.n_choosing])
        how += f" on {choosing} {by} items"
    if by == "test":
        how += f", as fewer than {2 * MIN_HALF} validation items are judged"
    if not first:
        return f"{how}; seed {chosen[0].seed} has no judged validation items."
    seed = f" of seed {first[0].seed}" if runs > 1 else ""
    items = number_range([one.n_validation for one in first])
    noun = "item" if items == "1" else "items"
    known = ", ".join(
        f"{f'{plain(one.auroc)} {interval(one.low, one.high, sign=False)}'.strip()} {at(one.checkpoint)} "
        f"({one.n_correct:,} right, {one.n_validation - one.n_correct:,} wrong)"
        for one in first
    )
    other = "other " if by == "validation" else ""
    said = f"{how}; on {items} {other}validation {noun}{seed} its AUROC is {known}."
    right = min((one.n_correct, "right") for one in first)
    wrong = min((one.n_validation - one.n_correct, "wrong") for one in first)
    fewest, kind = min(right, wrong)
    unsure = fewest < FEW and by == "validation"
    return said + (f" With so few {kind} answers another sample may choose another score." if unsure else "")


# What fine-tuning does to the chance that a person is told (the paper's Figure 1). It rose or fell only where the
# whole per cent that a person reads did.


def _compared(alerts: Sequence[Row]) -> tuple[str, str] | None:
    present = {one.checkpoint for one in alerts}
    return next((pair for pair in COMPARISONS if present.issuperset(pair)), None)


def later(alerts: Sequence[Row]) -> list[Row]:
    """The alerts at the later checkpoint of one run, or at its only one."""
    pair = _compared(alerts)
    return [one for one in alerts if pair is None or one.checkpoint == pair[1]]


def shifts(alerts: Sequence[Row]) -> Iterator[Shift]:
    """A wrong answer that is trusted more, then a right one that is trusted less, in one training run.

    Each is the one of its kind whose stated chance moved most, ties by item id. There is none without such an
    answer, and none without an earlier checkpoint.
    """
    from_, to = _compared(alerts) or ("", "")
    known = [one for one in alerts if one.chance is not None and one.output is not None]
    start = {one.item_id: one for one in known if one.checkpoint == from_}
    both = [(start[one.item_id], one) for one in known if one.checkpoint == to and one.item_id in start]
    wrong = [(b, a) for b, a in both if a.correct is False and percent(a.chance) > percent(b.chance)]
    turned = [(b, a) for b, a in wrong if b.correct is True]
    right = [(b, a) for b, a in both if a.correct is True and percent(a.chance) < percent(b.chance)]
    kinds: list[tuple[Kind, list]] = [("turned wrong", turned) if turned else ("wrong", wrong), ("right", right)]
    for kind, ends in kinds:
        if ends:
            before, after = min(ends, key=lambda pair: (-abs(pair[1].chance - pair[0].chance), pair[1].item_id))
            yield Shift(kind=kind, before=before, after=after, n=len(ends), of=len(both))


# What a threshold for a wanted share of right answers does.


def review_sentences(rows: Sequence[Row], *, shown: bool) -> Iterator[str]:
    """One for each wanted share, of the first training run; one for all that no threshold is shown to give.

    Parameters
    ----------
    rows : of one score and setting.
    shown : whether the score is shown to tell right answers from wrong ones; where not, each sentence says so.
    """
    if not rows:
        return
    first = _of_first_run(rows)
    remarks = [f"seed {first[0].seed}"] if len(first) < len(rows) else []
    remarks += [] if shown else ["not shown to tell right from wrong"]
    by = first[0].score + (f" ({', '.join(remarks)})" if remarks else "")
    shares = list(grouped(first, lambda row: row.wanted).values())
    lacking = [own[-1] for own in shares if math.isnan(own[-1].threshold)]
    if lacking:
        n = min(row.n_validation for row in lacking)
        items = f"With {count(n, 'validation item')}" if n else "Without judged validation items"
        wanted = " or ".join(f"{100 * row.wanted:g} %" for row in lacking)
        yield f"{items} no threshold of {by} can be shown to give answers of which {wanted} are right."
    for own in shares:
        held = "" if math.isnan(own[-1].threshold) else _held(own[-1], by)
        if said := f"{held} {_carried(own)}".strip():
            yield said


def _held(row: Row, by: str) -> str:
    low, high = 100 * row.ci_low, 100 * row.ci_high
    what = (
        f"For {100 * row.wanted:g} % right among the answers that are given, by {by}: give answers with a "
        f"confidence of at least {short(row.threshold)} and send the others to review."
    )
    if not row.n:
        return f"{what} No test answer is judged to show what comes of it."
    right = (
        f"{100 * row.precision:.0f} % of them are right [{low:.0f} %, {high:.0f} %]"
        if row.kept
        else "there is none to count"
    )
    return (
        f"{what} Of {count(row.n, 'test item')}, {100 * row.coverage:.0f} % are given, and {right}; "
        f"without review {100 * row.without:.0f} %."
    )


def _carried(rows: Sequence[Row]) -> str:
    """What became of the threshold that was chosen at the earlier checkpoint; "" without any."""
    old = next((row for row in rows if row.chosen != row.applied and not math.isnan(row.threshold)), None)
    if old is None or not old.n:
        return ""
    right = f"{100 * old.precision:.0f} % of them right" if old.kept else "none to count"
    what = f"The threshold for {100 * old.wanted:g} % right chosen {at(old.chosen)}, {short(old.threshold)},"
    return f"{what} now gives {100 * old.coverage:.0f} %, {right}."


# Who says what is right: the signature of a judge (`aftertune.judges`).

_ENDS = re.compile(r"(?<=\|version:)([^|\s]+) and ")
_NUMBER = re.compile(r"\d+(\.\d*)?(e-?\d+)?")
_PROMPT = "the paper’s prompt"


def judge_words(signature: str) -> str:
    """Who says what is right; a signature that is none of ours stays as it is.

    Several that the store joined, each ending in its version, are joined again.

    >>> judge_words("rule|similarity:token_f1_beyond_question|threshold:0.5|version:0.1.0")
    'the rule (nearest answer, similarity of at least 0.5)'
    >>> judge_words("metric|quality:token_f1|refs:max|version:0.1.0|threshold:1|version:0.1.0")
    'token F1 of at least 1'
    >>> judge_words("anthropic|model:m|temperature:0|version:0.1.0 and mine")
    'anthropic:m (the paper’s prompt) and mine'
    """
    parts = _ENDS.sub(r"\1\n", signature).split("\n")
    return " and ".join(dict.fromkeys(_of_one_judge(part) or part for part in parts))


def _of_one_judge(signature: str) -> str:
    """Empty for what is not one of our judges'."""
    kind, *rest = signature.split("|")
    given = {key: value for key, _, value in (part.partition(":") for part in rest)}
    threshold, model = given.get("threshold", ""), given.get("model")
    threshold = f"{float(threshold):g}" if _NUMBER.fullmatch(threshold) else ""
    if kind == "rule" and threshold:
        near = f", similarity of at least {threshold}"
        if threshold == "0":
            near = ", however far: one word in common is enough, which is no measure of truth"
        return f"the rule (nearest answer{near})"
    if kind == "metric" and threshold and (metric := given.get("quality")):
        # Within a sentence, and without what stands in brackets.
        title = QUALITY.get(metric).title.partition(" (")[0] if metric in QUALITY else metric
        return f"{title[0].lower()}{title[1:]} of at least {threshold}"
    if kind in ("anthropic", "openai") and model:
        return f"{kind}:{model} ({_PROMPT})"
    return f"local model {model} ({_PROMPT})" if kind == "local" and model else ""
