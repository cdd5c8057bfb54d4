"""AUROC: does confidence tell right answers from wrong ones? (Method, section 7; Table 5.)"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from aftertune.stats.bootstrap import Checkpoint, multiplicities
from aftertune.stats.labels import why_one_class, with_labels
from aftertune.stats.ranks import centred_ranks
from aftertune.types import Floats, Ints

_BLOCK_VALUES = 2**17


def auroc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Probability that a correct answer has a higher confidence than a wrong one, both at random; ties count ½.

    With N₁ correct and N₀ wrong answers and midranks r: (sum of r over the correct − N₁ (N₁ + 1) / 2) / (N₁ N₀),
    the Mann–Whitney statistic over N₁ N₀. Equal to ``sklearn.metrics.roc_auc_score`` (tested). A constant score
    has 0.5. NaN where `labels.why_one_class` has a reason.

    Parameters
    ----------
    confidence, correct
        (n,) finite, and (n,) 0 or 1.

    Source: Hanley, J. A. and McNeil, B. J. (1982), Radiology 143, 29–36.

    >>> auroc([0.1, 0.4, 0.4, 0.8], [0, 1, 0, 1])
    0.875
    """
    confidence, correct = with_labels(confidence, correct)
    if why_one_class(correct):
        return math.nan
    right = correct == 1
    n_right = int(right.sum())
    centred = int(centred_ranks(confidence)[right].sum())
    return 0.5 + centred / (2 * n_right * (len(correct) - n_right))


def resampled_auroc(
    checkpoints: Sequence[Checkpoint], *, resamples: int, rng: np.random.Generator
) -> list[Floats]:
    """AUROC of every score at every checkpoint on the same B resamples of the items.

    `Checkpoint.quality` is 0 or 1: correct or not, at that checkpoint. Resamples are those of
    `bootstrap.resampled_spearman` for the same `rng`.

    Returns
    -------
    One (B, S) array for each checkpoint; NaN where a resample holds one class only.

    Notes
    -----
    With the wrong answers in order of confidence and W(k) the weight of the first k of them in a resample,

        AUROC = sum over correct i of w_i (W(below_i) + W(not above_i)) / (2 sum_correct w · sum_wrong w),

    where below_i and not above_i count the wrong answers whose confidence is lower than, and at most, that of i.
    Sums of integers, exact in float64. Equal to ``roc_auc_score`` on the expanded resample (tested). A score that
    is the same at several checkpoints, with the same labels, is computed once.
    """
    if not checkpoints:
        return []
    n = len(checkpoints[0].quality)
    if any(len(c.quality) != n for c in checkpoints):
        raise ValueError("checkpoints to resample together must have the same items")
    scores: dict[tuple[bytes, bytes], _Score] = {}
    keys = []
    for checkpoint in checkpoints:
        keys.append([])
        for confidence in checkpoint.confidence:
            key = checkpoint.quality.tobytes(), confidence.tobytes()
            if key not in scores:
                scores[key] = _Score(*with_labels(confidence, checkpoint.quality))
            keys[-1].append(key)
    drawn = {key: np.empty(resamples) for key in scores}
    width = max(8, _BLOCK_VALUES // max(n, 1))
    for start in range(0, resamples, width):
        stop = min(start + width, resamples)
        weight = multiplicities(n, stop - start, rng).T.copy()
        for key, score in scores.items():
            drawn[key][start:stop] = score.on(weight)
    return [np.stack([drawn[key] for key in own], axis=1) if own else np.empty((resamples, 0)) for own in keys]


class _Score:
    """One score's confidences and labels, ready for resamples.

    Attributes
    ----------
    wrong : (N₀,) the wrong answers, least confident first.
    right : (N₁,) the correct ones, in any order.
    below, not_above : (N₁,) see `resampled_auroc`.
    """

    def __init__(self, confidence: Floats, correct: Floats) -> None:
        wrong = np.flatnonzero(correct == 0)
        self.wrong: Ints = wrong[np.argsort(confidence[wrong])]
        self.right: Ints = np.flatnonzero(correct == 1)
        ordered = confidence[self.wrong]
        self.below: Ints = np.searchsorted(ordered, confidence[self.right], side="left")
        self.not_above: Ints = np.searchsorted(ordered, confidence[self.right], side="right")

    def on(self, weight: Floats) -> Floats:
        """(b, n) multiplicities → (b,)."""
        cumulated = np.zeros((len(weight), len(self.wrong) + 1))
        np.cumsum(weight.take(self.wrong, axis=1), axis=1, out=cumulated[:, 1:])
        of_right = weight.take(self.right, axis=1)
        beaten = cumulated.take(self.below, axis=1)
        beaten += cumulated.take(self.not_above, axis=1)
        pairs = 2 * of_right.sum(axis=1) * cumulated[:, -1]
        won = np.einsum("bi,bi->b", of_right, beaten)
        return np.divide(won, pairs, out=np.full(len(weight), np.nan), where=pairs > 0)
