"""The judge that needs nothing: is the answer nearer to a correct answer than to an incorrect one?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from aftertune.errors import InputError
from aftertune.judges.judge import EMPTY, FREE, Cost, Judgement, Progress, Question
from aftertune.quality.squad import SETTINGS, normalize
from aftertune.signature import signature

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleJudge:
    """Correct where some reference has a similarity of `threshold` or more, and no incorrect answer is as near.

    Similarity is 1 for texts that are equal after SQuAD's normalisation, else the F1 of bags of words over what
    the two texts add to the question: words of the question are left out of both, since a wrong answer in a whole
    sentence shares most of its words with the right one, and "Nauru" alone is as good as the sentence that
    repeats the question. Where one of the two adds nothing, all words are compared.

    Equal texts are nearer than texts of the same words in another order. A tie between a reference and an
    incorrect answer is incorrect, and so is an answer that is near to nothing, or empty after normalisation. The
    rule never abstains. It reads words, not sense: a paraphrase that shares no word with a reference is incorrect.

    With a threshold of 0 the nearest answer wins however far it is, as in the text measures that TruthfulQA comes
    with (Lin et al. 2021: largest similarity to a true answer minus largest to a false one, above 0), here by
    F1 of words instead of BLEU, ROUGE or BLEURT. One shared word is then enough: fit for models too weak to be
    right by any stricter rule, and no measure of truth.
    """

    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(f"the threshold of the rule is {self.threshold:g}: write a number from 0 to 1")

    @property
    def name(self) -> str:
        return "rule" if self.threshold == THRESHOLD else f"rule:{self.threshold:g}"

    def signature(self) -> str:
        return signature("rule", similarity="token_f1_beyond_question", **SETTINGS, threshold=self.threshold)

    def ready(self) -> None:
        """Nothing is needed."""

    def estimate(self, questions: Sequence[Question]) -> Cost:
        return FREE

    def judge(self, questions: Sequence[Question], progress: Progress | None = None) -> list[Judgement]:
        return [self._one(question) for question in questions]

    def _one(self, question: Question) -> Judgement:
        if question.empty:
            return EMPTY
        if not normalize(question.answer):
            return Judgement(correct=False, raw="", reason="the answer has no words")
        (right, same), near = _nearest(question, question.references)
        (wrong, same_as_wrong), far = _nearest(question, question.incorrect)
        if right == 0 or right < self.threshold:
            return Judgement(
                correct=False, raw="", reason=f"near to no correct answer ({right:.2f} to {near!r} is the nearest)"
            )
        if (wrong, same_as_wrong) >= (right, same):
            is_tie = (wrong, same_as_wrong) == (right, same)
            how, link = ("as near to", "as") if is_tie else ("nearer to", "than")
            reason = f"{how} the incorrect {far!r} ({wrong:.2f}) {link} to {near!r} ({right:.2f})"
            return Judgement(correct=False, raw="", reason=reason)
        return Judgement(correct=True, raw="", reason=f"nearest to {near!r} ({right:.2f})")


def _nearest(question: Question, answers: Sequence[str]) -> tuple[tuple[float, bool], str]:
    """(Similarity, whether the texts are equal), and the nearest of `answers`, the first of several.

    "" with 0 where there are none.
    """
    answer = normalize(question.answer)
    found = [
        ((similarity(question.question, question.answer, other), answer == normalize(other)), other)
        for other in answers
    ]
    return max(found, key=itemgetter(0), default=((0.0, False), ""))


def similarity(question: str, answer: str, other: str) -> float:
    """Similarity of an answer to another one, in [0, 1]; see `RuleJudge`.

    >>> similarity("Which country is the smallest?", "The smallest country is Nauru", "Nauru.")
    1.0
    """
    a, b = normalize(answer).split(), normalize(other).split()
    if a == b:
        return 1.0
    asked = set(normalize(question).split())
    new_a, new_b = [word for word in a if word not in asked], [word for word in b if word not in asked]
    return _f1(new_a, new_b) if new_a and new_b else _f1(a, b)


def _f1(a: Sequence[str], b: Sequence[str]) -> float:
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b)) if shared else 0.0
