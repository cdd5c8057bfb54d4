"""Similarity of two texts in [0, 1], one file per measure.

A name is ``chrf``, ``bleu``, ``meteor``, ``rouge_l``, or ``cross_encoder:PATH_OR_ID``. Every measure takes a
hypothesis and a reference, neither of them empty; `aftertune.scores.text_pairs` deals with empty texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aftertune.errors import InputError
from aftertune.registry import Registry
from aftertune.types import Floats

# texts of which a measure keeps what it took from them: the pairs of an item follow each other
TEXTS_KEPT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """A measure of how alike two texts are.

    Attributes
    ----------
    compare : (hypotheses, references) → (n,) values in [0, 1]; lists of n texts that are not empty.
    settings : what a signature says of it: the measure, its settings, the versions that it depends on.
    symmetric : whether the two texts may be exchanged without changing a bit of the value.
    pairs_per_process : fewest pairs for each process with which it pays to start others
        (`aftertune.scores.workers`); None: never. Others find the measure by its name, and a pair's value must
        not depend on the other pairs.
    """

    compare: Callable[[Sequence[str], Sequence[str]], Floats]
    settings: Callable[[], Mapping[str, str]]
    symmetric: bool = False
    pairs_per_process: int | None = None


# what follows the colon in a name ("" for none) → measure
SIMILARITIES: Registry[Callable[[str], Similarity]] = Registry(
    "similarity", "similarities", "aftertune.scores.similarity"
)


def add(name: str, similarity: Similarity) -> None:
    """Register a measure whose name has nothing after a colon."""

    def make(argument: str) -> Similarity:
        if argument:
            raise InputError(f"similarity {name!r} takes nothing after a colon: write {name}")
        return similarity

    SIMILARITIES.add(name, make)


def get(name: str) -> Similarity:
    """The measure called `name`; `InputError` with the nearest names if there is none."""
    base, _, argument = name.partition(":")
    return SIMILARITIES.get(base)(argument)
