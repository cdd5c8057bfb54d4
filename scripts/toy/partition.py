"""Which part a prompt belongs to: decided by the prompt's own digest, so parts are disjoint for any seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from aftertune.seeds import derive
from aftertune.types import Example

Split = Literal["train", "validation", "test"]
Part = Literal["pretraining", "train", "validation", "test"]
Draft = tuple[str, str]  # prompt, target
SIZES: dict[Split, int] = {"train": 1000, "validation": 100, "test": 1000}


def part_of(prompt: str) -> Part:
    """The one part that a prompt may ever appear in: half of all prompts are for pre-training, a quarter
    for training, an eighth each for validation and testing.

    >>> part_of("translate: the dog sleeps =>") == part_of("translate: the dog sleeps =>")
    True
    """
    eighth = hashlib.sha256(prompt.encode()).digest()[0] >> 5
    if eighth < 4:
        return "pretraining"
    if eighth < 6:
        return "train"
    return "validation" if eighth == 6 else "test"


def draw(kind: str, compose: Callable[[random.Random], Draft], n: int, seed: int, part: Part) -> list[Example]:
    """`n` items with distinct prompts of one part.

    Parameters
    ----------
    kind : first part of the ids: ``{kind}-{part}-{number}``.
    compose : makes one (prompt, target) from a random generator.

    Raises
    ------
    ValueError
        `compose` cannot make `n` distinct prompts of this part.
    """
    rng = random.Random(derive(seed, kind, part))
    examples: list[Example] = []
    seen: set[str] = set()
    for _ in range(1000 + 100 * n):
        if len(examples) == n:
            return examples
        prompt, target = compose(rng)
        if prompt in seen or part_of(prompt) != part:
            continue
        seen.add(prompt)
        identifier = f"{kind}-{part}-{len(examples):06d}"
        examples.append(Example(id=identifier, prompt=prompt, references=(target,)))
    raise ValueError(f"{kind} has fewer than {n} distinct prompts for {part}")


class Generate(Protocol):
    """Makes `n` items of one part."""

    def __call__(self, n: int, seed: int, *, part: Part) -> list[Example]: ...


def splits(generate: Generate, seed: int = 0) -> dict[Split, list[Example]]:
    """So many items of each split as `SIZES` says; no prompt stands in two of them, whatever the seeds."""
    return {split: generate(n, seed, part=split) for split, n in SIZES.items()}


def favouring_first(rng: random.Random, options: Sequence[str]) -> str:
    """One of `options`, the k-th with a weight of 1 / (k + 2), k = 1, 2, …: some words are rare, hence hard."""
    return rng.choices(options, weights=[1 / (k + 3) for k in range(len(options))])[0]
