"""Length-normalised log-probabilities of beams."""

from __future__ import annotations

import numpy as np

from aftertune.types import Beams, Floats


def length_normalised(beams: Beams) -> Floats:
    """s_k = log p(y_k) / len(y_k), (n, K) in nats per token; NaN for a beam that was not filled."""
    return beams.sequence_logprob / np.where(beams.n_tokens > 0, beams.n_tokens, np.nan)
