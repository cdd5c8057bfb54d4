"""What is left when the least confident answers are rejected: PRR and AURC (method, section 7).

Notation: n items in order of confidence, the most confident first; q_j in [0, 1] the quality (or correctness) of
the j-th; a tied group stands for all orders of its items, equally likely. Keeping the k most confident, the mean
quality is (q_1 + … + q_k) / k. Its mean over the last m of k = 1 … n (all of them, unless said otherwise) is

    A = sum_j w_j q_j,    w_j = (1/m) sum over k = max(j, n − m + 1) … n of 1/k,

and over the orders of a tied group every item of the group has the group's mean w. The weights sum to 1, so a
random or a constant score has A = mean quality.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from aftertune.stats.labels import with_quality
from aftertune.types import Floats


def prediction_rejection_ratio(confidence: ArrayLike, quality: ArrayLike, *, max_rejection: float = 1.0) -> float:
    """PRR: (A_score − A_random) / (A_oracle − A_random); 1 orders as quality does, 0 is no better than chance.

    Here A is the area under the curve of the mean quality of what is kept against the share rejected, by default
    over all of it (from nothing rejected to one item kept), and the oracle rejects by quality itself. An affine
    map of quality changes nothing. Negative for a score that orders worse than chance. A constant score has
    exactly 0.

    Parameters
    ----------
    confidence, quality
        (n,) finite, and (n,) in [0, 1], graded or 0 and 1.
    max_rejection
        Share of the items up to which the curve is followed, m = ⌊max_rejection · n⌋ points of it from nothing
        rejected on; 0.5 is in use, because few items are left beyond and the curve is noisy there.

    Returns
    -------
    NaN where `why_no_prr` has a reason.

    Notes
    -----
    Definition as in LM-Polygraph (Vashurin et al. 2025, Benchmarking Uncertainty Quantification Methods for Large
    Language Models with LM-Polygraph, TACL 13; ``PredictionRejectionArea`` with ``normalize_metric``), with two
    deviations: ties are averaged instead of left to the sort, and A_random is its exact expectation instead of a
    mean over shuffles. With all of the curve, PRR = (r − AURC) / (r − AURC of the oracle), r the mean risk.

    Malinin and Gales (2021, Uncertainty Estimation in Autoregressive Structured Prediction, ICLR; Malinin 2019)
    take another curve: the errors that remain out of *all*, rejected items having none. That ratio is
    2 AUROC − 1 for right and wrong answers (tested), so it would say nothing that AUROC does not.

    >>> [round(prediction_rejection_ratio(score, [1, 1, 0]), 3) for score in ([3, 2, 1], [1, 1, 1], [1, 2, 3])]
    [1.0, 0.0, -1.25]
    """
    confidence, quality = with_quality(confidence, quality)
    if why_no_prr(quality, max_rejection=max_rejection):
        return math.nan
    if np.ptp(confidence) == 0:
        return 0.0
    weights = _weights(len(quality), _points(len(quality), max_rejection))
    above = quality - quality.mean()
    return _area(confidence, above, weights) / _area(quality, above, weights)


def why_no_prr(quality: Floats, *, max_rejection: float = 1.0) -> str:
    """Why finite values have no PRR; "" where they have one."""
    if not 0 < max_rejection <= 1:
        raise ValueError(f"max_rejection is {max_rejection}; it must lie between 0 and 1")
    n = len(quality)
    if n == 0:
        return "no items"
    if np.ptp(quality) == 0:
        return "quality is constant: no order of the items is better than another"
    m = _points(n, max_rejection)
    if m < 2:
        return f"of {n} items, {max_rejection:g} are fewer than two points of the rejection curve"
    return ""


def aurc(confidence: ArrayLike, quality: ArrayLike) -> float:
    """Area under the risk–coverage curve: the mean over k = 1 … n of the mean risk of the k most confident.

    Risk is 1 − quality, so AURC = 1 − A; 0 is best, a random or constant score has the mean risk. Ties are
    averaged over their orders. NaN without items.

    Source: Geifman, Y., Uziel, G. and El-Yaniv, R. (2019), Bias-Reduced Uncertainty Estimation for Deep Neural
    Classifiers, ICLR, section 3; as a weighted sum, Zhou et al. (2025), A Novel Characterization of the
    Population AURC, ICML.

    >>> round(aurc([3, 2, 1], [1, 0, 1]), 4)
    0.2778
    """
    confidence, quality = with_quality(confidence, quality)
    if len(quality) == 0:
        return math.nan
    return _area(confidence, 1 - quality, _weights(len(quality), len(quality)))


def _points(n: int, max_rejection: float) -> int:
    return math.floor(max_rejection * n + 1e-9)


def _weights(n: int, m: int) -> Floats:
    """(n,) w_1 … w_n."""
    weights = np.cumsum(1 / np.arange(n, n - m, -1.0))[::-1] / m
    return np.concatenate([np.full(n - m, weights[0]), weights])


def _area(confidence: Floats, values: Floats, weights: Floats) -> float:
    """sum_j w_j v_j, most confident first, the weights of ties averaged."""
    _, group, size = np.unique(-confidence, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    mean_weight = np.add.reduceat(weights, starts) / size
    return float(mean_weight @ np.bincount(group, values, len(size)))
