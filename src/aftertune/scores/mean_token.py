"""Means over the greedy output's tokens: the paper's Avg Tok Ent and Avg Tok Prob."""

from __future__ import annotations

from aftertune.scores.definition import score
from aftertune.scores.tokens import mean_over_tokens
from aftertune.scores.undefined import greedy_cases, item_scores
from aftertune.types import Greedy, ItemScores


@score(
    paper_name="Avg Tok Ent",
    formula="−mean_t H(p(· | y_<t, x))",
    source="Zhao et al. 2020",
    when="Where the whole next-token distribution is known, which most servers do not return.",
    sign_in_paper=+1,
)
def mean_token_entropy(greedy: Greedy) -> ItemScores:
    """Minus the mean over the greedy output's tokens of the next-token entropy, in nats per token, ≤ 0.

    NaN where the output has no tokens.
    """
    return item_scores(-mean_over_tokens(greedy.token_entropy, greedy.n_tokens), *greedy_cases(greedy))


@score(
    paper_name="Avg Tok Prob",
    formula="mean_t log p(y_t | y_<t, x)",
    source="Murray & Chiang 2018",
    when="First: it costs nothing, and any server that returns log-probabilities has it.",
    sign_in_paper=+1,
)
def mean_token_logprob(greedy: Greedy) -> ItemScores:
    """Mean over the greedy output's tokens of log p(y_t), in nats per token, ≤ 0.

    NaN where the output has no tokens.
    """
    return item_scores(mean_over_tokens(greedy.token_logprob, greedy.n_tokens), *greedy_cases(greedy))
