"""What a person is told about an answer, and which answers are sent to review."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from aftertune.stats.calibration import clopper_pearson, percent
from aftertune.stats.discrimination import checked_labels

ERROR = 0.05
"""How often a threshold may be named that does not give the wanted share."""

ERROR_AFTER_EPOCHS = 0.015
"""The error of each test on half of the validation items where all of them chose the epoch.

They chose an epoch at which they are right by luck as well. Simulated over up to 30 epochs of equal accuracy, with
100 to 400 validation items (scripts/simulate/choosing.py), a threshold that does not give the wanted share is then
named in at most 5.5 % of data sets; at 5 % it would be up to 16 %.
"""

ERROR_ON_THE_SAME = 0.005
"""The same where the test is on all items that chose the epoch: then at most 5.8 %; at 2.5 % up to 24 %."""


def alert(chance: float, reason: str = "", *, interval: tuple[float, float] = (math.nan, math.nan)) -> str:
    r"""The sentence that goes with an answer; `percent` says how the chance is rounded.

    Parameters
    ----------
    interval : of the chance, where there is one.

    >>> print(alert(0.731, interval=(0.6, 0.8)), alert(float("nan"), "the output is empty"), sep="\n")
    There is an estimated 73 % chance [60–80 %] the answer is right
    No estimate of the chance that the answer is right: the output is empty
    """
    if math.isnan(chance):
        return "No estimate of the chance that the answer is right" + (f": {reason}" if reason else "")
    low, high = interval
    ends = "" if math.isnan(low) or math.isnan(high) else f" [{percent(low)}–{percent(high)} %]"
    return f"There is an estimated {percent(chance)} % chance{ends} the answer is right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Answers with `confidence >= value` are given as they are, all others are sent to review.

    Attributes
    ----------
    n : validation items.
    tested : thresholds tried.
    value : NaN where there is none, and `reason` says why.
    kept, correct : items at or above `value`, and how many of these are correct.
    error : of each test.
    bound : lower bound on the precision, Clopper–Pearson's one-sided at 1 − error; at least the wanted one.
    """

    n: int
    tested: int
    error: float
    value: float = math.nan
    kept: int = 0
    correct: int = 0
    bound: float = math.nan
    reason: str = ""


def review_threshold(
    confidence: ArrayLike,
    correct: ArrayLike,
    candidates: Sequence[float],
    *,
    precision: float,
    error: float = ERROR,
) -> Threshold:
    """The lowest threshold shown to have a wanted precision, the share of right answers among those not reviewed.

    To bound a risk, the share of wrong answers, ask for 1 − risk. Candidates are tested from the highest down.
    With k of the m validation items at or above a candidate correct, it passes if Clopper–Pearson's lower bound at
    1 − error is at least `precision`, that is, if P(Bin(m, precision) ≥ k) ≤ error. The first that does not pass
    ends the search; the last that passed is the threshold.

    Parameters
    ----------
    confidence, correct
        (n,) finite, and (n,) 0 or 1, of the validation split.
    candidates
        Thresholds fixed without looking at the validation items, as `candidate_thresholds` gives.
    precision
        The wanted one, between 0 and 1.
    error
        Probability that the guarantee is allowed to fail, between 0 and 1.

    Returns
    -------
    `value` NaN with a reason where no candidate passed.

    Raises
    ------
    ValueError
        If `precision`, `error`, a candidate, or the items are not as described.

    Notes
    -----
    *Guarantee.* If validation items are independent draws from what the threshold is used on, then
    with probability at least 1 − error over the validation split the precision of answers at or above `value` is
    at least `precision`, for any score: at a fixed threshold the number correct among the m items above it is
    binomial, so each test is of level `error`, and to name a bad threshold the first bad one of a fixed order must
    have passed. This is fixed-sequence testing in Learn Then Test (Angelopoulos, Bates, Candès, Jordan and Lei
    2021, arXiv 2110.01052).

    *Limits.* It is a statement about one score and one precision, chosen beforehand or on other items
    (`choosing.select_half`). Choosing epoch, score and threshold on the same 100 items named a bad threshold in 8
    to 22 % of simulated data sets at a stated 5 %. It holds at the checkpoint and for the distribution of the
    validation split, on average over the answers above the threshold; of another checkpoint it says nothing. The
    largest coverage whose bound is met among all validation items has no such guarantee: with an uninformative
    score, 150 items and a precision just missed, it names a bad threshold in 18 % of data sets at a stated 5 %,
    this search in 2 % (tested). Geifman and El-Yaniv (2017, Selective Classification for Deep Neural Networks,
    NeurIPS) divide the level by the number of looks instead, which costs more.
    """
    confidence, correct = checked_labels(confidence, correct)
    if not (0 < precision < 1 and 0 < error < 1):
        raise ValueError(f"precision {precision} and error {error} must lie between 0 and 1")
    fixed = np.asarray(candidates, dtype=np.float64)
    if fixed.ndim != 1 or not np.isfinite(fixed).all():
        raise ValueError("candidate thresholds must be a row of finite numbers")
    found, tested, n = None, 0, len(correct)
    for value in np.unique(fixed)[::-1]:
        kept = confidence >= value
        m, k = int(kept.sum()), int(correct[kept].sum())
        tested += 1
        if _p_value(k, m, precision) > error:
            break
        found = (float(value), m, k)
    if found is None:
        return Threshold(n=n, tested=tested, error=error, reason=_why_none(tested, precision, error, n))
    value, m, k = found
    bound = clopper_pearson(k, m, level=1 - 2 * error)[0]
    return Threshold(n=n, tested=tested, error=error, value=value, kept=m, correct=k, bound=bound)


