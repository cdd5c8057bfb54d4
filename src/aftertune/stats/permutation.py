"""The label-swap permutation test of the change of Spearman's rho between two checkpoints.

Notation: n items, B permutations, R training runs, S scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.stats.ranks import centred_ranks
from aftertune.types import Floats

_SWAP_BLOCK_VALUES = 2**22
"""Values in one (n, b) block of exchanged items, one matrix product a block."""

_TOLERANCE = 1e-12

MAX_UNDEFINED = 0.05
"""No p-value is given when a larger share of permutations than this has no correlation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Values of n items at one checkpoint of one training run; all finite.

    Attributes
    ----------
    quality : (n,).
    confidence : (S, n), one row for each score.
    """

    quality: Floats
    confidence: Floats

    def __post_init__(self) -> None:
        quality = np.asarray(self.quality, dtype=np.float64)
        confidence = np.asarray(self.confidence, dtype=np.float64)
        if quality.ndim != 1 or confidence.ndim != 2 or confidence.shape[1] != len(quality):
            raise ValueError(f"quality has shape {quality.shape}, confidence {confidence.shape}")
        if not (np.isfinite(quality).all() and np.isfinite(confidence).all()):
            raise ValueError("values to resample must be finite")
        object.__setattr__(self, "quality", quality)
        object.__setattr__(self, "confidence", confidence)


def shape_of_ends(ends: Sequence[tuple[Checkpoint, Checkpoint]]) -> tuple[int, int]:
    """(S, n) of the (from, to) of one or more training runs; ValueError unless all have the same."""
    if not ends:
        raise ValueError("a change needs at least one training run")
    shape = ends[0][0].confidence.shape
    if any(c.confidence.shape != shape for pair in ends for c in pair):
        raise ValueError("both ends of all runs must have the same items and scores")
    return shape


def swap_test(
    ends: Sequence[tuple[Checkpoint, Checkpoint]], *, permutations: int, rng: np.random.Generator
) -> Floats:
    """p-value of each score: is the change of rho between two checkpoints what chance labels would give?

    Values are turned into midranks within each checkpoint, so that a shift of the score's scale between the
    checkpoints does not count. In a permutation each item exchanges its pair (rank of quality, rank of
    confidence) between the checkpoints with probability 1/2, in all runs together. The statistic d is the mean
    over runs of the Pearson correlation of these ranks at `to` minus that at `from`; without a permutation it is
    the mean change of Spearman's rho. p = (1 + #{|d*| ≥ |d|}) / (1 + B), equality up to 1e-12.

    Parameters
    ----------
    ends
        (from, to) of each of R runs, over the same n items and S scores.

    Returns
    -------
    (S,); NaN where rho is undefined at some end, or the permuted ranks are constant in more than 5 % of the
    permutations (with fewer, those are left out).

    Notes
    -----
    Sums of ranks, squares and products are linear in the 0/1 vector of exchanged items, so all permutations are
    one matrix product (R (2 + 3 S), n) × (n, B), in integers that float64 holds exactly up to n ≈ 2·10⁵.

    Its null hypothesis is that the two labels of an item are exchangeable, which is more than an equal rho;
    it says nothing about another training run. Rejection rate at alpha 0.05 by simulation, with another scale at
    the second checkpoint, heavy ties at both, and (with rho = 0) heavy ties at the second alone: 0.042 to 0.052
    with n = 100 and 300 (3,000 data sets a cell). The tests repeat it.
    """
    n_scores, n = shape_of_ends(ends)
    terms = [(_terms(from_), _terms(to)) for from_, to in ends]
    sums = [(from_.sum(axis=1), to.sum(axis=1)) for from_, to in terms]
    features = np.concatenate([from_ - to for from_, to in terms])
    observed = _mean_change(sums, np.zeros((len(features), 1)), n)[:, 0]
    extreme, defined = np.zeros(n_scores), np.zeros(n_scores)
    width = max(1, min(permutations, _SWAP_BLOCK_VALUES // max(n, 1)))
    for start in range(0, permutations, width):
        swapped = rng.integers(0, 2, size=(min(width, permutations - start), n), dtype=np.int8)
        change = _mean_change(sums, features @ swapped.T.astype(np.float64), n)
        there = np.isfinite(change)
        defined += there.sum(axis=1)
        extreme += (there & (np.abs(change) >= np.abs(observed)[:, None] - _TOLERANCE)).sum(axis=1)
    p = (1 + extreme) / (1 + defined)
    p[~np.isfinite(observed) | (defined < (1 - MAX_UNDEFINED) * permutations)] = np.nan
    return p


def _terms(checkpoint: Checkpoint) -> Floats:
    """(2 + 3 S, n) ranks of quality, their squares, and for each score those of confidence, squares, products."""
    quality = centred_ranks(checkpoint.quality)
    confidence = np.array([centred_ranks(row) for row in checkpoint.confidence])
    terms = [quality[None], quality[None] ** 2, confidence, confidence**2, confidence * quality]
    return np.concatenate(terms).astype(np.float64)


def _mean_change(sums: Sequence[tuple[Floats, Floats]], moved: Floats, n: int) -> Floats:
    """(S, b) mean over runs of correlation at `to` minus that at `from`, given the sums of exchanged items.

    `sums` are those of `_terms` over all items at `from` and at `to`, for each run; `moved`, (R (2 + 3 S), b), is
    what the exchanged items add at `to` and take away at `from`.
    """
    changes = [
        _correlation(to[:, None] + own, n) - _correlation(from_[:, None] - own, n)
        for (from_, to), own in zip(sums, np.split(moved, len(sums)))
    ]
    return sum(changes, np.zeros(())) / len(sums)


def _correlation(sums: Floats, n: int) -> Floats:
    """(2 + 3 S, b) → (S, b); NaN where quality or confidence is constant."""
    of_quality, quality_squared = sums[0], sums[1]
    of_confidence, confidence_squared, product = np.split(sums[2:], 3)
    quality_spread = _spread(of_quality, quality_squared, n)
    confidence_spread = _spread(of_confidence, confidence_squared, n)
    covariance = n * product - of_quality * of_confidence
    return covariance / np.sqrt(quality_spread * confidence_spread)


def _spread(total: Floats, squared: Floats, n: int) -> Floats:
    """n² times the variance; NaN where it is zero up to rounding."""
    spread = n * squared - total**2
    return np.where(spread > 1e-14 * n * squared, spread, np.nan)
