"""Sentence BLEU (Papineni et al. 2002) by sacreBLEU.

Tokenizer 13a, after graphemes of scripts without spaces were set apart (for Chinese that is sacreBLEU's zh);
exponential smoothing; effective order (texts shorter than four tokens are judged by the n-grams that they have).
Equal texts have 1. Not symmetric: the brevity penalty falls on a short hypothesis.
Tokens and n-grams are sacreBLEU's, taken once for each text; the matches of two texts, which are the same both
ways round, are counted once; the score is what sacreBLEU makes of these counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np

from aftertune.scores.similarity import TEXTS_KEPT, Similarity, add
from aftertune.types import Floats
from aftertune.word_breaks import TOKENS, separated

ORDER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """A text's number of tokens, its n-grams of order 1 … 4, and the counts of those that occur more than once."""

    n_tokens: int
    ngrams: Sequence[AbstractSet[Any]]
    repeated: Mapping[Any, int]


def _count_matches(a: _Counted, b: _Counted) -> Sequence[int]:
    """Σ_g min(count of g in a, count of g in b) at each order."""
    matches = [len(ours & theirs) for ours, theirs in zip(a.ngrams, b.ngrams)]
    for gram in a.repeated.keys() & b.repeated.keys():
        matches[len(gram) - 1] += min(a.repeated[gram], b.repeated[gram]) - 1
    return matches


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> Floats:
    """Sentence BLEU / 100 of each pair, in [0, 1]."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.helpers import extract_all_word_ngrams

    metric = BLEU(smooth_method="exp", effective_order=True, tokenize="13a", max_ngram_order=ORDER)

    @lru_cache(maxsize=TEXTS_KEPT)
    def counted(text: str) -> _Counted:
        counts, n_tokens = extract_all_word_ngrams(metric.tokenizer(separated(text.rstrip())), 1, ORDER)
        ngrams: list[set[Any]] = [set() for _ in range(ORDER)]
        for gram in counts:
            ngrams[len(gram) - 1].add(gram)
        repeated = {gram: count for gram, count in counts.items() if count > 1}
        return _Counted(n_tokens=n_tokens, ngrams=ngrams, repeated=repeated)

    @lru_cache(maxsize=TEXTS_KEPT)
    def matches(smaller: str, larger: str) -> Sequence[int]:
        return _count_matches(counted(smaller), counted(larger))

    def one(hypothesis: str, reference: str) -> float:
        given, wanted = counted(hypothesis), counted(reference)
        return metric.compute_bleu(
            correct=list(matches(min(hypothesis, reference), max(hypothesis, reference))),
            total=[max(given.n_tokens - n, 0) for n in range(ORDER)],
            sys_len=given.n_tokens,
            ref_len=wanted.n_tokens,
            smooth_method=metric.smooth_method,
            smooth_value=metric.smooth_value,
            effective_order=metric.effective_order,
            max_ngram_order=ORDER,
        ).score

    scores = [one(*pair) for pair in zip(hypotheses, references, strict=True)]
    return np.clip(np.array(scores, dtype=np.float64) / 100, 0.0, 1.0)  # equal texts: 100.00000000000004


def _settings() -> Mapping[str, str]:
    return {
        "similarity": "bleu",
        "eff": "yes",
        "tok": "13a",
        "smooth": "exp",
        "sacrebleu": version("sacrebleu"),
        "tokens": TOKENS,
    }


add("bleu", Similarity(compare=bleu, settings=_settings, pairs_per_process=10_000))
