"""Probability that the beams hold together (the paper's BS Sums, as its text defines it)."""

from __future__ import annotations

import numpy as np

from aftertune.scores.definition import score
from aftertune.scores.undefined import beam_cases, item_scores
from aftertune.types import Beams, ItemScores


@score(
    paper_name="BS Sums",
    formula="sum_k p(y_k), joint sequence probabilities",
    source="the paper, section 3.1",
    sign_in_paper=+1,
    sign_in_table5=+1,
)
def beam_sum(beams: Beams) -> ItemScores:
    """Sum over the beams of their joint probability p(y_k), in (0, 1].

    Rounding, and searches that return one sequence twice, can carry it above 1; it is not cut off.

    NaN with fewer than two beams, and where the sum lies below the smallest normal float64 (log p of about
    −708 for the best beam: long outputs): rounded to 0, items that differ would tie. `beam_sum_logprob` has
    no such limit.
    """
    found = beams.n_tokens > 0
    with np.errstate(under="ignore"):
        value = np.exp(np.where(found, beams.sequence_logprob, -np.inf)).sum(axis=1)
    return item_scores(
        value,
        *beam_cases(beams),
        (value < np.finfo(np.float64).tiny, "underflow: the sum is below the smallest normal float64"),
    )
