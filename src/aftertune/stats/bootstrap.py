"""Spearman's rho on resampled items, exactly, without sorting again for each resample.

Notation: n items, B resamples, G groups of equal values, S scores, w_bi how often resample b holds item i
(sum_i w_bi = n). A resample of n items never needs to be written out: with the values sorted once, group g
of equal values holds c_g = sum of w over its items, and its midrank, centred and doubled, is the integer

    a_g = C_g + C_(g−1) − n,    C_g = c_1 + … + c_g .

So rho = sum_i w_i a_x(i) a_y(i) / sqrt(sum_g c_g a_x(g)² · sum_h c_h a_y(h)²), and sum_g c_g a_g² =
(n³ − sum_g c_g³) / 3. All of these are sums of integers, exact in float64 up to n ≈ 2·10⁵.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from aftertune.stats.threads import usable_threads
from aftertune.stats.tie_groups import SPARE_ROWS, TieGroups
from aftertune.types import Floats

_BLOCK_VALUES = 2**17
"""Values in one (n, b) block of float64: 1 MiB, so that a block stays in the processor's cache."""

_WORTH_THREADS = 2**24
"""Items × resamples × scores below which threads cost more than they save."""


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


def multiplicities(n: int, resamples: int, rng: np.random.Generator) -> Floats:
    """(n, B): how often each of B resamples (n draws with replacement) holds each of n items.

    The columns do not depend on how many are drawn at a time.
    """
    drawn = rng.integers(0, n, size=(resamples, n))
    drawn *= resamples
    drawn += np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=n * resamples).reshape(n, resamples).astype(np.float64)


def resampled_spearman(
    checkpoints: Sequence[Checkpoint], *, resamples: int, rng: np.random.Generator, threads: int | None = None
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
    rng
        The only source of randomness; the result depends neither on the block size nor on the threads.
    threads
        By default as many as `usable_threads` says, where the work is worth it.

    Returns
    -------
    One (B, S) array for each checkpoint; NaN where confidence or quality is constant in the resample.

    Notes
    -----
    Time is about 2 to 4 ns × n × B × S × checkpoints on one core; memory is that of the result plus a few MiB for
    each thread. A score that is the same at several checkpoints, with the same quality, is computed once.
    Equal to ``scipy.stats.spearmanr`` on the expanded resample to 1e-10 (tested, with heavy ties).
    """
    if not checkpoints:
        return []
    n = len(checkpoints[0].quality)
    if any(len(c.quality) != n for c in checkpoints):
        raise ValueError("checkpoints to resample together must have the same items")
    pairs, numbers = _distinct(checkpoints)
    count = sum(len(one.confidences) for one in pairs)
    found = np.empty((count, resamples))
    if threads is None:
        threads = usable_threads() if n * resamples * count > _WORTH_THREADS else 1
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[slice, Future[Floats]]] = deque()
        for block, weight in _blocks(n, resamples, rng):
            waiting.append((block, pool.submit(_rhos, pairs, weight)))
            while len(waiting) > threads:
                _take(waiting, found)
        while waiting:
            _take(waiting, found)
    return [found[index].T.copy() for index in numbers]


def _rhos(pairs: Sequence[_Pairs], weight: Floats) -> Floats:
    """(pairs, b) rho of each pair on the resamples of a block, (n, b) multiplicities."""
    block = _Block(weight)
    return np.concatenate([block.rhos(one) for one in pairs])


def _take(waiting: deque[tuple[slice, Future[Floats]]], found: Floats) -> None:
    block, rhos = waiting.popleft()
    found[:, block] = rhos.result()


def _blocks(n: int, resamples: int, rng: np.random.Generator) -> Iterator[tuple[slice, Floats]]:
    width = max(8, _BLOCK_VALUES // n)
    for start in range(0, resamples, width):
        stop = min(start + width, resamples)
        yield slice(start, stop), multiplicities(n, stop - start, rng)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A quality, and the different confidences that go with it."""

    quality: TieGroups
    confidences: list[TieGroups] = field(default_factory=list)


def _distinct(checkpoints: Sequence[Checkpoint]) -> tuple[list[_Pairs], list[np.ndarray]]:
    """All different pairs of quality and confidence, and for each checkpoint the numbers of its scores' pairs."""
    groups: dict[bytes, TieGroups] = {}
    pairs: dict[bytes, _Pairs] = {}
    rows: dict[bytes, dict[bytes, int]] = {}

    def known(values: Floats) -> tuple[bytes, TieGroups]:
        key = values.tobytes()
        if key not in groups:
            groups[key] = TieGroups.of(values)
        return key, groups[key]

    places: list[tuple[bytes, list[int]]] = []
    for checkpoint in checkpoints:
        quality_key, quality = known(checkpoint.quality)
        of_quality = pairs.setdefault(quality_key, _Pairs(quality))
        at = rows.setdefault(quality_key, {})
        place = []
        for row in checkpoint.confidence:
            key, confidence = known(row)
            if key not in at:
                at[key] = len(at)
                of_quality.confidences.append(confidence)
            place.append(at[key])
        places.append((quality_key, place))
    starts = dict(zip(pairs, np.cumsum([0, *(len(one.confidences) for one in pairs.values())])))
    return list(pairs.values()), [starts[key] + np.array(place, dtype=np.int64) for key, place in places]


class _Block:
    """A block of b resamples, and what is computed from it for all pairs.

    Attributes
    ----------
    weight : (n + 1, b); the last row, of zeros, is the item that no resample holds.
    cubes : (b,) sum_i w_i³, what sum_g c_g³ is without ties.
    """

    def __init__(self, weight: Floats) -> None:
        n, b = weight.shape
        self.weight = np.concatenate([weight, np.zeros((1, b))])
        self.cubes = np.einsum("ib,ib,ib->b", weight, weight, weight)
        # Freshly allocated memory is slow at first use: two large arrays serve all pairs.
        self._scratch = np.empty((2, n + SPARE_ROWS, b))

    def rhos(self, pairs: _Pairs) -> Floats:
        """(scores, b): rho of a quality with each of its confidences."""
        quality = pairs.quality
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
        return np.array([self._rho(one, weighted, quality_spread, untied) for one in pairs.confidences])

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
