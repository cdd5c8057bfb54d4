"""Divergence of the dropout samples' distributions from their mean (the paper's DO KL Div, Eq. 5)."""

from __future__ import annotations

import numpy as np

from aftertune.scores.definition import score
from aftertune.scores.undefined import dropout_cases, item_scores
from aftertune.types import DropoutSamples, ItemScores


@score(
    paper_name="DO KL Div",
    formula="−sum_i mean_t KL(p_i,t ‖ mean_j p_j,t)",
    source="Lakshminarayanan et al. 2017; Eq. 5",
    sign_in_paper=+1,
    sign_in_table5=-1,
)
def dropout_kl(dropout: DropoutSamples) -> ItemScores:
    """Minus the sum over dropout samples of the mean divergence from the mean distribution, in nats, ≤ 0.

    A sample's mean runs over its steps at which at least one other sample is unfinished too; at the others
    there is nothing to diverge from. NaN with fewer than two samples, or where a sample has no tokens.
    """
    rows = dropout.token_kl.reshape(dropout.n_tokens.size, dropout.token_kl.shape[2])
    per_sample = []
    for row in rows:  # each by itself, so that the padding's width changes no bit of its mean
        defined = row[np.isfinite(row)]
        per_sample.append(defined.mean() if defined.size else np.nan)
    per_item = np.array(per_sample, dtype=np.float64).reshape(dropout.n_tokens.shape).sum(axis=1)
    return item_scores(-per_item, *dropout_cases(dropout))
