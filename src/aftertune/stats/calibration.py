"""Do percentages mean what they say? ECE, Brier score and reliability (method, section 7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from aftertune.stats.isotonic import isotonic_steps
from aftertune.stats.labels import with_labels
from aftertune.stats.proportion import wilson
from aftertune.types import Floats, Ints

BINS = 10
BLOCK = 16
"""Trials whose successes are counted one by one before blocks are convolved."""
By = Literal["mass", "width"]
_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Items of similar probability.

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
    """Of n probabilities; all numbers NaN and no bins without items.

    Attributes
    ----------
    ece : sum over bins of n_b / n · |stated_b − correct_b|.
    ece_if_calibrated : the mean ECE that the same probabilities in the same bins would have if each were right.
        Chance alone makes an ECE positive; only what exceeds this tells of miscalibration.
    brier : mean of (probability − label)².
    miscalibration, discrimination, uncertainty : brier = miscalibration − discrimination + uncertainty.
    bins : least probable first, none empty.
    """

    n: int
    ece: float
    ece_if_calibrated: float
    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    bins: tuple[Bin, ...]


def calibration(probability: ArrayLike, correct: ArrayLike, *, bins: int = BINS, by: By = "mass") -> Calibration:
    """ECE, Brier score and the bins of a reliability diagram.

    Parameters
    ----------
    probability, correct
        (n,) in [0, 1], and (n,) 0 or 1. A score that is no probability needs a map first (`percentages`).
    by
        "mass": bins of equal numbers of items. "width": of equal width, the first closed at 0, each open at its
        lower end and closed at its upper (Guo et al. 2017).

    Notes
    -----
    Bins of equal mass are the default because the estimate is then less biased (Roelofs et al. 2022, Mitigating
    Bias in Calibration Error Estimation, AISTATS), and because percentages after a map can lie in a narrow range
    where bins of equal width would all but one be empty. Equal probabilities are never divided between bins: a
    group of them that takes positions a … b in order belongs to the bin of its middle, ⌊bins · (a + b) / 2n⌋ with
    positions counted from 0 to n. So heavy ties leave fewer bins, and the result does not depend on the order of
    the items. Without ties the numbers of items in bins differ by 1 at most.

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
    probability, correct = with_labels(probability, correct)
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities must lie between 0 and 1")
    n = len(correct)
    if n == 0:
        return Calibration(
            n=0,
            ece=_NAN,
            ece_if_calibrated=_NAN,
            brier=_NAN,
            miscalibration=_NAN,
            discrimination=_NAN,
            uncertainty=_NAN,
            bins=(),
        )
    number = _by_mass(probability, bins) if by == "mass" else _by_width(probability, bins)
    found, chance = [], 0.0
    for stated, right in _members(number, probability, correct):
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
    """Of Brier scores, which are at most 1: what rounding leaves of none is none."""
    return difference if difference > 1e-14 else 0.0


def _by_mass(probability: Floats, bins: int) -> Ints:
    _, group, size = np.unique(probability, return_inverse=True, return_counts=True)
    stop = np.cumsum(size)
    # Integers, so that a middle on the border of two bins does not depend on rounding.
    return (bins * (2 * stop - size) // (2 * len(probability)))[group.reshape(-1)]


def _by_width(probability: Floats, bins: int) -> Ints:
    edges = np.arange(1, bins) / bins
    return np.searchsorted(edges, probability, side="left")


def _members(number: Ints, probability: Floats, correct: Floats) -> Iterator[tuple[Floats, Floats]]:
    for b in np.unique(number):
        yield probability[number == b], correct[number == b]


def _mean_deviation(probability: Floats) -> float:
    """E |X − E X| for X the number of successes in independent trials of these probabilities."""
    mass = _success_counts(probability)
    return float(np.abs(np.arange(len(mass)) - probability.sum()) @ mass)


def _success_counts(probability: Floats) -> Floats:
    """P(X = 0), P(X = 1), … for X the number of successes in independent trials, one or more of them.

    Exact: trials are added one after the other within blocks, in all blocks at once, and the blocks convolved two
    by two. All terms are positive, so that nothing cancels. The end is padded with trials of probability 0.
    """
    width = min(len(probability), BLOCK)
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
