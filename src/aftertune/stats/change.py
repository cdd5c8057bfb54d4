"""Change of an effect of several scores between two checkpoints: intervals for three questions, and their tests.

Notation: R training runs (seeds), S scores, n items or G groups of them; d_rs the change of score s in run r, d_s
its mean over runs; f_rsg the share of group g in the sampling error of d_rs (`effect.Effect.deviation`, `to` minus
`from`), so that sum_g f_rsg f_r's'g is the covariance of d_rs and d_r's' over test items.

Three questions: what holds for *these models* (items vary), for the *mean over training runs* (runs vary too), and
what *one more training run* would show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from aftertune.stats.runs import CONSTANT
from aftertune.types import Floats

NOTHING_VARIES = "nothing varies over items or runs (the same values, or perfect order, at both ends?): no spread"
LEVEL = 0.05
FEWEST_FOR_NEW_RUN = 3


def spread_over_runs(values: Floats) -> float:
    """Sample standard deviation over runs; NaN with one run."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Sampling variances of S numbers, and what a t interval of each needs.

    Attributes
    ----------
    variance, df : (K, S) K estimates of the variance, each with its degrees of freedom; the one that makes the
        widest interval counts.
    floor : (S,) variance that would be left with infinitely many items.
    correlation : (S, S) of the sampling errors.
    """

    variance: Floats
    df: Floats
    floor: Floats
    correlation: Floats

    def half_width(self, s: int, level: float = LEVEL) -> float:
        """Half of the interval of error `level` of score s; NaN where nothing varies."""
        half = -special.stdtrit(self.df[:, s], level / 2) * np.sqrt(self.variance[:, s])
        return float(half.max()) or math.nan

    def p_value(self, s: int, distance: float) -> float:
        """Two-sided p of score s lying `distance` away from a hypothesis; NaN where nothing varies."""
        found = [
            2 * float(special.stdtr(df, -abs(distance) / math.sqrt(v)))
            for v, df in zip(self.variance[:, s], self.df[:, s])
            if v > 0
        ]
        return max(found, default=math.nan)


def spread_for_models(deviation: Floats) -> Spread:
    """Of the mean over these R trained models: items vary.

    Parameters
    ----------
    deviation
        (R, S, G) f.

    Notes
    -----
    The variance is V_s = sum_g m_sg², m the mean of f over runs. Its degrees of freedom are those that its own
    spread over items gives, 2 V² / sum_g m⁴ − 1, at least 1 and at most G − 1: few items that decide (five wrong
    answers among a hundred) make a variance uncertain, and the interval wider.
    """
    mean = deviation.mean(axis=0)
    variance = (mean**2).sum(axis=1)
    return Spread(
        variance=variance[None],
        df=_degrees(mean, variance)[None],
        floor=np.zeros(len(variance)),
        correlation=_correlation(mean @ mean.T, variance),
    )


def spread_for_training(observed: Floats, deviation: Floats) -> Spread:
    """Of the mean over training runs, of which these R ≥ 2 are a sample: runs and items vary.

    Parameters
    ----------
    observed, deviation
        (R, S) d and (R, S, G) f.

    Notes
    -----
    V = c + s² / R,    df = V² / (c² / df_items + (s² / R)² / (R − 1))    (Satterthwaite),

    s² the sample variance of d over runs, and c ≥ 0 the mean covariance over pairs of runs r ≠ r': the item noise
    that runs share. s² holds the item noise that they do not share already, so V is unbiased whatever the share.
    Where runs agree so closely by chance that this is narrower than the interval for these models, that one is
    taken (the second row): what holds for all runs cannot be surer than what holds for these.

    The correlation counts what runs share over items alone: how runs move the scores together cannot be known
    from a few of them, and to take them for independent makes simultaneous bounds wider, not narrower.
    """
    n_runs = len(observed)
    items = spread_for_models(deviation)
    of_items, df_items = items.variance[0], items.df[0]
    noise, shared = _item_noise(deviation)
    common = np.maximum(np.diagonal(shared), 0.0)
    unshared = (noise - np.diagonal(shared)) / n_runs
    of_runs = _variance_over_runs(observed) / n_runs
    variance = common + of_runs
    with np.errstate(invalid="ignore", divide="ignore"):
        df = variance**2 / (common**2 / df_items + of_runs**2 / (n_runs - 1))
    return Spread(
        variance=np.stack([variance, of_items]),
        df=np.stack([np.where(variance > 0, df, 1.0), df_items]),
        floor=np.maximum(of_runs - unshared, 0.0),
        correlation=_correlation(shared, np.maximum(variance, of_items)),
    )


def spread_for_new_run(observed: Floats) -> Spread:
    """Of the change that one more training run would show, around the mean of these R ≥ 3: a prediction.

    V = s² (1 + 1 / R) with R − 1 degrees of freedom, s² the sample variance over runs of d, `observed`, (R, S).

    Notes
    -----
    It is exact for the change measured on the same test items, whatever item noise the runs share. By simulation
    it covers the new run's change on any items too: .93 to .97 with 3, 5, 10 runs that differ by 0, .05, .15.
    """
    n_runs, n_scores = observed.shape
    variance = _variance_over_runs(observed) * (1 + 1 / n_runs)
    return Spread(
        variance=variance[None],
        df=np.full((1, n_scores), n_runs - 1.0),
        floor=variance,
        correlation=np.eye(n_scores),
    )


def _variance_over_runs(observed: Floats) -> Floats:
    """(R, S) → (S,); exactly 0 where all runs have the same value, which rounding alone tells apart."""
    return np.where(np.ptp(observed, axis=0) < CONSTANT, 0.0, np.var(observed, axis=0, ddof=1))


def _item_noise(deviation: Floats) -> tuple[Floats, Floats]:
    """(S,) mean variance of d_rs over items, and (S, S) mean covariance of d_rs and d_r's' over pairs r ≠ r'."""
    n_runs = len(deviation)
    total = deviation.sum(axis=0)
    within = np.einsum("rsg,rtg->st", deviation, deviation, optimize=True)
    shared = (total @ total.T - within) / (n_runs * (n_runs - 1))
    return np.diagonal(within) / n_runs, shared


