"""Question answering over a few short facts, scored by SQuAD's F1. The answer stands in the facts.

Two of the six relations, easily taken for two others, are new to a model that was pre-trained on this
task's pre-training part: where somebody was born (or lives?), what somebody hates (or likes?).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from aftertune.types import Example
from toy.partition import Draft, Part, draw, favouring_first

NAME = "toy_qa"

NAMES = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Iris", "Jonas", "Karen", "Leo",
    "Maria", "Nils", "Olga", "Peter",
)  # fmt: skip
CITIES = (
    "Paris", "Oslo", "Rome", "Cairo", "Lima", "Delhi", "Tokyo", "Quito", "Dakar", "Perth", "Minsk", "Accra",
)  # fmt: skip
JOBS = (
    "baker", "pilot", "nurse", "painter", "judge", "farmer", "tailor", "singer", "miner", "guide", "clerk",
    "barber",
)  # fmt: skip
COLOURS = ("red", "blue", "green", "black", "white", "yellow", "brown", "grey")
THINGS = ("boat", "car", "hat", "bike", "coat", "house", "clock", "violin", "kite", "lamp")
TASTES = ("hot", "cold", "sweet", "sour", "fresh", "spicy")
FOODS = (
    "tea", "apple juice", "bread", "onion soup", "rice", "lemon cake", "milk", "corn pie",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """How a fact is told, and how its value (`about`: the person) or its person is asked for.

    Each is a template with ``{person}`` and ``{value}``.
    """

    fact: str
    ask_value: str
    ask_person: str


RELATIONS = {
    "city": Relation(
        fact="{person} lives in {value}.",
        ask_value="where does {person} live?",
        ask_person="who lives in {value}?",
    ),
    "job": Relation(
        fact="{person} works as a {value}.",
        ask_value="what is the job of {person}?",
        ask_person="who works as a {value}?",
    ),
    "thing": Relation(
        fact="{person} owns a {value}.", ask_value="what does {person} own?", ask_person="who owns a {value}?"
    ),
    "food": Relation(
        fact="{person} likes {value}.", ask_value="what does {person} like?", ask_person="who likes {value}?"
    ),
    "birthplace": Relation(
        fact="{person} was born in {value}.",
        ask_value="where was {person} born?",
        ask_person="who was born in {value}?",
    ),
    "dislike": Relation(
        fact="{person} hates {value}.", ask_value="what does {person} hate?", ask_person="who hates {value}?"
    ),
}
PRETRAINED = ("city", "job", "thing", "food")  # the pre-training part holds no other relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact: a person, a relation (a key of RELATIONS) and its value."""

    person: str
    relation: str
    value: str

    def tell(self) -> str:
        """
        >>> Fact(person="Anna", relation="city", value="Oslo").tell()
        'Anna lives in Oslo.'
        """
        return RELATIONS[self.relation].fact.format(person=self.person, value=self.value)


def prompt(facts: list[Fact], asked: Fact, *, for_person: bool = False) -> str:
    """Facts and the question for the value of the fact `asked`, or for its person."""
    relation = RELATIONS[asked.relation]
    question = relation.ask_person if for_person else relation.ask_value
    told = " ".join(fact.tell() for fact in facts)
    return f"facts: {told} question: {question.format(person=asked.person, value=asked.value)} =>"


def generate(n: int, seed: int, *, part: Part = "train", noise: float = 0.0) -> list[Example]:
    """`n` items with distinct prompts; `noise` of the answers are taken from another fact of the same prompt."""

    def compose(rng: random.Random) -> Draft:
        facts = random_facts(rng, PRETRAINED if part == "pretraining" else tuple(RELATIONS))
        asked = rng.choice(facts)
        for_person = rng.random() < 0.25
        source = rng.choice([fact for fact in facts if fact != asked]) if rng.random() < noise else asked
        return prompt(facts, asked, for_person=for_person), source.person if for_person else source.value

    return draw("toy-qa", compose, n, seed, part)


def random_facts(rng: random.Random, relations: tuple[str, ...] = tuple(RELATIONS)) -> list[Fact]:
    """Two to five facts about two or three people: one for each (person, relation), values not repeated."""
    people = rng.sample(NAMES, rng.choice((2, 2, 3)))
    cells = [(person, relation) for person in people for relation in relations]
    facts: list[Fact] = []
    for person, relation in rng.sample(cells, rng.randint(2, 5)):
        taken = {fact.value for fact in facts}
        value = _random_value(rng, relation)
        while value in taken:
            value = _random_value(rng, relation)
        facts.append(Fact(person=person, relation=relation, value=value))
    return facts


def _random_value(rng: random.Random, relation: str) -> str:
    if relation in ("city", "birthplace"):
        return favouring_first(rng, CITIES)
    if relation == "job":
        return favouring_first(rng, JOBS)
    if relation == "thing":
        return f"{favouring_first(rng, COLOURS)} {favouring_first(rng, THINGS)}"
    return f"{favouring_first(rng, TASTES)} {favouring_first(rng, FOODS)}"
