"""chrF2: F-score of character n-grams up to 6, beta = 2 (Popović 2015), by sacreBLEU.

Equal texts have 1. Not symmetric: recall, over the reference's n-grams, weighs more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np

from aftertune.scores.similarity import Similarity, add
from aftertune.types import Floats


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Floats:
    """Sentence chrF2 / 100 of each pair, in [0, 1]."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    scores = [metric.sentence_score(h, [r]).score for h, r in zip(hypotheses, references, strict=True)]
    return np.clip(np.array(scores, dtype=np.float64) / 100, 0.0, 1.0)


def _settings() -> Mapping[str, str]:
    return {"similarity": "chrF2", "sacrebleu": version("sacrebleu")}


add("chrf", Similarity(compare=chrf, settings=_settings))
