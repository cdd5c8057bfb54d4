"""What a generation config forbids or forces is respected as ``generate`` does; nothing else of it counts."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest
import torch
from transformers import MarianConfig, MarianMTModel

import aftertune
from aftertune.errors import InputError
from aftertune.generate import reduce
from aftertune.generate.prefill import prefill
from aftertune.generate.prompts import PromptOptions, encode
from aftertune.generate.reduce import best_continuations, step_scalars
from aftertune.models.loaded import generation_notes, wrap
from tiny import BOS, EOS, PAD, VOCABULARY, _build, beam_search, prompts, tokenizer

K, LIMIT = 4, 8
ASKED = ["w1 w2 w3 =", "w2 w3 w3 w1 w2 =", "w4 w5 =", "w6 ="]
EQUALS = VOCABULARY["="]


@cache
def untrained(architecture: str):
    """(model, tokenizer): weights are random and large, so that outputs differ and nothing is nearly tied.

    A T5's are large at once; larger ones would make float32's rounding show.
    """
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = marian() if architecture == "marian" else _build(architecture)
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(8 if weight.ndim > 1 and architecture != "t5" else 1)
    return model.eval(), tokenizer({"bart": "bart", "t5": "t5", "marian": "t5"}.get(architecture, "causal"))


def marian():
    """A translation model whose pad token is the likeliest everywhere, and forbidden by its generation config."""
    config = MarianConfig(
        vocab_size=len(VOCABULARY), d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64,
        pad_token_id=PAD, eos_token_id=EOS, bos_token_id=None, decoder_start_token_id=PAD,
    )  # fmt: skip
    model = MarianMTModel(config)
    model.final_logits_bias[0, PAD] = 30.0
    model.final_logits_bias[0, EOS] = 2.0
    settings = model.generation_config
    settings.bad_words_ids, settings.forced_eos_token_id, settings.renormalize_logits = [[PAD]], EOS, True
    return model


def configured(architecture: str, **settings):
    """A copy of an untrained model whose generation config has these settings, and its tokenizer."""
    model, words = untrained(architecture)
    model = copy.deepcopy(model)
    for name, value in settings.items():
        assert hasattr(model.generation_config, name)
        setattr(model.generation_config, name, value)
    return model, words


def greedy_ids(model, words) -> list[list[int]]:
    """Of each prompt, as `collect` decodes it."""
    found = aftertune.collect(
        model, words, ASKED, beams=0, dropout_samples=0, max_new_tokens=LIMIT, embedding=False
    ).greedy.token_ids
    return [[token for token in row.tolist() if token >= 0] for row in found]


def by_generate(model, ids, **settings):
    """The library's own decode of one prompt: (output ids up to the end, scores of the sequences)."""
    start = 1 if model.config.is_encoder_decoder else len(ids)
    found = model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), max_new_tokens=LIMIT,
        do_sample=False, return_dict_in_generate=True, output_scores=True, **settings,
    )  # fmt: skip
    rows = [row[start:].tolist() for row in found.sequences]
    return [row[: row.index(EOS) + 1] if EOS in row else row for row in rows], found.get("sequences_scores")


# Settings are made of what the model would say without them (a: to the first prompt, b: to the second, …).
CASES = {
    "marian": ("marian", lambda a, b, c, d: {}),
    "marian, ranks not renormalised": ("marian", lambda a, b, c, d: {"renormalize_logits": None}),
    "words": ("llama", lambda a, b, c, d: {"bad_words_ids": [[a[0]], [b[1]], [EOS]]}),
    "words of several tokens": (
        "llama",
        # The last three begin in the prompts, and one reaches beyond the beginning of a prompt.
        lambda a, b, c, d: {
            "bad_words_ids": [a[:2], [b[1], b[2]], [EQUALS, c[0]], [BOS, VOCABULARY["w6"], EQUALS, d[0]], [3] * 9]
        },
    ),
    "suppressed": (
        "gemma2",
        lambda a, b, c, d: {"suppress_tokens": [a[1], 10_000], "begin_suppress_tokens": [b[0], EOS]},
    ),
    "forced end": ("llama", lambda a, b, c, d: {"forced_eos_token_id": EOS, "bad_words_ids": [[a[0]]]}),
    "one of two forced ends": ("llama", lambda a, b, c, d: {"forced_eos_token_id": [a[0], EOS]}),
    "first free token": ("bart", lambda a, b, c, d: {"begin_suppress_tokens": [a[1]], "suppress_tokens": [b[2]]}),
    "words of an encoder-decoder": ("t5", lambda a, b, c, d: {"bad_words_ids": [[PAD, a[0]], b[:2], [c[1]]]}),
}


