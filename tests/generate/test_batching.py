"""Batches by length and memory; a batch that does not fit is done in halves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import aftertune
from aftertune.errors import InputError
from aftertune.generate import batching, collect, score_texts
from aftertune.generate.batching import bytes_per_prompt, in_batches, is_out_of_memory, size_by_memory
from aftertune.models.loaded import wrap
from tiny import prompts, tiny


def test_longest_first_and_equal_lengths_in_order():
    assert list(in_batches([3, 9, 4, 4, 9], lambda length: 2, list)) == [[1, 4], [2, 3], [0]]


def test_the_size_is_asked_for_the_longest_of_each_batch():
    asked = []
    list(in_batches([5, 1, 2, 8], lambda length: asked.append(length) or 2, list))
    assert asked == [8, 2]


def test_what_is_left_out_does_not_change_the_batches():
    found = in_batches([3, 9, 4, 4, 9], lambda length: 2, list, lambda row: row in (0, 3, 4))
    assert list(found) == [[4], [3], [0]]


def batches_of_four(most, error):
    """In order, where `error` is raised for more than `most` of seven rows."""

    def work(rows):
        if len(rows) > most:
            raise error
        return list(rows)

    return list(in_batches(range(7, 0, -1), lambda length: 4, work))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] . DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_halves_in_order_and_nothing_lost(error):
    assert batches_of_four(2, error) == [[0, 1], [2, 3], [4, 5], [6]]


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shape"):
        batches_of_four(2, RuntimeError("shape mismatch"))


def test_a_single_prompt_that_does_not_fit_is_one_clear_line():
    with pytest.raises(InputError, match="single prompt"):
        batches_of_four(0, MemoryError())


def test_a_real_failed_allocation_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert is_out_of_memory(caught.value)


def test_a_larger_prompt_model_or_search_needs_more():
    loaded = wrap(*tiny("llama"))
    base = bytes_per_prompt(loaded, 10, 4, 3, 20)
    assert bytes_per_prompt(loaded, 100, 4, 3, 20) > base
    assert bytes_per_prompt(loaded, 10, 40, 3, 20) > base
    assert bytes_per_prompt(loaded, 10, 4, 30, 20) > base
    assert bytes_per_prompt(loaded, 10, 4, 3, 200) > base


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "t5", "bart"])
def test_size_follows_the_free_memory(architecture, monkeypatch):
    loaded = wrap(*tiny(architecture))
    one = bytes_per_prompt(loaded, 10, 4, 3, 20)
    for free, expected in ((one * 5.5, 5), (one * 0.5, 0), (one * 1e6, batching.MOST_CPU)):
        monkeypatch.setattr(batching, "free_bytes", lambda device, free=free: free / batching.SHARE_CPU)
        assert size_by_memory(loaded, beams=4, dropout_samples=3, max_new_tokens=20)(10) == expected


def test_the_free_memory_of_this_machine_is_known():
    assert batching.free_bytes(torch.device("cpu")) > 1 << 20


def test_evidence_collected_in_halves_is_the_same(monkeypatch):
    model, tokenizer = tiny("t5")
    texts = prompts(8)
    settings = {"beams": 3, "max_new_tokens": 8, "dropout": "native", "batch_size": 6}
    expected = aftertune.collect(model, tokenizer, texts, **settings)
    whole, sizes = collect.collect_batch, []

    def tight(loaded, names, ids, options):
        sizes.append(len(ids))
        if len(ids) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return whole(loaded, names, ids, options)

    monkeypatch.setattr(collect, "collect_batch", tight)
    found = aftertune.collect(model, tokenizer, texts, **settings)
    assert sizes == [6, 3, 2, 2, 2, 2], "later batches are no larger than what fitted"
    assert list(found.item_ids) == list(expected.item_ids)
    assert list(found.greedy.text) == list(expected.greedy.text)
    assert found.dropout.text.tolist() == expected.dropout.text.tolist()
    np.testing.assert_allclose(found.beams.sequence_logprob, expected.beams.sequence_logprob, atol=5e-5)


def test_given_texts_scored_in_halves_are_the_same_and_later_batches_are_smaller(monkeypatch):
    model, tokenizer = tiny("llama")
    texts, answers = prompts(10), ["w1 w2"] * 10
    expected = aftertune.score_texts(model, tokenizer, texts, answers, batch_size=4)
    whole, sizes = score_texts._score_batch, []

    def tight(loaded, pairs):
        sizes.append(len(pairs))
        if len(pairs) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return whole(loaded, pairs)

    monkeypatch.setattr(score_texts, "_score_batch", tight)
    found = aftertune.score_texts(model, tokenizer, texts, answers, batch_size=4)
    assert sizes == [4, 2, 2, 2, 2, 2]
    assert list(found.item_ids) == list(expected.item_ids)
    np.testing.assert_allclose(found.greedy.token_logprob, expected.greedy.token_logprob, atol=5e-6)


def test_layers_of_different_sizes_are_counted_by_the_largest():
    found = batching._first({"head_dim": 8, "per_layer_config": {"05": {"head_dim": 16}}}, ("head_dim",), 1)
    assert found == 16
    assert batching._first({"n_head": [2, 4]}, ("num_attention_heads", "n_head"), 1) == 4
    assert batching._first({"n_head": None}, ("num_attention_heads", "n_head"), 7) == 7
