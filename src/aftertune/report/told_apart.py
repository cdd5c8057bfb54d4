"""Does a score that was chosen on validation items tell right answers from wrong ones on test?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.analysis.schema import Row
from aftertune.report.number_format import interval, number_range, plain
from aftertune.report.told import at

CHANCE = 0.5
FEW = 20
"""With fewer right, or fewer wrong, validation answers the page says that the choice is not sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldApart:
    """The answer for one model, task and setting.

    Attributes
    ----------
    score : the chosen one, "" without any.
    shown : whether the 95 % interval of its AUROC on test is above 0.5 at the later checkpoint, in every run.
    answer : in one sentence.
    choice : what the score was chosen by, "" where none was.
    """

    score: str
    shown: bool
    answer: str
    choice: str

    @property
    def doubt(self) -> str:
        """What must stand beside whatever is told by a score that is not shown to tell right from wrong."""
        return "" if self.shown or not self.score else f"{self.score} is not shown to tell right from wrong"


def told_apart(chosen: Sequence[Row], rows: Sequence[Row]) -> ToldApart:
    """`chosen` and `rows` of one setting; the choice has not seen the test answers that the answer is from."""
    if not chosen:
        why = "to choose a score before looking at test answers takes validation items, some right and some wrong"
        return ToldApart(score="", shown=False, answer=f"Not answered: {why}.", choice="")
    score, last = chosen[0].score, chosen[-1].checkpoint
    ends = [one for one in chosen if one.checkpoint == last]
    places = {(one.seed, one.epoch) for one in ends}
    test = [row for row in rows if row.score == score and (row.seed, row.epoch) in places]
    shown = all(row.auroc_ci_low > CHANCE for row in test)
    return ToldApart(
        score=score, shown=shown, answer=_answer(score, shown, ends, test, at(last)), choice=_choice(chosen)
    )


def _answer(score: str, shown: bool, ends: Sequence[Row], test: Sequence[Row], where: str) -> str:
    aurocs = [row.auroc for row in test if math.isfinite(row.auroc)]
    if not aurocs:
        return f"Not shown: {_best(ends)} on test its AUROC is undefined {where}."
    mean = float(np.mean(aurocs))
    if len(test) == 1:
        value = f"AUROC {plain(mean)} {interval(test[0].auroc_ci_low, test[0].auroc_ci_high, sign=False)} {where}"
    else:
        above = sum(row.auroc_ci_low > CHANCE for row in test)
        below = sum(row.auroc_ci_high < CHANCE for row in test)
        lacking = len(test) - len(aurocs)
        runs = f"{len(test)} training runs" + (f", undefined in {lacking}" if lacking else "")
        value = (
            f"mean AUROC {plain(mean)} {where} of {runs}, its interval above {CHANCE:g} in "
            f"{'all' if above == len(test) else above or 'none'} of them"
            + (f", below it in {below}" if below else "")
        )
    value = f"({value}; {CHANCE:g} is chance)"
    if shown:
        of_100 = 100 if mean == 1 else min(round(100 * mean), 99)
        pairs = f"in {of_100} of 100 pairs of a right and a wrong answer"
        return f"Yes, by {score}: {pairs} the right one is the more confident {value}."
    if all(row.auroc_ci_high < CHANCE for row in test):
        return f"No: {_best(ends)} on test wrong answers are the more confident {value}."
    beats = "is not shown to beat chance on test"
    if not any(one.low > CHANCE for one in ends):
        there = "there" if ends[0].n_scores > 1 else "on validation items"
        beats = f"is shown to beat chance neither {there} nor on test"
    return f"Not shown: {_best(ends)} {beats} {value}."


def _best(ends: Sequence[Row]) -> str:
    """The beginning of a sentence on what was chosen."""
    of = ends[0].n_scores
    return (
        f"{ends[0].score} looks best on validation, but" if of > 1 else f"{ends[0].score} is the only score, and"
    )


def _choice(chosen: Sequence[Row]) -> str:
    """Validation items of the first run, and the AUROC on them."""
    first = [one for one in chosen if one.seed == chosen[0].seed and one.n_validation]
    runs, of = len({one.seed for one in chosen}), chosen[0].n_scores
    how = f"It was chosen from {of} scores" if of > 1 else "It is the only score"
    how += f" over {runs} training runs" if runs > 1 and of > 1 else ""
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
    return f"{how}; on {items} validation {noun}{seed} its AUROC is {known}.{_unsure(first) if of > 1 else ''}"


def _unsure(first: Sequence[Row]) -> str:
    right = [(one.n_correct, "right") for one in first]
    wrong = [(one.n_validation - one.n_correct, "wrong") for one in first]
    fewest, kind = min(right + wrong)
    return f" With so few {kind} answers another sample may choose another score." if fewest < FEW else ""
