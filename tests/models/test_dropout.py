"""Dropout is explicit, acts with exactly the asked probability, and is an error where it would not."""

from __future__ import annotations

from functools import cache, partial

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

import aftertune
from aftertune.errors import InputError
from aftertune.generate.prefill import prefill
from aftertune.models.dropout import DropoutSetting, dropout_on, parse_dropout
from aftertune.models.dropout_check import check_dropout, works
from aftertune.models.loaded import wrap
from aftertune.models.residual import residual_blocks
from tiny import ARCHITECTURES, BOS, EOS, PAD, VOCABULARY, prompts, tiny

SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 64,
}  # fmt: skip
OTHER_NAMES = {
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "GPTNeo": {
        "hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]],
        "embed_dropout": 0.1, "resid_dropout": 0.1, "attention_dropout": 0.1,
    },
    "OPT": {
        "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "word_embed_proj_dim": 32,
    },
    "Bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "GPTJ": {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4},
    "Mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 64},
    "XGLM": {"d_model": 32, "ffn_dim": 48, "num_layers": 2, "attention_heads": 4, "max_position_embeddings": 64},
    "Mixtral": {**SIZES, "num_key_value_heads": 2, "num_local_experts": 4},
    "Mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "XLNet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
    "Marian": {
        "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "decoder_start_token_id": PAD,
        "max_position_embeddings": 64, "attention_dropout": 0.1, "activation_dropout": 0.1,
    },
}  # fmt: skip
CLASSES = {"GPT2": "GPT2LMHeadModel", "Marian": "MarianMTModel", "XLNet": "XLNetLMHeadModel"}
FORWARD = torch.tensor([[BOS, 7, 8, 9, 4]])


@cache
def untrained(name: str):
    """A model of two layers with random weights."""
    sizes = OTHER_NAMES.get(name, {**SIZES, "is_decoder": True} if name == "Bert" else SIZES)
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(VOCABULARY), pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS, **sizes
    )
    kind = CLASSES.get(name, "BertLMHeadModel" if name == "Bert" else f"{name}ForCausalLM")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, kind)(config).eval()


def forward(model):
    more = {"decoder_input_ids": FORWARD} if model.config.is_encoder_decoder else {}
    return model(input_ids=FORWARD, **more)


def checked(model, text, name="tiny"):
    return check_dropout(model, parse_dropout(text), partial(forward, model), name)


def acting(architecture, text):
    """What acts under a setting, and whether two differently seeded passes differ."""
    loaded = wrap(*tiny(architecture))
    ids = [loaded.tokenizer(text)["input_ids"] for text in prompts(4)]
    setting = parse_dropout(text)
    found = check_dropout(loaded.model, setting, lambda: prefill(loaded, ids), architecture)
    with torch.no_grad(), torch.random.fork_rng(), dropout_on(loaded.model, setting):
        torch.manual_seed(0)
        first = prefill(loaded, ids).logits
        second = prefill(loaded, ids).logits
    return found, not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("architecture", "setting", "probability", "sites"),
    [
        ("t5", "native", 0.1, None),
        ("t5", "auto", 0.1, None),
        ("t5", "residual:0.3", 0.3, 2 * 2 + 2 * 3),
        ("t5", "attention:0.25", 0.25, 2 + 2 * 2),
        ("bart", "native", 0.1, None),
        ("bart", "residual:0.3", 0.3, 2 * 2 + 2 * 3),
        ("bart", "attention:0.25", 0.25, 2 + 2 * 2),
        ("llama", "attention:0.25", 0.25, 2),
        ("gemma2", "attention:0.25", 0.25, 2),
        ("llama", "residual:0.3", 0.3, 4),
        ("gemma2", "residual:0.3", 0.3, 4),
    ],
)
def test_what_acts(architecture, setting, probability, sites):
    found, differs = acting(architecture, setting)
    assert differs
    assert set(found.probabilities) == {probability}
    assert sites in (None, found.sites)


