"""How often the recommendation is wrong: concordance of a chosen score, and what review gains.

    python -m scripts.simulate.recommending [REPLICATES] [choice] [review]

prints the rows of the Markdown tables of docs/simulations.md. 13 scores; the errors of their confidence correlate
.3 or .8; half of the variance of everything is common to the two checkpoints.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache

import numpy as np
from scipy import stats

from aftertune.stats.change import spread_for_models
from aftertune.stats.concordance import concordances, share_interval
from aftertune.stats.crossfit import Scored, atom_of, chosen, cross_fitted
from aftertune.stats.effect import effects
from aftertune.stats.review import REVIEW_SHARE, Gain, cut_at, found_wrong, kept_quality
from aftertune.types import Floats

SCORES, MARGIN, COMMON = 13, 0.1, 0.5
STRENGTHS = {
    "all equal": np.full(SCORES, 0.5),
    "spread": np.linspace(0.2, 0.7, SCORES),
}
"""Correlation of each score's confidence with the latent quality."""


def quality_of(kind: str, latent: Floats) -> Floats:
    """Right/wrong with a share of right answers ("0.6"), F1-like ("f1": mass at 0 and 1), or continuous."""
    if kind == "continuous":
        return latent
    if kind == "f1":
        return np.clip(np.round(0.5 + 0.5 * latent, 1), 0, 1)
    return (latent > stats.norm.ppf(1 - float(kind))).astype(float)


def drawn(
    rng: np.random.Generator, kind: str, n: int, strength: Floats, correlation: float
) -> list[tuple[Floats, Floats]]:
    """Quality (n,) and confidence (S, n) at two checkpoints."""
    shape = len(strength) + 2, n
    shared = rng.normal(size=shape)
    found = []
    for _ in range(2):
        noise = np.sqrt(COMMON) * shared + np.sqrt(1 - COMMON) * rng.normal(size=shape)
        error = np.sqrt(correlation) * noise[1] + np.sqrt(1 - correlation) * noise[2:]
        confidence = strength[:, None] * noise[0] + np.sqrt(1 - strength**2)[:, None] * error
        found.append((quality_of(kind, noise[0]), confidence))
    return found


@cache
def true_concordance(kind: str, strength: float) -> float:
    rng = np.random.default_rng(1)
    latent, other = rng.normal(size=(2, 100_000))
    confidence = strength * latent + np.sqrt(1 - strength**2) * other
    return float(concordances(confidence[None], quality_of(kind, latent)).value[0])


def scored(before: tuple[Floats, Floats], after: tuple[Floats, Floats]) -> tuple[Scored, Floats]:
    """One training run, all items with all scores; and the weight of each item in the concordance."""
    (quality_from, from_), (quality, to) = before, after
    was, now = effects(from_, quality_from).adjusted, effects(to, quality).adjusted
    share = concordances(to, quality)
    change = now.deviation - was.deviation
    found = Scored(
        effect=now.value[None],
        change=(now.value - was.value)[None],
        judged=share.value[None, None],
        deviations=np.stack([now.deviation, change, share.deviation])[:, None],
        share=np.full(to.shape, 1 / to.shape[1]),
    )
    return found, 2 * share.weight[0]


def choices(
    kind: str, n: int, strengths: str, correlation: float, replicates: int, seed: int = 0
) -> dict[str, float]:
    """Coverage, bias and width of the recommended score's concordance, cross-fitted and naive."""
    rng = np.random.default_rng([seed, n, int(10 * correlation)])
    strength = STRENGTHS[strengths]
    truth = np.array([true_concordance(kind, float(one)) for one in strength])
    rows = []
    for _ in range(replicates):
        ends = drawn(rng, kind, n, strength, correlation)
        if any(np.ptp(quality) == 0 for quality, _ in ends):
            continue
        found, weight = scored(*ends)
        half, spread = found.half_widths(), found.spread(2)
        usable, survived = found.effect[0] > half[0], found.change[0] - half[1] > -MARGIN
        s = chosen(found.effect[0], usable & survived, usable)
        if s is None:
            continue
        (fair,) = cross_fitted(found, atom_of([str(i) for i in range(n)]), margin=MARGIN, rng=rng)
        for value, stretch in (fair, (float(found.judged[0, 0, s]), 1.0)):
            low, high = share_interval(
                value, *(one[:, s] for one in (spread.variance, spread.df)), weight, stretch=stretch
            )
            rows.append((value - truth[s], low <= truth[s] <= high, high - low))
    means = np.array(rows, dtype=float).reshape(-1, 2, 3).mean(axis=0)
    names = [f"{kind} {what}" for kind in ("fair", "naive") for what in ("bias", "coverage", "width")]
    return {"recommended": len(rows) / 2 / replicates, **dict(zip(names, means.ravel().tolist()))}


def choice_rows(replicates: int) -> Iterator[str]:
    yield "| quality | n | strengths | noise | recommended | bias | coverage | width | naive bias | coverage |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for kind in ("0.6", "0.9", "f1", "continuous"):
        for n in (50, 100, 300):
            for strengths in STRENGTHS:
                for correlation in (0.3, 0.8):
                    r = choices(kind, n, strengths, correlation, replicates)
                    fair = f"{r['fair bias']:+.3f} | {r['fair coverage']:.3f} | {r['fair width']:.2f}"
                    naive = f"{r['naive bias']:+.3f} | {r['naive coverage']:.3f}"
                    names = f"{kind} | {n} | {strengths} | {correlation}"
                    yield f"| {names} | {r['recommended']:.2f} | {fair} | {naive} |"


def review_rows(replicates: int) -> Iterator[str]:
    """Coverage of what review of 20 % gains, of one score named in advance."""
    yield "| quality | strength | ties | n | wrong found | coverage | quality kept | coverage |"
    yield "|---|---|---|---|---|---|---|---|"
    for kind in ("0.1", "0.5", "0.9", "f1"):
        for strength in (0.3, 0.6, 0.95):
            for ties in (False, True):
                for n in (50, 100, 300):
                    found = _review(kind, strength, ties, n, replicates)
                    yield f"| {kind} | {strength} | {ties} | {n} | {found} |"


def _review(kind: str, strength: float, ties: bool, n: int, replicates: int) -> str:
    rng = np.random.default_rng([n, int(100 * strength)])

    def gains(size: int) -> list[Gain]:
        latent, other = rng.normal(size=(2, size))
        confidence = strength * latent + np.sqrt(1 - strength**2) * other
        confidence = np.round(2 * confidence) / 2 if ties else confidence
        quality = quality_of(kind, latent)
        cut = cut_at(confidence, REVIEW_SHARE)
        wrong = np.zeros(size) if kind == "f1" else 1 - quality
        return [found_wrong(confidence, wrong, cut, refitted=True), kept_quality(confidence, quality, cut)]

    truth, hits = [gain.value for gain in gains(200_000)], [[], []]
    for _ in range(replicates):
        for k, gain in enumerate(gains(n)):
            if np.isfinite(gain.value):
                spread = spread_for_models(gain.deviation[None, None])
                low, high = share_interval(
                    gain.value, *(v[:, 0] for v in (spread.variance, spread.df)), gain.weight
                )
                hits[k].append(low <= truth[k] <= high)
    return " | ".join(f"{t:.2f} | {np.mean(h) if h else np.nan:.3f}" for t, h in zip(truth, hits))


TABLES = {"choice": choice_rows, "review": review_rows}

if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for name in sys.argv[2:] or TABLES:
        for line in TABLES[name](size):
            print(line, flush=True)
