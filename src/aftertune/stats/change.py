"""Change of the task-level correlation between two checkpoints, and its tests (method, section 5).

Notation: R training runs (seeds), B resamples of the test items; d_r = rho(to) − rho(from) of run r on the
items that all runs have at both checkpoints; d*_br the same on resample b, which is shared by all runs and
both checkpoints (`bootstrap.resampled_spearman`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from aftertune.stats.correlation import MAX_UNDEFINED
from aftertune.types import Floats

_NAN = float("nan")


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

    def within(self, limit: float) -> Interval:
        """Cut at ±limit, beyond which the mean cannot be; it covers what it covered."""
        if self.reason:
            return self
        return replace(self, low=max(self.low, -limit), high=min(self.high, limit))


def spread_over_runs(values: Floats) -> float:
    """Sample standard deviation over runs; NaN with one run."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else _NAN


def interval_for_models(resampled: Floats) -> Interval:
    """For *these trained models*: items vary, runs are averaged.

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
        return Interval(low=_NAN, high=_NAN, p=_NAN, floor=_NAN, reason=reason)
    means = defined.mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    tail = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    p = min(1.0, 2 * (tail + 1) / (len(means) + 1))
    return Interval(low=float(low), high=float(high), p=p, floor=0.0)


def interval_for_training(observed: Floats, resampled: Floats, *, n_items: int) -> Interval:
    """For *another training run*: runs vary too. Needs R ≥ 2.

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
        return Interval(low=_NAN, high=_NAN, p=_NAN, floor=_NAN, reason=reason)
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
        return Interval(low=_NAN, high=_NAN, p=_NAN, floor=_NAN, reason="nothing varies over runs or resamples")
    widths = [(of_items, float(n_items - 1))]
    if variance > 0:
        df = variance**2 / (shared**2 / (n_items - 1) + of_runs**2 / (n_runs - 1))
        widths.append((variance, df))
    half = max(float(stats.t.ppf(0.975, df)) * math.sqrt(v) for v, df in widths)
    p = max(2 * float(stats.t.sf(abs(mean) / math.sqrt(v), df)) for v, df in widths if v > 0)
    floor = float(stats.t.ppf(0.975, n_runs - 1)) * math.sqrt(max(0.0, of_runs - unshared))
    return Interval(low=mean - half, high=mean + half, p=p, floor=floor)


def _defined_rows(resampled: Floats) -> tuple[Floats, str]:
    defined = resampled[np.isfinite(resampled).all(axis=1)]
    if len(defined) < (1 - MAX_UNDEFINED) * len(resampled):
        return defined, "confidence or quality is constant in more than 5 % of resamples"
    return defined, ""
