"""Short answers as SQuAD's evaluation script (v1.1) scores them, in any alphabet: exact text and token F1."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
import regex

from aftertune.quality.metric import quality
from aftertune.types import Floats
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


@quality(
    title="Exact text (SQuAD)",
    range=(0, 1),
    source="Rajpurkar et al. 2016",
    settings={**SETTINGS, "refs": "max"},
)
def exact_text(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """1 where the output equals one of its references after SQuAD's normalisation, else 0.

    Returns
    -------
    (n,) float64, 0 or 1. Two texts that are empty after normalisation are equal.
    """
    return np.array(
        [normalize(output) in map(normalize, refs) for output, refs in zip(outputs, references)],
        dtype=np.float64,
    )


@quality(
    title="Token F1 (SQuAD)",
    range=(0, 1),
    source="Rajpurkar et al. 2016",
    settings={**SETTINGS, "refs": "max"},
)
def token_f1(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """F1 of the words of output and reference as bags, maximum over references.

    F1 = 2 P R / (P + R), P and R the number of shared words over those of the output and of the reference, after
    SQuAD's normalisation (`normalize`). As in evaluate-v1.1.py the value is 0 without a shared word, also when
    output and reference are both empty after normalisation.

    Returns
    -------
    (n,) float64 in [0, 1].
    """
    return np.array(
        [max(_f1(output, ref) for ref in refs) for output, refs in zip(outputs, references)], dtype=np.float64
    )


def _f1(output: str, reference: str) -> float:
    words, wanted = normalize(output).split(), normalize(reference).split()
    shared = sum((Counter(words) & Counter(wanted)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(words), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)
