"""The recommendation in words: which score to use, what it is worth, and does one that is relied on still hold?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from aftertune.analysis.schema import Analysis, Row
from aftertune.report.names import Key, at, decisive, group_name, grouped, key_of
from aftertune.report.numbers import count, interval, plain, signed
from aftertune.scores import known_score
from aftertune.stats.calibration import percent
from aftertune.stats.verdict import MOST_ITEMS

FOLDED = "cross-fitting"

_USE = "Use {}."
_SAID = {
    "improved": "{} improved with fine-tuning",
    "holds": "{} survived fine-tuning",
    "degraded": "{} degraded with fine-tuning",
    "fell": "{} fell with fine-tuning; whether beyond the margin is not shown",
    "inconclusive": "Whether {} survived fine-tuning is not shown",
}
_USABLE = {
    "yes": "{} is usable",
    "reversed": "{} is reversed: the more confident answers are the worse ones",
    "not shown": "{} is not shown to be usable",
}
_SURVIVED = ("holds", "improved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What is said of one model, task and setting: of the score that is relied on, where one is, and what to use.

    Attributes
    ----------
    relied_on, recommended : rows of recommendation.csv.
    sentences : of the one that is relied on first.
    """

    key: Key
    relied_on: Row | None
    recommended: Row
    sentences: tuple[str, ...]

    @property
    def name(self) -> str:
        return group_name(*self.key)

    @property
    def score(self) -> str:
        """The recommended one; "" where none is, and `recommended` is about the one that is nearest to it."""
        return "" if self.recommended.status or not self.recommended.chosen_on else self.recommended.score


def recommendations(analysis: Analysis) -> tuple[Recommendation, ...]:
    """One for each model, task and setting."""
    changes = [row for row in analysis.rows("change") if row.effect == "adjusted"]
    of = {key: decisive(own) for key, own in grouped(changes, _change_key).items()}
    next_run = {_change_key(row): row for row in changes if row.ci_scope == "new_run"}
    found = []
    for key, rows in grouped(analysis.rows("recommendation"), key_of).items():
        by_role = {row.role: row for row in rows}
        relied_on, recommended = by_role.get("relied on"), by_role["recommended"]
        said = []
        if relied_on is not None:
            said = recommendation_sentences(relied_on, of.get(_change_key(relied_on)))
        if relied_on is not None and recommended.chosen_on and relied_on.score == recommended.score:
            if recommended.n_scores > 1:
                said.append(f"It is the recommended one of {count(recommended.n_scores, 'score')}.")
        else:
            lead = _USE
            if relied_on is not None:
                alive = relied_on.verdict in ("", *_SURVIVED) or recommended.verdict not in ("", *_SURVIVED)
                lead = (
                    "Of all scores, {} is recommended" if relied_on.usable == "yes" and alive else "Use {} instead"
                )
                lead += f" ({_worth_again(recommended)})."
            said += recommendation_sentences(recommended, of.get(_change_key(recommended)), lead=lead)
        told = recommended if relied_on is None else relied_on
        if not told.status and (prediction := next_run.get(_change_key(told))) is not None:
            said += _one_more_run(prediction)
        found.append(Recommendation(key=key, relied_on=relied_on, recommended=recommended, sentences=tuple(said)))
    return tuple(found)


def _one_more_run(row: Row) -> Iterator[str]:
    """What one more training run would show: the row of change.csv for "new_run"."""
    if not math.isnan(row.ci_low):
        ends = interval(row.ci_low, row.ci_high, 2)
        yield (
            f"One more training run would change {row.score} by {signed(row.mean, 2)} {ends}; with a chance of "
            f"{percent(row.p_beyond_margin)} % it falls by more than the margin."
        )


def _change_key(row: Row) -> tuple[str | None, ...]:
    return (*key_of(row), row.score, row.from_, row.to)


def recommendation_sentences(row: Row, change: Row | None, *, lead: str = _USE) -> list[str]:
    """The row of recommendation.csv in words.

    Parameters
    ----------
    change
        The row of change.csv that the verdict on its score stands in; None where nothing is compared.
    lead
        The first sentence about a recommended score. Another one than "Use {}." says what the score is worth, and
        stands after what is said of the one that is relied on.
    """
    if row.role == "recommended":
        if row.status:
            return list(_nothing(row))
        survival = [*_survival(row, change, "it"), *_none_survived(row)]
        first = [lead.format(row.score), *survival]
        return [*first, _worth(row), *_doubts(row), *_alike(row)] if lead == _USE else [*first, *_doubts(row)]
    if row.status:
        return [f"Nothing can be said of {row.score}: {row.status}."]
    if row.usable == "reversed":
        said = f"{_USABLE[row.usable].format(row.score)}."
        if known_score(row.score) is not None:
            return [said]
        return [said, f"If it measures uncertainty, turn it: aftertune analyze … --negate {row.score}."]
    usable = f"{_USABLE[row.usable].format('It' if row.from_ else row.score)}." if row.usable else ""
    answers = [*_survival(row, change, row.score), usable, *_old_threshold(row), _worth(row), *_alike(row)]
    return [sentence for sentence in answers if sentence]


