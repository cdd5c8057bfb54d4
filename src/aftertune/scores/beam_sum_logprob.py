"""Sum of the beams' log-probabilities (BS Sums, as the authors' earlier public code computes it)."""

from __future__ import annotations

import numpy as np

from aftertune.scores.beam_logprob import length_normalised
from aftertune.scores.definition import score
from aftertune.scores.undefined import beam_cases, item_scores
from aftertune.types import Beams, ItemScores


@score(
    paper_name="BS Sums (log-probabilities)",
    formula="sum_k s_k, s_k = log p(y_k) / len(y_k)",
    source="earlier public code of the paper's authors",
    sign_in_paper=+1,
    sign_in_table5=+1,
)
def beam_sum_logprob(beams: Beams) -> ItemScores:
    """Sum over the beams of their length-normalised log-probability, in nats per token, ≤ 0.

    In the paper's Table 8 the row BS Sums mirrors BS Imp Wt, which this variant explains and the text's sum
    of probabilities (`beam_sum`) does not. The sum runs over the beams that the search could fill. NaN with
    fewer than two of them.
    """
    s = length_normalised(beams)
    return item_scores(np.where(np.isnan(s), 0.0, s).sum(axis=1), *beam_cases(beams))
