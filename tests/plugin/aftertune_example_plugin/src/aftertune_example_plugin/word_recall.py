"""A quality metric: how many of the reference's words the output has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aftertune.quality import quality
from aftertune.types import Floats


@quality(title="Word recall", range=(0.0, 1.0), source="an example")
def word_recall(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """Share of a reference's distinct words that stand in the output, of the best reference; in [0, 1]."""

    def recall(output: str, reference: str) -> float:
        wanted = set(reference.lower().split())
        return len(wanted & set(output.lower().split())) / max(len(wanted), 1)

    best = [max(recall(output, r) for r in refs) for output, refs in zip(outputs, references, strict=True)]
    return np.array(best, dtype=np.float64)
