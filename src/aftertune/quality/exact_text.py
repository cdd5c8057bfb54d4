"""Exact match of the whole text, as SQuAD's exact match."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aftertune.quality.metric import quality
from aftertune.quality.squad_text import SETTINGS, normalize
from aftertune.types import Floats


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
