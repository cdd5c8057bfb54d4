"""Sentence BLEU (Papineni et al. 2002) by sacreBLEU.

Tokenizer 13a, exponential smoothing, effective order (texts shorter than four tokens are judged by the
n-grams that they have). Equal texts have 1. Not symmetric: the brevity penalty falls on a short hypothesis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np

from aftertune.scores.similarity import Similarity, add
from aftertune.types import Floats


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> Floats:
    """Sentence BLEU / 100 of each pair, in [0, 1]."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(smooth_method="exp", effective_order=True, tokenize="13a")
    scores = [metric.sentence_score(h, [r]).score for h, r in zip(hypotheses, references, strict=True)]
    return np.clip(np.array(scores, dtype=np.float64) / 100, 0.0, 1.0)  # equal texts: 100.00000000000004


def _settings() -> Mapping[str, str]:
    return {
        "similarity": "bleu",
        "eff": "yes",
        "tok": "13a",
        "smooth": "exp",
        "sacrebleu": version("sacrebleu"),
    }


add("bleu", Similarity(compare=bleu, settings=_settings))
