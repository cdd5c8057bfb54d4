"""Agreement of the dropout samples' texts by METEOR (the paper's DO Meteor Var, Eq. 3)."""

from __future__ import annotations

from aftertune.scores import similarity
from aftertune.scores.definition import score
from aftertune.scores.text_pairs import TextPairs
from aftertune.scores.undefined import dropout_cases, empty_pair_case, item_scores
from aftertune.types import DropoutSamples, ItemScores


@score(
    paper_name="DO Meteor Var",
    formula="mean_{i≠j} METEOR(y^(i), y^(j))",
    source="Eq. 3",
    sign_in_paper=+1,
    sign_in_table5=+1,
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
