"""chrF+ by sacreBLEU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sacrebleu
from sacrebleu.metrics.chrf import CHRF

from aftertune.quality.metric import quality
from aftertune.types import Floats

_CHAR_ORDER, _WORD_ORDER, _BETA = 6, 1, 2


@quality(
    title="chrF+",
    range=(0, 100),
    source="Popović 2017",
    settings={
        # sacreBLEU's own signature, in its order; its version stands as `sacrebleu`
        "case": "mixed",
        "eff": "yes",
        "nc": _CHAR_ORDER,
        "nw": _WORD_ORDER,
        "space": "no",
        "sacrebleu": sacrebleu.__version__,
    },
)
def chrf_plus(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """chrF with word order 1: F2 of character 1- to 6-grams and word unigrams, for each sentence.

    F_beta = (1 + β²) P R / (β² P + R), β = 2, P and R averaged over the orders that output and reference
    have; the best reference counts. White space is not a character.

    Returns
    -------
    (n,) float64 in [0, 100]; 0 for an empty output.
    """
    metric = CHRF(char_order=_CHAR_ORDER, word_order=_WORD_ORDER, beta=_BETA)
    value = [metric.sentence_score(output, list(refs)).score for output, refs in zip(outputs, references)]
    return np.clip(np.array(value, dtype=np.float64), 0, 100)
