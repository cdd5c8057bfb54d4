"""Isotonic regression of right and wrong answers on a score."""

from __future__ import annotations

import numpy as np
from scipy import optimize

from aftertune.types import Floats


def isotonic_steps(values: Floats, correct: Floats) -> tuple[Floats, Floats]:
    """Distinct values, rising, and at each the fitted share correct: least squares among what does not fall.

    Labels of equal values are averaged first and weigh as many as they are. Pool-adjacent-violators
    (``scipy.optimize.isotonic_regression``). All values finite.

    >>> isotonic_steps(np.array([1.0, 2.0, 3.0, 3.0]), np.array([1.0, 0.0, 1.0, 1.0]))[1].tolist()
    [0.5, 0.5, 1.0]
    """
    distinct, group, size = np.unique(values, return_inverse=True, return_counts=True)
    share = np.bincount(group.reshape(-1), correct, len(distinct)) / size
    # Means of shares can leave [0, 1] by rounding.
    return distinct, np.clip(optimize.isotonic_regression(share, weights=size).x, 0, 1)
