"""Change of the task-level correlation, or of AUROC, between two checkpoints, and its tests.

Notation: R training runs (seeds), B resamples of the test items; d_r = rho(to) − rho(from) of run r on the
items that all runs have at both checkpoints; d*_br the same on resample b, which is shared by all runs and
both checkpoints (`resampling.resampled_spearman`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from aftertune.stats.discrimination import auroc, resampled_auroc, why_one_class
from aftertune.stats.resampling import MAX_UNDEFINED, Checkpoint, shape_of_ends
from aftertune.types import Floats

_CONSTANT = "confidence or quality is constant in more than 5 % of resamples"
_NOTHING_VARIES = "nothing varies over runs or resamples"
_ONE_CLASS = "more than 5 % of resamples hold only correct or only wrong answers"
_NO_SPREAD = "AUROC is the same in every resample (perfect order or constant confidence): its spread is unknown"
_OF_AUROC = {_CONSTANT: _ONE_CLASS, _NOTHING_VARIES: _NO_SPREAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A 95 % interval of a mean over training runs, and the two-sided p-value of the mean being 0.

    Attributes
    ----------
    floor : half-width that would be left with infinitely many items.
    reason : why `low`, `high` and `p` are NaN; "" where they are not.
    """

    low: float
    high: float
    p: float
    floor: float
    reason: str = ""

    @classmethod
    def undefined(cls, reason: str) -> Interval:
        """All numbers NaN, for that reason."""
        return cls(low=math.nan, high=math.nan, p=math.nan, floor=math.nan, reason=reason)

    def within(self, limit: float) -> Interval:
        """The interval cut at ±limit, beyond which the mean cannot lie, so that its coverage stays."""
        if self.reason:
            return self
        return replace(self, low=max(self.low, -limit), high=min(self.high, limit))


