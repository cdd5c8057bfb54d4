"""Scores from dropout samples: the paper's DO BLEU Var, DO Ent, DO KL and DO Meteor Var."""

from __future__ import annotations

import numpy as np

from aftertune.scores import similarity
from aftertune.scores.definition import score
from aftertune.scores.text_pairs import TextPairs
from aftertune.scores.tokens import mean_over_tokens
from aftertune.scores.undefined import dropout_cases, empty_pair_case, item_scores
from aftertune.types import DropoutSamples, ItemScores


@score(
    paper_name="DO BLEU Var",
    formula="−mean_{i≠j} (1 − BLEU(y^(i), y^(j)))²",
    source="Xiao et al. 2020; Eq. 4, which sums instead of averaging",
    when="Do whole answers agree under dropout? Few values, and so ties, where answers are short.",
    sign_in_paper=+1,
    settings=lambda: similarity.get("bleu").settings(),
)
def dropout_bleu_variance(dropout: DropoutSamples, texts: TextPairs) -> ItemScores:
    """Minus the mean over ordered pairs of dropout samples of (1 − BLEU)², in [−1, 0].

    Sentence BLEU in [0, 1]; y^(i) is the hypothesis and y^(j) the reference, and both orders count. NaN with
    fewer than two samples, where a sample has no tokens, or where the texts of two samples are empty.
    """
    bleu = texts.within("bleu", dropout.text)
    value = -((1 - bleu) ** 2).sum(axis=1) / max(bleu.shape[1], 1)
    return item_scores(value, *dropout_cases(dropout), empty_pair_case(bleu))


@score(
    paper_name="DO Ent",
    formula="−mean_i mean_t H(p_i(· | y^(i)_<t, x))",
    source="Malinin & Gales 2021; Eq. 1",
    when="As mean_token_entropy, averaged over decodes under dropout.",
    sign_in_paper=+1,
)
def dropout_entropy(dropout: DropoutSamples) -> ItemScores:
    """Minus the mean over dropout samples of each one's mean token entropy, in nats per token, ≤ 0.

    NaN with fewer than two samples, or where a sample has no tokens.
    """
    per_sample = mean_over_tokens(dropout.token_entropy, dropout.n_tokens)
    return item_scores(-per_sample.sum(axis=1) / max(per_sample.shape[1], 1), *dropout_cases(dropout))


@score(
    paper_name="DO KL Div",
    formula="−sum_i mean_t KL(p_i,t ‖ mean_j p_j,t)",
    source="Lakshminarayanan et al. 2017; Eq. 5",
    when="Do dropout masks disagree about the next token?",
    sign_in_paper=+1,
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


@score(
    paper_name="DO Meteor Var",
    formula="mean_{i≠j} METEOR(y^(i), y^(j))",
    source="Eq. 3",
    when="As dropout_bleu_variance, and word forms count as equal; it grows with the length of the answer.",
    sign_in_paper=+1,
    settings=lambda: similarity.get("meteor").settings(),
)
def dropout_meteor(dropout: DropoutSamples, texts: TextPairs) -> ItemScores:
    """Mean over ordered pairs of dropout samples of METEOR, in [0, 1).

    y^(i) is the hypothesis and y^(j) the reference, and both orders count. Not a variance, whatever the
    paper's name says: it is a similarity, high where the samples agree. NaN with fewer than two samples,
    where a sample has no tokens, or where the texts of two samples are empty.
    """
    meteor = texts.within("meteor", dropout.text)
    value = meteor.sum(axis=1) / max(meteor.shape[1], 1)
    return item_scores(value, *dropout_cases(dropout), empty_pair_case(meteor))
