"""Midranks as integers, so that what is computed from them does not depend on the order of the items."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from aftertune.types import Floats, Ints


def centred_ranks(values: Floats) -> Ints:
    """(n,) twice the midranks (average ranks of ties) minus their mean: integers of sum 0. All values finite.

    >>> centred_ranks(np.array([5.0, 1.0, 5.0])).tolist()
    [1, -2, 1]
    """
    return (2 * rankdata(values)).astype(np.int64) - (len(values) + 1)


def share_below(values: Floats) -> Floats:
    """(n,) share of the other items below each, 0–1, ties half; 0 for a single item. All values finite.

    >>> share_below(np.array([5.0, 1.0, 5.0])).tolist()
    [0.75, 0.0, 0.75]
    """
    others = max(len(values) - 1, 1)
    return (centred_ranks(values) + (len(values) - 1)) / (2 * others)
