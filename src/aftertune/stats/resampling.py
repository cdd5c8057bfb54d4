"""Resampled and permuted items: the bootstrap of Spearman's rho, and the label-swap test of its change.

Notation: n items, B resamples or permutations, G groups of equal values, R training runs, S scores, w_bi how often
resample b holds item i (sum_i w_bi = n). A resample of n items never needs to be written out: with the values
sorted once, group g of equal values holds c_g = sum of w over its items, and its midrank, centred and doubled, is
the integer

    a_g = C_g + C_(g−1) − n,    C_g = c_1 + … + c_g .

So rho = sum_i w_i a_x(i) a_y(i) / sqrt(sum_g c_g a_x(g)² · sum_h c_h a_y(h)²), and sum_g c_g a_g² =
(n³ − sum_g c_g³) / 3. All of these are sums of integers, exact in float64 up to n ≈ 2·10⁵.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from aftertune.stats.ranks import centred_ranks
from aftertune.types import Floats

_BLOCK_VALUES = 2**17
"""Values in one (n, b) block of float64: 1 MiB, so that a block stays in the processor's cache."""

_SWAP_BLOCK_VALUES = 2**22
"""The same for the label swap, one matrix product a block."""

_TOLERANCE = 1e-12

MAX_UNDEFINED = 0.05
"""No interval is given when a larger share of resamples than this has no correlation."""

_LAYERS = 32
"""Layers of `TieGroups`, whose rows exceed the number of items by less than this."""


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


def common_items(checkpoints: Sequence[Checkpoint]) -> int:
    """n of one or more checkpoints; ValueError unless all have as many items."""
    n = len(checkpoints[0].quality)
    if any(len(c.quality) != n for c in checkpoints):
        raise ValueError("checkpoints to resample together must have the same items")
    return n


def shape_of_ends(ends: Sequence[tuple[Checkpoint, Checkpoint]]) -> tuple[int, int]:
    """(S, n) of the (from, to) of one or more training runs; ValueError unless all have the same."""
    if not ends:
        raise ValueError("a change needs at least one training run")
    shape = ends[0][0].confidence.shape
    if any(c.confidence.shape != shape for pair in ends for c in pair):
        raise ValueError("both ends of all runs must have the same items and scores")
    return shape


def multiplicities(n: int, resamples: int, rng: np.random.Generator) -> Floats:
    """(n, B): how often each of B resamples (n draws with replacement) holds each of n items.

    The columns do not depend on how many are drawn at a time.
    """
    drawn = rng.integers(0, n, size=(resamples, n))
    drawn *= resamples
    drawn += np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=n * resamples).reshape(n, resamples).astype(np.float64)


def resampled_spearman(
    checkpoints: Sequence[Checkpoint], *, resamples: int, rng: np.random.Generator
) -> list[Floats]:
    """Spearman's rho of every score at every checkpoint on the same B resamples of the items.

    Because the resamples are shared, differences between checkpoints are paired by item, and averages over
    training runs keep the dependence that comes from their common test items.

    Parameters
    ----------
    checkpoints
        Each over the same n items in the same order; the number of scores may differ.
    resamples
        B.

    Returns
    -------
    One (B, S) array for each checkpoint; NaN where confidence or quality is constant in the resample.

    Notes
    -----
    Time is about 2 to 4 ns × n × B × S × checkpoints on one core; memory is that of the result plus a few MiB.
    A score that is the same at several checkpoints, with the same quality, is computed once. Two threads gain
    next to nothing: the work is many short operations on data that come from memory.
    Equal to ``scipy.stats.spearmanr`` on the expanded resample to 1e-10 (tested, with heavy ties).
    """
    if not checkpoints:
        return []
    n = common_items(checkpoints)
    qualities, rows = _distinct(checkpoints)
    found = np.empty((sum(len(one.rows) for one in qualities), resamples))
    for block, weight in blocks(n, resamples, rng):
        of_block = _Block(weight)
        for one in qualities:
            found[one.rows, block] = of_block.rhos(one)
    return [found[own].T.copy() for own in rows]


