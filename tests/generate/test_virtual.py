"""Adapters with virtual tokens are decoded as `PeftModel.generate` does, one prompt at a time, unpadded."""

from __future__ import annotations

import copy
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from peft import (
    CartridgeConfig,
    CPTConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)

import aftertune
from aftertune.errors import InputError
from aftertune.models.adapters import unwrapped
from aftertune.models.loaded import wrap
from tiny import ARCHITECTURES, EOS, prompts, tiny

N, K, LIMIT, VIRTUAL = 5, 3, 8, 5
CAUSAL = ("llama", "gemma2")
CONFIGS = {
    "prompt": PromptTuningConfig,
    "p-tuning": lambda **settings: PromptEncoderConfig(encoder_hidden_size=16, **settings),
    "prefix": PrefixTuningConfig,
    "cartridge": CartridgeConfig,
}
DROPOUT = {"llama": "residual:0.3", "gemma2": "residual:0.3", "t5": "native", "bart": "native"}

every_case = pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        pytest.param(
            one, kind, marks=[pytest.mark.slow] if kind == "p-tuning" and one in ("gemma2", "bart") else []
        )
        for one in ARCHITECTURES
        for kind in ("prompt", "p-tuning", "prefix")
    ],
)


@cache
def tuned(architecture, kind):
    base, tokenizer = tiny(architecture)
    config = CONFIGS[kind](
        task_type="CAUSAL_LM" if architecture in CAUSAL else "SEQ_2_SEQ_LM", num_virtual_tokens=VIRTUAL
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = get_peft_model(copy.deepcopy(base), config)
        with torch.no_grad():
            for weight in model.prompt_encoder.parameters():
                weight += 0.3 * torch.randn(weight.shape)
    return model.eval(), tokenizer


def generate(model, ids, **settings):
    """Rows of generated ids (the start left out), up to the first end of sequence, and the beams' scores."""
    tokens = torch.tensor([ids])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT: "Position ids are not supported", once a step
        output = model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=LIMIT,
            do_sample=False,
            return_dict_in_generate=True,
            output_scores=True,
            **settings,
        )
    rows = output.sequences[:, 1 if model.config.is_encoder_decoder else len(ids) :].tolist()
    ended = [row[: row.index(EOS) + 1] if EOS in row else row for row in rows]
    return ended, getattr(output, "sequences_scores", None)


def forced_logits(model, ids, output):
    """(T, V) logits of an output by the PEFT model's own forward, unpadded and without any cache."""
    with torch.no_grad(), warnings.catch_warnings():
        if model.config.is_encoder_decoder:
            start = torch.tensor([[model.config.decoder_start_token_id, *output[:-1]]])
            return model(input_ids=torch.tensor([ids]), decoder_input_ids=start, use_cache=False).logits[0]
        whole = torch.tensor([[*ids, *output[:-1]]])
        logits = model(input_ids=whole, attention_mask=torch.ones_like(whole), use_cache=False).logits[0]
        return logits[-len(output) :]


@every_case
def test_greedy_beams_and_given_texts_equal_peft(architecture, kind):
    model, tokenizer = tuned(architecture, kind)
    texts = prompts(N)
    evidence = aftertune.collect(model, tokenizer, texts, beams=K, dropout_samples=0, max_new_tokens=LIMIT)
    scored = aftertune.score_texts(model, tokenizer, texts, evidence.greedy.token_ids)
    without = aftertune.score_texts(*tiny(architecture), texts, evidence.greedy.token_ids)
    change = np.abs(evidence.greedy.token_logprob - without.greedy.token_logprob)
    assert (np.nanmax(change, axis=1) > 1e-3).all(), "the adapter did not act"
    for row, text in enumerate(texts):
        ids = tokenizer(text)["input_ids"]
        ours = [one for one in evidence.greedy.token_ids[row].tolist() if one >= 0]
        assert [ours] == generate(model, ids)[0]
        log_p = torch.log_softmax(forced_logits(model, ids, ours).double(), -1).numpy()
        own = log_p[np.arange(len(ours)), ours]
        np.testing.assert_allclose(evidence.greedy.token_logprob[row, : len(ours)], own, atol=1e-5)
        np.testing.assert_allclose(scored.greedy.token_logprob[row, : len(ours)], own, atol=1e-5)
        entropy = -(np.exp(log_p) * log_p).sum(1)
        np.testing.assert_allclose(scored.greedy.token_entropy[row, : len(ours)], entropy, atol=1e-5)
        beams, scores = generate(
            model, ids, num_beams=K, num_return_sequences=K, early_stopping=False, length_penalty=1.0
        )
        assert list(evidence.beams.text[row]) == tokenizer.batch_decode(beams, skip_special_tokens=True)
        if architecture != "bart":  # BART's forced tokens count 0 in the library's scores, not in ours
            mean = evidence.beams.sequence_logprob[row] / evidence.beams.n_tokens[row]
            np.testing.assert_allclose(mean, scores, atol=1e-5)


