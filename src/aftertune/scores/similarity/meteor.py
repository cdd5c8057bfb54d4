"""METEOR (Lavie & Agarwal 2007) by NLTK: alpha 0.9, beta 3, gamma 0.5.

Words match exactly, by Porter stem, and, where WordNet is installed, by synonym (`wordnet`); the settings say
which. NLTK hands the stems of unmatched words to the synonym stage, so a word whose stem is no word ("automobil")
finds none there; that is left as it is. Equal texts of m words have 1 − 0.5 / m³,
not 1: 0.5 for one word. Not symmetric: recall weighs more, and the hypothesis's synonyms are looked up.
The words of a text, and the stems and synonyms of a word, are found once; the rest is NLTK's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version

import numpy as np

from aftertune.scores.similarity import TEXTS_KEPT, Similarity, add
from aftertune.scores.similarity.wordnet import WordNet, find, load
from aftertune.scores.similarity.wordnet import version as wordnet_version
from aftertune.types import Floats
from aftertune.word_breaks import TOKENS, words


def meteor(hypotheses: Sequence[str], references: Sequence[str], *, wordnet: WordNet | None = None) -> Floats:
    """METEOR of each pair, in [0, 1).

    Parameters
    ----------
    wordnet
        Where synonyms are looked up; None for the installed WordNet, if there is one.
    """
    from nltk.translate.meteor_score import single_meteor_score

    synonyms = load() if wordnet is None else wordnet
    stems = _stems()
    words_of = lru_cache(maxsize=TEXTS_KEPT)(words)
    values = [
        # NLTK takes the reference first
        single_meteor_score(words_of(reference), words_of(hypothesis), stemmer=stems, wordnet=synonyms)  # pyright: ignore[reportArgumentType]
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
    return np.array(values, dtype=np.float64)


class _Stems:
    """NLTK's Porter stemmer, which stems each word once."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem = lru_cache(maxsize=2**16)(PorterStemmer().stem)


_stems = lru_cache(maxsize=1)(_Stems)


def _settings() -> Mapping[str, str]:
    return {"similarity": "meteor", "wordnet": wordnet_version(find()), "nltk": version("nltk"), "tokens": TOKENS}


add("meteor", Similarity(compare=meteor, settings=_settings, pairs_per_process=60_000))
