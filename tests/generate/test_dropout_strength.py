"""The strength of dropout is found by its effect: on these models, and the same anywhere."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import aftertune
from aftertune.generate import dropout_strength
from aftertune.generate.dropout_strength import (
    LEAST,
    MASKS,
    MOST,
    TARGET,
    DropoutEffect,
    ResolvedDropout,
    find_dropout,
    resolve_dropout,
)
from aftertune.generate.masks import PROMPT, RowMasks
from aftertune.models.dropout import DropoutSetting, dropout_on, parse_dropout
from aftertune.models.loaded import wrap
from aftertune.seeds import derive
from tiny import BOS, EOS, PAD, VOCABULARY, prompts, tiny, tokenizer

LIMIT = 6


def deep(layers):
    """A Llama with random weights whose blocks matter."""
    config = LlamaConfig(
        vocab_size=len(VOCABULARY), pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS, hidden_size=32,
        intermediate_size=48, num_hidden_layers=layers, num_attention_heads=4, initializer_range=0.2,
        max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return wrap(LlamaForCausalLM(config).eval(), tokenizer("causal"))


def ids_of(loaded, n=6):
    return [tuple(loaded.tokenizer(text)["input_ids"]) for text in prompts(n)]


@pytest.mark.parametrize(("architecture", "kind"), [("t5", "native"), ("bart", "native"), ("llama", "residual")])
def test_auto_is_the_models_own_dropout_or_one_that_is_found(architecture, kind):
    loaded = wrap(*tiny(architecture))
    found = resolve_dropout(loaded, ids_of(loaded), DropoutSetting(), max_new_tokens=LIMIT)
    assert found.setting.kind == kind
    assert found.asked == "auto"
    assert found.effect.kl > 0
    assert found.effect.n_prompts == 6
    again = resolve_dropout(loaded, ids_of(loaded), DropoutSetting(), max_new_tokens=LIMIT)
    assert again == found
    assert ResolvedDropout.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_the_deeper_the_model_the_weaker_the_dropout_and_the_effect_is_the_target():
    found = {}
    for layers in (2, 12):
        loaded = deep(layers)
        found[layers] = resolve_dropout(loaded, ids_of(loaded), DropoutSetting(), max_new_tokens=LIMIT)
        assert found[layers].effect.kl == pytest.approx(TARGET, rel=0.35)
    assert found[12].setting.p < 0.7 * found[2].setting.p


def test_an_explicit_setting_is_kept_and_measured():
    loaded = deep(2)
    setting = parse_dropout("attention:0.3")
    found = resolve_dropout(loaded, ids_of(loaded), setting, max_new_tokens=LIMIT)
    assert found.setting == setting
    assert found.effect == dropout_strength._Probe(loaded, ids_of(loaded), LIMIT, 0).effect(setting)
    assert found.effect.kl > 0


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_the_effect_is_the_divergence_of_whole_distributions(architecture):
    """Recomputed from full logits of one prompt, with the same masks."""
    loaded = wrap(*tiny(architecture))
    prompt, setting, limit = ids_of(loaded, 1)[0], parse_dropout("residual:0.2"), 5
    effect = resolve_dropout(loaded, [prompt], setting, max_new_tokens=limit, seed=3).effect
    text = loaded.tokenizer.decode(prompt[1:] if loaded.kind == "causal" else prompt[:-1])
    greedy = aftertune.collect(
        loaded.model, loaded.tokenizer, [text], beams=0, dropout="none", max_new_tokens=limit
    ).greedy
    output = [int(token) for token in greedy.token_ids[0] if token >= 0]
    if loaded.kind == "causal":
        inputs = {"input_ids": torch.tensor([[*prompt, *output[:-1]]])}
    else:
        start = loaded.rules.start_id
        inputs = {"input_ids": torch.tensor([prompt]), "decoder_input_ids": torch.tensor([[start, *output[:-1]]])}
    with torch.no_grad():
        plain = torch.log_softmax(loaded.model(**inputs).logits[0, -len(output) :], -1)
        kl = []
        for mask in range(MASKS):
            seeds = torch.tensor([derive(3, "dropout strength", 0, mask)])
            with dropout_on(loaded.model, setting), RowMasks(seeds).during(PROMPT, width=None):
                dropped = torch.log_softmax(loaded.model(**inputs).logits[0, -len(output) :], -1)
            kl.append(float((plain.exp() * (plain - dropped)).sum(-1).mean()))
    assert effect.n_tokens == len(output)
    np.testing.assert_allclose(effect.kl, np.mean(kl), rtol=1e-4, atol=1e-7)


class Curve:
    """Stands for a model whose KL is a known function of p; counts how often it is asked."""

    def __init__(self, kl):
        self._kl, self.asked = kl, []

    def effect(self, setting):
        self.asked.append(setting.p)
        return DropoutEffect(kl=self._kl(setting.p), logprob_cost=0.0, kept=1.0, n_prompts=1, n_tokens=1)


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (lambda p: TARGET * p / 0.02, 0.02),
        (lambda p: TARGET * (p / 0.3) ** 2, 0.3),
        (lambda p: TARGET * (p / 0.004) ** 1.5, 0.0039),
        (lambda p: TARGET * p / 0.02 + (0.5 if p > 0.03 else 0.0), 0.02),
        (lambda p: 1e-9, MOST),
        (lambda p: 50.0, LEAST),
        (lambda p: 0.0, MOST),
    ],
)
def test_the_search_finds_the_target_in_a_few_passes(kl, expected):
    curve = Curve(kl)
    found = dropout_strength._found("residual", curve)
    assert abs(math.log(found.p / expected)) < 0.15
    assert len(curve.asked) <= dropout_strength.PASSES


@pytest.mark.parametrize("noise", [0.99, 1.0, 1.01])
def test_small_differences_of_the_effect_change_nothing(noise):
    found = dropout_strength._found("residual", Curve(lambda p: noise * TARGET * (p / 0.0242) ** 1.2))
    assert found.p == 0.024


def test_collect_takes_the_setting_that_is_found():
    loaded = deep(12)
    texts = prompts(6)
    options = {"beams": 0, "max_new_tokens": LIMIT, "embedding": False, "seed": 4}
    found = find_dropout(loaded, ids_of(loaded), max_new_tokens=LIMIT, seed=4)
    auto = aftertune.collect(loaded.model, loaded.tokenizer, texts, **options)
    said = aftertune.collect(loaded.model, loaded.tokenizer, texts, dropout=str(found), **options)
    assert auto.dropout.text.tolist() == said.dropout.text.tolist()
    np.testing.assert_array_equal(auto.dropout.token_logprob, said.dropout.token_logprob)


@pytest.mark.parametrize("jump", [0.0029, 0.0074, 0.04])
def test_where_the_effect_jumps_over_the_target_the_probability_below_is_taken(jump):
    """As on a model of which a few features carry everything: 0.02 nats below, 0.4 above."""
    curve = Curve(lambda p: 2.0 * p if p < jump else 0.4 + p)
    assert 0.8 * jump < dropout_strength._found("residual", curve).p < jump
    assert len(curve.asked) <= dropout_strength.PASSES + dropout_strength.BISECTIONS
