"""Midranks as integers, so that what is computed from them does not depend on the order of the items."""

from __future__ import annotations

import numpy as np

from aftertune.types import Floats, Ints


def tied_groups(values: Floats) -> tuple[Ints, Ints]:
    """Which group of equal values each of n is in, lowest first, (n,), and how many are in each. All finite."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.append(True, ordered[1:] != ordered[:-1])[: len(values)]
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.cumsum(starts) - 1
    return group, np.bincount(group)


def centred_ranks(values: Floats) -> Ints:
    """(n,) twice the midranks (average ranks of ties) minus their mean: integers of sum 0. All values finite.

    As ``scipy.stats.rankdata`` (tested), in a third of its time for a hundred values.

    >>> centred_ranks(np.array([5.0, 1.0, 5.0])).tolist()
    [1, -2, 1]
    """
    group, size = tied_groups(np.asarray(values))
    return (2 * np.cumsum(size) - size - len(values))[group]


def share_below(values: Floats) -> Floats:
    """(n,) share of the other items below each, 0–1, ties half; 0 for a single item. All values finite.

    >>> share_below(np.array([5.0, 1.0, 5.0])).tolist()
    [0.75, 0.0, 0.75]
    """
    others = max(len(values) - 1, 1)
    return (centred_ranks(values) + (len(values) - 1)) / (2 * others)
