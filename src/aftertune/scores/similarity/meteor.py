"""METEOR (Lavie & Agarwal 2007) by NLTK: alpha 0.9, beta 3, gamma 0.5.

Words match exactly, by Porter stem, and, where WordNet is installed, by synonym (`wordnet`); the settings say
which. NLTK hands the stems of unmatched words to the synonym stage, so a word whose stem
is no word ("automobil") finds none there; that is left as it is. Equal texts of m words have 1 − 0.5 / m³,
not 1: 0.5 for one word. Not symmetric: recall weighs more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np

from aftertune.scores.similarity import Similarity, add
from aftertune.scores.similarity.wordnet import Synonyms, load
from aftertune.scores.similarity.words import words
from aftertune.types import Floats


def meteor(hypotheses: Sequence[str], references: Sequence[str], *, wordnet: Synonyms | None = None) -> Floats:
    """METEOR of each pair, in [0, 1).

    Parameters
    ----------
    wordnet
        Where synonyms are looked up; None for the installed WordNet, if there is one.
    """
    from nltk.translate.meteor_score import single_meteor_score

    synonyms = load() if wordnet is None else wordnet
    values = [
        # NLTK takes the reference first
        single_meteor_score(words(reference), words(hypothesis), wordnet=synonyms)  # pyright: ignore[reportArgumentType]
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
    return np.array(values, dtype=np.float64)


def _settings() -> Mapping[str, str]:
    return {"similarity": "meteor", "wordnet": load().version, "nltk": version("nltk")}


add("meteor", Similarity(compare=meteor, settings=_settings))
