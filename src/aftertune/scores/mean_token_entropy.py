"""Mean token entropy (the paper's Avg Tok Ent)."""

from __future__ import annotations

from aftertune.scores.definition import score
from aftertune.scores.tokens import mean_over_tokens
from aftertune.scores.undefined import greedy_cases, item_scores
from aftertune.types import Greedy, ItemScores


@score(
    paper_name="Avg Tok Ent",
    formula="−mean_t H(p(· | y_<t, x))",
    source="Zhao et al. 2020",
    sign_in_paper=+1,
    sign_in_table5=-1,
)
def mean_token_entropy(greedy: Greedy) -> ItemScores:
    """Minus the mean over the greedy output's tokens of the next-token entropy, in nats per token, ≤ 0.

    NaN where the output has no tokens.
    """
    return item_scores(-mean_over_tokens(greedy.token_entropy, greedy.n_tokens), *greedy_cases(greedy))
