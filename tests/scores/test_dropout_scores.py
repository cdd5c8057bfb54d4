"""Dropout scores against numbers worked out by hand and against loops over sacreBLEU and NLTK."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import sacrebleu

from aftertune.scores import score, score_items
from aftertune.scores.similarity import get as similarity
from aftertune.scores.similarity.wordnet import load


def test_dropout_entropy(make):
    dropout = make["dropout"]([["a", "b"], ["c", "d"]], entropy=[[[1, 2, 3], [4]], [[0.5], [0.5, 1.5]]])
    # item 0: means 2 and 4; item 1: means 0.5 and 1
    value = score(make["items"](dropout=dropout), ["dropout_entropy"])["dropout_entropy"]
    np.testing.assert_allclose(value, [-3, -0.75], rtol=1e-12)


def test_dropout_kl_is_the_mean_over_steps_where_it_is_defined(make):
    # three samples of 1, 2 and 3 tokens: step 1 has all three, step 2 two, step 3 none to compare with
    dropout = make["dropout"](
        [["a", "b", "c"]], entropy=[[[1], [1, 1], [1, 1, 1]]], kl=[[[0.3], [0.1, 0.5], [0.2, 0.6]]]
    )
    value = score(make["items"](dropout=dropout), ["dropout_kl"])["dropout_kl"]
    np.testing.assert_allclose(value, [-(0.3 + 0.3 + 0.4)], rtol=1e-12)


def test_dropout_bleu_variance_by_hand(make):
    # "a b c d" and "a b c e": precisions 3/4, 2/3, 1/2 and, smoothed, 1/2 of the one 4-gram
    bleu = (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** (1 / 4)
    # "a b c d" for "a b c d f g": all n-grams match, brevity penalty exp(1 - 6/4); the other way round
    # precisions are 4/6, 3/5, 2/4, 1/3 and there is no penalty
    short, long = math.exp(-0.5), (4 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** (1 / 4)
    dropout = make["dropout"]([["a b c d", "a b c e"], ["a b c d", "a b c d f g"], ["a b c d", "a b c d"]])
    value = score(make["items"](dropout=dropout))["dropout_bleu_variance"]
    expected = [-((1 - bleu) ** 2), -((1 - short) ** 2 + (1 - long) ** 2) / 2, 0.0]
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-15)


def test_dropout_bleu_variance_against_sacrebleu(make):
    evidence = make["random_evidence"](1, n=6)
    value = score(evidence, ["dropout_bleu_variance"])["dropout_bleu_variance"]
    for i, texts in enumerate(evidence.dropout.text):
        terms = []
        for a, b in itertools.permutations(range(3), 2):
            bleu = sacrebleu.sentence_bleu(
                texts[a], [texts[b]], smooth_method="exp", use_effective_order=True, tokenize="13a"
            )
            terms.append((1 - bleu.score / 100) ** 2)
        assert value[i] == pytest.approx(-math.fsum(terms) / 6, rel=1e-9)


def test_dropout_meteor_by_hand(make):
    # the worked example of tests/scores/similarity/test_meteor.py, in both orders
    dropout = make["dropout"]([["a dog barked loudly", "a dog barked"], ["no", "no"]])
    value = score(make["items"](dropout=dropout), ["dropout_meteor"])["dropout_meteor"]
    longer = 0.75 / 0.775 * (1 - 0.5 / 27)
    shorter = 0.75 / 0.975 * (1 - 0.5 / 27)
    np.testing.assert_allclose(value, [(longer + shorter) / 2, 0.5], rtol=1e-12)


def test_dropout_meteor_against_nltk(make):
    from nltk.translate.meteor_score import single_meteor_score

    evidence = make["random_evidence"](2, n=6)
    value = score(evidence, ["dropout_meteor"])["dropout_meteor"]
    for i, texts in enumerate(evidence.dropout.text):
        terms = [
            single_meteor_score(reference=texts[b].split(), hypothesis=texts[a].split(), wordnet=load())  # pyright: ignore[reportArgumentType]
            for a, b in itertools.permutations(range(3), 2)
        ]
        assert value[i] == pytest.approx(np.mean(terms), rel=1e-12)


def test_fewer_than_two_samples_is_undefined(make):
    evidence = make["items"](greedy=make["greedy"]([[-1.0]]), dropout=make["dropout"]([["one"]]))
    reasons = {name: result.reason[0] for name, result in score_items(evidence).items()}
    for name in reasons:
        needs_samples = not name.startswith("mean_token")
        assert reasons[name] == ("fewer than two dropout samples" if needs_samples else None)


def test_empty_texts(make):
    # both empty: no similarity; one empty: similarity 0
    dropout = make["dropout"]([["", "", "word"], ["", "word", "word"], ["", "word", "other"]])
    results = score_items(make["items"](dropout=dropout), ["dropout_bleu_variance", "dropout_meteor"])
    for result in results.values():
        assert result.reason.tolist() == ["both outputs are empty", None, None]
    # item 1: of six ordered pairs two are equal words; item 2: none
    np.testing.assert_allclose(results["dropout_bleu_variance"].value[1:], [-4 / 6, -1], rtol=1e-12)
    np.testing.assert_allclose(results["dropout_meteor"].value[1:], [2 * 0.5 / 6, 0], rtol=1e-12)


def test_a_sample_without_tokens_is_undefined(make):
    dropout = make["dropout"]([["", "word", "word"]], entropy=[[[], [1.0], [1.0]]])
    results = score_items(make["items"](dropout=dropout))
    assert {result.reason[0] for result in results.values()} == {"a dropout sample has no tokens"}


def test_meteor_in_use_is_in_the_signature():
    settings = similarity("meteor").settings()
    assert settings["wordnet"] == load().version
