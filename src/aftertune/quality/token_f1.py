"""Token F1 of SQuAD."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from aftertune.quality.metric import quality
from aftertune.quality.squad_text import SETTINGS, normalize
from aftertune.types import Floats


@quality(
    title="Token F1 (SQuAD)",
    range=(0, 1),
    source="Rajpurkar et al. 2016",
    settings={**SETTINGS, "refs": "max"},
)
def token_f1(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """F1 of the words of output and reference as bags, maximum over references.

    F1 = 2 P R / (P + R), P and R being the shared words over those of the output and of the reference,
    after SQuAD's normalisation (`aftertune.quality.squad_text`). As in evaluate-v1.1.py the value is 0
    without a shared word, also when output and reference are both empty after normalisation.

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