def case_of(name: str):
    """(model, tokenizer, what it would say without its settings)."""
    architecture, settings = CASES[name]
    plain = greedy_ids(*configured(architecture, bad_words_ids=None))
    return *configured(architecture, **settings(*plain)), plain


@pytest.mark.parametrize("name", CASES)
def test_equals_generate(name):
    model, words, plain = case_of(name)
    found = aftertune.collect(
        model, words, ASKED, beams=K, dropout_samples=0, max_new_tokens=LIMIT, embedding=False, batch_size=3
    )
    ours = [[token for token in row.tolist() if token >= 0] for row in found.greedy.token_ids]
    for row, prompt in enumerate(ASKED):
        ids = words(prompt)["input_ids"]
        (greedy,), _ = by_generate(model, ids, num_beams=1)
        assert ours[row] == greedy
        beams, scores = by_generate(model, ids, num_beams=K, num_return_sequences=K, early_stopping=False)
        texts, expected = list(found.beams.text[row]), [words.decode(beam, True).strip() for beam in beams]
        if name == "one of two forced ends":  # which of the two comes first is left to chance
            texts, expected = sorted(texts), sorted(expected)
        assert texts == expected
        assert list(found.beams.n_tokens[row]) == [len(beam) for beam in beams]
        if not (wrap(model, words).rules.forced_ids(LIMIT - 1, LIMIT) or "bart" in str(type(model)).lower()):
            # Forced tokens count 0 in the library's scores, renormalised ones more; raw sums are tested below.
            np.testing.assert_allclose(
                found.beams.sequence_logprob[row] / found.beams.n_tokens[row], scores, atol=1e-5
            )
    assert ours[0] != plain[0], "the settings change what the model says"


@pytest.mark.parametrize("name", CASES)
def test_confidence_is_that_of_raw_logits(name):
    model, words, _ = case_of(name)
    found = aftertune.collect(
        model, words, ASKED, beams=2, dropout_samples=0, max_new_tokens=LIMIT, embedding=False
    )
    given = aftertune.score_texts(model, words, ASKED, found.greedy.token_ids).greedy
    np.testing.assert_allclose(found.greedy.token_logprob, given.token_logprob, atol=2e-5)
    np.testing.assert_allclose(found.greedy.token_entropy, given.token_entropy, atol=2e-5)
    loaded = wrap(model, words)
    ids = encode(loaded, ASKED, PromptOptions(), LIMIT).ids
    with torch.no_grad():
        beams = beam_search(prefill(loaded, ids, paths=2), loaded.rules, 2, LIMIT, ids)
    best = [row[0, : n[0]].tolist() for row, n in zip(beams.tokens, beams.n_tokens)]
    sums = np.nansum(aftertune.score_texts(model, words, ASKED, best).greedy.token_logprob, axis=1)
    np.testing.assert_allclose(found.beams.sequence_logprob[:, 0], sums, atol=1e-4)


def test_dropout_samples_do_not_take_forbidden_tokens():
    model, words, plain = case_of("words of several tokens")
    found = aftertune.collect(
        model, words, ASKED, beams=0, dropout_samples=3, max_new_tokens=LIMIT, dropout="residual:1e-9",
        embedding=False,
    )  # fmt: skip
    assert all(list(row) == [text] * 3 for row, text in zip(found.dropout.text, found.greedy.text))
    said = [words.decode(row, skip_special_tokens=True).strip() for row in plain]
    assert all(text != before for text, before in zip(found.greedy.text, said))


