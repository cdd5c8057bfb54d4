"""The nearest training item by the checkpoint's own embeddings, against all similarities at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import aftertune
from aftertune.generate import similarity as module
from aftertune.generate.collect import CollectOptions
from aftertune.generate.prompts import PromptOptions
from aftertune.generate.similarity import nearest_training
from aftertune.models.loaded import wrap
from tiny import ARCHITECTURES, prompts, tiny

OPTIONS = CollectOptions(
    beams=0, dropout_samples=0, max_new_tokens=4, batch_size=5, prompts=PromptOptions(chat="off")
)


def embeddings(architecture, texts):
    found = aftertune.collect(
        *tiny(architecture), texts, beams=0, dropout_samples=0, max_new_tokens=1, batch_size=len(texts)
    ).embedding
    assert found is not None
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_against_brute_force(architecture):
    test, train = prompts(6, seed=1), prompts(23, seed=2)
    ids = [f"t{i}" for i in range(len(train))]
    items, others = embeddings(architecture, test), embeddings(architecture, train)
    done = []
    found = nearest_training(wrap(*tiny(architecture)), items, ids, train, OPTIONS, done.append)
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (items, others)]
    cosine = unit[0] @ unit[1].T
    np.testing.assert_allclose(found.similarity, cosine.max(axis=1), atol=1e-6)
    for i, name in enumerate(found.item_id):
        assert cosine[i, ids.index(name)] == pytest.approx(cosine[i].max(), abs=1e-6)
    assert sum(done) == len(train)


def test_an_item_that_is_in_the_training_set():
    train = prompts(12, seed=3)
    found = nearest_training(
        wrap(*tiny("t5")), embeddings("t5", train[4:6]), [str(i) for i in range(12)], train, OPTIONS
    )
    np.testing.assert_allclose(found.similarity, 1, atol=1e-6)
    assert found.item_id.tolist() == ["4", "5"]


def test_the_batch_size_does_not_matter_and_the_first_of_equals_counts():
    train = prompts(9, seed=4)
    train = [*train, *train]
    items = embeddings("llama", prompts(7, seed=5))
    ids = [str(i) for i in range(18)]
    one, two = (
        nearest_training(wrap(*tiny("llama")), items, ids, train, replace(OPTIONS, batch_size=size))
        for size in (1, 18)
    )
    np.testing.assert_allclose(one.similarity, two.similarity, atol=1e-6)
    # Copies of a prompt are equally near but for rounding: at batch size 1 exactly so, and the first is named.
    assert all(int(name) < 9 for name in one.item_id)
    assert [int(name) % 9 for name in one.item_id] == [int(name) % 9 for name in two.item_id]


def test_a_vector_of_zeros_has_no_similarity():
    train = prompts(3, seed=6)
    items = embeddings("t5", prompts(2, seed=7))
    items[0] = 0
    found = nearest_training(wrap(*tiny("t5")), items, ["a", "b", "c"], train, OPTIONS)
    assert np.isnan(found.similarity[0])
    assert found.item_id[0] is None
    assert 0 < found.similarity[1] <= 1


def test_training_prompts_are_compared_batch_by_batch(monkeypatch):
    """Nothing of the size of items × training items × d, or of all training embeddings, is ever made."""
    sizes = []
    unit = module._unit

    def watched(vectors, loaded):
        sizes.append(len(vectors))
        return unit(vectors, loaded)

    monkeypatch.setattr(module, "_unit", watched)
    nearest_training(
        wrap(*tiny("t5")), embeddings("t5", prompts(2)), [str(i) for i in range(12)], prompts(12, seed=8), OPTIONS
    )
    assert max(sizes) == 5
