"""CoCoA: a model's own uncertainty times the disagreement of its samples (Vashurin et al. 2025).

Three scores −u · mean_i(1 − sim(ŷ, y^(i))) that differ in u. ŷ is the greedy output; the samples y^(i) are
the dropout samples, as in the paper. The similarity is a parameter (`aftertune.scores.similarity`): sample
y^(i) is its hypothesis and ŷ its reference, which matters to those that are not symmetric. Default: chrF,
which needs no download and gives 1 to equal texts. METEOR gives equal texts less (0.5 to those of one word),
so that items whose samples all agree still differ by u.

All are ≤ 0 and NaN where the greedy output or a sample has no tokens, with fewer than two samples, and where
the texts of the greedy output and of a sample are both empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from aftertune.scores import similarity as similarities
from aftertune.scores.definition import score
from aftertune.scores.text_pairs import TextPairs
from aftertune.scores.tokens import mean_over_tokens, sum_over_tokens
from aftertune.scores.undefined import dropout_cases, empty_pair_case, greedy_cases, item_scores
from aftertune.types import DropoutSamples, Floats, Greedy, ItemScores

SimilarityName = Annotated[str, similarities.get]


def _settings(similarity: str) -> Mapping[str, object]:
    return similarities.get(similarity).settings()


def _cocoa(
    uncertainty: Floats, greedy: Greedy, dropout: DropoutSamples, texts: TextPairs, similarity: str
) -> ItemScores:
    agreement = texts.similarity(similarity, dropout.text, greedy.text[:, None])
    disagreement = (1 - agreement).sum(axis=1) / max(agreement.shape[1], 1)
    return item_scores(
        -uncertainty * disagreement,
        *greedy_cases(greedy),
        *dropout_cases(dropout),
        empty_pair_case(agreement),
    )


@score(
    paper_name="CoCoA MSP",
    formula="−u · mean_i(1 − sim(ŷ, y^(i))), u = −log p(ŷ | x)",
    source="Vashurin et al. 2025",
    when="As cocoa_ppl, summed over tokens: long answers count as less sure.",
    sign_in_paper=+1,
    settings=_settings,
)
def cocoa_msp(
    greedy: Greedy, dropout: DropoutSamples, texts: TextPairs, *, similarity: SimilarityName = "chrf"
) -> ItemScores:
    """CoCoA with the sequence's negative log-probability (sum over tokens, nats)."""
    u = -sum_over_tokens(greedy.token_logprob, greedy.n_tokens)
    return _cocoa(u, greedy, dropout, texts, similarity)


@score(
    paper_name="CoCoA MTE",
    formula="−u · mean_i(1 − sim(ŷ, y^(i))), u = mean_t H(p(· | ŷ_<t, x))",
    source="Vashurin et al. 2025",
    when="As cocoa_ppl, with entropy in place of log-probability.",
    sign_in_paper=+1,
    settings=_settings,
)
def cocoa_mte(
    greedy: Greedy, dropout: DropoutSamples, texts: TextPairs, *, similarity: SimilarityName = "chrf"
) -> ItemScores:
    """CoCoA with the mean token entropy (nats per token)."""
    u = mean_over_tokens(greedy.token_entropy, greedy.n_tokens)
    return _cocoa(u, greedy, dropout, texts, similarity)


@score(
    paper_name="CoCoA PPL",
    formula="−u · mean_i(1 − sim(ŷ, y^(i))), u = −mean_t log p(ŷ_t | ŷ_<t, x)",
    source="Vashurin et al. 2025",
    when="Both at once: log-probability per token, and agreement under dropout. 0 where all samples agree.",
    sign_in_paper=+1,
    settings=_settings,
)
def cocoa_ppl(
    greedy: Greedy, dropout: DropoutSamples, texts: TextPairs, *, similarity: SimilarityName = "chrf"
) -> ItemScores:
    """CoCoA with the negative mean token log-probability (nats per token)."""
    u = -mean_over_tokens(greedy.token_logprob, greedy.n_tokens)
    return _cocoa(u, greedy, dropout, texts, similarity)
