"""ROUGE-L (Lin 2004): F1 of the longest common subsequence of words. Symmetric; equal texts have 1."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from aftertune.scores.similarity import TEXTS_KEPT, Similarity, add
from aftertune.types import Floats
from aftertune.word_breaks import TOKENS, words


def longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the dynamic programme being the bits of one integer.

    Hyyrö 2004, "Bit-parallel LCS-length computation revisited".

    >>> longest_common_subsequence("a b c d".split(), "b x d".split())
    2
    """
    where: dict[str, int] = defaultdict(int)
    for i, word in enumerate(a):
        where[word] |= 1 << i
    everything = (1 << len(a)) - 1
    row = everything
    for word in b:
        both = row & where.get(word, 0)
        row = ((row + both) | (row - both)) & everything
    return len(a) - row.bit_count()


def rouge_l(hypotheses: Sequence[str], references: Sequence[str]) -> Floats:
    """F1 of the longest common subsequence of each pair, in [0, 1]: 2 LCS / (number of words in both)."""
    words_of = lru_cache(maxsize=TEXTS_KEPT)(words)
    values = []
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        a, b = words_of(hypothesis), words_of(reference)
        values.append(2 * longest_common_subsequence(a, b) / (len(a) + len(b)))
    return np.array(values, dtype=np.float64)


def _settings() -> Mapping[str, str]:
    return {"similarity": "rouge_l", "tokens": TOKENS}


add("rouge_l", Similarity(compare=rouge_l, settings=_settings, symmetric=True))
