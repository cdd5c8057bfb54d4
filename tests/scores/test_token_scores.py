"""mean_token_logprob and mean_token_entropy against numbers worked out by hand."""

from __future__ import annotations

import numpy as np

from aftertune.scores import score, score_items


def test_mean_token_logprob(make):
    evidence = make["items"](greedy=make["greedy"]([[-0.1, -0.2, -0.6], [-1.5], [-0.25, -0.75]]))
    np.testing.assert_allclose(score(evidence)["mean_token_logprob"], [-0.3, -1.5, -0.5], rtol=1e-12)


def test_mean_token_entropy_is_negated(make):
    greedy = make["greedy"]([[-9.0, -9.0], [-9.0]], entropy=[[0.5, 1.5], [0.0]])
    value = score(make["items"](greedy=greedy))["mean_token_entropy"]
    np.testing.assert_array_equal(value, [-1.0, 0.0])
    assert not np.signbit(value[1])


def test_no_tokens_is_undefined(make):
    evidence = make["items"](greedy=make["greedy"]([[-0.5], []], text=["yes", ""]))
    for result in score_items(evidence).values():
        assert result.reason.tolist() == [None, "the greedy output has no tokens"]
        assert np.isnan(result.value).tolist() == [False, True]
