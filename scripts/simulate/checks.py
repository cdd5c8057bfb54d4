"""How often checks that infer something warn of what is not there.

``python -m scripts.simulate.checks [DATA_SETS]`` prints rows of a table of docs/checks.md (2,000 data sets a
cell); tests/analysis/test_checks.py runs some cells.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np

from aftertune.analysis.checks import negative_everywhere, quality_change
from aftertune.stats.change import spread_for_models
from aftertune.stats.effect import effects

SCORES = 13


def negative_scores(
    n: int, shared: float, kept: float, data_sets: int, *, rho: float = 0.0, seed: int = 0
) -> float:
    """Share of data sets in which some score of `SCORES` is called negative.

    Parameters
    ----------
    n : items.
    shared : correlation of the noise of two scores.
    kept : correlation of a score's noise, and of quality, before and after.
    rho : latent correlation of every score with quality.
    """
    rng, found = np.random.default_rng(seed), 0
    for _ in range(data_sets):
        quality, common, own = rng.normal(size=n), rng.normal(size=n), rng.normal(size=(SCORES, n))
        ends = []
        for _ in range(2):
            noise = np.sqrt(shared) * _moved(rng, common, kept) + np.sqrt(1 - shared) * _moved(rng, own, kept)
            now = _moved(rng, quality, kept)
            ends.append(_estimates(rho * now + np.sqrt(1 - rho**2) * noise, now))
        found += any(negative_everywhere(one, SCORES) for one in zip(*ends))
    return found / data_sets


def _estimates(scores: np.ndarray, quality: np.ndarray) -> list[tuple[float, float, int]]:
    """Tie-adjusted rho of each score, (S, n), the upper end of its interval, and n."""
    effect, estimates = effects(scores, quality).adjusted, []
    for value, deviation in zip(effect.value, effect.deviation):
        half = spread_for_models(deviation[None, None]).half_width(0)
        estimates.append((value, value + half, len(quality)))
    return estimates


def false_falls_of_quality(n: int, kept: float, data_sets: int, seed: int = 0) -> float:
    """Share of data sets with right/wrong quality, 70 % right at both ends, in which quality is said to fall."""
    rng, found = np.random.default_rng(seed), 0
    for _ in range(data_sets):
        latent = rng.normal(size=n)
        first, last = (_moved(rng, latent, kept) < 0.5244 for _ in range(2))
        change, width = quality_change(first.astype(float), last.astype(float))
        found += change + width < 0
    return found / data_sets


def _moved(rng: np.random.Generator, values: np.ndarray, kept: float) -> np.ndarray:
    return np.sqrt(kept) * values + np.sqrt(1 - kept) * rng.normal(size=values.shape)


def rows(data_sets: int = 2000) -> Iterator[str]:
    for n in (50, 100, 300):
        for shared in (0.3, 0.8):
            cells = [negative_scores(n, shared, kept, data_sets) for kept in (0.2, 0.8, 1.0)]
            yield _row(f"negative score, noise shared {shared}", n, cells)
    for n in (30, 100, 300):
        cells = [false_falls_of_quality(n, kept, data_sets) for kept in (0.2, 0.8, 0.95)]
        yield _row("quality falls", n, cells)


def _row(check: str, n: int, cells: Sequence[float]) -> str:
    return f"| {check} | {n} | {' | '.join(f'{share:.3f}' for share in cells)} |"


if __name__ == "__main__":
    print("| check | items | 0.2 kept | 0.8 kept | 1.0 kept (quality: 0.95) |")
    print("|---|---|---|---|---|")
    for line in rows(*map(int, sys.argv[1:])):
        print(line, flush=True)
