"""Planned chances of verdicts against those of simulated studies: two tables for docs/simulations.md.

    python -m scripts.simulate.planning [DATA_SETS]

A simulated study draws items and training runs, takes effects with their influence functions, intervals and a
verdict, as an analysis does, and knows nothing of the plan.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import numpy as np

from aftertune.seeds import generator
from aftertune.stats.change import Simultaneous, spread_for_models, spread_for_training
from aftertune.stats.effect import effects
from aftertune.stats.planning import Expected, Latent, Planner, draw, equally_correlated, qualities
from aftertune.stats.verdict import verdict
from aftertune.types import Floats


def expected(kind: str, *, spread: float = 0.05, scores: int = 1, **changes: object) -> Expected:
    """What a study of this kind of quality meets; right answers become more frequent, 60 % to 75 %."""
    before, after = (qualities(kind, share) for share in (0.6, 0.75))
    usual = Expected(
        rho=0.4, before=before, after=after, stability=0.4, agreement=0.6, spread=spread,
        correlation=equally_correlated(scores, 0.5), margin=0.1,
    )  # fmt: skip
    return replace(usual, **changes)


class Study:
    """Simulated studies in which the change is `change` on average over training runs."""

    def __init__(self, planner: Planner, change: float) -> None:
        self.planner, self.expected = planner, planner.expected
        grid = np.clip(self.expected.rho + change + np.linspace(-4, 4, 17) * self.expected.spread, -0.95, 0.95)
        self._known = grid, [planner.latent(rho - self.expected.rho, 1).after[0] for rho in grid]
        self._change = change

    def verdicts(self, items: int, runs: int, data_sets: int, rng: np.random.Generator) -> Counter[str]:
        """How often each verdict is that of the first score; "usable" is counted too."""
        found: Counter[str] = Counter()
        for _ in range(data_sets):
            low, high, usable = self._study(items, runs, rng)
            found[verdict(low, high, margin=self.expected.margin)] += 1
            found["usable"] += usable
        return found

    def _study(self, items: int, runs: int, rng: np.random.Generator) -> tuple[float, float, bool]:
        rho = self.expected.rho + self._change + self.expected.spread * rng.standard_normal(runs)
        planner = self.planner
        latent = Latent(planner.before, np.interp(rho, *self._known), planner.item, planner.runs)
        normal = rng.standard_normal((2, 2 + runs, items))
        drawn = [draw(latent, self.expected, normal)]
        for _ in range(len(self.expected.correlation) - 1):
            # Confidence beyond quality is shared by the scores in half of its variance.
            own = np.sqrt(0.5) * (normal[1] + rng.standard_normal(normal[1].shape))
            drawn.append(draw(latent, self.expected, np.stack([normal[0], own])))
        quality = drawn[0][1]
        of_each = [effects(np.stack([one[0][k] for one in drawn]), quality[k]).adjusted for k in range(1 + runs)]
        value = np.stack([one.value for one in of_each])
        deviation = np.stack([one.deviation for one in of_each])
        change, half = _interval(value[1:] - value[0], deviation[1:] - deviation[0], rng)
        after, wide = _interval(value[1:], deviation[1:], rng)
        return change - half, change + half, after > wide


def _interval(observed: Floats, deviation: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Mean of the first score over runs, and half of its simultaneous interval."""
    spread = spread_for_models(deviation) if len(observed) == 1 else spread_for_training(observed, deviation)
    level = Simultaneous(spread.correlation, draws=2000, rng=rng).level
    return float(observed[:, 0].mean()), spread.half_width(0, level)


def compare(kind: str, items: int, runs: int, change: float, data_sets: int, **changes: float) -> list[float]:
    """[planned, simulated] chance of holds or improved, of degraded or fell, and of usable."""
    rng = generator(0, kind, items, runs, change)
    planner = Planner(expected(kind, **changes))
    simulated = Study(planner, change).verdicts(items, runs, data_sets, rng)
    planned = {name: float(chance[0]) for name, chance in planner.chances(change, np.array([items]), runs).items()}
    planned["usable"] = float(planner.usable(change, np.array([items]), runs)[0])
    groups = (("holds", "improved"), ("degraded", "fell"), ("usable",))
    return [
        value
        for group in groups
        for value in (sum(planned[name] for name in group), sum(simulated[name] for name in group) / data_sets)
    ]


def settled(kind: str, runs: int, change: float, data_sets: int, **changes: float) -> tuple[int | None, float]:
    """Planned items at which a verdict is settled (holds without a change, else falls), and how often it is."""
    planner = Planner(expected(kind, **changes))
    items = planner.needed("falls" if change else "holds", runs)
    if items is None or items > 3000:
        return items, float("nan")
    found = Study(planner, change).verdicts(items, runs, data_sets, generator(1, kind, items, runs, change))
    return items, sum(
        found[name] for name in (("degraded", "fell") if change else ("holds", "improved"))
    ) / data_sets


def print_row(*cells: object) -> None:
    print(
        "|", " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells), "|", flush=True
    )


if __name__ == "__main__":
    data_sets = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    kinds = ("binary", "graded", "continuous")
    cells = [
        (kind, 1, items, runs, change)
        for kind in kinds for items in (100, 300, 1000) for runs in (1, 3, 5) for change in (0.0, -0.2)
    ]  # fmt: skip
    cells += [
        ("binary", 13, items, runs, change) for items in (300, 1000) for runs in (1, 5) for change in (0.0, -0.2)
    ]
    for kind, scores, items, runs, change in cells:
        found = compare(kind, items, runs, change, data_sets if scores == 1 else data_sets // 3, scores=scores)
        print_row(kind, scores, items, runs, change, *found)
    print()
    for kind in kinds:
        for runs, change in ((1, 0.0), (1, -0.2), (3, -0.2), (5, 0.0), (5, -0.2)):
            print_row(kind, runs, change, *settled(kind, runs, change, data_sets, spread=0.03))