@every_case
def test_batches_change_nothing(architecture, kind):
    model, tokenizer = tuned(architecture, kind)
    settings = {"beams": K, "dropout_samples": 2, "max_new_tokens": LIMIT, "dropout": DROPOUT[architecture]}
    whole = aftertune.collect(model, tokenizer, prompts(N), batch_size=N, **settings)
    single = aftertune.collect(model, tokenizer, prompts(N), batch_size=1, **settings)
    assert list(whole.greedy.text) == list(single.greedy.text)
    assert whole.beams.text.tolist() == single.beams.text.tolist()
    assert whole.dropout.text.tolist() == single.dropout.text.tolist()
    np.testing.assert_allclose(whole.embedding, single.embedding, atol=1e-5)
    np.testing.assert_allclose(whole.dropout.token_logprob, single.dropout.token_logprob, atol=1e-5)
    assert (whole.dropout.token_kl[:, :, 0] > 0).all(), "each sample has its own mask"


@pytest.mark.parametrize("architecture", ["llama", "t5"])
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_the_embedding_is_the_mean_over_the_prompts_own_tokens(architecture, kind):
    model, tokenizer = tuned(architecture, kind)
    texts = prompts(4)
    ours = aftertune.collect(model, tokenizer, texts, beams=0, dropout_samples=0, max_new_tokens=1).embedding
    part = unwrapped(model).model if architecture == "llama" else unwrapped(model).encoder
    for row, text in enumerate(texts):
        ids = tokenizer(text)["input_ids"]
        seen = []
        handle = part.register_forward_hook(lambda module, args, output, seen=seen: seen.append(output[0]))
        forced_logits(model, ids, [EOS])
        handle.remove()
        np.testing.assert_allclose(ours[row], seen[0][0, -len(ids) :].mean(0).detach(), atol=1e-5)


def test_a_window_counts_tokens_and_not_padding():
    """Gemma 2's windows of 8 columns: behind virtual tokens, padding would push them out of sight."""
    model, tokenizer = tuned("gemma2", "prefix")
    texts = ["w1 =", "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12 ="]
    evidence = aftertune.collect(model, tokenizer, texts, beams=0, dropout_samples=0, max_new_tokens=LIMIT)
    ids = tokenizer(texts[0])["input_ids"]
    assert [[one for one in evidence.greedy.token_ids[0].tolist() if one >= 0]] == generate(model, ids)[0]


@pytest.mark.parametrize(
    "config",
    [
        CartridgeConfig(task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL),
        CPTConfig(
            task_type="CAUSAL_LM", cpt_token_ids=[5, 6, 7], cpt_mask=[1] * 3, cpt_tokens_type_mask=[1, 2, 3]
        ),
    ],
)
def test_other_kinds(config):
    base, tokenizer = tiny("llama")
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = get_peft_model(copy.deepcopy(base), config).eval()
        with torch.no_grad():
            for weight in model.prompt_encoder.parameters():
                weight += 0.3 * torch.randn(weight.shape)
    evidence = aftertune.collect(model, tokenizer, prompts(4), beams=0, dropout_samples=0, max_new_tokens=LIMIT)
    for row, text in enumerate(prompts(4)):
        ours = [one for one in evidence.greedy.token_ids[row].tolist() if one >= 0]
        assert [ours] == generate(model, tokenizer(text)["input_ids"])[0]


def test_virtual_tokens_take_their_place_in_the_context():
    model, tokenizer = tuned("llama", "prompt")
    limit = model.config.max_position_embeddings
    assert wrap(model, tokenizer).context == limit - VIRTUAL
    fits = " ".join(["w1"] * (limit - VIRTUAL - LIMIT - 1))
    settings = {"beams": 0, "dropout_samples": 0, "max_new_tokens": LIMIT}
    aftertune.collect(model, tokenizer, [fits], **settings)
    with pytest.raises(InputError, match=f"has room for {limit - VIRTUAL - LIMIT}"):
        aftertune.collect(model, tokenizer, [fits + " w1"], **settings)
    assert wrap(*tuned("bart", "prompt")).context == 96 - VIRTUAL
    assert wrap(*tuned("bart", "prefix")).context == 96, "a prefix is not in front of the encoder's input"


def test_a_model_without_its_virtual_tokens_is_its_base():
    model, tokenizer = tuned("llama", "prefix")
    settings = {"beams": 2, "dropout_samples": 0, "max_new_tokens": LIMIT}
    base = aftertune.collect(*tiny("llama"), prompts(N), **settings)
    with model.disable_adapter():
        off = aftertune.collect(model, tokenizer, prompts(N), **settings)
    assert list(off.greedy.text) == list(base.greedy.text)
    assert off.beams.text.tolist() == base.beams.text.tolist()
