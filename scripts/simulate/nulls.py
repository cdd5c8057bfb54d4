"""Is what no change would give what is seen when nothing changes? And is a change seen?

    python -m scripts.simulate.nulls [DATA SETS]     rows of Markdown tables

Confidence and quality of n items are latent bivariate normal with Pearson correlation rho at every epoch. A share
`stability` of either's variance belongs to the item, the rest to the epoch; quality is then cut to 0/1, to values
like F1 (28 % zeros, 8 % ones) or left as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from aftertune.seeds import generator
from aftertune.stats.correlation import rank_correlation
from aftertune.stats.effect import effects
from aftertune.stats.falls import largest_fall
from aftertune.stats.nulls import (
    BothWays,
    Null,
    case1_null,
    case1_of_miscorrelated_null,
    largest_fall_null,
)
from aftertune.stats.pairs import BLOCK, PairShares, mean_shares, pair_changes, pairs_of_each
from aftertune.stats.ranks import centred_ranks
from aftertune.types import Floats

KINDS = ("right/wrong", "F1-like", "continuous")
FOUND = dict[str, tuple[float, Null]]
"""Statistic → what is seen, and what no change would give."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A population.

    Attributes
    ----------
    alike : correlation of what an epoch and the next one add to an item.
    lost : how much of rho the middle epoch loses.
    risen : how far quality rises from an epoch to the next, in latent standard deviations.
    """

    n: int
    kind: str = "continuous"
    rho: float = 0.3
    stability: float = 0.5
    epochs: int = 10
    seeds: int = 1
    alike: float = 0.0
    lost: float = 0.0
    risen: float = 0.0

    def drawn(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """(seeds, epochs, n) confidence and quality."""

        def pair(*shape: int) -> Floats:
            quality, rest = rng.normal(size=(2, *shape, self.n))
            return np.stack([self.rho * quality + np.sqrt(1 - self.rho**2) * rest, quality])

        of_epoch = pair(self.seeds, self.epochs)
        for t in range(1, self.epochs):
            of_epoch[:, :, t] *= np.sqrt(1 - self.alike**2)
            of_epoch[:, :, t] += self.alike * of_epoch[:, :, t - 1]
        confidence, quality = np.sqrt(self.stability) * pair(1, 1) + np.sqrt(1 - self.stability) * of_epoch
        if self.lost:
            kept, middle = 1 - self.lost / self.rho, self.epochs // 2
            other = rng.normal(size=(self.seeds, self.n))
            confidence[:, middle] = kept * confidence[:, middle] + np.sqrt(1 - kept**2) * other
        quality = quality + self.risen * np.arange(self.epochs)[:, None]
        if self.kind == "right/wrong":
            quality = (quality > 0).astype(np.float64)
        elif self.kind == "F1-like":
            quality = np.round(np.clip((quality + 0.6) / 2, 0, 1), 2)
        return confidence, quality


def of_falls(confidence: Floats, quality: Floats, rng: np.random.Generator) -> FOUND:
    """The largest fall, by influence; and by a permutation of each item's epochs, which was left."""
    runs, epochs, n = quality.shape
    at = list(product(range(runs), range(epochs)))
    rho = np.array([rank_correlation(confidence[i], quality[i]) for i in at]).reshape(runs, epochs)
    found = [effects(confidence[i][None], quality[i]).spearman.deviation[0] for i in at]
    influence = np.array(found).reshape(runs, epochs, n)
    seen = largest_fall(np.diff(rho)).mean
    return {"fall": (seen, largest_fall_null(np.diff(influence, axis=1), n_items=n, rng=rng, draws=1000))}


