"""How often verdicts, intervals and stated numbers of items are wrong, in populations that are known.

``python -m scripts.simulate.verdicts [DATA_SETS]`` prints tables of docs/simulations.md, from 2,000 data sets a
cell unless it is said; tests/stats/test_simulations.py runs some cells.

An item has a latent quality and each score a latent noise, normal, of which a share (`stability`) belongs to the
item and is the same at every checkpoint and in every training run. Confidence is r quality + sqrt(1 − r²) noise;
r is chosen so that the tie-adjusted rho is the wanted one after quality is cut (`KINDS`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from scipy import special

from aftertune.stats.change import (
    Simultaneous,
    Spread,
    spread_for_models,
    spread_for_new_run,
    spread_for_training,
)
from aftertune.stats.effect import Effect, effects
from aftertune.stats.verdict import MOST_ITEMS, items_needed, verdict
from aftertune.types import Floats

MARGIN = 0.1
DRAWS = 1000


def _right(share: float) -> Callable[[Floats], Floats]:
    return lambda latent: (latent > -special.ndtri(share)).astype(float)


def _f1(latent: Floats) -> Floats:
    """30 % zeros, 30 % ones, and eleven values between."""
    place = (special.ndtr(latent) - 0.3) / 0.4
    return np.where(place < 0, 0.0, np.where(place > 1, 1.0, 0.05 + 0.9 * np.round(place, 1)))


KINDS: dict[str, Callable[[Floats], Floats]] = {
    "0/1, 60 % right": _right(0.6),
    "0/1, 90 % right": _right(0.9),
    "F1-like": _f1,
    "continuous": lambda latent: latent,
}


@cache
def _rhos(kind: str) -> tuple[Floats, Floats]:
    """Latent correlations, and the adjusted rho that they give."""
    rng = np.random.default_rng(0)
    latent, noise = rng.normal(size=(2, 100_000))
    grid = np.linspace(-0.99, 0.99, 23)
    scores = grid[:, None] * latent + np.sqrt(1 - grid[:, None] ** 2) * noise
    quality = KINDS[kind](latent)
    return grid, np.array([effects(one[None], quality).adjusted.value[0] for one in scores])


def latent_for(rho: Floats | float, kind: str) -> Floats:
    """The latent correlation with this tie-adjusted rho."""
    grid, found = _rhos(kind)
    return np.interp(rho, found, grid)


@dataclass(frozen=True, kw_only=True)
class Design:
    """A study that is simulated.

    Attributes
    ----------
    before, change : tie-adjusted rho before fine-tuning, and its true mean change.
    spread : standard deviation of the change over training runs.
    alike : correlation of the scores' noise.
    kind, kind_after : of quality at both ends (`KINDS`); None for the same.
    """

    n: int
    kind: str = "continuous"
    kind_after: str | None = None
    before: float = 0.5
    change: float = 0.0
    runs: int = 1
    spread: float = 0.0
    scores: int = 1
    alike: float = 0.8
    stability: float = 0.5


@dataclass(frozen=True)
class Data:
    """Changes of a simulated study, (R, S) and (R, S, n), and the true change of each run."""

    observed: Floats
    deviation: Floats
    true: Floats = field(repr=False)

    def spread(self) -> Spread:
        """What the verdict of a study is about."""
        if len(self.observed) == 1:
            return spread_for_models(self.deviation)
        return spread_for_training(self.observed, self.deviation)

    def intervals(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """(S,) lower and upper simultaneous bounds."""
        spread, mean = self.spread(), self.observed.mean(axis=0)
        bounds = Simultaneous(spread.correlation, draws=DRAWS, rng=rng)
        half = np.array([spread.half_width(s, bounds.level) for s in range(len(mean))])
        return mean - half, mean + half


def study(design: Design, rng: np.random.Generator) -> Data:
    """One data set: a model before fine-tuning, and R runs after it, on the same items."""
    d = design
    true = d.change + d.spread * rng.normal(size=d.runs)
    of_item, common = rng.normal(size=d.n), rng.normal(size=d.n)
    noise_of_item = rng.normal(size=(d.scores, d.n))

    def checkpoint(rho: float, kind: str) -> Effect:
        own, shared, noise = rng.normal(size=d.n), rng.normal(size=d.n), rng.normal(size=(d.scores, d.n))
        keep, renew = np.sqrt(d.stability), np.sqrt(1 - d.stability)
        latent = keep * of_item + renew * own
        together = keep * common + renew * shared
        apart = keep * noise_of_item + renew * noise
        r = latent_for(np.clip(rho, -0.97, 0.97), kind)
        noises = np.sqrt(d.alike) * together + np.sqrt(1 - d.alike) * apart
        return effects(r * latent + np.sqrt(1 - r**2) * noises, KINDS[kind](latent)).adjusted

    before = checkpoint(d.before, d.kind)
    after = [checkpoint(d.before + change, d.kind_after or d.kind) for change in true]
    return Data(
        observed=np.array([one.value - before.value for one in after]),
        deviation=np.array([one.deviation - before.deviation for one in after]),
        true=true,
    )


def studies(design: Design, n: int, seed: int = 0) -> Iterator[tuple[Data, np.random.Generator]]:
    """`n` data sets in which every correlation is defined, each with a generator."""
    rng = np.random.default_rng(seed)
    while n:
        data = study(design, rng)
        if np.isfinite(data.observed).all():
            n -= 1
            yield data, rng


@dataclass(frozen=True)
class Rates:
    """Shares of data sets.

    Attributes
    ----------
    fall, rise : any score's interval is below 0, or above it.
    holds : any score's interval excludes a fall by the margin.
    covered : all intervals hold the true mean change.
    """

    fall: float
    rise: float
    holds: float
    covered: float


def rates(design: Design, n: int, seed: int = 0) -> Rates:
    found = []
    for data, rng in studies(design, n, seed):
        low, high = data.intervals(rng)
        # With one run the change of the models at hand is what the interval is of.
        true = data.true.mean() if design.runs == 1 else design.change
        inside = ((low <= true) & (true <= high)).all()
        found.append(((high < 0).any(), (low > 0).any(), (low > -MARGIN).any(), inside))
    return Rates(*np.mean(found, axis=0).tolist())


def new_run_covered(design: Design, n: int, seed: int = 0) -> tuple[float, float]:
    """Shares of studies whose prediction holds another run's true change, and that measured on the same items."""
    more = Design(**{**vars(design), "runs": design.runs + 1})
    found = []
    for data, _ in studies(more, n, seed):
        observed = data.observed[:-1]
        half = spread_for_new_run(observed).half_width(0)
        distance = np.array([data.true[-1], data.observed[-1, 0]]) - observed.mean()
        found.append(np.abs(distance) <= half)
    true, measured = np.mean(found, axis=0).tolist()
    return true, measured