def blocks(n: int, resamples: int, rng: np.random.Generator) -> Iterator[tuple[slice, Floats]]:
    """A block of b of the B resamples at a time, and its `multiplicities` (n, b)."""
    width = max(8, _BLOCK_VALUES // n)
    for start in range(0, resamples, width):
        stop = min(start + width, resamples)
        yield slice(start, stop), multiplicities(n, stop - start, rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class TieGroups:
    """Equal values of one variable over n items.

    Groups are laid out in L layers of K: the group of rank k·L + l (from the smallest, empty ones at the end)
    is row l·K + k. Cumulative sums over ranks are then additions of whole layers (see `cumulated`).

    Attributes
    ----------
    n : items.
    row : (n,) the row of each item's group.
    layers : L.
    item : (L·K,) where no two values are equal, the item of each row, n for an empty one; else None.
    gather : (L·K, n + 1) sums a per-item quantity over each group; None where `item` is not.
    """

    n: int
    row: np.ndarray
    layers: int
    item: np.ndarray | None
    gather: sparse.csr_matrix | None

    @classmethod
    def of(cls, values: Floats) -> TieGroups:
        """The groups of (n,) values."""
        n = len(values)
        order = np.argsort(values)
        ordered = values[order]
        rank = np.cumsum(np.r_[0, ordered[1:] != ordered[:-1]])
        n_groups = int(rank[-1]) + 1
        layers = min(_LAYERS, n_groups)
        chunks = -(-n_groups // layers)
        row = np.empty(n, dtype=np.int64)
        row[order] = rank % layers * chunks + rank // layers
        if n_groups == n:
            item = np.full(layers * chunks, n)
            item[row] = np.arange(n)
            return cls(n=n, row=row, layers=layers, item=item, gather=None)
        gather = sparse.csr_matrix((np.ones(n), (row, np.arange(n))), shape=(layers * chunks, n + 1))
        return cls(n=n, row=row, layers=layers, item=None, gather=gather)

    @property
    def untied(self) -> bool:
        return self.item is not None

    def summed(self, values: Floats, scratch: Floats) -> Floats:
        """(n + 1, b), the last row zero → (L·K, b) sums over each group, possibly in the memory of `scratch`."""
        if self.item is not None:
            return values.take(self.item, axis=0, out=scratch[: len(self.item)], mode="clip")
        assert self.gather is not None
        return self.gather @ values

    def cumulated(self, values: Floats) -> Floats:
        """(L·K, b) cumulative sums over the ranks, in place.

        Several times faster than ``np.cumsum(axis=0)``, whose scalar additions wait for one another.
        """
        layer = values.reshape(self.layers, -1, values.shape[1])
        for i in range(1, self.layers):
            layer[i] += layer[i - 1]
        layer[:, 1:] += np.cumsum(layer[-1, :-1], axis=0)
        return values


@dataclass(frozen=True, slots=True)
class _Quality:
    """One quality, the different confidences that go with it, and the rows of the result that they fill."""

    groups: TieGroups
    confidences: list[TieGroups] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


def _distinct(checkpoints: Sequence[Checkpoint]) -> tuple[list[_Quality], list[list[int]]]:
    """Each different pair of quality and confidence once; and for each checkpoint the rows of its scores."""
    known: dict[bytes, TieGroups] = {}
    qualities: dict[bytes, _Quality] = {}
    row_of: dict[tuple[bytes, bytes], int] = {}

    def groups(values: Floats) -> TieGroups:
        key = values.tobytes()
        if key not in known:
            known[key] = TieGroups.of(values)
        return known[key]

    rows: list[list[int]] = []
    for checkpoint in checkpoints:
        key = checkpoint.quality.tobytes()
        quality = qualities.setdefault(key, _Quality(groups(checkpoint.quality)))
        rows.append([])
        for confidence in checkpoint.confidence:
            pair = key, confidence.tobytes()
            if pair not in row_of:
                row_of[pair] = len(row_of)
                quality.confidences.append(groups(confidence))
                quality.rows.append(row_of[pair])
            rows[-1].append(row_of[pair])
    return list(qualities.values()), rows


class _Block:
    """A block of b resamples, and the rho of scores on them.

    Attributes
    ----------
    weight : (n + 1, b); the last row, of zeros, is the item that no resample holds.
    cubes : (b,) sum_i w_i³, what sum_g c_g³ is without ties.
    """

    def __init__(self, weight: Floats) -> None:
        n, b = weight.shape
        self.weight = np.concatenate([weight, np.zeros((1, b))])
        self.cubes = np.einsum("ib,ib,ib->b", weight, weight, weight)
        # Freshly allocated memory is slow at first use: two large arrays serve all scores.
        self._scratch = np.empty((2, n + _LAYERS, b))

    def rhos(self, of: _Quality) -> Floats:
        """(scores, b): rho of a quality with each of its confidences."""
        quality = of.groups
        count = quality.summed(self.weight, self._scratch[0])
        quality_spread = self._spread(quality, count)
        rank = quality.cumulated(count.copy())
        rank *= 2
        rank -= count
        rank -= quality.n
        weighted = np.zeros_like(self.weight)
        rank.take(quality.row, axis=0, out=weighted[:-1], mode="clip")
        weighted *= self.weight
        untied = np.einsum("ib,ib->b", weighted, self.weight)
        rhos = [self._rho(one, weighted, quality_spread, untied) for one in of.confidences]
        return np.reshape(rhos, (len(rhos), len(untied)))

    def _rho(self, confidence: TieGroups, weighted: Floats, quality_spread: Floats, untied: Floats) -> Floats:
        """(b,); `weighted` is w_i a_y(i), `untied` sum_i w_i² a_y(i), which sum_g other_g c_g is without ties."""
        count = confidence.summed(self.weight, self._scratch[0])
        other = confidence.summed(weighted, self._scratch[1])
        spread = self._spread(confidence, count)
        # sum_g other_g a_g, where the term with n vanishes because sum_i w_i a_y(i) = 0.
        product = -untied if confidence.untied else -np.einsum("gb,gb->b", other, count)
        product += 2 * np.einsum("gb,gb->b", other, confidence.cumulated(count))
        scale = np.sqrt(spread * quality_spread)
        return np.divide(product, scale, out=np.full(len(scale), np.nan), where=scale > 0)

    def _spread(self, variable: TieGroups, count: Floats) -> Floats:
        """sum_g c_g a_g² of each resample, shape (b,); 0 where the variable is constant."""
        cubes = self.cubes if variable.untied else np.einsum("gb,gb,gb->b", count, count, count)
        return (float(variable.n) ** 3 - cubes) / 3


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
