"""Ratio of the best beam to the k-th (the paper's BS Ratios)."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from aftertune.errors import InputError
from aftertune.scores.beam_logprob import length_normalised
from aftertune.scores.definition import score
from aftertune.scores.undefined import beam_cases, item_scores
from aftertune.types import Beams, ItemScores


def _check_rank(k: object) -> None:
    if k is not None and (not isinstance(k, int) or k < 2):
        raise InputError(f"score 'beam_ratio': k={k} is not the rank of a lower beam; write k=2 or more")


def _settings(k: int | None) -> dict[str, object]:
    return {"k": "K" if k is None else k}


@score(
    paper_name="BS Ratios",
    formula="exp(s_1 − s_k), s_k = log p(y_k) / len(y_k), k = K unless set",
    source="Flores et al. 2025",
    sign_in_paper=+1,
    sign_in_table5=+1,
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
