"""The recommendation in words: which score to use, what it is worth, and whether one that is relied on still holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aftertune.analysis.schema import Analysis, Row
from aftertune.report.names import CHECKPOINT_NAMES, Key, decisive, group_name, grouped, key_of
from aftertune.report.numbers import count, interval, plain, signed
from aftertune.stats.verdict import MOST_ITEMS

FOLDED = "cross-fitting"

_SAID = {
    "improved": "It improved with fine-tuning",
    "holds": "It survived fine-tuning",
    "degraded": "It degraded with fine-tuning",
    "fell": "It fell with fine-tuning, by how much against the margin is not shown",
    "inconclusive": "It is not shown whether it survived fine-tuning",
}


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


def recommendations(analysis: Analysis) -> tuple[Recommendation, ...]:
    """One for each model, task and setting."""
    changes = [row for row in analysis.rows("change") if row.effect == "adjusted"]
    of = {key: decisive(own) for key, own in grouped(changes, _change_key).items()}
    found = []
    for key, rows in grouped(analysis.rows("recommendation"), key_of).items():
        by_role = {row.role: row for row in rows}
        relied_on, recommended = by_role.get("relied on"), by_role["recommended"]
        said = [
            sentence
            for row in (relied_on, recommended)
            if row is not None and not (row is recommended and _same(relied_on, recommended))
            for sentence in recommendation_sentences(row, of.get(_change_key(row)))
        ]
        if relied_on is not None and _same(relied_on, recommended):
            said.append(f"No other of {count(recommended.n_scores, 'score')} is better.")
        found.append(
            Recommendation(key=key, relied_on=relied_on, recommended=recommended, sentences=tuple(said))
        )
    return tuple(found)


def _change_key(row: Row) -> tuple[str | None, ...]:
    return (*key_of(row), row.score, row.from_, row.to)


def _same(relied_on: Row | None, recommended: Row) -> bool:
    return relied_on is not None and bool(recommended.chosen_on) and relied_on.score == recommended.score


def recommendation_sentences(row: Row, change: Row | None) -> list[str]:
    """The row of recommendation.csv in words.

    Parameters
    ----------
    change
        The row of change.csv that the verdict on its score stands in; None where nothing is compared.
    """
    relied_on = row.role == "relied on"
    if not relied_on and (row.status or math.isnan(row.concordance)):
        return list(_nothing(row))
    if math.isnan(row.concordance):
        return [f"Nothing can be said of {row.score}, because {row.status}."]
    if not relied_on:
        return [f"Use {row.score}.", _worth(row), *_survival(row, change), *_doubts(row)]
    usable = {"yes": "It is usable", "reversed": "It is reversed: the surer, the worse. Negate it"}
    said = usable.get(row.usable, "It is not shown to be usable")
    first, *rest = _survival(row, change) or [f"{row.score}: one checkpoint, so nothing is said of fine-tuning."]
    first = first.replace("It ", f"{row.score} ", 1).replace(f"{row.score} is not shown whether it", _WHETHER.format(row.score))
    return [first, *rest, f"{said}. {_worth(row)}", *_old_threshold(row), *_alike(row)]


_WHETHER = "It is not shown whether {}"


def _worth(row: Row) -> str:
    low, high = (_percent(end) for end in (row.concordance_low, row.concordance_high))
    pairs = (
        f"In {_percent(row.concordance)} of 100 pairs the better answer is the more confident [{low}, {high}]; "
    )
    share = _percent(row.review_share)
    if not row.graded:
        if math.isnan(row.wrong_found):
            return f"{pairs}no answer is wrong."
        return f"{pairs}reviewing the least confident {share} % finds {_percent(row.wrong_found)} % of the wrong answers."
    kept, ends = plain(row.quality_kept, 2), interval(row.quality_kept_low, row.quality_kept_high, 2, sign=False)
    return (
        f"{pairs}without the least confident {share} %, the mean quality is {kept} {ends} instead of "
        f"{plain(row.quality_all, 2)} ({plain(row.quality_kept_oracle, 2)} if quality itself chose)."
    )


def _survival(row: Row, change: Row | None) -> Iterator[str] | list[str]:
    if not row.to or not row.from_:
        return []
    if change is None or change.verdict not in _SAID:
        why = "" if change is None or not change.status else f": {change.status}"
        return [f"It has no verdict{why}."]
    ends = interval(change.ci_low, change.ci_high, 2)
    return [f"{_SAID[change.verdict]} (change {signed(change.mean, 2)} {ends}).".replace(" )", ")")]


def _doubts(row: Row) -> Iterator[str]:
    """How it was chosen, where that must be known, and its near-duplicates."""
    if row.verdict and row.verdict not in ("holds", "improved"):
        yield "No usable score is shown to have survived; this one is the best of the usable ones."
    if row.n_scores > 1:
        chose = f"{count(row.n_choice, 'validation item')}"
        how = "five folds, chosen on four and judged on the fifth" if row.chosen_on == FOLDED else chose
        yield f"It was chosen from {count(row.n_scores, 'score')} by {how}: answers that did not choose it judge it."
    yield from _alike(row)


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
    start = CHECKPOINT_NAMES.get(row.from_, row.from_)
    start = "before" if row.from_ == "before" else f"at {start}"
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
    status = row.status or "no score is shown to be usable"
    yield f"{status[:1].upper()}{status[1:]}."
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
