"""Disagreement of the dropout samples' texts by BLEU (the paper's DO BLEU Var, Eq. 4)."""

from __future__ import annotations

from aftertune.scores import similarity
from aftertune.scores.definition import score
from aftertune.scores.text_pairs import TextPairs
from aftertune.scores.undefined import dropout_cases, empty_pair_case, item_scores
from aftertune.types import DropoutSamples, ItemScores


@score(
    paper_name="DO BLEU Var",
    formula="−mean_{i≠j} (1 − BLEU(y^(i), y^(j)))²",
    source="Xiao et al. 2020; Eq. 4, which sums instead of averaging",
    sign_in_paper=+1,
    sign_in_table5=-1,
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
