"""Answers that are right or wrong: checks that the statistics of correctness share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aftertune.types import Floats


def with_labels(values: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    """Confidences or probabilities (n,) and labels (n,), as float64.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or a label is neither 0 nor 1: items without a value or a
        judgement are the caller's to leave out, and to count.
    """
    values, correct = with_quality(values, correct)
    if not np.isin(correct, (0.0, 1.0)).all():
        raise ValueError("labels of correctness must be 0 or 1")
    return values, correct


def with_quality(values: ArrayLike, quality: ArrayLike) -> tuple[Floats, Floats]:
    """The same with a graded quality in [0, 1] in the place of a label.

    Raises
    ------
    ValueError
        As `with_labels`, and for a quality outside [0, 1].
    """
    values, quality = np.asarray(values, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    if values.ndim != 1 or values.shape != quality.shape:
        raise ValueError(f"values have shape {values.shape}, correctness or quality {quality.shape}")
    if not np.isfinite(values).all():
        raise ValueError("values must be finite")
    if not ((quality >= 0) & (quality <= 1)).all():
        raise ValueError("correctness or quality must lie between 0 and 1")
    return values, quality


def why_one_class(correct: Floats) -> str:
    """Why labels do not hold both classes; "" where they do.

    >>> why_one_class(np.array([1.0, 1.0])), why_one_class(np.array([1.0, 0.0]))
    ('all 2 answers are correct: nothing to tell apart', '')
    """
    n, right = len(correct), int(np.sum(correct))
    if n == 0:
        return "no items"
    if 0 < right < n:
        return ""
    return f"{f'all {n}' if right else f'none of {n}'} answers are correct: nothing to tell apart"
