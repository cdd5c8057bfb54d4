"""CoCoA against numbers worked out by hand and against loops over the similarities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sacrebleu

from aftertune.errors import InputError
from aftertune.scores import get, score, score_items
from aftertune.scores.similarity.meteor import meteor
from aftertune.scores.similarity.rouge_l import rouge_l

NAMES = ["cocoa_msp", "cocoa_mte", "cocoa_ppl"]


@pytest.fixture
def evidence(make):
    # ROUGE-L of "a b" with "a b", "a c", "d": 1, 1/2, 0, so the mean disagreement is 1/2
    return make["items"](
        greedy=make["greedy"]([[-0.2, -0.6]], entropy=[[1.0, 3.0]], text=["a b"]),
        dropout=make["dropout"]([["a b", "a c", "d"]]),
    )


def test_by_hand(evidence):
    values = score(evidence, [f"{name}[similarity=rouge_l]" for name in NAMES])
    # u: 0.8 in all, entropy 2 per token, 0.4 per token
    expected = {"cocoa_msp": -0.4, "cocoa_mte": -1.0, "cocoa_ppl": -0.2}
    for name, number in expected.items():
        np.testing.assert_allclose(values[f"{name}[similarity=rouge_l]"], [number], rtol=1e-12)


def test_samples_equal_to_the_greedy_output_give_zero(make):
    evidence = make["items"](
        greedy=make["greedy"]([[-0.2, -0.6]], text=["Die kat"]), dropout=make["dropout"]([["Die kat"] * 3])
    )
    for value in score(evidence, NAMES).values():
        assert value.tolist() == [0.0]
        assert not np.signbit(value[0])


@pytest.mark.parametrize("similarity", ["chrf", "meteor", "rouge_l"])
def test_against_loops(make, similarity):
    direct = {
        "chrf": lambda sample, output: sacrebleu.sentence_chrf(sample, [output]).score / 100,
        "meteor": lambda sample, output: meteor([sample], [output])[0],
        "rouge_l": lambda sample, output: rouge_l([sample], [output])[0],
    }[similarity]
    evidence = make["random_evidence"](3, n=8)
    names = [name if similarity == "chrf" else f"{name}[similarity={similarity}]" for name in NAMES]
    values = score(evidence, names)
    assert list(values) == names
    for i in range(8):
        count = evidence.greedy.n_tokens[i]
        logprob = evidence.greedy.token_logprob[i, :count]
        entropy = evidence.greedy.token_entropy[i, :count]
        samples = evidence.dropout.text[i]
        disagreement = math.fsum(1 - direct(s, evidence.greedy.text[i]) for s in samples) / len(samples)
        for name, u in zip(names, [-logprob.sum(), entropy.mean(), -logprob.mean()]):
            assert values[name][i] == pytest.approx(-u * disagreement, rel=1e-9)


def test_undefined(make):
    evidence = make["items"](
        greedy=make["greedy"]([[], [-0.5], [-0.5], [-0.5]], text=["", "", "", "word"]),
        dropout=make["dropout"]([["a", "b"], ["a", ""], ["a", "b"], ["", ""]]),
    )
    for result in score_items(evidence, NAMES).values():
        assert result.reason.tolist() == [
            "the greedy output has no tokens",
            "both outputs are empty",
            None,
            None,
        ]
        # an empty text and another: similarity 0, so the value is -u
        assert np.isfinite(result.value[2:]).all()
    np.testing.assert_array_equal(score(evidence, ["cocoa_msp"])["cocoa_msp"][2:], [-0.5, -0.5])


def test_each_pair_is_compared_once_for_all_three(make, monkeypatch):
    from aftertune.scores.similarity import Similarity
    from aftertune.scores.similarity import get as original

    compared = []

    def spy(name):
        def compare(hypotheses, references):
            compared.extend(zip(hypotheses, references))
            return original(name).compare(hypotheses, references)

        return Similarity(compare=compare, settings=original(name).settings)

    evidence = make["items"](
        greedy=make["greedy"]([[-0.5], [-0.5]], text=["one", "one"]),
        dropout=make["dropout"]([["one", "two", "two"], ["two", "one", ""]]),
    )
    expected = score(evidence, NAMES)
    monkeypatch.setattr("aftertune.scores.text_pairs.similarities.get", spy)
    values = score(evidence, NAMES)
    assert sorted(compared) == [("one", "one"), ("two", "one")]
    for name in NAMES:
        np.testing.assert_array_equal(values[name], expected[name])


def test_similarity_is_checked_when_the_score_is_named():
    with pytest.raises(InputError, match="unknown similarity 'chrff': did you mean chrf"):
        get("cocoa_msp[similarity=chrff]")
    with pytest.raises(InputError, match="write cross_encoder:PATH_OR_ID"):
        get("cocoa_msp[similarity=cross_encoder]")


def test_similarity_is_part_of_the_signature():
    assert get("cocoa_msp").signature().startswith("cocoa_msp|similarity:chrF2|sacrebleu:")
    assert get("cocoa_ppl[similarity=rouge_l]").signature().startswith("cocoa_ppl|similarity:rouge_l|")
    assert "|similarity:meteor|wordnet:" in get("cocoa_mte[similarity=meteor]").signature()
    hub = get("cocoa_mte[similarity=cross_encoder:some/model@v1]")
    assert hub.name == "cocoa_mte[similarity=cross_encoder:some/model@v1]"
    assert "|similarity:cross_encoder:some/model@v1|" in hub.signature()
