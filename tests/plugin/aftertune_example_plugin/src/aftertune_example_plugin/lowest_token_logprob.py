"""A confidence score: an answer is as trustworthy as its least likely tokens."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from aftertune.errors import InputError
from aftertune.scores.definition import score
from aftertune.types import Greedy, ItemScores


def _check_count(count: object) -> None:
    if not isinstance(count, int) or count < 1:
        raise InputError(f"score 'lowest_token_logprob': count={count} tokens; write count=1 or more")


@score(
    formula="mean of the `count` smallest log p(y_t)",
    source="an example",
    settings=lambda count: {"count": count},
)
def lowest_token_logprob(greedy: Greedy, *, count: Annotated[int, _check_count] = 1) -> ItemScores:
    """Mean of the `count` smallest token log-probabilities; NaN for outputs of fewer tokens."""
    value, reason = [], []
    for logprob, n_tokens in zip(greedy.token_logprob, greedy.n_tokens, strict=True):
        enough = n_tokens >= count
        value.append(np.sort(logprob[:n_tokens])[:count].mean() if enough else np.nan)
        reason.append(None if enough else f"the greedy output has {n_tokens} of {count} tokens")
    return ItemScores(value=np.array(value), reason=np.array(reason, dtype=object))