def candidate_thresholds(
    elsewhere: ArrayLike, n: int, *, precision: float, error: float = ERROR, steps: int = 20
) -> list[float]:
    """Thresholds to test on n validation items, from the confidences of other items; no labels are needed.

    The highest is expected to keep m of the n items, m the smallest number with P(Bin(m, precision) ≥ m − 1) ≤
    error, so that one of them may be wrong. From m / n up to 1 the kept share of the other items rises in `steps`
    equal steps; each threshold is the confidence of an item.

    Parameters
    ----------
    elsewhere
        Confidences at the same checkpoint of items that are not in the validation split: test items, or any
        unlabelled ones. Training items have another distribution: the steps then fall in the wrong places.
    n
        Number of validation items.

    Returns
    -------
    Highest first; empty where n is too small for the precision.

    >>> candidate_thresholds([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], 20, precision=0.5, steps=3)
    [0.7, 0.4, 0.1]
    """
    values, _ = checked_labels(elsewhere, np.zeros(np.shape(elsewhere)))
    smallest = _smallest(precision, error)
    if smallest > n or len(values) == 0:
        return []
    ordered = np.sort(values)[::-1]
    shares = np.linspace(smallest / n, 1, steps)
    positions = np.ceil(shares * len(ordered) - 1e-9).astype(int) - 1
    return sorted(set(ordered[np.clip(positions, 0, len(ordered) - 1)].tolist()), reverse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A threshold on items that it was not chosen on.

    Attributes
    ----------
    n : items.
    kept, correct : those at or above the threshold, and how many of these are correct.
    low, high : Clopper–Pearson's 95 % interval of `precision`.
    without : share correct of all items, with no review.
    reason : why the precision is NaN; "" where it is not.
    """

    n: int
    kept: int
    correct: int
    low: float
    high: float
    without: float
    reason: str = ""

    @property
    def coverage(self) -> float:
        """`kept` / n; NaN without items."""
        return self.kept / self.n if self.n else math.nan

    @property
    def precision(self) -> float:
        """`correct` / kept; NaN where all are sent to review."""
        return self.correct / self.kept if self.kept else math.nan


def review(confidence: ArrayLike, correct: ArrayLike, threshold: float) -> Review:
    """A threshold tried on other items, such as the test split, at the same checkpoint or after fine-tuning.

    `confidence` and `correct` are as for `review_threshold`. A threshold of NaN sends everything to review.
    """
    confidence, correct = checked_labels(confidence, correct)
    kept = confidence >= threshold
    m, k = int(kept.sum()), int(correct[kept].sum())
    low, high = clopper_pearson(k, m)
    return Review(
        n=len(correct),
        kept=m,
        correct=k,
        low=low,
        high=high,
        without=float(correct.mean()) if len(correct) else math.nan,
        reason="" if m else "no items" if len(correct) == 0 else "all answers are sent to review",
    )


def _p_value(k: int, m: int, precision: float) -> float:
    """P(Bin(m, precision) ≥ k)."""
    return float(special.betainc(k, m - k + 1, precision)) if k else 1.0


def _smallest(precision: float, error: float) -> int:
    """The fewest items that can show the precision although one of them is wrong."""
    m = 2
    while _p_value(m - 1, m, precision) > error:
        m += 1
    return m


def _why_none(tested: int, precision: float, error: float, n: int) -> str:
    if tested:
        return f"not even the most confident answers are shown to be {100 * precision:g} % right"
    needed = _smallest(precision, error)
    if n < needed:
        items = "item" if n == 1 else "items"
        return f"{n} validation {items}: {100 * precision:g} % right cannot be shown with fewer than {needed}"
    return "no candidate thresholds"
