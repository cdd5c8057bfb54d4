"""Paths that share their beginnings decode as rows of their own do, through growth, compaction and departures."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, MistralConfig, MistralForCausalLM

import aftertune
from aftertune.generate import decoder as decoder_room
from aftertune.generate import prefill, sharing
from aftertune.generate.beam import BeamSearch
from aftertune.generate.prompts import PromptOptions, encode
from aftertune.generate.search import GreedySearch, decode, greedy_decode
from aftertune.generate.sharing import Paths
from aftertune.generate.trial import plan
from aftertune.models.loaded import wrap
from tiny import ARCHITECTURES, SEED, beam_search, prompts, tiny

N, K = 6, 5
DROPOUT = {"llama": "residual:0.2", "gemma2": "residual:0.2", "t5": "native", "bart": "native"}
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def encoded(architecture, limit=20):
    loaded = wrap(*tiny(architecture))
    return loaded, encode(loaded, prompts(N), PromptOptions(), limit).ids


@every_architecture
def test_the_architectures_share_paths(architecture):
    assert plan(wrap(*tiny(architecture)), [2, 13], 20, branching=True).way == "shared"


@every_architecture
def test_random_trees_give_the_logits_of_separate_rows(architecture, monkeypatch):
    """Branch, merge and drop at random, with little room, so that columns are compacted often."""
    monkeypatch.setattr(sharing, "STEPS_OF_ROOM", 3)
    loaded, ids = encoded(architecture)
    random = torch.Generator().manual_seed(1)
    vocabulary = loaded.model.config.vocab_size
    compacted, compact = [], Paths.compact

    def counted(paths, columns):
        compacted.append(columns.shape[1])
        compact(paths, columns)

    monkeypatch.setattr(Paths, "compact", counted)
    with torch.no_grad():
        tree, separate = (prefill.prefill(loaded, ids, way, paths=K) for way in ("shared", "rows"))
        for step in range(14):
            n, width = tree.logits.shape[:2]
            np.testing.assert_allclose(tree.logits, separate.logits, atol=2e-4)
            if step in (4, 9):
                order = torch.tensor([0, n - 1, *range(2, n - 1)])
                tree.keep(order)
                separate.keep(order)
                n = len(order)
            wanted = K if step < 11 else 2
            tokens = torch.randint(3, vocabulary, (n, wanted), generator=random)
            parents = torch.randint(0, 2 if width > 1 else 1, (n, wanted), generator=random)
            tree.step(tokens, parents)
            separate.step(tokens, parents)
    assert compacted


@every_architecture
def test_greedy_and_beams_in_one_tree_are_as_on_their_own(architecture):
    loaded, ids = encoded(architecture)
    with torch.no_grad():
        alone = greedy_decode(prefill.prefill(loaded, ids, "shared"), loaded.rules, 20)
        beams_alone = beam_search(prefill.prefill(loaded, ids, "shared", paths=K), loaded.rules, K, 20)
        decoder = prefill.prefill(loaded, ids, "shared", paths=K + 1)
        greedy = GreedySearch(N, loaded.rules, 20, decoder.logits.device)
        beams = BeamSearch(N, K, loaded.rules, 20, decoder.logits.device)
        decode(decoder, [greedy, beams], 20)
    together, beams_together = greedy.result(), beams.result()
    assert torch.equal(together.tokens, alone.tokens)
    np.testing.assert_allclose(together.entropy, alone.entropy, atol=1e-5)
    assert torch.equal(beams_together.tokens, beams_alone.tokens)
    np.testing.assert_allclose(beams_together.logprob, beams_alone.logprob, atol=5e-5)


@every_architecture
def test_prompts_read_in_groups_of_similar_length_are_as_read_together(architecture, monkeypatch):
    model, tokenizer = tiny(architecture)
    texts = [text * times for text, times in zip(prompts(6), (1, 3, 1, 2, 5, 1))]
    settings = {"beams": K, "max_new_tokens": 10, "dropout": DROPOUT[architecture]}
    passes = []
    groups = decoder_room.length_groups
    monkeypatch.setattr(decoder_room, "length_groups", lambda *a: (passes.append(len(groups(*a))), groups(*a))[1])
    monkeypatch.setattr(sharing, "length_groups", decoder_room.length_groups)
    found = []
    for operations in (1e12, 0.0):
        monkeypatch.setattr(decoder_room, "PASS_CPU", operations)
        found.append(aftertune.collect(model, tokenizer, texts, batch_size=6, **settings))
    together, apart = found
    assert min(passes) == 1
    assert max(passes) > 2
    assert list(apart.greedy.text) == list(together.greedy.text)
    assert apart.beams.text.tolist() == together.beams.text.tolist()
    assert apart.dropout.text.tolist() == together.dropout.text.tolist()
    np.testing.assert_allclose(apart.beams.sequence_logprob, together.beams.sequence_logprob, atol=5e-5)
    np.testing.assert_allclose(apart.dropout.token_kl, together.dropout.token_kl, atol=1e-4)
    np.testing.assert_allclose(apart.embedding, together.embedding, atol=1e-5)


@pytest.mark.parametrize("kind", ["gemma2", "mistral"])
def test_sliding_windows_shorter_than_the_prompt(kind):
    shape = {
        "vocab_size": 80,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 6,
        "max_position_embeddings": 64,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "initializer_range": 0.3,
    }
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        if kind == "gemma2":
            model = Gemma2ForCausalLM(Gemma2Config(**shape, attn_implementation="eager"))
        else:
            model = MistralForCausalLM(MistralConfig(**shape))
    loaded = wrap(model.eval(), tiny("llama")[1])
    ids = [list(range(5, 5 + length)) for length in (11, 9, 3)]
    assert plan(loaded, [3, 11], 12, branching=True).way == "shared"
    with torch.no_grad():
        tree, rows = (
            beam_search(prefill.prefill(loaded, ids, way, paths=K), loaded.rules, K, 12)
            for way in ("shared", "rows")
        )
    assert torch.equal(tree.tokens, rows.tokens)
    np.testing.assert_allclose(tree.logprob, rows.logprob, atol=5e-5)


def test_a_model_that_ignores_its_positions_is_decoded_row_by_row():
    """Its positions count the cache's columns: right for a line of tokens, wrong for a tree."""
    model, tokenizer = tiny("llama")
    stubborn = copy.deepcopy(model)
    forward = stubborn.model.forward

    def counting(*args, position_ids=None, past_key_values=None, **kwargs):
        seen = 0 if past_key_values is None else past_key_values.get_seq_length()
        width = kwargs["input_ids"].shape[1]
        return forward(
            *args, position_ids=torch.arange(seen, seen + width)[None], past_key_values=past_key_values, **kwargs
        )

    stubborn.model.forward = counting
    loaded = wrap(stubborn, tokenizer)
    assert plan(loaded, [2, 13], 20, branching=True).way == "rows"


def test_a_model_that_refuses_a_mask_of_its_own_is_decoded_row_by_row():
    model, tokenizer = tiny("llama")
    refusing = copy.deepcopy(model)
    forward = refusing.model.forward

    def two_dimensional(*args, attention_mask=None, **kwargs):
        if attention_mask is not None and attention_mask.dim() != 2:
            raise ValueError("attention_mask must have two dimensions")
        return forward(*args, attention_mask=attention_mask, **kwargs)

    refusing.model.forward = two_dimensional
    loaded = wrap(refusing, tokenizer)
    assert plan(loaded, [2, 13], 20, branching=True).way == "rows"
    ids = encode(loaded, prompts(N), PromptOptions(), 20).ids
    with torch.no_grad():
        ours = beam_search(prefill.prefill(loaded, ids, "rows"), loaded.rules, K, 20)
        expected = beam_search(
            prefill.prefill(wrap(model, tokenizer), ids, "shared", paths=K), loaded.rules, K, 20
        )
    assert torch.equal(ours.tokens, expected.tokens)
