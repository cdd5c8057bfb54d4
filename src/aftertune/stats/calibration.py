"""Estimated chances that an answer is right: maps from confidence to chance, and whether they hold.

A map is fitted on some items and applied to any items of the same score, at the same checkpoint or, to see what
fine-tuning does to it, at a later one. Maps take confidences of any shape; where a confidence is NaN, so is the
chance. ECE, the Brier score and the bins of a reliability diagram say whether chances mean what they say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from aftertune.stats.discrimination import checked_labels, why_one_class
from aftertune.types import Floats, Ints

BINS = 10
"""Default number of bins of a reliability diagram."""

_BLOCK = 16
"""Trials whose successes are counted one by one before blocks are convolved."""

MIN_ITEMS = 20
"""Fewer validation items give no map: the share correct itself then has a standard error above 0.1."""

ISOTONIC_FROM = 200
"""Items from which a map is isotonic; it is logistic with fewer."""

WIDEST = 0.5
"""A percentage is told where its 95 % interval is at most this wide; a wider one may hold 25 % and 75 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMap:
    """The result of a fit that is not possible: NaN for every confidence."""

    reason: str

    def __call__(self, confidence: ArrayLike) -> Floats:
        return np.full(np.shape(confidence), np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinMax:
    """(confidence − lowest) / (highest − lowest), 0 below and 1 above."""

    lowest: float
    highest: float

    def __call__(self, confidence: ArrayLike) -> Floats:
        values = np.asarray(confidence, dtype=np.float64)
        return np.clip((values - self.lowest) / (self.highest - self.lowest), 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Isotonic:
    """Linear between the knots, flat beyond them.

    Attributes
    ----------
    confidence : rising, at least one.
    chance : at each, not falling, in [0, 1].
    """

    confidence: tuple[float, ...]
    chance: tuple[float, ...]

    def __call__(self, confidence: ArrayLike) -> Floats:
        values = np.asarray(confidence, dtype=np.float64)
        return np.asarray(np.interp(values, self.confidence, self.chance), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """1 / (1 + exp(−(intercept + slope · (confidence − centre) / scale))), in (0, 1) but for rounding.

    Attributes
    ----------
    centre, scale : mean and standard deviation of the confidences it was fitted on; scale 1 if they are equal.
    """

    intercept: float
    slope: float
    centre: float
    scale: float

    def __call__(self, confidence: ArrayLike) -> Floats:
        values = np.asarray(confidence, dtype=np.float64)
        return special.expit(self.intercept + self.slope * ((values - self.centre) / self.scale))


PercentageMap = NoMap | MinMax | Isotonic | Logistic


def fit_min_max(confidence: ArrayLike) -> MinMax | NoMap:
    """The paper's rescaling: the least confident item gets 0, the most confident 1.

    This is no estimate of a chance: it knows nothing of right and wrong, and two items decide it. The paper takes
    the test items (section 6) and advises validation items in practice (footnote 4); the caller chooses. `NoMap`
    without items, or where all have the same confidence.

    Parameters
    ----------
    confidence
        (n,) finite.

    >>> fit_min_max([-3.0, -1.0])([-2.5, -5.0, 0.0]).tolist()
    [0.25, 0.0, 1.0]
    """
    values, _ = checked_labels(confidence, np.zeros(np.shape(confidence)))
    if len(values) == 0:
        return NoMap(reason="no items to take the lowest and highest confidence of")
    lowest, highest = float(values.min()), float(values.max())
    if lowest == highest:
        return NoMap(reason="confidence is constant: it cannot be rescaled")
    return MinMax(lowest=lowest, highest=highest)


def fit_isotonic(confidence: ArrayLike, correct: ArrayLike) -> Isotonic | NoMap:
    """The share correct as a non-decreasing function of confidence (Zadrozny and Elkan 2002, KDD).

    The map is linear between fitted confidences and flat beyond them, as
    ``sklearn.isotonic.IsotonicRegression(out_of_bounds="clip")`` (tested), which is 3 to 6 times slower and takes
    confidences closer than about 1e-12 for equal. A score that orders worse than chance gets a nearly flat map.
    The map is 0 where the least confident items are all wrong, and 1 where the most confident are all right;
    only `percent` never says 0 or 100.

    Parameters
    ----------
    confidence, correct
        (n,) finite, and (n,) 0 or 1, of the validation split.

    Returns
    -------
    `NoMap` with fewer than `MIN_ITEMS` items, or only correct or only wrong answers.
    """
    confidence, correct = checked_labels(confidence, correct)
    if reason := _why_no_fit(correct):
        return NoMap(reason=reason)
    x, y = isotonic_steps(confidence, correct)
    same = y[1:] == y[:-1]
    inner = np.append(False, same) & np.append(same, False)
    return Isotonic(confidence=tuple(x[~inner].tolist()), chance=tuple(y[~inner].tolist()))


def isotonic_steps(values: Floats, correct: Floats) -> tuple[Floats, Floats]:
    """(m,) distinct values, rising, and (m,) the non-decreasing shares correct that fit best by least squares.

    `values` and `correct`, (n,), are finite. Labels of equal values are averaged first and weigh as many as they
    are. Pool-adjacent-violators (``scipy.optimize.isotonic_regression``).

    >>> isotonic_steps(np.array([1.0, 2.0, 3.0, 3.0]), np.array([1.0, 0.0, 1.0, 1.0]))[1].tolist()
    [0.5, 0.5, 1.0]
    """
    distinct, group, size = np.unique(values, return_inverse=True, return_counts=True)
    share = np.bincount(group.reshape(-1), correct, len(distinct)) / size
    # Means of shares can leave [0, 1] by rounding.
    return distinct, np.clip(optimize.isotonic_regression(share, weights=size).x, 0, 1)


def fit_logistic(confidence: ArrayLike, correct: ArrayLike) -> Logistic | NoMap:
    """Platt's logistic map, fitted by maximum likelihood to his smoothed targets.

    With N₁ correct and N₀ wrong answers the target of a correct one is (N₁ + 1) / (N₁ + 2), of a wrong one
    1 / (N₀ + 2): the fit is finite even where confidence divides right from wrong without error. A score that
    orders worse than chance gets a falling map, a constant confidence slope 0.

    Source: Platt, J. (1999), Probabilistic Outputs for Support Vector Machines; Newton's method as in Lin, Lin and
    Weng (2007), Machine Learning 68, 267–276. Equal to ``statsmodels.GLM`` on these targets (tested),
    in a fifth to a third of its time. SciPy's solvers are less sure: ``root`` ends elsewhere for some samples,
    ``minimize`` is 1e-8 to 1e-4 off.

    Parameters and `NoMap` are as for `fit_isotonic`.
    """
    confidence, correct = checked_labels(confidence, correct)
    if reason := _why_no_fit(correct):
        return NoMap(reason=reason)
    n, right = len(correct), int(correct.sum())
    target = np.where(correct == 1, (right + 1) / (right + 2), 1 / (n - right + 2))
    centre, scale = float(confidence.mean()), float(confidence.std())
    if np.ptp(confidence) == 0 or scale == 0:
        return Logistic(intercept=float(special.logit(target.mean())), slope=0.0, centre=centre, scale=1.0)
    intercept, slope = _newton((confidence - centre) / scale, target)
    return Logistic(intercept=intercept, slope=slope, centre=centre, scale=scale)


FITS: Mapping[str, Callable[[ArrayLike, ArrayLike], PercentageMap]] = {
    "isotonic": fit_isotonic,
    "logistic": fit_logistic,
}
"""The maps that estimate a chance, by name."""


def map_for(n: int) -> str:
    """Which of `FITS` makes the percentages that are told, of n validation items.

    >>> map_for(199), map_for(200)
    ('logistic', 'isotonic')
    """
    return "isotonic" if n >= ISOTONIC_FROM else "logistic"


@dataclass(frozen=True, slots=True, kw_only=True)
class VennAbers:
    """For any confidence, the isotonic chance if the answer were known to be wrong, and if known to be right.

    Made by `venn_abers` of n items with m different confidences.

    Attributes
    ----------
    confidence : (m,) rising.
    correct_low, items_low : (m + 1,) the block of items, with a wrong one added, that makes the lower chance: how
        many are right, and how many there are. Entry i is for confidences from the i-th of `confidence` (counted
        from 1) up to the next, entry 0 for all below.
    correct_high, items_high : (m + 1,) the same with a right one added, for the upper chance. Entry i is for
        confidences above the i-th and up to the next.
    """

    confidence: Floats
    correct_low: Ints
    items_low: Ints
    correct_high: Ints
    items_high: Ints

    def __call__(self, confidence: ArrayLike) -> tuple[Floats, Floats]:
        """Venn–Abers' (p₀, p₁), in the shape of `confidence`; NaN where it is NaN."""
        low, high, known = self._blocks(confidence)
        p0, p1 = self.correct_low[low] / self.items_low[low], self.correct_high[high] / self.items_high[high]
        return np.where(known, p0, np.nan), np.where(known, p1, np.nan)

    def interval(self, confidence: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
        """(low, high) of the chance: Wilson's bounds of the two shares p₀ and p₁, each of its own block of items.

        Never narrower than [p₀, p₁], which is no interval of sampling error; see `venn_abers`.
        """
        low, high, known = self._blocks(confidence)
        lows = _wilson(self.correct_low, self.items_low, level)[0]
        highs = _wilson(self.correct_high, self.items_high, level)[1]
        return np.where(known, lows[low], np.nan), np.where(known, highs[high], np.nan)

    def _blocks(self, confidence: ArrayLike) -> tuple[Ints, Ints, np.ndarray]:
        """Entries of the lower and of the upper chance, and where the confidence is a number."""
        values = np.asarray(confidence, dtype=np.float64)
        low = np.searchsorted(self.confidence, values, side="right")
        high = np.searchsorted(self.confidence, values, side="left")
        return low, high, np.isfinite(values)


def venn_abers(confidence: ArrayLike, correct: ArrayLike) -> VennAbers | NoMap:
    """The inductive Venn–Abers predictor of validation items, exact, and an interval made of it.

    For a confidence s, p₀ is the isotonic fit at s with one more item (s, wrong), p₁ with (s, right). One of the
    two is calibrated whatever the distribution, if items are exchangeable: the one with the true label. [p₀, p₁]
    says what one more label would change. It does not say within what the chance of being right lies: that was in
    it for 13 to 78 % of answers (simulated), ever fewer as items grow. `VennAbers.interval` takes each of the two
    as a share of the items that it is the mean of, with Wilson's bound at 95 %. It held the chance for 96 to 100 %
    where the chance rises with confidence, for 92 to 98 % where the least confident answers break that.

    Parameters and `NoMap` are as for `fit_isotonic`.

    Sources: Vovk, V. and Petej, I. (2014), Venn–Abers Predictors, UAI; all p₁ in one pass as in Vovk, Petej and
    Fedorova (2015), Large-scale probabilistic predictors with and without guarantees of validity, NeurIPS,
    algorithms 1 and 2, and all p₀ by symmetry. Wilson's bounds of the blocks are ours.

    >>> found = venn_abers(np.arange(20.0), np.arange(20) >= 10)
    >>> [[round(float(end), 3) for end in ends] for ends in (found(25.0), found.interval(25.0))]
    [[0.909, 1.0], [0.623, 1.0]]
    """
    confidence, correct = checked_labels(confidence, correct)
    if reason := _why_no_fit(correct):
        return NoMap(reason=reason)
    distinct, group, size = np.unique(confidence, return_inverse=True, return_counts=True)
    right = np.bincount(group.reshape(-1), correct, len(distinct)).astype(np.int64)
    correct_high, items_high = _with_a_right_one(right, size)
    wrong_low, items_low = (found[::-1] for found in _with_a_right_one((size - right)[::-1], size[::-1]))
    return VennAbers(
        confidence=distinct,
        correct_low=items_low - wrong_low,
        items_low=items_low,
        correct_high=correct_high,
        items_high=items_high,
    )


def _with_a_right_one(right: Ints, size: Ints) -> tuple[Ints, Ints]:
    """Right answers and items of the isotonic block of one more right answer just before group i, i = 0 … m.

    Points are (items, right answers) so far; blocks are the edges of their greatest convex minorant. The added
    answer goes up group by group, and its edge's corners are on top of the stack. Integers: no rounding.
    """
    ends = list(zip(np.cumsum(size).tolist(), np.cumsum(right).tolist()))
    corners = [(-1, -1)]
    for point in [(0, 0), *ends]:
        while len(corners) > 1 and _turn(corners[-2], corners[-1], point) <= 0:
            corners.pop()
        corners.append(point)
    corners.reverse()
    found = []
    for x, y in ends:
        (x0, y0), (x1, y1) = corners[-1], corners[-2]
        found.append((y1 - y0, x1 - x0))
        # The group is now below the added answer, which ends where the group ended.
        moved = (x - 1, y - 1)
        if _turn(corners[-1], corners[-2], moved) >= 0:
            continue
        corners.pop()
        while len(corners) > 1 and _turn(moved, corners[-1], corners[-2]) <= 0:
            corners.pop()
        corners.append(moved)
    found.append((1, 1))
    counts = np.array(found, dtype=np.int64)
    return counts[:, 0], counts[:, 1]


def _turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    """Above 0 where the way from a over b to c turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def supported(chance: Floats, low: Floats, high: Floats) -> Floats:
    """The chances that can be told: NaN where [low, high] is wider than `WIDEST`, else moved into it.

    From 20 items 6 to 37 % of answers are told a percentage, from 50 items 42 to 65 %, from 100 69 to 86 %, from
    200 86 to 94 % (simulated). It is the interval that tells, not the number of items: where all of the most
    confident answers are right, few items say so. The logistic map leaves the interval for up to 5 % of answers,
    where its form does not fit.
    """
    return np.where(high - low <= WIDEST, np.clip(chance, low, high), np.nan)


def _why_no_fit(correct: Floats) -> str:
    """Why labels allow no map; "" where they do."""
    if len(correct) < MIN_ITEMS:
        items = "item" if len(correct) == 1 else "items"
        return f"{len(correct)} validation {items}: a map needs {MIN_ITEMS}"
    if reason := why_one_class(correct):
        return f"of the validation items {reason}"
    return ""


def _newton(x: Floats, target: Floats) -> tuple[float, float]:
    """Intercept and slope of the least cross-entropy; x standardised, targets inside (0, 1): it exists."""
    design = np.stack([np.ones_like(x), x])
    beta = np.array([special.logit(target.mean()), 0.0])

    def loss(beta: Floats) -> float:
        eta = beta @ design
        return float(np.sum(np.logaddexp(0, eta) - target * eta))

    current = loss(beta)
    for _ in range(100):
        chance = special.expit(beta @ design)
        gradient = design @ (chance - target)
        hessian = (design * (chance * (1 - chance))) @ design.T
        step = np.linalg.solve(hessian + 1e-12 * np.trace(hessian) * np.eye(2), gradient)
        size = 1.0
        while (new := loss(beta - size * step)) > current + 1e-12 * abs(current) and size > 1e-10:
            size /= 2
        beta, current = beta - size * step, min(new, current)
        if np.abs(size * step).max() <= 1e-12 * (1 + np.abs(beta).max()):
            break
    if not (np.isfinite(beta).all() and np.abs(gradient).max() <= 1e-6 * len(x)):
        raise ArithmeticError("the logistic map did not converge")
    return float(beta[0]), float(beta[1])


def percent(chance: float) -> int:
    """Whole per cent, halves up, at least 1 and at most 99: an estimate from a sample excludes neither outcome.

    Raises
    ------
    ValueError
        If `chance` is NaN, below 0 or above 1.

    >>> [percent(chance) for chance in (0.0, 0.004, 0.125, 0.995, 1.0)]
    [1, 1, 13, 99, 99]
    """
    if not 0 <= chance <= 1:
        raise ValueError(f"{chance} is no chance")
    return min(99, max(1, math.floor(100 * chance + 0.5)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One bin of a reliability diagram: items of similar probability.

    Attributes
    ----------
    n : items, at least one.
    stated : mean of their probabilities.
    correct : share of them that is correct.
    low, high : Wilson's 95 % interval of `correct`.
    """

    n: int
    stated: float
    correct: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration of n probabilities; all numbers NaN and no bins without items.

    Attributes
    ----------
    ece : expected calibration error, sum over bins b of n_b / n · |stated_b − correct_b|.
    ece_if_calibrated : the mean ECE that the same probabilities in the same bins would have if each were right.
        Chance alone makes an ECE positive; only what exceeds this shows miscalibration.
    brier : mean of (probability − label)².
    miscalibration, discrimination, uncertainty : brier = miscalibration − discrimination + uncertainty.
    bins : least probable first, none empty.
    """

    n: int
    ece: float = math.nan
    ece_if_calibrated: float = math.nan
    brier: float = math.nan
    miscalibration: float = math.nan
    discrimination: float = math.nan
    uncertainty: float = math.nan
    bins: tuple[Bin, ...] = ()


def calibration(probability: ArrayLike, correct: ArrayLike, *, bins: int = BINS) -> Calibration:
    """ECE, Brier score and the bins of a reliability diagram.

    Parameters
    ----------
    probability, correct
        (n,) in [0, 1], and (n,) 0 or 1. A score that is no probability needs a map first.
    bins
        Number of bins, of equal numbers of items but for ties.

    Raises
    ------
    ValueError
        If a probability lies outside [0, 1], or as `checked_labels`.

    Notes
    -----
    Bins have equal mass, not equal width: the estimate is less biased (Roelofs et al. 2022, Mitigating Bias in
    Calibration Error Estimation, AISTATS), and none is empty where probabilities lie in a narrow range.
    Equal probabilities are never divided between bins: a group that takes the positions from a to b of 0 … n
    belongs to the bin of its middle, ⌊bins · (a + b) / 2n⌋. So heavy ties leave fewer bins, and the order of the
    items does not matter. Without ties the numbers of items in bins differ by 1 at most.

    ECE: Naeini, Cooper and Hauskrecht (2015), AAAI. `ece_if_calibrated` is exact: the number correct in a bin is
    then a sum of independent Bernoulli variables, whose distribution is computed.

    Brier's decomposition is that of Dimitriadis, Gneiting and Jordan (2021), Stable reliability diagrams for
    probabilistic classifiers, PNAS 118 (CORP): with S the Brier score, p the probabilities, p̂ their isotonic
    recalibration on the same items and ȳ the share correct, miscalibration = S(p) − S(p̂), discrimination =
    S(ȳ) − S(p̂), uncertainty = S(ȳ). It needs no bins; both parts are at least 0 and, from few items, too large.

    >>> found = calibration([0.2, 0.2, 0.9, 0.9], [0, 0, 1, 0], bins=2)
    >>> round(found.ece, 3), round(found.brier, 3), [b.n for b in found.bins]
    (0.3, 0.225, [2, 2])
    """
    probability, correct = checked_labels(probability, correct)
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities must lie between 0 and 1")
    n = len(correct)
    if n == 0:
        return Calibration(n=0)
    number = _bin_numbers(probability, bins)
    found, chance = [], 0.0
    for b in np.unique(number):
        stated, right = probability[number == b], correct[number == b]
        k, size = int(right.sum()), len(right)
        low, high = wilson(k, size)
        found.append(Bin(n=size, stated=float(stated.mean()), correct=k / size, low=low, high=high))
        chance += _mean_deviation(stated)
    brier = float(np.mean((probability - correct) ** 2))
    base = float(correct.mean())
    uncertainty = base * (1 - base)
    distinct, share = isotonic_steps(probability, correct)
    recalibrated = float(np.mean((share[np.searchsorted(distinct, probability)] - correct) ** 2))
    return Calibration(
        n=n,
        ece=sum(b.n * abs(b.stated - b.correct) for b in found) / n,
        ece_if_calibrated=chance / n,
        brier=brier,
        miscalibration=_part(brier - recalibrated),
        discrimination=_part(uncertainty - recalibrated),
        uncertainty=uncertainty,
        bins=tuple(found),
    )


def _part(difference: float) -> float:
    """A difference of Brier scores, at least 0; what rounding leaves of 0 is 0."""
    return difference if difference > 1e-14 else 0.0


def _bin_numbers(probability: Floats, bins: int) -> Ints:
    """(n,) the bin of each item; see `calibration`."""
    _, group, size = np.unique(probability, return_inverse=True, return_counts=True)
    stop = np.cumsum(size)
    # Integers, so that a middle on the border of two bins does not depend on rounding.
    return (bins * (2 * stop - size) // (2 * len(probability)))[group.reshape(-1)]


def _mean_deviation(probability: Floats) -> float:
    """E |X − E X| for X the number of successes in independent trials of these probabilities."""
    mass = _success_counts(probability)
    return float(np.abs(np.arange(len(mass)) - probability.sum()) @ mass)


def _success_counts(probability: Floats) -> Floats:
    """P(X = 0), P(X = 1), … for X the number of successes in independent trials, one or more of them.

    Exact: trials are added one after the other within blocks, in all blocks at once, and the blocks convolved two
    by two. All terms are positive, so that nothing cancels. The end is padded with trials of probability 0.
    ``scipy.stats.poisson_binom`` gives the same in 9 times the time for 15 trials, 300 times for 10,000.
    """
    width = min(len(probability), _BLOCK)
    blocks = np.zeros((-(-len(probability) // width), width))
    blocks.flat[: len(probability)] = probability
    mass = np.zeros((len(blocks), width + 1))
    mass[:, 0] = 1
    for p in blocks.T[:, :, None]:
        added = mass[:, :-1] * p
        mass *= 1 - p
        mass[:, 1:] += added
    parts = list(mass)
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2])
        parts = [np.convolve(*pair) for pair in pairs] + parts[len(parts) & ~1 :]
    return parts[0]


def clopper_pearson(k: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of the share k / n: each end is a one-sided bound at (1 + level) / 2.

    NaN without items; ValueError unless 0 ≤ k ≤ n.

    low is the (1 − level) / 2 quantile of Beta(k, n − k + 1), 0 for k = 0; high the (1 + level) / 2 quantile of
    Beta(k + 1, n − k), 1 for k = n.

    Source: Clopper, C. J. and Pearson, E. S. (1934), Biometrika 26, 404–413. Equal to ``scipy.stats.binomtest(k,
    n).proportion_ci(level, "exact")`` to about 1e-12 (tested), 300 to 5,000 times faster.

    >>> clopper_pearson(0, 10)[0], round(clopper_pearson(0, 10)[1], 4)
    (0.0, 0.3085)
    """
    _check(k, n)
    if n == 0:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low = float(special.betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(special.betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return low, high


def wilson(k: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of the share k / n, whose mean coverage is near `level` even for few items.

    NaN without items; ValueError unless 0 ≤ k ≤ n. The ends are

    (k/n + z²/2n ± z sqrt(k/n (1 − k/n)/n + z²/4n²)) / (1 + z²/n).

    Source: Wilson, E. B. (1927), J. Am. Stat. Assoc. 22, 209–212; recommended for small n by Brown, Cai and
    DasGupta (2001), Statistical Science 16, 101–133. Equal to ``binomtest(k, n).proportion_ci(level, "wilson")``,
    about 20 times faster.

    >>> [round(end, 4) for end in wilson(5, 10)]
    [0.2366, 0.7634]
    """
    _check(k, n)
    if n == 0:
        return math.nan, math.nan
    low, high = _wilson(np.array([k]), np.array([n]), level)
    return float(low[0]), float(high[0])


def _wilson(k: Ints, n: Ints, level: float) -> tuple[Floats, Floats]:
    """`wilson` of arrays, n at least 1."""
    z = float(special.ndtri((1 + level) / 2))
    share = k / n
    middle = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
    return np.where(k == 0, 0.0, low), np.where(k == n, 1.0, high)


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
