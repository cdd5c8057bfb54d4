"""Change of AUROC between two checkpoints (method, section 7), asked as the change of rho is (`change.py`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aftertune.stats.auroc import auroc, resampled_auroc
from aftertune.stats.bootstrap import Checkpoint
from aftertune.stats.change import Interval, interval_for_models, interval_for_training
from aftertune.stats.labels import why_one_class
from aftertune.types import Floats

_NAN = float("nan")
_ONE_CLASS = "more than 5 % of resamples hold only correct or only wrong answers"
_NO_SPREAD = "AUROC is the same in every resample (perfect order or constant confidence): its spread is unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class AurocChange:
    """One score between two checkpoints of R training runs.

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
    """Mean change of each score's AUROC over training runs, with both intervals of `change.py`.

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
    if not ends:
        raise ValueError("a change needs at least one training run")
    n, n_scores = len(ends[0][0].quality), len(ends[0][0].confidence)
    if any(c.confidence.shape != (n_scores, n) for pair in ends for c in pair):
        raise ValueError("both ends of all runs must have the same items and scores")
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
        none = Interval(low=_NAN, high=_NAN, p=_NAN, floor=_NAN, reason=reason)
        return AurocChange(n=n, from_=from_, to=to, models=none, training=none if several else None, reason=reason)
    models = _worded(interval_for_models(differences))
    if models.low == models.high:
        models = Interval(low=_NAN, high=_NAN, p=_NAN, floor=_NAN, reason=_NO_SPREAD)
    training = _worded(interval_for_training(to - from_, differences, n_items=n)) if several else None
    return AurocChange(n=n, from_=from_, to=to, models=models, training=training)


def _worded(interval: Interval) -> Interval:
    """`change.py` speaks of correlations; here only the labels of a resample can leave it undefined."""
    if not interval.reason:
        return interval
    return replace(
        interval, reason=_NO_SPREAD if math.isnan(interval.low) and "varies" in interval.reason else _ONE_CLASS
    )