BLOCKS = {
    "Llama": ("self_attn", "mlp"),
    "Gemma2": ("self_attn", "mlp"),
    "GPT2": ("attn", "mlp"),
    "GPTNeo": ("attn", "mlp"),
    "OPT": ("self_attn", "fc2"),
    "GPTNeoX": ("attention", "mlp"),
    "GPTJ": ("attn", "mlp"),
    "Falcon": ("self_attention", "mlp"),
    "Bloom": ("self_attention.dense", "mlp.dense_4h_to_h"),
    "Mpt": ("attn", "ffn.down_proj"),
    "Bert": ("attention.output.dense", "output.dense"),
    "XGLM": ("self_attn", "fc2"),
    "Mixtral": ("self_attn", "mlp"),
    "Mamba": ("mixer",),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_residual_dropout_acts_after_every_block_and_nowhere_else(name):
    model = untrained(name)
    paths = {id(module): path for path, module in model.named_modules()}
    found = [paths[id(block)] for block in residual_blocks(model)]
    assert sorted(path.partition(".0.")[2] for path in found if ".0." in path) == sorted(BLOCKS[name])
    acting = checked(model, "residual:0.25")
    assert (acting.sites, acting.probabilities) == (2 * len(BLOCKS[name]), (0.25,))


@pytest.mark.parametrize("name", [name for name in BLOCKS if name != "Mamba"])
def test_attention_dropout_acts_on_every_map_and_nowhere_else(name):
    acting = checked(untrained(name), "attention:0.25")
    assert (acting.sites, acting.probabilities) == (2, (0.25,))


def test_blocks_of_an_encoder_and_decoder():
    model = untrained("Marian")
    assert checked(model, "residual:0.25").sites == 2 * 2 + 2 * 3
    assert checked(model, "attention:0.25").sites == 2 + 2 * 2
    t5, _ = tiny("t5")
    paths = {id(module): path for path, module in t5.named_modules()}
    assert [paths[id(block)] for block in residual_blocks(t5)][-3:] == [
        "decoder.block.1.layer.0.SelfAttention",
        "decoder.block.1.layer.1.EncDecAttention",
        "decoder.block.1.layer.2.DenseReluDense",
    ]


@pytest.mark.parametrize("name", ["GPT2", "GPTNeo", "OPT", "Bert", "XGLM", "Marian"])
@pytest.mark.parametrize("kind", ["residual", "attention"])
def test_the_models_own_dropout_is_off(name, kind):
    model = untrained(name)
    assert checked(model, "native").probabilities == (0.1,)
    with torch.no_grad():
        plain = forward(model).logits
        with dropout_on(model, DropoutSetting(kind=kind, p=1e-9)):
            torch.testing.assert_close(forward(model).logits, plain)
        with dropout_on(model, DropoutSetting(kind=kind, p=0.3)), torch.random.fork_rng():
            assert not torch.allclose(forward(model).logits, plain, atol=1e-3)
        torch.testing.assert_close(forward(model).logits, plain)


def test_blocks_with_adapters_are_those_of_the_model_now():
    model = transformers.OPTForCausalLM(untrained("OPT").config)
    assert len(residual_blocks(model)) == 4
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["fc2"], lora_dropout=0.5))
    with torch.no_grad():
        adapted.base_model.model.model.decoder.layers[0].fc2.lora_B["default"].weight.fill_(1.0)
    assert residual_blocks(model)[1] is adapted.base_model.model.model.decoder.layers[0].fc2
    assert checked(adapted, "residual:0.25").probabilities == (0.25,)
    assert checked(adapted, "lora").probabilities == (0.5,)
    assert checked(adapted, "native").probabilities == (0.1,)


