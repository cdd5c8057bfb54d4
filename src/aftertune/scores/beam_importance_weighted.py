"""Importance-weighted mean of the beams' log-probabilities (the paper's BS Imp Wt, Eq. 2)."""

from __future__ import annotations

import numpy as np

from aftertune.scores.beam_logprob import length_normalised
from aftertune.scores.definition import score
from aftertune.scores.undefined import beam_cases, item_scores
from aftertune.types import Beams, ItemScores


@score(
    paper_name="BS Imp Wt",
    formula="sum_k π_k s_k, π = softmax(s), s_k = log p(y_k) / len(y_k)",
    source="Malinin & Gales 2021; Eq. 2",
    sign_in_paper=-1,
    sign_in_table5=-1,
)
def beam_importance_weighted(beams: Beams) -> ItemScores:
    """Mean of the beams' length-normalised log-probabilities s_k, weighted by their softmax.

    In nats per token, ≤ 0.
    Eq. 2 is minus this, an uncertainty. The softmax runs over the beams that the search could fill. NaN with
    fewer than two of them.
    """
    s = length_normalised(beams)
    found = ~np.isnan(s)
    best = np.where(found, s, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    weight = np.where(found, np.exp(np.where(found, s, 0.0) - np.where(np.isfinite(best), best, 0.0)), 0.0)
    value = np.where(found, weight * s, 0.0).sum(axis=1) / np.maximum(weight.sum(axis=1), 1.0)
    return item_scores(value, *beam_cases(beams))