def spread_over_runs(values: Floats) -> float:
    """Sample standard deviation over runs; NaN with one run."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def interval_for_models(resampled: Floats) -> Interval:
    """Interval of the mean change for *these trained models*: items vary, runs are averaged.

    Percentile interval of mean_r d*_br over b; p = 2 min(P(≤ 0), P(≥ 0)), each tail (count + 1) / (B + 1).
    The smallest p is therefore 2 / (B + 1).

    Parameters
    ----------
    resampled
        (B, R); rows with a NaN (constant confidence or quality in the resample) are left out, and more than
        5 % of them leave the interval undefined.

    Notes
    -----
    Rejection rate at alpha 0.05 with equal population correlations, by simulation (2,000 data sets a cell;
    n = 100 and 300, with and without heavy ties): 0.040 to 0.049. Coverage of the mean change of three trained
    models, whose correlations have a standard deviation of 0, 0.02 and 0.15: 0.936 to 0.942. The tests repeat it.
    """
    defined, reason = _defined_rows(resampled)
    if reason:
        return Interval.undefined(reason)
    means = defined.mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    tail = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    p = min(1.0, 2 * (tail + 1) / (len(means) + 1))
    return Interval(low=float(low), high=float(high), p=p, floor=0.0)


def interval_for_training(observed: Floats, resampled: Floats, *, n_items: int) -> Interval:
    """Interval of the mean change for *another training run*: runs vary too. ValueError unless R ≥ 2.

    t interval, mean_r d_r ± t(0.975, df) sqrt(V), with

        V = c + s² / R,    df = V² / (c² / (n − 1) + (s² / R)² / (R − 1))    (Satterthwaite),

    s² the sample variance of d_r over runs, and c ≥ 0 the mean covariance of d*_br and d*_br' over pairs of
    runs r ≠ r': the item noise that runs share. s² already holds the item noise that they do not share, so
    V is unbiased whatever the share; the whole bootstrap variance of the mean plus s² / R would count that
    part twice. Where runs agree so closely by chance that this interval is narrower than the t interval on the
    bootstrap variance of the mean, with n − 1 degrees of freedom, that one is taken, and so is the larger p: what
    holds for another run cannot be surer than what holds for these.

    Parameters
    ----------
    observed
        (R,) d_r on all items.
    resampled
        (B, R), as for `interval_for_models`.

    Notes
    -----
    `floor` is the half-width with c and the unshared item noise gone, t(0.975, R − 1) sqrt(tau² / R) with
    tau² = max(0, s² − unshared item noise).

    Coverage of the nominal 95 % by simulation, with R = 3 and 5, n = 100 and 300, standard deviation of the
    runs' correlations 0, 0.02, 0.05 and 0.15, items' noise shared to 10, 50 and 90 %, and the starting model
    shared or not: 0.914 to 0.974 in 96 cells of 500 data sets (standard error 0.01); 0.925 to 0.956 when the
    extreme cells were repeated with 1,500 (before the lower limit of the width was added). With the
    whole bootstrap variance of the mean in the place of c it was 0.918 to 0.996. The tests repeat twelve cells.
    """
    n_runs = len(observed)
    if n_runs < 2:
        raise ValueError("the spread over training runs needs at least two of them")
    defined, reason = _defined_rows(resampled)
    if reason:
        return Interval.undefined(reason)
    mean = float(np.mean(observed))
    of_runs = float(np.var(observed, ddof=1)) / n_runs
    covariance = np.cov(defined, rowvar=False)
    item_noise = float(np.trace(covariance)) / n_runs
    shared = float(covariance.sum() - np.trace(covariance)) / (n_runs * (n_runs - 1))
    unshared = (item_noise - shared) / n_runs
    shared = max(0.0, shared)
    variance = shared + of_runs
    of_items = float(covariance.sum()) / n_runs**2
    if variance == 0 and of_items == 0:
        return Interval.undefined(_NOTHING_VARIES)
    widths = [(of_items, float(n_items - 1))]
    if variance > 0:
        df = variance**2 / (shared**2 / (n_items - 1) + of_runs**2 / (n_runs - 1))
        widths.append((variance, df))
    half = max(float(stats.t.ppf(0.975, df)) * math.sqrt(v) for v, df in widths)
    p = max(2 * float(stats.t.sf(abs(mean) / math.sqrt(v), df)) for v, df in widths if v > 0)
    floor = float(stats.t.ppf(0.975, n_runs - 1)) * math.sqrt(max(0.0, of_runs - unshared))
    return Interval(low=mean - half, high=mean + half, p=p, floor=floor)


def _defined_rows(resampled: Floats) -> tuple[Floats, str]:
    """The rows of `resampled` without NaN, and why these are too few for an interval ("" where they are not)."""
    defined = resampled[np.isfinite(resampled).all(axis=1)]
    if len(defined) < (1 - MAX_UNDEFINED) * len(resampled):
        return defined, _CONSTANT
    return defined, ""


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
    if too_few or not np.isfinite(np.concatenate(values)).all() or all(np.ptp(v) < 1e-12 for v in values):
        return Anova(f=math.nan, p=math.nan)
    found = stats.f_oneway(*values)
    return Anova(f=float(found.statistic), p=float(found.pvalue))


@dataclass(frozen=True, slots=True, kw_only=True)
class AurocChange:
    """Change of one score's AUROC between two checkpoints of R training runs.

    Attributes
    ----------
    n : items, the same in all runs at both checkpoints.
    from_, to : (R,) AUROC of each run.
    models : of the mean change, for these trained models.
    training : the same, for another training run; None with one run.
    reason : why the change is NaN; "" where it is not.
    """

    n: int
    from_: Floats
    to: Floats
    models: Interval
    training: Interval | None
    reason: str = ""

    @property
    def changes(self) -> Floats:
        """(R,) to − from."""
        return self.to - self.from_

    @property
    def mean(self) -> float:
        """Mean of `changes` over runs; NaN where one is undefined."""
        return float(np.mean(self.changes))


def auroc_changes(
    ends: Sequence[tuple[Checkpoint, Checkpoint]], *, resamples: int, rng: np.random.Generator
) -> list[AurocChange]:
    """Mean change of each score's AUROC over training runs, with both intervals of a change.

    Resamples of the items are shared by both checkpoints and all runs. Because an answer that was right before
    can be wrong after, the two AUROCs are of different positives and negatives: DeLong's test does not apply.

    Parameters
    ----------
    ends
        (from, to) of each of R runs, over the same n items and S scores; `quality` is 0 or 1.

    Returns
    -------
    S, in the order of the scores.

    Notes
    -----
    By simulation (normal confidence, AUROC 0.7 and 50 % correct before, 60 % after, half of the variance of
    confidence and of what decides correctness common to the checkpoints; n = 100 and 300, 2,000 data sets a cell,
    standard error 0.005). Rejection rate of `models` at alpha 0.05 without a change: 0.047 and 0.044. Its coverage
    with three runs around AUROC 0.8 or 0.55: 0.938 to 0.947. Coverage of `training` with three runs around 0.75:
    0.938 to 0.960 where their AUROCs have a standard deviation of 0, 0.03 and 0.06; 0.934 and 0.917 where it is
    0.12 (a t interval of three runs of a skewed variable). The tests repeat most of it.
    """
    n_scores, n = shape_of_ends(ends)
    drawn = resampled_auroc([c for pair in ends for c in pair], resamples=resamples, rng=rng)
    reason = next((why for pair in ends for c in pair if (why := why_one_class(c.quality))), "")
    found = []
    for s in range(n_scores):
        from_, to = (
            np.array([auroc(pair[end].confidence[s], pair[end].quality) for pair in ends]) for end in (0, 1)
        )
        differences = np.stack([to_[:, s] - from__[:, s] for from__, to_ in zip(drawn[::2], drawn[1::2])], axis=1)
        found.append(_change(n, from_, to, differences, reason))
    return found


def _change(n: int, from_: Floats, to: Floats, differences: Floats, reason: str) -> AurocChange:
    several = len(from_) > 1
    if reason:
        none = Interval.undefined(reason)
        return AurocChange(n=n, from_=from_, to=to, models=none, training=none if several else None, reason=reason)
    models = _worded(interval_for_models(differences))
    if models.low == models.high:
        models = Interval.undefined(_NO_SPREAD)
    training = _worded(interval_for_training(to - from_, differences, n_items=n)) if several else None
    return AurocChange(n=n, from_=from_, to=to, models=models, training=training)


def _worded(interval: Interval) -> Interval:
    """The interval with its reason put in terms of AUROC, which only a resample's labels can leave undefined."""
    return replace(interval, reason=_OF_AUROC[interval.reason]) if interval.reason else interval
