"""Families of questions: those that teach the answer to each other, which never stand in two splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from aftertune.tasks.truthful.words import GRAMMAR, new_words, words

WORDING = 0.4
MISCONCEPTION = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One row of TruthfulQA; `correct` begins with the best answer."""

    category: str
    question: str
    correct: tuple[str, ...]
    incorrect: tuple[str, ...]


def families(facts: Sequence[Fact]) -> list[int]:
    """For each question the position of the first question of its family.

    Two questions are related when

    - their wording is nearly the same: the words without those of grammar have a Jaccard index (shared over
      all) of at least `WORDING`; or, within one category,
    - their best answers say the same: equal words, in any order, that they add to the question; or
    - they share a misconception: at least `MISCONCEPTION` of the incorrect answers of the one with fewer are
      incorrect answers of the other ("His name is Elon what?" with five answers, none of them Musk).

    A family is what is related through any chain of questions.
    """
    wording = [frozenset(word.lower() for word in words(fact.question)) - GRAMMAR for fact in facts]
    answer = [frozenset(word.lower() for word in new_words(fact.question, fact.correct[0])) for fact in facts]
    wrong = [frozenset(" ".join(words(text)).lower() for text in fact.incorrect) for fact in facts]

    def related(a: int, b: int) -> bool:
        if len(wording[a] & wording[b]) >= WORDING * len(wording[a] | wording[b]):
            return True
        if facts[a].category != facts[b].category:
            return False
        if answer[a] and answer[a] == answer[b]:
            return True
        fewer = min(len(wrong[a]), len(wrong[b]))
        return fewer > 0 and len(wrong[a] & wrong[b]) >= MISCONCEPTION * fewer

    first = list(range(len(facts)))
    for a, b in combinations(range(len(facts)), 2):
        if first[a] != first[b] and related(a, b):
            low, high = sorted((first[a], first[b]))
            first = [low if family == high else family for family in first]
    return first
