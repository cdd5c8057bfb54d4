"""Dropout is explicit, counted, and an error where it would not act."""

from __future__ import annotations

import pytest
import torch

import aftertune
from aftertune.errors import InputError
from aftertune.generate.prefill import prefill
from aftertune.models.dropout import DropoutSetting, check_dropout, dropout_on, parse_dropout
from aftertune.models.loaded import wrap
from tiny import ARCHITECTURES, prompts, tiny


def acting(architecture, text):
    """What acts under a setting, and whether two differently seeded passes differ."""
    loaded = wrap(*tiny(architecture))
    ids = [loaded.tokenizer(text)["input_ids"] for text in prompts(4)]
    setting = parse_dropout(text)
    with torch.no_grad(), torch.random.fork_rng(), dropout_on(loaded.model, setting):
        found = check_dropout(loaded.model, setting, lambda: prefill(loaded, ids), architecture)
        torch.manual_seed(0)
        first = prefill(loaded, ids).logits
        second = prefill(loaded, ids).logits
    return found, not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("architecture", "setting", "probability"),
    [
        ("t5", "native", 0.1),
        ("t5", "auto", 0.1),
        ("bart", "native", 0.1),
        ("llama", "attention:0.25", 0.25),
        ("gemma2", "attention:0.25", 0.25),
        ("llama", "residual:0.3", 0.3),
        ("gemma2", "residual:0.3", 0.3),
    ],
)
def test_what_acts(architecture, setting, probability):
    found, differs = acting(architecture, setting)
    assert differs
    assert set(found.probabilities) == {probability}
    layers = 2
    if setting.startswith("residual"):
        assert found.sites == 2 * layers
    if setting.startswith("attention"):
        assert found.sites == layers


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
@pytest.mark.parametrize("setting", ["auto", "native", "lora"])
def test_no_dropout_is_an_error_that_says_what_to_set(architecture, setting):
    with pytest.raises(InputError, match="residual:0.1"):
        acting(architecture, setting)


def test_modes_and_probabilities_are_put_back():
    for architecture in ARCHITECTURES:
        model, _ = tiny(architecture)
        modes = [module.training for module in model.modules()]
        setting = DropoutSetting(kind="attention", p=0.4)
        with dropout_on(model, setting):
            assert any(module.training for module in model.modules())
        assert [module.training for module in model.modules()] == modes
    model, _ = tiny("llama")
    assert model.model.layers[0].self_attn.attention_dropout == 0.0


def test_layer_drop_is_off_while_decoding():
    model, _ = tiny("bart")
    model.model.encoder.layerdrop = 0.9
    try:
        with dropout_on(model, DropoutSetting(kind="native")):
            assert model.model.encoder.layerdrop == 0.0
        assert model.model.encoder.layerdrop == 0.9
    finally:
        model.model.encoder.layerdrop = 0.0


def test_gradient_checkpointing_is_refused():
    model, _ = tiny("llama")
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    disable = getattr(model, "activation_checkpointing_disable", None) or model.gradient_checkpointing_disable
    enable()
    try:
        with pytest.raises(InputError, match="gradient checkpointing"), dropout_on(model, DropoutSetting()):
            pass
    finally:
        disable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("residual", "residual:0.1"),
        ("residual:1.5", "between 0 and 1"),
        ("attention:x", "not a number"),
        ("native:0.1", "takes no probability"),
        ("nativ", "not one of"),
    ],
)
def test_bad_settings(text, expected):
    with pytest.raises(InputError, match=expected):
        parse_dropout(text)


def test_collect_without_dropout_in_the_model_is_an_error():
    model, tokenizer = tiny("llama")
    with pytest.raises(InputError, match="no active dropout"):
        aftertune.collect(model, tokenizer, prompts(2), beams=0, max_new_tokens=3)
