"""What a judge is: what it is asked, what it says, what it costs; and how a model is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aftertune.errors import InputError
from aftertune.types import Example

PROMPT = (
    "Question: {question}\n"
    "Correct Answer: {label}\n"
    "Predicted Answer: {prediction}\n"
    "Is the predicted answer correct, based on the correct answer?\n"
    "Only return Yes or No"
)
"""The paper's (Appendix D)."""
MAX_RAW = 300
MAX_NEW_TOKENS = 16

_VERDICT = re.compile(r"\s*(yes|no)[.!]?\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One answer to be judged.

    Attributes
    ----------
    question : what was asked.
    answer : what the model said; white space alone is an empty answer, which every judge calls incorrect.
    references : correct answers, at least one, the best first.
    incorrect : answers known to be wrong; may be empty.
    """

    question: str
    answer: str
    references: tuple[str, ...]
    incorrect: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.references:
            raise ValueError(f"the question {self.question!r} has no reference")

    @property
    def empty(self) -> bool:
        """Whether the answer is."""
        return not self.answer.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge says of one answer.

    Attributes
    ----------
    correct : None for an abstention.
    raw : what the judge wrote, at most `MAX_RAW` characters of it; "" where nothing was asked.
    reason : why it was judged so, or why not; for the reader.
    """

    correct: bool | None
    raw: str
    reason: str


Progress = Callable[[int, int], object]
"""Called with how many answers are judged, and of how many that take time, each time that more are."""

EMPTY = Judgement(correct=False, raw="", reason="the answer is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An estimate of what judging some answers costs.

    Attributes
    ----------
    calls : requests that will be sent, retries not counted.
    cached : answers that are known already.
    input_tokens : of all calls, about (`tokens_of`).
    output_tokens : of all calls, at most.
    price : US dollars at most; None where no price was set (`aftertune.judges.cost.PRICE`).
    """

    calls: int
    cached: int
    input_tokens: int
    output_tokens: int
    price: float | None

    def times(self, n: int) -> Cost:
        """The cost of n times as much."""
        return Cost(
            calls=n * self.calls,
            cached=n * self.cached,
            input_tokens=n * self.input_tokens,
            output_tokens=n * self.output_tokens,
            price=None if self.price is None else n * self.price,
        )

    def __str__(self) -> str:
        """One line for the reader."""
        known = f", {self.cached:,} known already" if self.cached else ""
        if not self.calls:
            return f"no calls{known}"
        noun = "call" if self.calls == 1 else "calls"
        tokens = f"about {self.input_tokens:,} input and at most {self.output_tokens:,} output tokens"
        price = "" if self.price is None else f", at most ${self.price:,.2f}"
        return f"{self.calls:,} {noun}{known}, {tokens}{price}"


FREE = Cost(calls=0, cached=0, input_tokens=0, output_tokens=0, price=0.0)


class Judge(Protocol):
    """What says of answers whether they are correct."""

    @property
    def name(self) -> str:
        """The spec that it was made from."""
        ...

    def signature(self) -> str:
        """The string that travels with its judgements: name, settings and version."""
        ...

    def ready(self) -> None:
        """Check what can be checked before anything is asked; `InputError` for a missing client, key or model."""
        ...

    def estimate(self, questions: Sequence[Question]) -> Cost:
        """What judging these questions will cost, without asking anything."""
        ...

    def judge(self, questions: Sequence[Question], progress: Progress | None = None) -> list[Judgement]:
        """A judgement for each question, in order.

        Raises
        ------
        InputError
            The judge cannot be reached or is refused; what it has judged by then is kept where it has a cache.
        """
        ...


class OnlyAbstained(InputError):
    """A judge abstained on every answer that it was asked about.

    Attributes
    ----------
    said : its judgements, for whoever has verdicts of it on other answers and goes on.
    asked : on how many answers that are not empty.
    """

    def __init__(self, name: str, said: Sequence[Judgement], asked: Sequence[Judgement]) -> None:
        self.said, self.asked = list(said), len(asked)
        answers = "the only answer" if len(asked) == 1 else f"all {len(asked):,} answers"
        super().__init__(
            f"the judge {name} abstained on {answers} ({asked[0].reason}): "
            "take another judge, or rule, which needs nothing"
        )


def judged(judge: Judge, questions: Sequence[Question], progress: Progress | None = None) -> list[Judgement]:
    """`judge.judge`, with an error for a judge that has nothing to say.

    Raises
    ------
    OnlyAbstained
        The judge abstains on every answer that is not empty: it is no judge.
    InputError
        What `judge.judge` raises.
    """
    said = judge.judge(questions, progress)
    if len(said) != len(questions):
        raise ValueError(f"{judge.name} gave {len(said)} judgements of {len(questions)} answers")
    asked = [one for one, question in zip(said, questions) if not question.empty]
    if asked and n_abstained(asked) == len(asked):
        raise OnlyAbstained(judge.name, said, asked)
    return said


def n_abstained(judgements: Sequence[Judgement]) -> int:
    """How many of them are abstentions."""
    return sum(one.correct is None for one in judgements)


def questions_of(examples: Sequence[Example], answers: Sequence[str]) -> list[Question]:
    """The answers that a model gave to items of a task, to be judged."""
    if len(examples) != len(answers):
        raise ValueError(f"{len(answers)} answers to {len(examples)} items")
    return [
        Question(
            question=example.question or example.prompt,
            answer=answer,
            references=example.references,
            incorrect=example.incorrect,
        )
        for example, answer in zip(examples, answers)
    ]


def prompt_of(question: Question) -> str:
    """The prompt with the best reference as the correct answer.

    Each of the three texts is put on one line, so that an answer cannot bring lines of its own that look like the
    prompt's.
    """
    return PROMPT.format(
        question=_line(question.question),
        label=_line(question.references[0]),
        prediction=_line(question.answer),
    )


def prompts_of(questions: Sequence[Question]) -> list[str]:
    """The distinct prompts of the answers that are not empty."""
    return list(dict.fromkeys(prompt_of(question) for question in questions if not question.empty))


def read_verdict(raw: str) -> Judgement:
    """Yes is correct, No is incorrect, all else is an abstention.

    Case does not matter, nor white space around the word, nor one full stop or exclamation mark after it. Anything
    more ("Yes, but …", "**Yes**", "Oui", "") is not read.

    >>> [read_verdict(raw).correct for raw in ("Yes", " no.\\n", "Yes, but", "Ja", "")]
    [True, False, None, None, None]
    """
    match = _VERDICT.fullmatch(raw)
    kept = raw if len(raw) <= MAX_RAW else raw[:MAX_RAW] + "…"
    if match is None:
        shown = _line(kept)
        said = "nothing" if not shown else repr(shown if len(shown) <= 60 else shown[:60] + "…")
        return Judgement(correct=None, raw=kept, reason=f"the judge said {said} instead of Yes or No")
    correct = match[1].lower() == "yes"
    return Judgement(correct=correct, raw=kept, reason=f"the judge said {'Yes' if correct else 'No'}")


def _line(text: str) -> str:
    return " ".join(text.split())
