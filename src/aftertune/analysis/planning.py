"""What a run says about a study like it: `stats.planning.Expected` from records."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aftertune.analysis.checkpoints import Comparison, Setting, comparisons_of, settings_of
from aftertune.stats.change import spread_for_models, spread_for_training
from aftertune.stats.correlation import why_undefined
from aftertune.stats.effect import effects
from aftertune.stats.verdict import FEWEST_ITEMS
from aftertune.types import Floats, Records


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What one model and task of a run show about the noise of a study.

    Attributes
    ----------
    name : model, task, and the two checkpoints.
    items, seeds : of the run.
    rho, rho_after : median over scores of the tie-adjusted rho.
    before, after : qualities at the two checkpoints, of all training runs.
    stability : correlation of the sampling errors of the two checkpoints, mean over scores.
    agreement : the same of two training runs; None with one.
    spread : standard deviation of the change over training runs without item noise; None with fewer than three.
    correlation : (M, M) of the sampling errors of the scores' changes.
    """

    name: str
    items: int
    seeds: int
    rho: float
    rho_after: float
    before: Floats
    after: Floats
    stability: float
    agreement: float | None
    spread: float | None
    correlation: Floats


def measured(records: Records) -> Iterator[Measured]:
    """Of each setting's first comparison, if it has enough items."""
    for setting in settings_of(records):
        comparisons, _ = comparisons_of(setting, list(records.scores))
        first = [c for c in comparisons if (c.from_, c.to) == (comparisons[0].from_, comparisons[0].to)]
        if first:
            found = _measured(setting, first)
            if found is not None:
                yield found


def _measured(setting: Setting, comparisons: list[Comparison]) -> Measured | None:
    """On the items that scores share; None where they are too few. Scores that many items lack are left out."""
    most = max(int(c.items.sum()) for c in comparisons)
    wide = [c for c in comparisons if c.items.sum() >= 0.9 * most]
    items = np.logical_and.reduce([c.items for c in wide])
    ends = wide[0].ends
    names = [
        c.score
        for c in wide
        if not any(why_undefined(p.scores[c.score][items], p.quality[items]) for pair in ends for p in pair)
    ]
    if not names or items.sum() < FEWEST_ITEMS:
        return None
    # (R, 2, S) and (R, 2, S, n)
    found = [
        [effects(np.stack([p.scores[s][items] for s in names]), p.quality[items]).adjusted for p in pair]
        for pair in ends
    ]
    value = np.array([[end.value for end in pair] for pair in found])
    deviation = np.array([[end.deviation for end in pair] for pair in found])
    models = spread_for_models(deviation[:, 1] - deviation[:, 0])
    n_runs = len(ends)
    return Measured(
        name=f"{setting.label}: {wide[0].from_} → {wide[0].to}",
        items=int(items.sum()),
        seeds=n_runs,
        rho=float(np.median(value[:, 0].mean(axis=0))),
        rho_after=float(np.median(value[:, 1].mean(axis=0))),
        before=np.concatenate([pair[0].quality[items] for pair in ends]),
        after=np.concatenate([pair[1].quality[items] for pair in ends]),
        stability=_mean_correlation(deviation[:, 0], deviation[:, 1]),
        agreement=_agreement(deviation[:, 1]) if n_runs > 1 else None,
        spread=_spread(value[:, 1] - value[:, 0], deviation[:, 1] - deviation[:, 0]) if n_runs > 2 else None,
        correlation=models.correlation,
    )


def _mean_correlation(a: Floats, b: Floats) -> float:
    """Mean over runs and scores of the correlation of (…, n) sampling errors."""
    with np.errstate(invalid="ignore"):
        return float(np.nanmean((a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))))


def _agreement(deviation: Floats) -> float:
    """Mean over pairs of runs, of (R, S, n)."""
    a, b = np.triu_indices(len(deviation), 1)
    return _mean_correlation(deviation[a], deviation[b])


def _spread(observed: Floats, deviation: Floats) -> float:
    """Standard deviation of (R, S) changes over runs that item noise does not explain: root of the mean square."""
    n_runs = len(observed)
    shared, models = spread_for_training(np.zeros_like(observed), deviation).variance
    of_items = n_runs * (models - shared)
    return math.sqrt(max(float(np.mean(np.var(observed, axis=0, ddof=1) - of_items)), 0.0))
