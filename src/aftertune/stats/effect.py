"""The effect that verdicts are about, tie-adjusted rho, beside Spearman's rho, with the influence of each item.

Notation: n items; a and b the midranks of confidence and of quality, centred and divided by n, so that they lie
between −1/2 and 1/2; N = mean(ab), D = mean(b²), E = mean(a²). Tie-adjusted rho is N / D, the slope of the ranks
of confidence on those of quality; Spearman's rho is N / sqrt(D E).

Ties in quality are the task's and are adjusted for: with right and wrong answers the adjusted rho is 2 AUROC − 1
whatever their shares, while Spearman's is smaller the rarer one of them is. Ties in confidence are the score's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from aftertune.stats.correlation import why_undefined
from aftertune.stats.ranks import centred_ranks, tied_groups
from aftertune.types import Floats, Ints


def adjusted_rho(confidence: Floats, quality: Floats) -> float:
    """Tie-adjusted rho of (n,) confidences and (n,) qualities, all finite; NaN where `why_undefined` has a reason.

    From integers, so that confidence that never contradicts quality has exactly 1.

    >>> confidence, right = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0])
    >>> adjusted_rho(confidence, right), concordance(confidence, right)
    (0.5, 0.75)
    """
    if why_undefined(confidence, quality):
        return float("nan")
    x, y = centred_ranks(confidence), centred_ranks(quality)
    return int(x @ y) / int(y @ y)


def concordance(confidence: Floats, quality: Floats) -> float:
    """Share of the pairs of different quality in which the better one has the higher confidence, ties half.

    AUROC where quality is right or wrong. O(n log n), by Kendall's tau-b. NaN as `adjusted_rho`.
    """
    if why_undefined(confidence, quality):
        return float("nan")
    n = len(quality)
    of_all = n * (n - 1) / 2
    by_confidence, by_quality = of_all - _tied_pairs(confidence), of_all - _tied_pairs(quality)
    found = stats.kendalltau(confidence, quality, method="asymptotic")
    tau = float(found.statistic)  # pyright: ignore[reportAttributeAccessIssue]
    # Concordant minus discordant pairs are a whole number.
    return (1 + round(tau * np.sqrt(by_confidence * by_quality)) / by_quality) / 2


def _tied_pairs(values: Floats) -> float:
    counts = np.unique(values, return_counts=True)[1].astype(float)
    return float((counts * (counts - 1) / 2).sum())


class Effect(NamedTuple):
    """One effect of S scores over the same n items.

    Attributes
    ----------
    value : (S,); NaN where undefined.
    deviation : (S, n) each item's share in the sampling error: the sum of squares of a row is the variance of
        `value`, and the product of two rows, of scores or of checkpoints, their covariance.
    """

    value: Floats
    deviation: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Both effects of S scores at one checkpoint."""

    adjusted: Effect
    spearman: Effect


def effects(confidence: Floats, quality: Floats) -> Effects:
    """Both effects of S scores with the influence of each item on them.

    Parameters
    ----------
    confidence, quality
        (S, n) and (n,), all finite.

    Notes
    -----
    Influence functions of N, D and E (Hampel 1974); an item z counts by its own ranks, and by moving the ranks of
    all items above it:

        IF_N(z) = a_z b_z − N + mean_i[(H(c_i, c_z) − F_c(c_i)) b_i] + mean_i[a_i (H(q_i, q_z) − F_q(q_i))]

    with H 1 above z, 1/2 level with it and 0 below, F its mean: two cumulated sums in sorted order, O(n log n).
    The ratio is then taken without each item exactly, D − IF_D(z) / (n − 1) in the place of D, as a jackknife
    does: where one of the classes is rare, the plain ratio of influences makes the variance too small by
    (m − 1) / m for m answers of that class.
    """
    n = len(quality)
    deviation = np.full((2, len(confidence), n), np.nan)
    values = np.full((2, len(confidence)), np.nan)
    defined = [s for s, one in enumerate(confidence) if not why_undefined(one, quality)]
    if not defined:
        return Effects(adjusted=Effect(values[0], deviation[0]), spearman=Effect(values[1], deviation[1]))
    of_quality = _Ranks.of(quality)
    b = of_quality.rank / (2 * n)
    d = float(np.mean(b**2)) if n else np.nan
    influence_d = b**2 - d + 2 * (of_quality.above(b) - d)
    for s in defined:
        one = confidence[s]
        of_confidence = _Ranks.of(one)
        a = of_confidence.rank / (2 * n)
        product, e = float(np.mean(a * b)), float(np.mean(a**2))
        influence = a * b + of_confidence.above(b) + of_quality.above(a) - 3 * product
        influence_e = a**2 - e + 2 * (of_confidence.above(a) - e)
        theta, rho = product / d, product / np.sqrt(d * e)
        without_d = np.maximum(d - influence_d / (n - 1), d / n)
        without_e = np.maximum(e - influence_e / (n - 1), e / n)
        deviation[0, s] = (influence - theta * influence_d) / without_d
        half = product / 2 * (influence_d / d + influence_e / e)
        deviation[1, s] = (influence - half) / np.sqrt(without_d * without_e)
        values[:, s] = of_confidence.rank @ of_quality.rank / (of_quality.rank @ of_quality.rank), rho
    deviation /= np.sqrt(n * (n - 1))
    deviation[np.abs(values) >= 1 - 1e-12] = 0.0  # but for rounding
    return Effects(adjusted=Effect(values[0], deviation[0]), spearman=Effect(values[1], deviation[1]))


class _Ranks(NamedTuple):
    """`centred_ranks` of n values, (n,), and which of m groups of equal values, lowest first, each belongs to."""

    rank: Ints
    group: Ints
    n_groups: int

    @classmethod
    def of(cls, values: Floats) -> _Ranks:
        group, size = tied_groups(values)
        return cls(rank=(2 * np.cumsum(size) - size - len(values))[group], group=group, n_groups=len(size))

    def above(self, weight: Floats) -> Floats:
        """(n,) for each item the mean of `weight` over items, those above it whole, those level with it half."""
        level = np.bincount(self.group, weight, self.n_groups)
        above = np.cumsum(level[::-1])[::-1] - level / 2
        return (above / len(weight))[self.group]


def by_group(deviation: Floats, group: Ints, n_groups: int) -> Floats:
    """(S, n) deviations summed within groups of items that belong together, (S, n_groups).

    The sum of squares is then the variance when groups are drawn, not items: g / (g − 1) in the place of
    n / (n − 1), g the groups that have items.
    """
    n, used = len(group), len(np.unique(group))
    summed = np.stack([np.bincount(group, row, n_groups) for row in deviation])
    return summed * np.sqrt(used / max(used - 1, 1) * (n - 1) / max(n, 1))
