"""How SQuAD compares short answers: the normalisation of its official evaluation script (v1.1), in any script."""

from __future__ import annotations

import re
import string

import regex

from aftertune.word_breaks import TOKENS, separated

SETTINGS = {"normalization": "squad_v1.1", "tokens": TOKENS}
"""What signatures say of measures that compare normalised texts."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_FOREIGN_LETTER = r"[[\p{L}\p{M}]--[\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}]]"
_EAST_ASIAN_PUNCTUATION = regex.compile(
    r"(?V1)[[\p{P}\p{S}]&&[\u3001-\u303f\u30a0\u30fb\ufe10-\ufe1f\ufe30-\ufe4f\uff01-\uff65]]"
)
_FOREIGN_PUNCTUATION = regex.compile(
    # that of other scripts, wherever it stands; that which all scripts share, next to a letter that is not Latin
    rf"(?V1)[\p{{P}}--[\u0000-\u036f\u2000-\u2e7f]]|(?<={_FOREIGN_LETTER})\p{{P}}+|\p{{P}}+(?={_FOREIGN_LETTER})"
)


def normalize(text: str) -> str:
    """Lower case, without punctuation, without the articles a/an/the, single spaces between words.

    In this order, as in evaluate-v1.1.py: punctuation is deleted (not replaced by a space) before articles
    are looked for, so that "the-cat" is "thecat" and "a." is empty. In Latin script it is ASCII's punctuation that
    is deleted, as there: typographic quotes stay. What the script, made for English, does not say: other scripts'
    punctuation is deleted too, and any that stands next to their letters; East Asian punctuation, which no space
    follows, becomes one; words of scripts without spaces are graphemes (`aftertune.word_breaks`).

    >>> normalize("The  U.S. (an army)")
    'us army'
    >>> normalize("「東京」です。")
    '東 京 で す'
    """
    text = text.lower().translate(_PUNCTUATION)
    if not text.isascii():
        text = _FOREIGN_PUNCTUATION.sub("", _EAST_ASIAN_PUNCTUATION.sub(" ", text))
    return " ".join(separated(_ARTICLES.sub(" ", text)).split())
