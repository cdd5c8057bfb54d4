"""Sums and means over the tokens of right-padded arrays, and of beams."""

from __future__ import annotations

import numpy as np

from aftertune.types import Beams, Floats, Ints


def sum_over_tokens(values: Floats, n_tokens: Ints) -> Floats:
    """Sum of the first `n_tokens` entries of the last axis of `values` (*shape, T); 0 where there are none.

    Every row is summed by itself: the padding's width and the other items change no bit of the result.
    """
    rows = np.ascontiguousarray(values).reshape(n_tokens.size, values.shape[-1])
    sums = [row[:n].sum() for row, n in zip(rows, n_tokens.ravel())]
    return np.array(sums, dtype=np.float64).reshape(n_tokens.shape)


def mean_over_tokens(values: Floats, n_tokens: Ints) -> Floats:
    """Mean of the first `n_tokens` entries of the last axis of `values` (*shape, T); NaN for no tokens.

    >>> mean_over_tokens(np.array([[-1.0, -3.0, np.nan]]), np.array([2])).tolist()
    [-2.0]
    """
    return sum_over_tokens(values, n_tokens) / np.where(n_tokens > 0, n_tokens, np.nan)


def length_normalised(beams: Beams) -> Floats:
    """s_k = log p(y_k) / len(y_k), (n, K) in nats per token; NaN for a beam that was not filled."""
    return beams.sequence_logprob / np.where(beams.n_tokens > 0, beams.n_tokens, np.nan)