def _worth(row: Row) -> str:
    ends = f"[{_percent(row.concordance_low)}, {_percent(row.concordance_high)}]"
    pairs = f"In {_percent(row.concordance)} of 100 pairs the better answer is the more confident {ends}; "
    share = _percent(row.review_share)
    if row.graded:
        ends = interval(row.quality_kept_low, row.quality_kept_high, 2, sign=False)
        kept, everyone, oracle = (
            plain(value, 2) for value in (row.quality_kept, row.quality_all, row.quality_kept_oracle)
        )
        return (
            f"{pairs}without the least confident {share} %, the mean quality is {kept} {ends} instead of "
            f"{everyone} ({oracle} if quality itself chose)."
        )
    found = f"finds {_percent(row.wrong_found)} % of the wrong answers"
    return f"{pairs}reviewing the least confident {share} % {found}."


def _worth_again(row: Row) -> str:
    """The same in a few words, beside the whole of another score."""
    ends = f"[{_percent(row.concordance_low)}, {_percent(row.concordance_high)}]"
    pairs = f"{_percent(row.concordance)} of 100 pairs {ends}"
    if row.graded:
        ends = interval(row.quality_kept_low, row.quality_kept_high, 2, sign=False)
        return f"{pairs}; mean quality {plain(row.quality_kept, 2)} {ends}"
    return f"{pairs}; {_percent(row.wrong_found)} % of the wrong answers"


def _survival(row: Row, change: Row | None, subject: str) -> Iterator[str]:
    """The verdict in words; nothing where one checkpoint was measured."""
    if not row.from_:
        return
    if change is None or change.verdict not in _SAID:
        why = f": {change.status}" if change is not None and change.status else ""
        said = f"Whether {subject} survived fine-tuning cannot be said{why}."
    else:
        moved = f"{signed(change.mean, 2)} {interval(change.ci_low, change.ci_high, 2)}".rstrip()
        said = f"{_SAID[change.verdict].format(subject)} (change {moved})."
    yield said if subject != "it" else said[:1].upper() + said[1:]


def _none_survived(row: Row) -> Iterator[str]:
    """Whether no usable score survived."""
    if row.verdict and row.verdict not in _SURVIVED:
        yield "No usable score is shown to have survived; this one is the best of the usable ones."


def _doubts(row: Row) -> Iterator[str]:
    """Which answers chose this score, and whether those that judged it are few."""
    if row.concordance_low <= 0.5:
        yield (
            "All answers together show it to be usable; those that did not choose it are too few to show it by "
            "themselves (50 of 100 is chance)."
        )
    if row.n_scores > 1:
        folds = "five folds of the test items, chosen on four and judged on the fifth"
        how = folds if row.chosen_on == FOLDED else count(row.n_choice, "validation item")
        yield f"It was chosen from {count(row.n_scores, 'score')} by {how}."


def _alike(row: Row) -> Iterator[str]:
    names = row.near_duplicates.split("; ") if row.near_duplicates else []
    if names:
        every = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        verb = "orders" if len(names) == 1 else "order"
        yield f"{every} {verb} the answers almost the same way."


def _old_threshold(row: Row) -> Iterator[str]:
    """Whether the threshold of before still sends as many answers to review, and finds as many wrong ones."""
    if math.isnan(row.sent_after):
        return
    share, low, high = row.review_share, row.sent_after_low, row.sent_after_high
    start = "before" if row.from_ == "before" else at(row.from_)
    said = (
        f"The threshold that sent {_percent(share)} % to review {start} sends {_percent(row.sent_after)} % after "
        f"[{_percent(low)}, {_percent(high)}]"
    )
    if not math.isnan(row.wrong_found_old) and not math.isnan(row.wrong_found_before):
        said += (
            f" and finds {_percent(row.wrong_found_old)} % of the wrong answers instead of "
            f"{_percent(row.wrong_found_before)} %"
        )
    yield f"{said}: set it anew." if share < low or share > high else f"{said}."


def _nothing(row: Row) -> Iterator[str]:
    """Why nothing is recommended, and what would settle it."""
    yield f"{row.status[:1].upper()}{row.status[1:]}."
    if row.score and row.items_needed is not None:
        more = row.items_needed > MOST_ITEMS
        n = f"more than {MOST_ITEMS:,}" if more else f"about {float(f'{row.items_needed:.2g}'):,.0f}"
        yield f"{row.score} is nearest: {n} test items would show that it is, if its effect is as estimated."
    elif row.score:
        yield f"{row.score} is nearest: more training runs would settle it, not more items."


def _percent(value: float) -> str:
    """Whole per cent.

    >>> _percent(0.784)
    '78'
    """
    return f"{100 * value:.0f}"