def test_dropout_of_adapters_is_not_the_models_own():
    model = transformers.LlamaForCausalLM(untrained("Llama").config)
    adapted = get_peft_model(model, LoraConfig(r=2, lora_dropout=0.5))
    assert not works(adapted, DropoutSetting(kind="native"), partial(forward, adapted))
    assert checked(adapted, "lora").probabilities == (0.5,)


def test_routers_add_no_noise():
    config = untrained("Mixtral").config.to_dict() | {"router_jitter_noise": 0.5, "attention_dropout": 0.1}
    model = transformers.MixtralForCausalLM(transformers.MixtralConfig(**config))
    noisy = [module for module in model.modules() if "jitter_noise" in module.__dict__]
    with dropout_on(model, DropoutSetting(kind="native")):
        assert {module.jitter_noise for module in noisy} <= {0.0}
    assert {module.jitter_noise for module in noisy} <= {0.5}


@pytest.mark.parametrize(
    ("name", "setting", "message", "works"),
    [
        ("GPTNeoX", "lora", r"tiny \(GPTNeoXForCausalLM\): dropout lora does not act", "residual:0.05"),
        ("Falcon", "native", r"the model has no dropout of its own", "residual:0.05"),
        ("Mamba", "attention:0.1", r"no attention map passes through a dropout call", "residual:0.05"),
        ("XLNet", "residual:0.1", r"rel_attn adds to the stream by itself", "native"),
    ],
)
def test_what_is_refused_says_what_works_on_this_model(name, setting, message, works):
    model = untrained(name)
    with pytest.raises(InputError, match=message) as refused:
        checked(model, setting)
    kind = "its own" if works == "native" else "residual dropout as strong as suits it"
    assert str(refused.value).endswith(f": set dropout to auto ({kind}), or to none for no dropout scores")
    assert checked(model, works).sites


def test_nothing_is_recommended_where_nothing_works():
    config = transformers.XLNetConfig(
        vocab_size=len(VOCABULARY), d_model=32, n_layer=1, n_head=4, d_inner=48, dropout=0.0
    )
    model = transformers.XLNetLMHeadModel(config).eval()
    for layer in model.transformer.layer:
        layer.rel_attn.dropout = torch.nn.Identity()  # its attention passes no dropout
    with pytest.raises(InputError, match="no other kind works on this model; set dropout to none"):
        checked(model, "attention:0.1")


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
@pytest.mark.parametrize("setting", ["auto", "native", "lora"])
def test_no_dropout_is_an_error_that_says_what_to_set(architecture, setting):
    with pytest.raises(InputError, match="residual"):
        acting(architecture, setting)


def test_modes_and_probabilities_are_put_back():
    functional = torch.nn.functional
    dropout, attention = functional.dropout, functional.scaled_dot_product_attention
    for architecture in ARCHITECTURES:
        model, _ = tiny(architecture)
        modes = [module.training for module in model.modules()]
        for setting in ("attention:0.4", "residual:0.4", "native", "lora"):
            with dropout_on(model, parse_dropout(setting)):
                assert any(module.training for module in model.modules()) == (setting == "native")
            assert [module.training for module in model.modules()] == modes
            assert (functional.dropout, functional.scaled_dot_product_attention) == (dropout, attention)
            assert not any(module._forward_hooks for module in model.modules())


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
        ("residual", r"as in residual:0\.02; write auto"),
        ("0.1", r"write residual:0\.1 or attention:0\.1, or auto"),
        ("residual:1.5", "between 0 and 1"),
        ("attention:x", "not a number"),
        ("native:0.1", "takes no probability"),
        ("nativ", "not one of"),
    ],
)
def test_bad_settings(text, expected):
    with pytest.raises(InputError, match=expected):
        parse_dropout(text)


@pytest.mark.parametrize("beams", [0, 2])
def test_none_collects_no_dropout_samples(beams):
    model, words = tiny("llama")
    evidence = aftertune.collect(model, words, prompts(2), beams=beams, max_new_tokens=3, dropout="none")
    assert evidence.dropout is None
    assert evidence.greedy is not None
