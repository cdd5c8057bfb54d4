"""What judging a whole command will cost at most, before any answer is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aftertune.judges.cost import BYTES_PER_TOKEN, PRICES_AS_OF, Cost, total
from aftertune.judges.judge import Judge, Question, questions_of
from aftertune.types import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The answers to be judged at one checkpoint, or at several that are alike.

    Attributes
    ----------
    questions : of one checkpoint; with `longest_answers` where the model has not answered yet.
    checkpoints : how many are alike.
    """

    questions: Sequence[Question]
    checkpoints: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """An upper bound for one judge.

    Attributes
    ----------
    answers : numbers of answers at a checkpoint, one for each number that occurs.
    n : of all checkpoints.
    """

    judge: str
    checkpoints: int
    answers: tuple[int, ...]
    n: int
    cost: Cost

    def __str__(self) -> str:
        """One line for the reader."""
        each = self.answers[0] if len(self.answers) == 1 else None
        checkpoints = f"{self.checkpoints:,} checkpoint{'s' * (self.checkpoints != 1)}"
        size = f", {self.n:,} answers" if each is None else f" × {each:,} answer{'s' * (each != 1)}"
        cost = self.cost
        price = (
            f"and {cost.output_tokens:,} output tokens, price of the model not known"
            if cost.price is None
            else f"tokens, at most about ${cost.price:,.2f} by the prices of {PRICES_AS_OF}"
        )
        return (
            f"judge {self.judge}: {checkpoints}{size}, at most {cost.calls:,} call{'s' * (cost.calls != 1)}, "
            f"about {cost.input_tokens:,} input {price} (answers that are empty or judged already cost nothing)"
        )


def forecast(judge: Judge, batches: Iterable[Batch]) -> Forecast | None:
    """What judging all batches will cost at most; None where nothing will be sent, as by a judge that is free.

    Retries are not counted, nor that checkpoints may give the same answer, which is asked about once.
    """
    batches = [batch for batch in batches if batch.checkpoints and batch.questions]
    cost = total(judge.estimate(batch.questions).times(batch.checkpoints) for batch in batches)
    if not cost.calls:
        return None
    return Forecast(
        judge=judge.name,
        checkpoints=sum(batch.checkpoints for batch in batches),
        answers=tuple(sorted({len(batch.questions) for batch in batches})),
        n=sum(batch.checkpoints * len(batch.questions) for batch in batches),
        cost=cost,
    )


def asks_for_money(judge: Judge) -> bool:
    """Whether it sends answers that are not empty to anyone, as a judge behind an API does."""
    return judge.estimate([Question(question="?", answer="?", references=("?",))]).calls > 0


def longest_answers(examples: Sequence[Example], max_new_tokens: int) -> list[Question]:
    """Questions with answers that stand for those that a model will give: no two alike, as long as they may be."""
    width = BYTES_PER_TOKEN * max_new_tokens
    return questions_of(examples, [str(i).rjust(width, "x") for i in range(len(examples))])
