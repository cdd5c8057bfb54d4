"""What the page says of right and wrong answers: AUROC, percentages, alerts, review (method, section 7)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.report import number_format as numbers
from aftertune.report.outcome import CHECKPOINT_NAMES, COMPARISONS, group_name
from aftertune.rows import Alert, Analysis, DownstreamChangeRow, DownstreamRow, PercentageRow, ReviewRow

MAP = "isotonic"

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreAct:
    """One score; means over seeds, NaN where undefined.

    Attributes
    ----------
    before, after : AUROC on the items of the comparison; of the only checkpoint, `after` alone.
    low, high : 95 % interval of the change, for another training run where it is defined.
    ece : of isotonic percentages before, after with the map fitted before, after with a new one.
    """

    score: str
    before: float
    after: float
    low: float
    high: float
    ece: tuple[float, float, float]
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
    from_, to : what the columns are called; `from_` is "" where there is one checkpoint.
    scores : largest AUROC after fine-tuning first, undefined last.
    alerts : a right and a wrong answer after fine-tuning, each the one in the middle of its kind by percentage.
    review : sentences.
    """

    name: str
    from_: str
    to: str
    scores: tuple[ScoreAct, ...]
    alerts: tuple[Alert, ...]
    review: tuple[str, ...]

    @property
    def has_percentages(self) -> bool:
        return any(math.isfinite(value) for score in self.scores for value in score.ece)


def acting(analysis: Analysis) -> tuple[Acting, ...]:
    """One entry for each setting of downstream.csv, in its order."""
    return tuple(_acting(analysis, key) for key in dict.fromkeys(map(_key, analysis.downstream)))


def _acting(analysis: Analysis, key: Key) -> Acting:
    changes = [row for row in analysis.downstream_changes if _key(row) == key]
    pairs = {(row.from_, row.to) for row in changes}
    pair = next((pair for pair in COMPARISONS if pair in pairs), None)
    percentages = [row for row in analysis.percentages if _key(row) == key and row.map == MAP]
    if pair is None:
        scores = _of_one_checkpoint([row for row in analysis.downstream if _key(row) == key], percentages)
    else:
        own = [row for row in changes if (row.from_, row.to) == pair]
        scores = [_changed(rows, percentages) for rows in _by_score(own)]
    told = [one for one in analysis.alerts if _key(one) == key]
    told = [one for one in told if one.seed == told[0].seed]
    reviews = [row for row in analysis.reviews if _key(row) == key and told and row.score == told[0].score]
    from_, to = pair or ("", "")
    return Acting(
        name=group_name(*key),
        from_=CHECKPOINT_NAMES.get(from_, from_),
        to=CHECKPOINT_NAMES.get(to, to),
        scores=tuple(sorted(scores, key=lambda one: (math.isnan(one.after), -one.after))),
        alerts=tuple(_typical(told)),
        review=tuple(_review_sentences(reviews)),
    )


def _key(row: DownstreamRow | DownstreamChangeRow | PercentageRow | ReviewRow | Alert) -> Key:
    return row.model, row.task, row.setting


def _by_score(rows: Iterable[DownstreamChangeRow]) -> list[list[DownstreamChangeRow]]:
    found: dict[str, list[DownstreamChangeRow]] = {}
    for row in rows:
        found.setdefault(row.score, []).append(row)
    return list(found.values())


def _changed(rows: Sequence[DownstreamChangeRow], percentages: Sequence[PercentageRow]) -> ScoreAct:
    told = min(rows, key=lambda row: (math.isnan(row.ci_low), row.ci_scope != "training"))
    combinations = ((told.from_, told.from_), (told.from_, told.to), (told.to, told.to))
    before, carried, renewed = (_mean_ece(percentages, told.score, *pair) for pair in combinations)
    return ScoreAct(
        score=told.score,
        before=told.auroc_from,
        after=told.auroc_to,
        low=told.ci_low,
        high=told.ci_high,
        ece=(before, carried, renewed),
        n_items=told.n_items,
        reason=told.status,
    )