@pytest.mark.parametrize("chunk", [1 << 18, 1])
def test_reductions_against_a_search_of_everything(chunk, monkeypatch):
    monkeypatch.setattr(reduce, "CHUNK_CPU", chunk)
    draw = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(6, 3, 200, generator=draw)
    rank = -torch.rand(6, 3, generator=draw)
    best = logits.topk(5, dim=-1).indices
    forbidden = torch.where(torch.rand(best.shape, generator=draw) < 0.6, best, -1)
    kept = logits.clone()
    for at in (forbidden >= 0).nonzero().tolist():
        kept[at[0], at[1], forbidden[tuple(at)]] = -torch.inf
    log_p = torch.log_softmax(logits, -1)
    for renormalised in (False, True):
        among = torch.log_softmax(kept, -1) if renormalised else log_p.masked_fill(kept.isinf(), -torch.inf)
        value, at = (among + rank[..., None]).flatten(1).topk(7)
        found = best_continuations(logits, rank, 7, forbidden, renormalised)
        torch.testing.assert_close(found.rank, value, atol=1e-5, rtol=0)
        assert torch.equal(found.path * 200 + found.token, at)
        torch.testing.assert_close(found.logprob, log_p.flatten(1).gather(1, at), atol=1e-5, rtol=0)
    group = torch.arange(6).repeat_interleave(3)
    found = step_scalars(logits.flatten(0, 1), group=group, forbidden=forbidden.flatten(0, 1))
    assert torch.equal(found.token, kept.flatten(0, 1).argmax(-1))
    torch.testing.assert_close(found.logprob, log_p.flatten(0, 1).gather(1, found.token[:, None])[:, 0])
    torch.testing.assert_close(found.kl, step_scalars(logits.flatten(0, 1), group=group).kl)


def test_nothing_is_masked_where_nothing_is_forbidden(monkeypatch):
    def never(*args):
        raise AssertionError("logits were copied")

    monkeypatch.setattr(reduce, "without", never)
    aftertune.collect(*configured("bart"), ASKED, beams=K, dropout_samples=2, max_new_tokens=4)


def test_a_word_that_the_vocabulary_does_not_have():
    with pytest.raises(
        InputError, match=r"of mine forbids the token id 99 \(bad_words_ids\), but its vocabulary has 45"
    ):
        wrap(*configured("llama", bad_words_ids=[[5, 99]]), "mine")


def test_a_first_token_that_is_forced_after_one_token_of_a_prompt():
    loaded = wrap(*configured("llama", forced_bos_token_id=BOS), "mine")
    encode(loaded, ["w1"], PromptOptions(), 4, ["a"])
    with pytest.raises(
        InputError, match=r"item 'b' is one token, after which the generation config of mine forces"
    ):
        encode(loaded, ["w1", ""], PromptOptions(), 4, ["a", "b"])


def test_settings_without_effect_are_told():
    assert generation_notes(wrap(*configured("bart"))) == []
    neutral = {"repetition_penalty": 1.0, "min_length": 0, "length_penalty": 1.0, "early_stopping": False}
    assert generation_notes(wrap(*configured("bart", **neutral))) == []
    settings = {"min_length": 56, "no_repeat_ngram_size": 3, "length_penalty": 2.0, "early_stopping": True}
    assert generation_notes(wrap(*configured("bart", **settings), "cnn")) == [
        "the generation config of cnn sets no_repeat_ngram_size 3, min_length 56, length_penalty 2.0 and "
        "early_stopping True: without effect here, outputs are the plain greedy output and plain beams"
    ]
    asked = prompts(4)
    plain = aftertune.collect(*configured("bart"), asked, beams=2, dropout_samples=0, max_new_tokens=8)
    same = aftertune.collect(*configured("bart", **settings), asked, beams=2, dropout_samples=0, max_new_tokens=8)
    assert list(plain.greedy.text) == list(same.greedy.text)
    assert plain.beams.text.tolist() == same.beams.text.tolist()
