"""Beam scores against numbers worked out by hand.

Item 0: s = (log 1/2, log 1/4), two tokens each, so p = (1/4, 1/16).
Item 1: three tokens and one: p = (e^-3, e^-2), s = (-1, -2).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import softmax

from aftertune.errors import InputError
from aftertune.scores import get, score, score_items

LOG2 = math.log(2)


@pytest.fixture
def two(make):
    return make["items"](beams=make["beams"]([[-2 * LOG2, -4 * LOG2], [-3, -2]], [[2, 2], [3, 1]]))


def test_beam_importance_weighted(two):
    # item 0: weights 2/3 and 1/3; item 1: weights e/(e+1) and 1/(e+1)
    expected = [-(2 * LOG2 + 2 * LOG2) / 3, -(math.e + 2) / (math.e + 1)]
    np.testing.assert_allclose(score(two)["beam_importance_weighted"], expected, rtol=1e-12)


def test_beam_importance_weighted_of_logprobs_far_below_zero(make):
    evidence = make["items"](beams=make["beams"]([[-5000.0, -5001.0]], [[1, 1]]))
    weight = math.e / (math.e + 1)
    np.testing.assert_allclose(
        score(evidence)["beam_importance_weighted"], [-5000 * weight - 5001 * (1 - weight)], rtol=1e-12
    )


def test_beam_ratio(two):
    np.testing.assert_allclose(score(two)["beam_ratio"], [2.0, math.e], rtol=1e-12)


def test_beam_ratio_to_the_kth(make):
    evidence = make["items"](beams=make["beams"]([[-1, -2, -4]], [[1, 1, 1]]))
    values = score(evidence, ["beam_ratio", "beam_ratio[k=2]", "beam_ratio[k=3]"])
    np.testing.assert_allclose([v[0] for v in values.values()], np.exp([3, 1, 3]), rtol=1e-12)


def test_beam_sum(two):
    expected = [1 / 4 + 1 / 16, math.exp(-3) + math.exp(-2)]
    np.testing.assert_allclose(score(two)["beam_sum"], expected, rtol=1e-12)


def test_beam_sum_logprob(two):
    np.testing.assert_allclose(score(two)["beam_sum_logprob"], [-3 * LOG2, -3], rtol=1e-12)


def test_random_beams_against_loops(make):
    evidence = make["random_evidence"](5, n=20)
    values = score(evidence, ["beam_importance_weighted", "beam_ratio", "beam_sum", "beam_sum_logprob"])
    for i in range(20):
        total, length = evidence.beams.sequence_logprob[i], evidence.beams.n_tokens[i]
        s = [lp / count for lp, count in zip(total, length)]
        expected = {
            "beam_importance_weighted": float(softmax(s) @ np.array(s)),
            "beam_ratio": math.exp(s[0] - s[-1]),
            "beam_sum": math.fsum(math.exp(lp) for lp in total),
            "beam_sum_logprob": math.fsum(s),
        }
        for name, number in expected.items():
            assert values[name][i] == pytest.approx(number, rel=1e-12), name


def test_unfilled_beams_are_left_out(make):
    evidence = make["items"](
        beams=make["beams"](
            [[-1, -2, np.nan], [-1, np.nan, np.nan], [np.nan] * 3, [-1, -2, -4]],
            [[1, 1, 0], [1, 0, 0], [0] * 3, [1, 1, 1]],
        )
    )
    results = score_items(evidence, ["beam_sum", "beam_sum_logprob", "beam_importance_weighted"])
    for result in results.values():
        assert result.reason.tolist() == [None, "fewer than two beams", "fewer than two beams", None]
    assert results["beam_sum"].value[0] == pytest.approx(math.exp(-1) + math.exp(-2), rel=1e-12)
    assert results["beam_sum_logprob"].value[0] == pytest.approx(-3, rel=1e-12)
    assert results["beam_importance_weighted"].value[0] == pytest.approx(-(math.e + 2) / (math.e + 1), rel=1e-12)
    ratio = score_items(evidence, ["beam_ratio", "beam_ratio[k=2]", "beam_ratio[k=4]"])
    few = "fewer than two beams"
    assert ratio["beam_ratio"].reason.tolist() == ["the search found no beam 3", few, few, None]
    assert ratio["beam_ratio[k=2]"].reason.tolist() == [None, few, few, None]
    assert ratio["beam_ratio[k=4]"].reason.tolist() == [
        "the search found no beam 4",
        few,
        few,
        "the search found no beam 4",
    ]


def test_one_beam_is_undefined(make):
    evidence = make["items"](beams=make["beams"]([[-1.0]], [[1]]))
    assert {r.reason[0] for r in score_items(evidence).values()} == {"fewer than two beams"}


def test_out_of_range_is_undefined_not_tied(make):
    evidence = make["items"](
        beams=make["beams"]([[-1, -800], [-800, -900], [-800, -1], [-700, -701]], [[1, 1]] * 4)
    )
    results = score_items(evidence, ["beam_ratio", "beam_sum"])
    reasons = [(r or "").split(":")[0] for r in results["beam_ratio"].reason]
    assert reasons == ["overflow", "", "underflow", ""]
    reasons = [(r or "").split(":")[0] for r in results["beam_sum"].reason]
    assert reasons == ["", "underflow", "", ""]
    assert results["beam_sum"].value[3] == pytest.approx(math.exp(-700) * (1 + math.exp(-1)), rel=1e-10)


@pytest.mark.parametrize("k", ["1", "0", "-3"])
def test_rank_of_the_lower_beam_starts_at_two(k):
    with pytest.raises(InputError, match=r"k=-?\d is not the rank of a lower beam; write k=2 or more"):
        get(f"beam_ratio[k={k}]")
