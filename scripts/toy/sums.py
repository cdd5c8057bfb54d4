"""Word problems with one or two steps, scored by exact match of the final number.

The target shows its work: ``7 + 5 - 2 = 10``. Some ways to tell that things come or go are new to a model
that was pre-trained on this task's pre-training part.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from aftertune.types import Example
from toy.partition import Draft, Part, draw

NAME = "toy_sums"

NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Iris", "Jonas", "Karen", "Leo")
THINGS = ("apples", "books", "coins", "eggs", "stamps", "shells", "nuts", "cards")
Operator = Literal["+", "-", "*"]
MORE = ("{name} buys {k} more.", "{name} finds {k} more.", "Then {name} gets {k}.")
FEWER = ("{name} sells {k}.", "{name} loses {k}.", "Then {name} gives away {k}.")
NEW_MORE = ("A friend brings {k}.", "{name} wins {k}.")  # these two and the next two: not in pre-training
NEW_FEWER = ("A friend takes {k}.", "{name} breaks {k}.")
TIMES = ("{name} has {n} boxes with {k} {thing} each.", "{name} fills {n} bags with {k} {thing} each.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A first number and the steps that follow, from left to right; only the first step may be a product."""

    start: int
    steps: tuple[tuple[Operator, int], ...]

    @property
    def result(self) -> int:
        """
        >>> Problem(start=7, steps=(("+", 5), ("-", 2))).result
        10
        """
        total = self.start
        for operator, number in self.steps:
            total = total + number if operator == "+" else total - number if operator == "-" else total * number
        return total

    def working(self, result: int | None = None) -> str:
        """
        >>> Problem(start=7, steps=(("+", 5), ("-", 2))).working()
        '7 + 5 - 2 = 10'
        """
        steps = "".join(f" {operator} {number}" for operator, number in self.steps)
        return f"{self.start}{steps} = {self.result if result is None else result}"


def generate(n: int, seed: int, *, part: Part = "train", noise: float = 0.0) -> list[Example]:
    """`n` items with distinct prompts; the result is off by one, two or ten in `noise` of the targets."""

    def compose(rng: random.Random) -> Draft:
        problem = random_problem(rng)
        result = problem.result
        if rng.random() < noise:
            result += rng.choice([d for d in (-10, -2, -1, 1, 2, 10) if result + d >= 0])
        return tell(problem, rng, new_words=part != "pretraining"), problem.working(result)

    return draw("toy-sums", compose, n, seed, part)


def random_problem(rng: random.Random) -> Problem:
    """Numbers up to 19, products up to 25, no result below zero."""
    kinds: tuple[Operator, ...] = ("+", "+", "-", "-", "*")
    operator = rng.choice(kinds)
    start = rng.randint(2, 5) if operator == "*" else rng.randint(1, 19)
    number = rng.randint(*{"+": (1, 12), "-": (1, start), "*": (2, 5)}[operator])
    problem = Problem(start=start, steps=((operator, number),))
    if rng.random() < 0.3:
        total = problem.result
        add = total < 2 or rng.random() < 0.5
        second: tuple[Operator, int] = ("+", rng.randint(1, 9)) if add else ("-", rng.randint(1, min(total, 9)))
        problem = Problem(start=start, steps=(*problem.steps, second))
    return problem


def tell(problem: Problem, rng: random.Random, *, new_words: bool = True) -> str:
    """The problem as a short story that ends with its question."""
    more, fewer = (MORE + NEW_MORE, FEWER + NEW_FEWER) if new_words else (MORE, FEWER)
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    steps = list(problem.steps)
    if steps[0][0] == "*":
        story = [rng.choice(TIMES).format(name=name, n=problem.start, k=steps.pop(0)[1], thing=thing)]
    else:
        story = [f"{name} has {problem.start} {thing}."]
    for operator, number in steps:
        story.append(rng.choice(more if operator == "+" else fewer).format(name=name, k=number))
    return f"problem: {' '.join(story)} How many {thing} does {name} have? =>"