def permuted_falls(confidence: Floats, quality: Floats, rng: np.random.Generator, *, draws: int = 200) -> FOUND:
    """The candidate that was left: each item's epochs in any order."""
    ranks = [np.apply_along_axis(centred_ranks, -1, x).astype(np.float64) for x in (confidence, quality)]

    def fall(x: Floats, y: Floats) -> float:
        x, y = (v - v.mean(axis=-1, keepdims=True) for v in (x, y))
        rho = (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
        return largest_fall(np.diff(rho)).mean

    def permuted() -> float:
        order = np.broadcast_to(np.argsort(rng.random(quality.shape[1:]), axis=0), quality.shape)
        return fall(*(np.take_along_axis(x, order, axis=1) for x in ranks))

    return {"fall": (fall(*ranks), _null([permuted() for _ in range(draws)]))}


def of_pairs(confidence: Floats, quality: Floats, rng: np.random.Generator) -> FOUND:
    """Case 1 from the first epoch to the second, and its mean over all transitions, read backwards."""
    runs, epochs, n = quality.shape
    places = np.linspace(0, n - 1, min(n, BLOCK)).astype(int)
    counted, ways = [], []
    for r, t in product(range(runs), range(epochs - 1)):
        columns = (quality[r, t], confidence[r, t], quality[r, t + 1], confidence[r, t + 1])
        counted.append(pair_changes(*columns))
        both = BothWays.of(counted[-1].both_ways, pairs_of_each(*(x[places] for x in columns)), n)
        assert both is not None
        ways.append(both)
    mean = BothWays.mean(ways, [places] * len(ways), n)
    return {
        **_cases("one transition", mean_shares(counted[:1]), ways[0]),
        **_cases("mean", mean_shares(counted), mean),
    }


def swapped_pairs(confidence: Floats, quality: Floats, rng: np.random.Generator, *, draws: int = 100) -> FOUND:
    """The candidate that was left: each item's ranks exchanged between two checkpoints, or not."""
    q, c = (np.apply_along_axis(centred_ranks, -1, x[0, :2]) for x in (quality, confidence))

    def shares(swap: np.ndarray) -> tuple[float, float]:
        q_, c_ = (np.where(swap, x[::-1], x) for x in (q, c))
        found = mean_shares([pair_changes(q_[0], c_[0], q_[1], c_[1])])
        return found.case1, found.case1 / (found.case1 + found.case2)

    seen = shares(np.zeros(q.shape[1], dtype=bool))
    drawn = np.array([shares(rng.random(q.shape[1]) < 0.5) for _ in range(draws)])
    names = ("case 1, one transition", "case 1 of miscorrelated, one transition")
    return {name: (seen[i], _null(drawn[:, i])) for i, name in enumerate(names)}


def _null(drawn: object) -> Null:
    low, high = np.nanquantile(np.asarray(drawn), (0.025, 0.975)).tolist()
    return Null(value=float(np.nanmean(np.asarray(drawn))), low=low, high=high)


def _cases(of: str, shares: PairShares, both: BothWays) -> FOUND:
    flipped = shares.case1 + shares.case2
    ratio = shares.case1 / flipped if flipped else float("nan")
    return {
        f"case 1, {of}": (shares.case1, case1_null(both)),
        f"case 1 of miscorrelated, {of}": (ratio, case1_of_miscorrelated_null(both)),
    }


@dataclass(frozen=True, kw_only=True)
class Record:
    """Over data sets: shares below, in and above the range; means of what is seen and of the reference."""

    below: float
    inside: float
    above: float
    seen: float
    null: float


def record(
    cell: Cell, of: Callable[[Floats, Floats, np.random.Generator], FOUND], *, data_sets: int, seed: int = 0
) -> dict[str, Record]:
    """What became of a statistic in many data sets of one population; those where it is undefined are left out."""
    rng = generator(seed, cell)
    found = [of(*cell.drawn(rng), rng) for _ in range(data_sets)]
    records = {}
    for name in found[0]:
        values = np.array([(seen, null.value, null.low, null.high) for seen, null in (one[name] for one in found)])
        seen, null, low, high = values[np.isfinite(values).all(axis=1)].T
        records[name] = Record(
            below=float(np.mean(seen < low)),
            inside=float(np.mean((seen >= low) & (seen <= high))),
            above=float(np.mean(seen > high)),
            seen=float(seen.mean()),
            null=float(null.mean()),
        )
    return records


def grid(n: int, kind: str, epochs: int, seeds: int) -> Iterator[Cell]:
    for rho, stability in product((0.0, 0.3, 0.6), (0.1, 0.5, 0.9)):
        yield Cell(n=n, kind=kind, rho=rho, stability=stability, epochs=epochs, seeds=seeds)


def no_change(data_sets: int) -> None:
    """Shares over nine populations a row: rho 0, .3, .6 and stability .1, .5, .9."""
    print(
        "| statistic | items | quality | epochs | seeds | below | inside | above | seen | no change would give |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for n, kind, (epochs, seeds) in product((100, 300, 1000), KINDS, ((3, 1), (10, 1), (10, 3))):
        for of in (of_falls, of_pairs)[: 1 + (epochs == 3)]:
            records = [record(c, of, data_sets=data_sets) for c in grid(n, kind, epochs, seeds)]
            for name in records[0]:
                own = [r[name] for r in records]
                below, inside, above = (
                    np.mean([getattr(r, x) for r in own]) for x in ("below", "inside", "above")
                )
                print(
                    f"| {name} | {n:,} | {kind} | {epochs} | {seeds} | {below:.3f} | {inside:.3f} | {above:.3f} | "
                    f"{_span(r.seen for r in own)} | {_span(r.null for r in own)} |",
                    flush=True,
                )


def _span(values: Iterator[float]) -> str:
    own = list(values)
    return f"{min(own):.3f} to {max(own):.3f}".replace("-", "−")


def row(cell: Cell, of: Callable[[Floats, Floats, np.random.Generator], FOUND], said: str, data_sets: int) -> None:
    for name, r in record(cell, of, data_sets=data_sets).items():
        if cell.epochs == 2 and name.endswith("mean"):
            continue
        numbers = f"{r.below:.3f} | {r.inside:.3f} | {r.above:.3f} | {r.seen:.3f} | {r.null:.3f}"
        print(f"| {name} | {cell.n} | {cell.kind} | {said} | {numbers} |".replace("| -", "| −"), flush=True)


HEAD = (
    "| statistic | items | quality | population | below | inside | above | what is seen | no change would give |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def change(data_sets: int) -> None:
    """Epochs like their neighbours, rising accuracy, and real falls."""
    print(HEAD)
    for kind in KINDS:
        row(Cell(n=100, kind=kind, alike=0.8), of_falls, "neighbouring epochs alike (.8)", data_sets)
        cell = Cell(n=300, kind=kind, epochs=3)
        row(replace(cell, risen=0.8), of_pairs, "quality rises by .8 an epoch", data_sets)
    for n, lost in product((100, 300, 1000), (0.1, 0.2, 0.3)):
        cell = Cell(n=n, rho=0.6, lost=lost)
        row(cell, of_falls, f"rho .6, one epoch {lost:g} lower", data_sets)
        row(replace(cell, epochs=2), of_pairs, f"rho .6, then {lost:g} lower", data_sets)


def candidates(data_sets: int) -> None:
    """The nulls that were left."""
    print(HEAD)
    for alike, said in ((0.0, "epochs alike all the same"), (0.8, "neighbouring epochs alike (.8)")):
        row(Cell(n=100, alike=alike), permuted_falls, f"permuted epochs: {said}", data_sets)
    for kind in KINDS:
        cell = Cell(n=300, kind=kind, rho=0.6, stability=0.9, epochs=2)
        row(cell, swapped_pairs, "swapped items: nothing changes", data_sets)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    no_change(count)
    print()
    change(count)
    print()
    candidates(count)