def _degrees(rows: Floats, variance: Floats) -> Floats:
    """(S,) degrees of freedom of the variances of (S, G) rows; see `spread_for_models`."""
    fourth = (rows**4).sum(axis=1)
    most = max(rows.shape[1] - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        df = 2 * variance**2 / fourth - 1
    return np.where(variance > 0, np.clip(df, 1.0, most), most)


def _correlation(covariance: Floats, variance: Floats) -> Floats:
    """(S, S) of `covariance` at these variances, the diagonal 1; where a variance is 0, no correlation."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = covariance / np.sqrt(np.outer(variance, variance))
    found = np.clip(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0), -1, 1)
    np.fill_diagonal(found, 1.0)
    return found


class Simultaneous:
    """Bounds of m numbers that hold for all of them at once, and p-values corrected to match (max-t).

    B draws of the m sampling errors, by a multiplier bootstrap: multipliers of the items are standard normal, so
    the errors are normal with the items' correlation, and are drawn as such. The level of each interval is the
    largest at which a corrected p-value below 0.05 and an interval that excludes the hypothesis are the same; the
    largest error of a draw then stays inside in 95 % of them. For one number it is 0.05 itself, and never more.

    Parameters
    ----------
    correlation
        (m, m) of the sampling errors.

    Attributes
    ----------
    level : error of each interval.
    several : whether it is about more than one number.

    Notes
    -----
    Westfall and Young (1993); single-step max-t of Hothorn, Bretz and Westfall (2008), Biometrical Journal 50.
    """

    def __init__(self, correlation: Floats, *, draws: int = 0, rng: np.random.Generator | None = None) -> None:
        self._largest: Floats | None = None
        self.level = LEVEL
        self.several = len(correlation) > 1
        if self.several and rng is not None:
            values, vectors = np.linalg.eigh(correlation)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            root /= np.maximum(np.linalg.norm(root, axis=1, keepdims=True), 1e-300)
            self._largest = np.sort(np.abs(rng.standard_normal((draws, len(root))) @ root.T).max(axis=1))
            # The most draws that may lie above an error whose corrected p is below LEVEL, and one fewer.
            above = max(math.ceil(LEVEL * (1 + draws)) - 2, 0)
            self.level = min(2 * float(special.ndtr(-self._largest[-1 - above])), LEVEL)

    def corrected(self, p: float) -> float:
        """The two-sided p-value of one of them, corrected for looking at all."""
        if self._largest is None or math.isnan(p):
            return p
        z = -float(special.ndtri(p / 2))
        above = len(self._largest) - int(np.searchsorted(self._largest, z))
        return max((1 + above) / (1 + len(self._largest)), p)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anova:
    """F statistic and p-value of an analysis of variance; both NaN where F is undefined."""

    f: float
    p: float


def one_way_anova(groups: Sequence[Floats]) -> Anova:
    """Test of whether the correlations of k groups of runs, each (R_g,), have the same mean.

    F = (sum_g R_g (m_g − m)² / (k − 1)) / (sum_g sum_r (rho_gr − m_g)² / (R − k)), with R_g runs of mean m_g in
    group g and R runs of mean m in all; p is the upper tail of F on k − 1 and R − k degrees of freedom.

    NaN with fewer than two groups, a group with fewer than two runs, an undefined correlation, or only constant
    groups, where F is infinite or 0 / 0: a score that does not depend on the seed is no evidence of anything.

    >>> one_way_anova([np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0])]).f
    6.0
    """
    values = [np.asarray(group, dtype=np.float64) for group in groups]
    too_few = len(values) < 2 or min(map(len, values)) < 2
    if too_few or not np.isfinite(np.concatenate(values)).all() or all(np.ptp(v) < CONSTANT for v in values):
        return Anova(f=math.nan, p=math.nan)
    found = stats.f_oneway(*values)
    return Anova(f=float(found.statistic), p=float(found.pvalue))
