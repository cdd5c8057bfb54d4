"""How SQuAD compares short answers: the normalisation of its official evaluation script (v1.1)."""

from __future__ import annotations

import re
import string

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize(text: str) -> str:
    """Lower case, without ASCII punctuation, without the articles a/an/the, single spaces.

    In this order, as in evaluate-v1.1.py: punctuation is deleted (not replaced by a space) before articles
    are looked for, so that "the-cat" is "thecat" and "a." is empty.

    >>> normalize("The  U.S. (an army)")
    'us army'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())
