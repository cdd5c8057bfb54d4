"""Scores from beams: the paper's BS Imp Wt, BS Ratios and BS Sums (by its text, and by earlier public code)."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from aftertune.errors import InputError
from aftertune.scores.definition import score
from aftertune.scores.tokens import length_normalised
from aftertune.scores.undefined import beam_cases, item_scores
from aftertune.types import Beams, ItemScores


@score(
    paper_name="BS Imp Wt",
    formula="sum_k π_k s_k, π = softmax(s), s_k = log p(y_k) / len(y_k)",
    source="Malinin & Gales 2021; Eq. 2",
    when="To compare with the paper. Poor lower beams, which a sure model has, pull it down: look at its sign.",
    sign_in_paper=-1,
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


def _check_rank(k: object) -> None:
    if k is not None and (not isinstance(k, int) or k < 2):
        raise InputError(f"score 'beam_ratio': k={k} is not the rank of a lower beam; write k=2 or more")


def _settings(k: int | None) -> dict[str, object]:
    return {"k": "K" if k is None else k}


@score(
    paper_name="BS Ratios",
    formula="exp(s_1 − s_k), s_k = log p(y_k) / len(y_k), k = K unless set",
    source="Flores et al. 2025",
    when="Where answers have rivals: how far is the best ahead of the last beam?",
    sign_in_paper=+1,
    settings=_settings,
)
def beam_ratio(beams: Beams, *, k: Annotated[int | None, _check_rank] = None) -> ItemScores:
    """Probability per token (geometric mean) of the best beam over that of the k-th, > 0.

    s_1 belongs to the beam that the search ranks first; below 1 where its order and that of the raw
    log-probabilities differ.

    Parameters
    ----------
    k
        Rank of the lower beam, from 2; None for the last, K.

    NaN with fewer than two beams, where the search found no k-th one, and where the ratio lies outside the
    normal range of float64 (a difference of more than about 708 nats per token): an infinity or a 0 would tie
    items that differ.
    """
    s = length_normalised(beams)
    rank = s.shape[1] if k is None else k
    if not 2 <= rank <= s.shape[1]:
        ratio, absent = np.full(len(s), np.nan), np.full(len(s), True)
    else:
        with np.errstate(over="ignore", under="ignore"):
            ratio = np.exp(s[:, 0] - s[:, rank - 1])
        absent = np.isnan(ratio)
    return item_scores(
        ratio,
        *beam_cases(beams),
        (absent, f"the search found no beam {rank}"),
        (np.isinf(ratio), "overflow: the ratio is above the largest float64"),
        (ratio < np.finfo(np.float64).tiny, "underflow: the ratio is below the smallest normal float64"),
    )


@score(
    paper_name="BS Sums",
    formula="sum_k p(y_k), joint sequence probabilities",
    source="the paper, section 3.1",
    when="Where answers are short: the probability that all beams hold. Long answers can underflow.",
    sign_in_paper=+1,
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


@score(
    paper_name="BS Sums (log-probabilities)",
    formula="sum_k s_k, s_k = log p(y_k) / len(y_k)",
    source="earlier public code of the paper's authors",
    when="To compare with the paper's tables. Poor lower beams pull it down: look at its sign.",
    sign_in_paper=+1,
)
def beam_sum_logprob(beams: Beams) -> ItemScores:
    """Sum over the beams of their length-normalised log-probability, in nats per token, ≤ 0.

    In the paper's Table 8 the row BS Sums mirrors BS Imp Wt, which this variant explains and the text's sum
    of probabilities (`beam_sum`) does not. The sum runs over the beams that the search could fill. NaN with
    fewer than two of them.
    """
    s = length_normalised(beams)
    return item_scores(np.where(np.isnan(s), 0.0, s).sum(axis=1), *beam_cases(beams))
