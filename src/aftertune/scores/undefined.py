"""Where a score is undefined, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aftertune.types import Beams, DropoutSamples, Floats, Greedy, ItemScores

Case = tuple[Any, str]  # (n,) booleans, and why


def item_scores(value: ArrayLike, *cases: Case) -> ItemScores:
    """`ItemScores` that are NaN, with the reason of the first case that applies, where any case applies.

    >>> item_scores([-0.5, 9.0], (np.array([False, True]), "no tokens")).value.tolist()
    [-0.5, nan]
    """
    value = np.array(value, dtype=np.float64) + 0.0  # a copy; −0.0 becomes 0.0
    reason = np.full(value.shape, None, dtype=object)
    for where, why in reversed(cases):
        value[where] = np.nan
        reason[where] = why
    return ItemScores(value=value, reason=reason)


def greedy_cases(greedy: Greedy) -> list[Case]:
    """Items for which nothing was generated."""
    return [(greedy.n_tokens == 0, "the greedy output has no tokens")]


def beam_cases(beams: Beams) -> list[Case]:
    """Items with fewer than two beams; a beam that the search could not fill does not count."""
    return [((beams.n_tokens > 0).sum(axis=1) < 2, "fewer than two beams")]


def dropout_cases(dropout: DropoutSamples) -> list[Case]:
    """Items with fewer than two dropout samples, or with one that has no tokens."""
    n, samples = dropout.n_tokens.shape
    return [
        (np.full(n, samples < 2), "fewer than two dropout samples"),
        ((dropout.n_tokens == 0).any(axis=1), "a dropout sample has no tokens"),
    ]


def empty_pair_case(similarity: Floats) -> Case:
    """Items with a text pair whose similarity, (n, pairs), is undefined because both texts are empty."""
    return np.isnan(similarity).any(axis=1), "both outputs are empty"