def _of_one_checkpoint(rows: Sequence[DownstreamRow], percentages: Sequence[PercentageRow]) -> list[ScoreAct]:
    """Of the last checkpoint of each run: there is nothing to compare it with."""
    last: dict[tuple[str, int], DownstreamRow] = {}
    for row in rows:
        if row.epoch >= last.get((row.score, row.seed), row).epoch:
            last[row.score, row.seed] = row
    found = []
    for score in dict.fromkeys(score for score, _ in last):
        own = [row for (name, _), row in last.items() if name == score]
        stages = dict.fromkeys(row.applied for row in percentages)
        ece = _mean(_mean_ece(percentages, score, stage, stage) for stage in stages)
        found.append(
            ScoreAct(
                score=score,
                before=math.nan,
                after=_mean(row.auroc for row in own),
                low=math.nan,
                high=math.nan,
                ece=(math.nan, math.nan, ece),
                n_items=min(row.n for row in own),
                reason=next((row.status for row in own if math.isnan(row.auroc)), ""),
            )
        )
    return found


def _mean_ece(rows: Sequence[PercentageRow], score: str, fitted: str, applied: str) -> float:
    return _mean(r.ece for r in rows if (r.score, r.fitted, r.applied) == (score, fitted, applied))


def _typical(alerts: Sequence[Alert]) -> Iterator[Alert]:
    """Of the right and of the wrong answers the one in the middle by its percentage."""
    for correct in (True, False):
        own = [
            (one.chance, one.item_id, one)
            for one in alerts
            if one.correct is correct and one.chance is not None and one.output is not None
        ]
        if own:
            yield sorted(own, key=lambda entry: entry[:2])[(len(own) - 1) // 2][2]


def _review_sentences(rows: Sequence[ReviewRow]) -> Iterator[str]:
    """Of the first training run: what a threshold for a wanted share of right answers does on test."""
    first = [row for row in rows if row.seed == rows[0].seed]
    several = f", seed {first[0].seed}" if any(row.seed != first[0].seed for row in rows) else ""
    for wanted in dict.fromkeys(row.wanted for row in first):
        own = [row for row in first if row.wanted == wanted]
        what = f"For {100 * wanted:g} % right among the answers that are given, by {own[0].score}{several}"
        yield f"{what}: {_held(own[-1])}{_carried(own)}"


def _held(row: ReviewRow) -> str:
    if math.isnan(row.threshold):
        return f"no threshold: {row.status}."
    low, high = 100 * row.ci_low, 100 * row.ci_high
    right = (
        f"{100 * row.precision:.0f} % of them are right [{low:.0f} %, {high:.0f} %]"
        if row.kept
        else "there is none to count"
    )
    return (
        f"give answers with a confidence of at least {_short(row.threshold)} and send the others to review. Of "
        f"{numbers.count(row.n, 'test item')}, {100 * row.coverage:.0f} % are given, and {right}; without review "
        f"{100 * row.without:.0f} %."
    )


def _carried(rows: Sequence[ReviewRow]) -> str:
    """What became of the threshold that was chosen before fine-tuning."""
    old = next((row for row in rows if row.chosen != row.applied and not math.isnan(row.threshold)), None)
    if old is None:
        return ""
    right = f"{100 * old.precision:.0f} % of them right" if old.kept else "none to count"
    where = CHECKPOINT_NAMES.get(old.chosen, old.chosen)
    chosen = f"The threshold chosen {_at(where)} ({_short(old.threshold)})"
    return f" {chosen} now gives {100 * old.coverage:.0f} %, {right}."


def _at(checkpoint: str) -> str:
    return checkpoint if checkpoint.startswith("before") else f"at {checkpoint}"


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _mean(values: Iterable[float]) -> float:
    """Of the finite ones; NaN without any."""
    kept = [value for value in values if math.isfinite(value)]
    return float(np.mean(kept)) if kept else math.nan
