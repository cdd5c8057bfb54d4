"""What a judge is asked, what it says, and what it must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aftertune.errors import InputError
from aftertune.judges.cost import Cost
from aftertune.types import Example


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
        return not self.answer.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge says of one answer.

    Attributes
    ----------
    correct : None for an abstention.
    raw : what the judge wrote, at most `prompt.MAX_RAW` characters of it; "" where nothing was asked.
    reason : why it was judged so, or why not; for the reader.
    """

    correct: bool | None
    raw: str
    reason: str


Progress = Callable[[int, int], object]
"""Told how many answers were judged, of how many that take time, each time that more are."""

EMPTY = Judgement(correct=False, raw="", reason="the answer is empty")


class Judge(Protocol):
    """Says of answers whether they are correct."""

    @property
    def name(self) -> str:
        """The spec that it was made from."""
        ...

    def signature(self) -> str:
        """The string that travels with its judgements: name, settings and version."""
        ...

    def ready(self) -> None:
        """Check what can be before anything is asked; `InputError` for a missing client, key or model."""
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
