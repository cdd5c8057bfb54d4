"""Label-swap permutation test of a change of the correlation: a cross-check of the bootstrap.

Notation: n items, R training runs, S scores, B permutations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aftertune.stats.bootstrap import Checkpoint
from aftertune.stats.correlation import MAX_UNDEFINED
from aftertune.stats.ranks import centred_ranks
from aftertune.types import Floats

_BLOCK_VALUES = 2**22
_TOLERANCE = 1e-12


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
    permutations (fewer are left out).

    Notes
    -----
    Sums of ranks, squares and products are linear in the 0/1 vector of exchanged items, so all permutations are
    one matrix product (R (2 + 3 S), n) × (n, B), in integers that float64 holds exactly up to n ≈ 2·10⁵.

    Its null hypothesis is that the two labels of an item are exchangeable, which is more than an equal rho;
    it says nothing about another training run. Rejection rate at alpha 0.05 by simulation, with another scale at
    the second checkpoint, heavy ties at both, and (with rho = 0) heavy ties at the second alone: 0.042 to 0.052
    with n = 100 and 300 (3,000 data sets a cell). The tests repeat it.
    """
    n, n_scores = len(ends[0][0].quality), len(ends[0][0].confidence)
    if any(c.confidence.shape != (n_scores, n) for pair in ends for c in pair):
        raise ValueError("both ends of all runs must have the same items and scores")
    runs = [_Moments.of(*pair) for pair in ends]
    features = np.concatenate([run.difference for run in runs])
    observed = _mean_change(runs, np.zeros((len(features), 1)), n)[:, 0]
    extreme, defined = np.zeros(n_scores), np.zeros(n_scores)
    width = max(1, min(permutations, _BLOCK_VALUES // max(n, 1)))
    for start in range(0, permutations, width):
        swapped = rng.integers(0, 2, size=(min(width, permutations - start), n), dtype=np.int8)
        change = _mean_change(runs, features @ swapped.T.astype(np.float64), n)
        there = np.isfinite(change)
        defined += there.sum(axis=1)
        extreme += (there & (np.abs(change) >= np.abs(observed)[:, None] - _TOLERANCE)).sum(axis=1)
    p = (1 + extreme) / (1 + defined)
    p[~np.isfinite(observed) | (defined < (1 - MAX_UNDEFINED) * permutations)] = np.nan
    return p


class _Moments:
    """Sums over items of one run: of quality, its square, and for each score confidence, its square, product.

    Attributes
    ----------
    at_from, at_to : (2 + 3 S,) as they are.
    difference : (2 + 3 S, n) what exchanging an item adds to those at `to` and takes from those at `from`.
    """

    def __init__(self, from_: Floats, to: Floats) -> None:
        self.at_from, self.at_to = from_.sum(axis=1), to.sum(axis=1)
        self.difference = from_ - to

    @classmethod
    def of(cls, from_: Checkpoint, to: Checkpoint) -> _Moments:
        return cls(cls._terms(from_), cls._terms(to))

    @staticmethod
    def _terms(checkpoint: Checkpoint) -> Floats:
        quality = centred_ranks(checkpoint.quality)
        confidence = np.array([centred_ranks(row) for row in checkpoint.confidence])
        terms = [quality[None], quality[None] ** 2, confidence, confidence**2, confidence * quality]
        return np.concatenate(terms).astype(np.float64)


def _mean_change(runs: Sequence[_Moments], moved: Floats, n: int) -> Floats:
    """(S, b) mean over runs of correlation at `to` minus that at `from`, given the sums of exchanged items."""
    width = len(moved) // len(runs)
    total: Floats | float = 0.0
    for r, run in enumerate(runs):
        own = moved[r * width : (r + 1) * width]
        total = total + _correlation(run.at_to[:, None] + own, n) - _correlation(run.at_from[:, None] - own, n)
    return np.asarray(total) / len(runs)


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
