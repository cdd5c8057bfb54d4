"""Entropy under dropout (the paper's DO Ent, Eq. 1)."""

from __future__ import annotations

from aftertune.scores.definition import score
from aftertune.scores.tokens import mean_over_tokens
from aftertune.scores.undefined import dropout_cases, item_scores
from aftertune.types import DropoutSamples, ItemScores


@score(
    paper_name="DO Ent",
    formula="−mean_i mean_t H(p_i(· | y^(i)_<t, x))",
    source="Malinin & Gales 2021; Eq. 1",
    sign_in_paper=+1,
    sign_in_table5=-1,
)
def dropout_entropy(dropout: DropoutSamples) -> ItemScores:
    """Minus the mean over dropout samples of each one's mean token entropy, in nats per token, ≤ 0.

    NaN with fewer than two samples, or where a sample has no tokens.
    """
    per_sample = mean_over_tokens(dropout.token_entropy, dropout.n_tokens)
    return item_scores(-per_sample.sum(axis=1) / max(per_sample.shape[1], 1), *dropout_cases(dropout))