def settled(design: Design, n: int, seed: int = 0) -> tuple[float, int]:
    """Of inconclusive studies the share that the stated number of items settles, and how many state one."""
    found: list[bool] = []
    rng = np.random.default_rng(seed + 1)
    for data, _ in studies(design, n, seed):
        spread, mean = data.spread(), float(data.observed.mean())
        half, variance = spread.half_width(0), float(spread.variance.max())
        if verdict(mean - half, mean + half, margin=MARGIN) != "inconclusive":
            continue
        floor, quantile = min(float(spread.floor[0]), variance), half / np.sqrt(variance)
        needed = items_needed(mean, variance=variance, floor=floor, quantile=quantile, n=design.n, margin=MARGIN)
        if needed.items is None or needed.items > MOST_ITEMS:
            continue
        again = study(Design(**{**vars(design), "n": needed.items}), rng)
        low, high = again.intervals(rng)
        found.append(verdict(float(low[0]), float(high[0]), margin=MARGIN) != "inconclusive")
    return float(np.mean(found)) if found else float("nan"), len(found)


def _table(title: str, head: str, rows: Iterator[list[str]]) -> None:
    names = head.split("|")
    print(f"\n**{title}**\n\n| {' | '.join(names)} |\n|{' --- |' * len(names)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def _sizes(n: int) -> Iterator[list[str]]:
    for kind in KINDS:
        for items in (50, 100, 300):
            row = [kind, str(items)]
            for runs, spread in ((1, 0.0), (3, 0.05), (5, 0.05)):
                design = Design(n=items, kind=kind, runs=runs, spread=spread)
                row.append(f"{rates(design, n).fall:.3f}")
                fallen = Design(n=items, kind=kind, runs=runs, spread=spread, change=-MARGIN)
                row.append(f"{rates(fallen, n).holds:.3f}")
            yield row


def _families(n: int) -> Iterator[list[str]]:
    for alike in (0.3, 0.8):
        for items in (50, 100, 300):
            row = [f"{alike}", str(items)]
            for kind in ("0/1, 60 % right", "F1-like", "continuous"):
                for runs in (1, 3):
                    design = Design(n=items, kind=kind, runs=runs, spread=0.05, scores=13, alike=alike)
                    if runs == 1:
                        design = Design(**{**vars(design), "spread": 0.0})
                    found = rates(design, n)
                    row.append(f"{1 - found.covered:.3f}")
            yield row


def plain_falls(design: Design, n: int, seed: int = 0) -> float:
    """Share of data sets in which the first version's effect, plain rho, is shown to fall."""
    found = []
    rng = np.random.default_rng(seed)
    for _ in range(n):
        item, noise = rng.normal(size=(2, design.n))
        ends = []
        for kind in (design.kind, design.kind_after or design.kind):
            latent = np.sqrt(0.5) * item + np.sqrt(0.5) * rng.normal(size=design.n)
            own = np.sqrt(0.5) * noise + np.sqrt(0.5) * rng.normal(size=design.n)
            r = latent_for(design.before, kind)
            ends.append(effects((r * latent + np.sqrt(1 - r**2) * own)[None], KINDS[kind](latent)).spearman)
        spread = spread_for_models(ends[1].deviation[None] - ends[0].deviation[None])
        found.append(ends[1].value[0] - ends[0].value[0] + spread.half_width(0) < 0)
    return float(np.mean(found))


def _accuracy(n: int) -> Iterator[list[str]]:
    KINDS.setdefault("0/1, 50 % right", _right(0.5))
    for items in (300, 1000):
        design = Design(n=items, kind="0/1, 50 % right", kind_after="0/1, 90 % right", before=0.6)
        yield [str(items), f"{rates(design, n).fall:.3f}", f"{plain_falls(design, n):.3f}"]


def _new_runs(n: int) -> Iterator[list[str]]:
    for spread in (0.05, 0.15):
        for runs in (3, 5, 10):
            row = [f"{spread}", str(runs)]
            for items in (100, 300, 1000):
                design = Design(n=items, kind="0/1, 60 % right", runs=runs, spread=spread, before=0.4, change=0.05)
                row += [f"{value:.3f}" for value in new_run_covered(design, n)]
            yield row


def _rare(n: int) -> Iterator[list[str]]:
    KINDS.setdefault("0/1, 5 % right", _right(0.05))
    for kind in ("0/1, 5 % right", "0/1, 90 % right", "0/1, 60 % right"):
        for change in (0.0, -0.1, -0.3):
            row = [kind, f"{change:g}"]
            for items in (100, 300, 1000):
                design = Design(n=items, kind=kind, before=0.6, change=change)
                row.append(f"{rates(design, n).covered:.3f}")
            yield row


def _needed(n: int) -> Iterator[list[str]]:
    for change in (0.05, 0.0, -0.05, -0.1, -0.15, -0.2):
        row = [f"{change:g}"]
        for items in (100, 300):
            share, count = settled(Design(n=items, kind="0/1, 60 % right", change=change), max(n // 5, 50))
            row.append(f"{share:.2f} ({count})")
        yield row


def main(n: int = 2000) -> None:
    sides = "|".join(f"{r} seed{'s' * (r > 1)}: fall shown|holds at −0.1" for r in (1, 3, 5))
    _table("A fall is shown without one; holds at a true fall of the margin", f"quality|items|{sides}", _sizes(n))
    columns = "|".join(f"{kind}, {runs} seed{'s' * (runs > 1)}" for kind in ("0/1", "F1-like", "continuous") for runs in (1, 3))  # fmt: skip # noqa: E501
    _table("Any of 13 intervals misses", f"noise alike|items|{columns}", _families(n))
    _table("AUROC .80 stays, accuracy .5 → .9: a fall is shown", "items|tie-adjusted rho|plain rho", _accuracy(n))
    columns = "|".join(f"{items} items: true change|measured on them" for items in (100, 300, 1000))
    _table("A new run lies inside the prediction", f"spread over runs|runs|{columns}", _new_runs(n))
    _table("The interval of the change covers", "quality|true change|100 items|300|1,000", _rare(n))
    _table("The stated number of items settles the verdict", "true change|from 100 items|from 300", _needed(n))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
