"""What a study will show, before it is run: chances of each verdict, and the test items that settle it.

Confidence and quality of an item are latent normal at each checkpoint; quality is then cut to a wanted
distribution, such as right and wrong answers. On one large sample of items the influence functions
(`effect.effects`) give the variances that a study meets; they shrink with the number of items. What a study makes
of its estimates is as in `change` and `verdict`: the same intervals, quantiles and degrees of freedom.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from aftertune.seeds import generator
from aftertune.stats.change import Simultaneous, spread_for_models, spread_for_training
from aftertune.stats.effect import adjusted_rho, effects
from aftertune.stats.verdict import FEWEST_ITEMS, MOST_ITEMS, POWER, VERDICTS, Verdict, chances
from aftertune.types import Floats

Question = Literal["holds", "falls", "usable"]
"""Is a score that does not change shown to hold (or to improve)? Is one that falls by twice the margin shown to
have degraded or fallen? Is one that changes as expected shown to be usable?"""

_SAMPLE = 13
"""Items of the large sample, as a power of two."""
_RUNS = 5
"""Its training runs; more runs share items as these do."""
_SHARES = (np.arange(100) + 0.5) / 100
_SIZES = [*range(FEWEST_ITEMS, 100), *range(100, 1000, 10), *range(1000, MOST_ITEMS + 1, 100)]

LARGEST = 0.95
"""Of a rho that can be planned for; the smallest is its negative."""


def qualities(kind: str, share: float = 0.7) -> Floats:
    """(1000,) values that stand for a distribution of quality, ascending.

    Parameters
    ----------
    kind
        "binary": right and wrong answers, `share` of them right. "graded": 40 % have 0, 20 % have 1, the rest lie
        between, as F1 of short answers. "continuous": no ties.
    """
    order = (np.arange(1000) + 0.5) / 1000
    if kind == "binary":
        return (order > 1 - share).astype(np.float64)
    return np.clip((order - 0.4) / 0.4, 0, 1) if kind == "graded" else order


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """What a study is expected to meet.

    Attributes
    ----------
    rho, change : tie-adjusted rho before fine-tuning, and how much it changes.
    before, after : values that stand for the distribution of quality at the two checkpoints.
    stability : correlation of the sampling errors of rho before and after fine-tuning: the share of item noise
        that two checkpoints share.
    agreement : the same of two training runs after fine-tuning.
    spread : standard deviation over training runs of the true rho after fine-tuning.
    correlation : (M, M) of the sampling errors of the M scores that are judged together.
    margin : delta.
    """

    rho: float
    change: float = 0.0
    before: Floats
    after: Floats
    stability: float
    agreement: float
    spread: float
    correlation: Floats
    margin: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "before", np.sort(self.before))
        object.__setattr__(self, "after", np.sort(self.after))


def equally_correlated(scores: int, correlation: float) -> Floats:
    """(M, M) with the same correlation between any two of M scores."""
    return np.where(np.eye(scores, dtype=bool), 1.0, correlation)


class Latent(NamedTuple):
    """Correlations of the latent variables.

    Attributes
    ----------
    before, after : of confidence and quality.
    item, runs : of a variable of an item between before and after, and between two training runs; item² ≤ runs.
    """

    before: float
    after: Floats
    item: float
    runs: float


def draw(latent: Latent, expected: Expected, normal: Floats) -> tuple[Floats, Floats]:
    """Confidence and quality, each (1 + R, n): before fine-tuning, then R training runs.

    Parameters
    ----------
    latent
        Its `after` is (R,).
    normal
        (2, 2 + R, n) independent standard normal.
    """
    common, before, own = normal[:, :1], normal[:, 1:2], normal[:, 2:]
    of_runs = math.sqrt(latent.runs)
    loading = latent.item / of_runs if of_runs else 0.0
    first = loading * common + math.sqrt(max(1 - loading**2, 0.0)) * before
    quality, rest = np.concatenate([first, of_runs * common + math.sqrt(1 - latent.runs) * own], axis=1)
    r = np.array([latent.before, *latent.after])[:, None]
    confidence = r * quality + np.sqrt(1 - r**2) * rest
    values = [expected.before] + [expected.after] * len(latent.after)
    return confidence, np.stack([_as(value, one) for value, one in zip(values, quality)])


def _as(values: Floats, normal: Floats) -> Floats:
    """Standard normal numbers as numbers with the distribution of the ascending values."""
    place = (stats.norm.cdf(normal) * len(values)).astype(int)
    return values[np.minimum(place, len(values) - 1)]


class Noise(NamedTuple):
    """Item noise of an effect or of its change in a study of R training runs; variances are those with one item.

    Attributes
    ----------
    models : variance of the mean over R given runs.
    df : degrees of freedom of its estimate, for each item.
    shared, own : the part of one run's variance that runs share, and the rest.
    """

    models: float
    df: float
    shared: float
    own: float

    @classmethod
    def of(cls, deviation: Floats, runs: int) -> Noise:
        """From the (R', n) deviations of one score in R' ≥ 2 runs, for R runs."""
        n_runs, n = deviation.shape
        # Without spread over runs, the variance for training is what runs share.
        spread = spread_for_training(np.zeros((n_runs, 1)), deviation[:, None])
        shared = float(spread.variance[0, 0])
        own = max(n_runs * (float(spread.variance[1, 0]) - shared), 0.0)
        df = float(spread_for_models(deviation[: min(runs, n_runs), None]).df[0, 0])
        return cls(models=n * (shared + own / runs), df=(df + 1) / n, shared=n * shared, own=n * own)


class Planner:
    """Chances of verdicts where `expected` is true.

    Notes
    -----
    Estimates are normal. With R ≥ 2 runs the half-width of the interval is uncertain, since the variance over runs
    has R − 1 degrees of freedom: chances are averaged over its chi-square distribution.
    """

    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        points = stats.qmc.Sobol(2 * (2 + _RUNS), scramble=False).random_base2(_SAMPLE) + 0.5**_SAMPLE / 2
        self._normal = stats.norm.ppf(points).T.reshape(2, 2 + _RUNS, -1)
        self._known: dict[float, Floats] = {}
        self._noises: dict[tuple[float, int, bool], Noise] = {}
        self._levels = _levels(expected.correlation)
        self.before = self._pearson(expected.rho, expected.before)
        self.item, self.runs = self._latent_shares()

    def named(self) -> Planner:
        """The planner of one score that is named beforehand, and so judged by itself."""
        alone = copy.copy(self)
        alone._levels = _levels(np.eye(1))
        return alone

    def chances(self, change: float, items: ArrayLike, runs: int) -> dict[Verdict, Floats]:
        """Chance of each verdict, (G,), where rho changes by `change`, with each of (G,) numbers of items."""
        error, half = self._interval(change, items, runs, of_change=True)
        found = chances(change, error, half, margin=self.expected.margin)
        return {name: found[name].mean(axis=1) for name in VERDICTS}

    def usable(self, change: float, items: ArrayLike, runs: int) -> Floats:
        """(G,) chance that rho after fine-tuning is shown to be above 0.

        The interval counts whose lower bound is 0: that of an estimate of rho as large as its half-width h. The
        item noise is larger there than at the true rho, between h(rho) and h(0): h² is taken as linear in rho².
        """
        rho = self.expected.rho + change
        error, half = self._interval(change, items, runs, of_change=False)
        _, of_none = self._interval(-self.expected.rho, items, runs, of_change=False)
        if rho:
            half = of_none / np.sqrt(np.maximum(1 + (of_none**2 - half**2) / rho**2, 0.5))
        return chances(rho, error, half, margin=self.expected.margin)["improved"].mean(axis=1)

    def chance(self, question: Question, items: ArrayLike, runs: int) -> Floats:
        """(G,) chance of the wished answer."""
        if question == "usable":
            return self.usable(self.expected.change, items, runs)
        if question == "holds":
            found = self.chances(0.0, items, runs)
            return found["holds"] + found["improved"]
        found = self.chances(-2 * self.expected.margin, items, runs)
        return found["degraded"] + found["fell"]

    def needed(self, question: Question, runs: int) -> int | None:
        """Items, of two significant digits, that give the wished answer with a chance of 80 %.

        `MOST_ITEMS` + 1 stands for any larger number; None where no number is enough.

        Notes
        -----
        More items are not always better: with few runs, the less the items add to the uncertainty, the more counts
        that of the variance over runs. The first number that is enough is taken.
        """

        def reached(items: Sequence[int]) -> np.ndarray:
            return self.chance(question, items, runs) >= POWER

        coarse = [*_SIZES[::12], MOST_ITEMS, 10**9]
        enough = np.flatnonzero(reached(coarse))
        if not len(enough) or coarse[enough[0]] > MOST_ITEMS:
            return MOST_ITEMS + 1 if len(enough) else None
        first = int(enough[0])
        between = [n for n in _SIZES if coarse[max(first - 1, 0)] <= n <= coarse[first]]
        return between[int(np.argmax(reached(between)))]

    def latent(self, change: float, runs: int) -> Latent:
        """For `draw`: runs without spread, whose rho changes by so much."""
        after = self._pearson(self.expected.rho + change, self.expected.after)
        return Latent(self.before, np.full(runs, after), self.item, self.runs)

    def _pearson(self, rho: float, values: Floats) -> float:
        """Latent correlation that gives this tie-adjusted rho."""
        quality, rest = self._normal[:, 0]
        cut = _as(values, quality)

        def difference(r: float) -> float:
            return adjusted_rho(r * quality + math.sqrt(1 - r**2) * rest, cut) - rho

        return _root(difference, -0.9999, 0.9999)

    def _latent_shares(self) -> tuple[float, float]:
        """Latent `item` and `runs` that give the wanted correlations of sampling errors, or as near as can be."""
        after = np.full(2, self._pearson(self.expected.rho, self.expected.after))

        def found(wanted: float, pair: slice) -> float:
            def difference(share: float) -> float:
                # Between any two checkpoints, as between two runs.
                latent = Latent(self.before, after, share, share)
                a, b = self._deviation(latent, self._normal[:, :4])[pair]
                return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)) - wanted

            if wanted <= 0 or difference(1.0) <= 0:
                return float(wanted > 0)
            return _root(difference, 0.0, 1.0) if difference(0.0) < 0 else 0.0

        item = found(self.expected.stability, slice(0, 2))
        return item, max(found(self.expected.agreement, slice(1, 3)), item**2)

    def _deviation(self, latent: Latent, normal: Floats) -> Floats:
        """(1 + R, n) influence of each item, before and after."""
        confidence, quality = draw(latent, self.expected, normal)
        return np.stack([effects(c[None], q).adjusted.deviation[0] for c, q in zip(confidence, quality)])

    def _noise(self, change: float, runs: int, of_change: bool) -> Noise:
        key = change, runs, of_change
        if change not in self._known:
            self._known[change] = self._deviation(self.latent(change, _RUNS), self._normal)
        if key not in self._noises:
            before, after = self._known[change][:1], self._known[change][1:]
            self._noises[key] = Noise.of(after - before if of_change else after, runs)
        return self._noises[key]

    def _interval(self, change: float, items: ArrayLike, runs: int, *, of_change: bool) -> tuple[Floats, Floats]:
        """(G, 1) standard error of the estimate, and (G, B) equally likely half-widths of its interval."""
        noise, spread = self._noise(change, runs, of_change), self.expected.spread**2
        n = np.asarray(items, dtype=np.float64)[:, None]
        models, shared = noise.models / n, noise.shared / n
        df_models = np.clip(noise.df * n - 1, 1, n - 1)
        if runs == 1:
            half = _half(models, df_models, float(np.interp(1.0, *self._levels)))
            return np.sqrt(models + spread), half
        of_runs = (noise.own / n + spread) / runs
        observed = of_runs * stats.chi2.ppf(_SHARES, runs - 1) / (runs - 1)
        variance = shared + observed
        df = variance**2 / (shared**2 / df_models + observed**2 / (runs - 1))
        level = np.interp(shared / np.maximum(shared + of_runs, models), *self._levels)
        half = np.maximum(_half(variance, df, level), _half(models, df_models, level))
        return np.sqrt(shared + of_runs), half


def _levels(correlation: Floats) -> tuple[Floats, Floats]:
    """Shares of the scores' correlation that are left, and the level of a simultaneous interval with each."""
    shares, alone = np.linspace(0, 1, 6), np.eye(len(correlation))
    found = []
    for share in shares:
        rng = generator(0, "simultaneous")
        found.append(Simultaneous(share * correlation + (1 - share) * alone, draws=20_000, rng=rng).level)
    return shares, np.array(found)


def _root(difference: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.root_scalar(difference, bracket=(low, high), xtol=1e-4).root)


def _half(variance: Floats, df: Floats, level: float | Floats) -> Floats:
    return stats.t.isf(level / 2, df) * np.sqrt(variance)
