"""Translation from a small English into Tovali, an invented language, scored by chrF+.

Tovali
------
- Order: adverb, subject, place, object, verb. Adjectives stand after their noun, numerals after both.
- Noun: stem + plural ``-ri`` + case (subject none, object ``-m``, place ``-ke``). A stem that ends in a
  consonant takes a linking vowel before any suffix: ``-a-`` if animate, ``-u-`` if not. There is no
  article for *the*; *a* is ``on`` at the end of the phrase.
- After a numeral the noun stays singular, and so does its adjective; the verb's agreement is plural.
- Adjective: stem + class vowel (``-a`` animate, ``-u`` not) + plural + case, agreeing with its noun.
- Place: *in* is the case alone, *near* adds the postposition ``pul``, *behind* adds ``tam``.
- Verb: ``ne-`` if negated + stem + tense (present ``-e``, past ``-ita``, future ``-oru``) + ``-n`` with a
  plural subject.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from aftertune.types import Example
from toy.partition import Draft, Part, draw, favouring_first

NAME = "toy_translation"

Case = Literal["subject", "object", "place"]
Tense = Literal["present", "past", "future"]

ANIMATE = {
    "man": "dorek", "woman": "selan", "dog": "kelo", "child": "pinu", "bird": "tivar", "friend": "amol",
    "cat": "mishu", "king": "rogan", "horse": "halem", "girl": "lirin", "boy": "torun", "teacher": "vekas",
    "wolf": "grau", "farmer": "bodil", "fish": "sipa", "doctor": "yenor", "thief": "zakul", "sailor": "nemo",
}  # fmt: skip
INANIMATE = {
    "house": "dova", "river": "lurim", "tree": "arbek", "book": "pagos", "city": "urvan", "road": "strel",
    "boat": "navi", "garden": "florun", "bridge": "ponte", "mountain": "gorod", "letter": "skriba", "door": "kapu",
    "stone": "petrok", "lamp": "lumis", "forest": "silvan", "bread": "paneth", "tower": "turmo", "bell": "dongel",
}  # fmt: skip
ADJECTIVES = {
    "old": "vet", "small": "mik", "big": "gran", "young": "yun", "good": "bel", "red": "rud", "black": "nox",
    "white": "alb", "happy": "feliz", "poor": "misk", "quiet": "silen", "strange": "odrev", "strong": "fort",
    "cold": "brizh", "clever": "smek", "tired": "lanqu",
}  # fmt: skip
PRONOUNS = {"he": "ta", "she": "ti", "we": "min", "they": "tar"}
NUMERALS = {"two": "ves", "three": "tris", "four": "kvar"}
POSTPOSITIONS = {"in": "", "near": "pul", "behind": "tam"}
ADVERBS = {
    "today": "hodi", "yesterday": "jerin", "tomorrow": "manu", "often": "multar", "now": "nuk",
    "never": "nul", "quickly": "rapid", "again": "denov",
}  # fmt: skip
ADVERB_TENSE: dict[str, Tense] = {"yesterday": "past", "tomorrow": "future", "now": "present"}
TENSE_SUFFIX: dict[Tense, str] = {"present": "e", "past": "ita", "future": "oru"}
CASE_SUFFIX: dict[Case, str] = {"subject": "", "object": "m", "place": "ke"}
CLASS_VOWEL = {True: "a", False: "u"}  # animate?
IRREGULAR_PLURALS = {
    "man": "men", "woman": "women", "child": "children", "city": "cities", "wolf": "wolves", "fish": "fishes",
    "thief": "thieves",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A verb: third person singular and past in English, its stem in Tovali."""

    third: str
    past: str
    stem: str
    transitive: bool = True


