"""What review gains: a person looks at the least confident share of the answers.

Of items that are equally confident at the cut, each order is equally likely, and the mean over orders is exact: an
item below the cut is reviewed with weight 1, one at the cut with the share of its ties that still fits in.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from aftertune.types import Floats

REVIEW_SHARE = 0.2
"""Of the answers, the least confident ones, that a person looks at."""


class Cut(NamedTuple):
    """Answers below `threshold` are reviewed, and of those at it the share `at`."""

    threshold: float
    at: float

    def reviewed(self, confidence: Floats) -> Floats:
        """(n,) with what weight each of these answers is reviewed, 0 … 1."""
        return (confidence < self.threshold) + self.at * (confidence == self.threshold)


def cut_at(confidence: Floats, share: float) -> Cut:
    """The cut that sends this share of (n,) finite confidences to review.

    >>> cut_at(np.array([1.0, 2.0, 2.0, 3.0]), 0.5)
    Cut(threshold=2.0, at=0.5)
    """
    ordered, wanted = np.sort(confidence), share * len(confidence)
    threshold = float(ordered[min(int(wanted), len(ordered) - 1)])
    below, upto = (int(np.searchsorted(ordered, threshold, side=side)) for side in ("left", "right"))
    return Cut(threshold, (wanted - below) / (upto - below))


class Gain(NamedTuple):
    """A statistic of the reviewed, or of the others, with deviations and weights (n,) as `concordance.Share`."""

    value: float
    deviation: Floats
    weight: Floats


def found_wrong(confidence: Floats, wrong: Floats, cut: Cut, *, refitted: bool) -> Gain:
    """Share of all wrong answers that are reviewed; NaN where none is wrong.

    Parameters
    ----------
    confidence, wrong
        (n,) finite, and 0 or 1.
    refitted
        Whether the cut was made of these items (`cut_at`), and of others would be another; else it is given.
    """
    weight, total = cut.reviewed(confidence), float(wrong.sum())
    if total == 0:
        return Gain(math.nan, np.zeros(len(wrong)), np.zeros(len(wrong)))
    value = float(weight @ wrong) / total
    influence = (weight - value) * wrong
    if refitted:
        influence += (weight.mean() - weight) * _near(confidence, wrong, cut)
    return Gain(value, _deviation(influence / np.maximum(total - wrong, 1.0)), wrong / total)


def sent(confidence: Floats, cut: Cut) -> Gain:
    """Share of the answers that a given cut sends to review."""
    weight = cut.reviewed(confidence)
    n = len(weight)
    return Gain(float(weight.mean()), _deviation((weight - weight.mean()) / max(n - 1, 1)), np.full(n, 1 / n))


def wrong_among(confidence: Floats, wrong: Floats, cut: Cut) -> float:
    """Share of the reviewed answers that is wrong; NaN where none is reviewed."""
    weight = cut.reviewed(confidence)
    return float(weight @ wrong / weight.sum()) if weight.any() else math.nan


def kept_quality(confidence: Floats, quality: Floats, cut: Cut) -> Gain:
    """Mean quality of the answers that are not reviewed by a cut of these items."""
    kept = 1 - cut.reviewed(confidence)
    total = float(kept.sum())
    if total == 0:
        return Gain(math.nan, np.zeros(len(kept)), np.zeros(len(kept)))
    value = float(kept @ quality) / total
    influence = kept * (quality - value) + (kept.mean() - kept) * (_near(confidence, quality, cut) - value)
    return Gain(value, _deviation(influence / np.maximum(total - kept, 1.0)), kept / total)


def reviewed_sum(confidence: Floats, values: Floats, shares: Floats) -> Floats:
    """(k,) sum of the values of the answers that are reviewed, for each share of them, the least confident first.

    Of k cuts at once the same as ``cut_at(confidence, share).reviewed(confidence) @ values`` (tested).

    >>> reviewed_sum(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.25, 0.5, 1.0]))
    array([1. , 1.5, 3. ])
    """
    return carried_sum(confidence, confidence, values, shares)


def carried_sum(before: Floats, after: Floats, values: Floats, shares: Floats) -> Floats:
    """(k,) the same by the thresholds that send these shares of `before` to review, on the confidences `after`.

    ``cut_at(before, share).reviewed(after) @ values``, for k shares at once (tested).
    """
    order = np.argsort(after, kind="stable")
    ordered, sums = after[order], np.append(0.0, np.cumsum(values[order]))
    was, wanted = np.sort(before), shares * len(before)
    thresholds = was[np.minimum(wanted.astype(int), len(was) - 1)]
    first, end = (np.searchsorted(was, thresholds, side=side) for side in ("left", "right"))
    below, upto = (sums[np.searchsorted(ordered, thresholds, side=side)] for side in ("left", "right"))
    return below + (wanted - first) / (end - first) * (upto - below)


def _near(confidence: Floats, values: Floats, cut: Cut) -> float:
    """Mean value of the answers around the cut: what moves across it when it moves. At least five to each side."""
    away = np.abs(np.argsort(np.argsort(confidence, kind="stable")) - cut.reviewed(confidence).sum())
    width = max(5.0, 0.05 * len(values))
    tied = confidence == cut.threshold
    return float(values[(away <= width) | tied].mean())


def _deviation(influence: Floats) -> Floats:
    """Influences that leave out their own item, as deviations: their squares sum to the variance."""
    n = len(influence)
    return influence * math.sqrt((n - 1) / n)
