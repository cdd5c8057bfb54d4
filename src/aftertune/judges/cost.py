"""What judging will cost, before it is spent: of some answers, and of a whole command."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aftertune.errors import InputError
from aftertune.judges.judge import Cost, Judge, Question, questions_of
from aftertune.types import Example

BYTES_PER_TOKEN = 4
"""Of UTF-8: a letter of English is one, a Chinese character three."""
TOKENS_AROUND_A_PROMPT = 10
PRICE = "AFTERTUNE_JUDGE_PRICE"
"""Environment variable: US dollars per million input and output tokens of the judge's model, such as 3/15."""


def price_set() -> tuple[float, float] | None:
    """What `PRICE` says: dollars per million input tokens, per million output tokens; None where it is not set."""
    text = os.environ.get(PRICE, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?/[0-9]+(\.[0-9]+)?", text):
        raise InputError(
            f"the environment variable {PRICE} is {text!r}: write dollars per million input and output tokens, "
            "such as 3/15"
        )
    price_in, price_out = map(float, text.split("/"))
    return price_in, price_out


def total(costs: Iterable[Cost]) -> Cost:
    """The sum; its price is known where that of each is."""
    costs = list(costs)
    prices = [cost.price for cost in costs if cost.price is not None]
    return Cost(
        calls=sum(cost.calls for cost in costs),
        cached=sum(cost.cached for cost in costs),
        input_tokens=sum(cost.input_tokens for cost in costs),
        output_tokens=sum(cost.output_tokens for cost in costs),
        price=sum(prices) if len(prices) == len(costs) else None,
    )


def tokens_of(prompt: str) -> int:
    """Input tokens of a call, about: a token for four bytes, and those that the API puts around a prompt.

    >>> tokens_of("Is it correct?"), tokens_of("正しいですか")
    (14, 15)
    """
    return -(-len(prompt.encode()) // BYTES_PER_TOKEN) + TOKENS_AROUND_A_PROMPT


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
    """An upper bound of what one judge costs in a whole command.

    Attributes
    ----------
    answers : numbers of answers at a checkpoint, each once.
    n : answers at all checkpoints.
    """

    judge: str
    checkpoints: int
    answers: tuple[int, ...]
    n: int
    cost: Cost

    def __str__(self) -> str:
        """One line for the reader."""
        cost, (each, *more) = self.cost, self.answers
        checkpoints = f"{self.checkpoints:,} checkpoint{'s' * (self.checkpoints != 1)}"
        size = f", {self.n:,} answers" if more else f" × {each:,} answer{'s' * (each != 1)}"
        price = "" if cost.price is None else f", at most about ${cost.price:,.2f}"
        hint = f"; set {PRICE} to see dollars" if cost.price is None else ""
        return (
            f"judge {self.judge}: {checkpoints}{size}, at most {cost.calls:,} call{'s' * (cost.calls != 1)}, "
            f"about {cost.input_tokens:,} input and {cost.output_tokens:,} output tokens{price} "
            f"(answers that are empty or judged already cost nothing{hint})"
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
    """Whether the judge sends answers that are not empty to somebody, as one behind an API does."""
    return judge.estimate([Question(question="?", answer="?", references=("?",))]).calls > 0


def longest_answers(examples: Sequence[Example], max_new_tokens: int) -> list[Question]:
    """Questions with made-up answers in place of those to come: all distinct, and as long as they may be."""
    width = BYTES_PER_TOKEN * max_new_tokens
    return questions_of(examples, [str(i).rjust(width, "x") for i in range(len(examples))])