VERBS = {
    "see": Verb(third="sees", past="saw", stem="vid"),
    "love": Verb(third="loves", past="loved", stem="karam"),
    "find": Verb(third="finds", past="found", stem="trov"),
    "sleep": Verb(third="sleeps", past="slept", stem="dorm", transitive=False),
    "want": Verb(third="wants", past="wanted", stem="vol"),
    "take": Verb(third="takes", past="took", stem="pren"),
    "walk": Verb(third="walks", past="walked", stem="ambul", transitive=False),
    "hear": Verb(third="hears", past="heard", stem="aud"),
    "buy": Verb(third="buys", past="bought", stem="komp"),
    "know": Verb(third="knows", past="knew", stem="skev"),
    "wait": Verb(third="waits", past="waited", stem="atend", transitive=False),
    "help": Verb(third="helps", past="helped", stem="yud"),
    "lose": Verb(third="loses", past="lost", stem="perz"),
    "sing": Verb(third="sings", past="sang", stem="kant", transitive=False),
    "follow": Verb(third="follows", past="followed", stem="segur"),
    "draw": Verb(third="draws", past="drew", stem="dezin"),
    "hide": Verb(third="hides", past="hid", stem="kash"),
    "laugh": Verb(third="laughs", past="laughed", stem="ridol", transitive=False),
    "sell": Verb(third="sells", past="sold", stem="vend"),
    "fear": Verb(third="fears", past="feared", stem="timor"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A noun phrase; `determiner` is "the", "a" or a numeral, `plural` is of the English noun."""

    noun: str
    determiner: str = "the"
    adjective: str | None = None
    plural: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What is said, in neither language.

    `subject` is a phrase or a pronoun, `place` a preposition and its phrase.
    """

    subject: Phrase | str
    verb: str
    tense: Tense = "present"
    negated: bool = False
    object: Phrase | None = None
    place: tuple[str, Phrase] | None = None
    adverb: str | None = None

    @property
    def plural(self) -> bool:
        return self.subject in ("we", "they") if isinstance(self.subject, str) else self.subject.plural


def english(sentence: Sentence) -> str:
    """The sentence in English.

    >>> english(Sentence(subject=Phrase(noun="dog"), verb="see", object=Phrase(noun="cat", plural=True)))
    'the dog sees the cats'
    """
    words = [sentence.subject] if isinstance(sentence.subject, str) else _english_phrase(sentence.subject)
    words += _english_verb(sentence)
    if sentence.object:
        words += _english_phrase(sentence.object)
    if sentence.place:
        words += [sentence.place[0], *_english_phrase(sentence.place[1])]
    if sentence.adverb:
        words.append(sentence.adverb)
    return " ".join(words)


def tovali(sentence: Sentence) -> str:
    """The sentence in Tovali, by the grammar above.

    >>> tovali(Sentence(subject=Phrase(noun="dog"), verb="see", object=Phrase(noun="cat", plural=True)))
    'kelo mishurim vide'
    """
    words = [ADVERBS[sentence.adverb]] if sentence.adverb else []
    if isinstance(sentence.subject, str):
        words.append(PRONOUNS[sentence.subject])
    else:
        words += _tovali_phrase(sentence.subject, "subject")
    if sentence.place:
        preposition, phrase = sentence.place
        words += [*_tovali_phrase(phrase, "place"), POSTPOSITIONS[preposition]]
    if sentence.object:
        words += _tovali_phrase(sentence.object, "object")
    negation, agreement = "ne" if sentence.negated else "", "n" if sentence.plural else ""
    words.append(f"{negation}{VERBS[sentence.verb].stem}{TENSE_SUFFIX[sentence.tense]}{agreement}")
    return " ".join(word for word in words if word)


def pidgin(sentence: Sentence) -> str:
    """The sentence in Tovali's words with English order and no inflection, as pre-training hears it.

    >>> pidgin(Sentence(subject=Phrase(noun="dog"), verb="see", object=Phrase(noun="cat", plural=True)))
    'kelo vid mishu'
    """
    if isinstance(sentence.subject, str):
        words = [PRONOUNS[sentence.subject]]
    else:
        words = _pidgin_phrase(sentence.subject)
    if sentence.negated:
        words.append("ne")
    words.append(VERBS[sentence.verb].stem)
    if sentence.object:
        words += _pidgin_phrase(sentence.object)
    if sentence.place:
        words += [POSTPOSITIONS[sentence.place[0]], *_pidgin_phrase(sentence.place[1])]
    if sentence.adverb:
        words.append(ADVERBS[sentence.adverb])
    return " ".join(word for word in words if word)


def generate(n: int, seed: int, *, part: Part = "train", pidgin_share: float = 0.0) -> list[Example]:
    """`n` items with distinct prompts; `pidgin_share` of the targets are in pidgin."""

    def compose(rng: random.Random) -> Draft:
        sentence = random_sentence(rng)
        target = pidgin(sentence) if rng.random() < pidgin_share else tovali(sentence)
        return f"translate: {english(sentence)} =>", target

    return draw("toy-translation", compose, n, seed, part)


def random_sentence(rng: random.Random) -> Sentence:
    """A sentence of three to ten English words; earlier words of each list are more frequent."""
    while True:
        adverb = favouring_first(rng, list(ADVERBS)) if rng.random() < 0.35 else None
        tense = ADVERB_TENSE.get(adverb or "") or rng.choice(list(TENSE_SUFFIX))
        verb = favouring_first(rng, list(VERBS))
        if rng.random() < 0.2:
            subject: Phrase | str = rng.choice(list(PRONOUNS))
        else:
            subject = _random_phrase(rng, list(ANIMATE), 0.4)
        sentence = Sentence(
            subject=subject,
            verb=verb,
            tense=tense,
            negated=adverb != "never" and rng.random() < 0.2,
            object=_random_phrase(rng, [*ANIMATE, *INANIMATE], 0.4) if VERBS[verb].transitive else None,
            place=(rng.choice(list(POSTPOSITIONS)), _random_phrase(rng, list(INANIMATE), 0.15))
            if rng.random() < 0.3
            else None,
            adverb=adverb,
        )
        if 3 <= len(english(sentence).split()) <= 10:
            return sentence


def _random_phrase(rng: random.Random, nouns: list[str], adjective_share: float) -> Phrase:
    # Animate and inanimate nouns are two lists, each with its own frequent words.
    options = rng.choice([nouns[:18], nouns[18:]]) if len(nouns) > 18 else nouns
    determiner = rng.choices(["the", "a", favouring_first(rng, list(NUMERALS))], weights=[6, 2, 2])[0]
    return Phrase(
        noun=favouring_first(rng, options),
        determiner=determiner,
        adjective=favouring_first(rng, list(ADJECTIVES)) if rng.random() < adjective_share else None,
        plural=determiner in NUMERALS or (determiner == "the" and rng.random() < 0.4),
    )


def _english_phrase(phrase: Phrase) -> list[str]:
    noun = IRREGULAR_PLURALS.get(phrase.noun, phrase.noun + "s") if phrase.plural else phrase.noun
    words = [phrase.adjective, noun] if phrase.adjective else [noun]
    determiner = "an" if phrase.determiner == "a" and words[0][0] in "aeiou" else phrase.determiner
    return [determiner, *words]


def _english_verb(sentence: Sentence) -> list[str]:
    verb = VERBS[sentence.verb]
    if sentence.tense == "future":
        return ["will", "not", sentence.verb] if sentence.negated else ["will", sentence.verb]
    if sentence.negated:
        if sentence.tense == "past":
            return ["did", "not", sentence.verb]
        return ["do" if sentence.plural else "does", "not", sentence.verb]
    if sentence.tense == "past":
        return [verb.past]
    return [sentence.verb if sentence.plural else verb.third]


def _tovali_phrase(phrase: Phrase, case: Case) -> list[str]:
    animate = phrase.noun in ANIMATE
    stem = (ANIMATE if animate else INANIMATE)[phrase.noun]
    suffix = ("ri" if phrase.plural and phrase.determiner not in NUMERALS else "") + CASE_SUFFIX[case]
    link = CLASS_VOWEL[animate] if suffix and stem[-1] not in "aeiou" else ""
    words = [stem + link + suffix]
    if phrase.adjective:
        words.append(ADJECTIVES[phrase.adjective] + CLASS_VOWEL[animate] + suffix)
    return words + _tovali_determiner(phrase)


def _pidgin_phrase(phrase: Phrase) -> list[str]:
    adjective = [ADJECTIVES[phrase.adjective]] if phrase.adjective else []
    return [*_tovali_determiner(phrase), *adjective, (ANIMATE | INANIMATE)[phrase.noun]]


def _tovali_determiner(phrase: Phrase) -> list[str]:
    if phrase.determiner == "a":
        return ["on"]
    return [NUMERALS[phrase.determiner]] if phrase.determiner in NUMERALS else []
