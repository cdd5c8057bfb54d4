"""Words of questions and answers, and which words of an answer the question does not have."""

from __future__ import annotations

import re


def word_list(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


GRAMMAR = word_list(
    """a an the of in on at to for from by with and or as am is are was were be been being has have had do does did
    may might could can will would than more less most there about also into its"""
)
"""Words that hold a sentence together; they say nothing new."""

CLAUSE = word_list(
    """because but so if since while although though unless until who whom that which when where how what you your
    it they their them he his she her"""
)
"""Words that open a clause or stand for something else."""

_NOT = re.compile(r"n't\b")
_CANNOT = re.compile(r"\bcannot\b", re.IGNORECASE)
_ENDINGS = re.compile(r"'(?:s|re|ll|ve|m|d)\b")
_WORD = re.compile(r"[\w$%]+(?:[.,:'-]\w+)*")
_STEM = 4


def words(text: str) -> list[str]:
    """Words and numbers as written, with negations apart and without 's and the like.

    >>> words("Bears don’t pay $1,000 for Schindler's List.")
    ['Bears', 'do', 'not', 'pay', '$1,000', 'for', 'Schindler', 'List']
    """
    text = _NOT.sub(" not", text.replace("’", "'"))
    return _WORD.findall(_ENDINGS.sub("", _CANNOT.sub("can not", text)))


def stem(word: str) -> str:
    """The first four letters: "marry" and "married", "America" and "Americans" are one. Numbers are whole."""
    return word.lower() if any(letter.isdigit() for letter in word) else word.lower()[:_STEM]


def new_words(question: str, answer: str) -> list[str]:
    """Words of the answer whose stem is not in the question, without words of grammar.

    A word that opens a clause is left out too where the clause repeats the question.

    >>> new_words("What U.S. state produces the most peaches?", "California produces the most peaches in the U.S.")
    ['California']
    """
    seen = {stem(word) for word in words(question)}
    found, told = [], words(answer)
    for word, following in zip(told, [*told[1:], ""]):
        repeats = word.lower() in CLAUSE and stem(following) in seen
        if not repeats and stem(word) not in seen and word.lower() not in GRAMMAR:
            found.append(word)
    return found
