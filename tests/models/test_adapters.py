"""PEFT adapters from a folder: every kind is decoded as PEFT decodes it, or refused in one line."""

from __future__ import annotations

import copy
import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch
from peft import (
    PEFT_TYPE_TO_CONFIG_MAPPING,
    LoraConfig,
    PeftType,
    PrefixTuningConfig,
    PromptTuningConfig,
    get_peft_model,
)
from transformers import FalconConfig, FalconForCausalLM

import aftertune
from aftertune.errors import InputError
from aftertune.models import adapters
from aftertune.models.load import check_checkpoint, load, save
from aftertune.models.loaded import wrap
from tiny import EOS, VOCABULARY, prompts, tiny

LIMIT = 8
TASK = {"llama": "CAUSAL_LM", "gemma2": "CAUSAL_LM", "t5": "SEQ_2_SEQ_LM", "bart": "SEQ_2_SEQ_LM"}
TARGETS = {"llama": ["q_proj", "v_proj"], "t5": ["q", "v"]}
NORMS = {"llama": ["input_layernorm"], "t5": ["layer_norm"]}
SETTINGS = {
    "ADALORA": {"total_step": 10},
    "ADAPTION_PROMPT": {"adapter_len": 4, "adapter_layers": 2},
    "BOFT": {"boft_block_size": 4},
    "C3A": {"block_size": 8},
    "CPT": {"cpt_token_ids": [5, 6, 7], "cpt_mask": [1, 1, 1], "cpt_tokens_type_mask": [1, 2, 3]},
    "FOURIERFT": {"n_frequency": 50},
    "MISS": {"r": 4},
    "OFT": {"oft_block_size": 4},
    "PSOFT": {"r": 4},
    "ROAD": {"group_size": 8},
    "SHIRA": {"r": 4},
    "TRAINABLE_TOKENS": {"token_indices": [5, 6, 7]},
    "VBLORA": {"num_vectors": 8, "vector_length": 8},
    "WAVEFT": {"n_frequency": 50},
}


@pytest.fixture(scope="session")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    for architecture in TASK:
        save(wrap(*tiny(architecture)), folder / architecture)
    return folder


def configuration(kind, architecture):
    cls = PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(kind)]
    settings = {"task_type": TASK[architecture], **SETTINGS.get(kind, {})}
    if "target_modules" in {field.name for field in dataclasses.fields(cls)} and kind != "ADAPTION_PROMPT":
        settings["target_modules"] = (NORMS if kind == "LN_TUNING" else TARGETS)[architecture]
    if kind == "IA3":
        settings["feedforward_modules"] = []
    if kind in adapters.VIRTUAL_TOKENS and kind != "CPT":
        settings["num_virtual_tokens"] = 5
    return cls(**settings)


def adapted(base, config, seed=0):
    """A copy of the base with an adapter of random weights."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        torch.manual_seed(seed)
        warnings.simplefilter("ignore")
        model = get_peft_model(copy.deepcopy(base), config)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad:
                    weight += 0.3 * torch.randn(weight.shape)
    return model.eval()


def write(model, folder, base):
    """As people save: by PEFT's own method."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = str(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(str(folder))
    return folder


def one_line(action):
    with pytest.raises(InputError) as error:
        action()
    assert "\n" not in str(error.value)
    return str(error.value)


def generated(model, tokenizer, texts):
    """Greedy ids by PEFT's own decode, one prompt at a time."""
    rows = []
    for text in texts:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT: "Position ids are not supported", once a step
            output = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=LIMIT, do_sample=False
            )
        row = output[0, 1 if model.config.is_encoder_decoder else ids.shape[1] :].tolist()
        rows.append(row[: row.index(EOS) + 1] if EOS in row else row)
    return rows


def decoded(model, tokenizer, texts):
    evidence = aftertune.collect(model, tokenizer, texts, beams=0, dropout_samples=0, max_new_tokens=LIMIT)
    return [[one for one in row if one >= 0] for row in evidence.greedy.token_ids.tolist()]


def check_kind_from_folder(kind, architecture, bases, folder):
    base, tokenizer = tiny(architecture)
    model = adapted(base, configuration(kind, architecture))
    loaded = load(write(model, folder, bases / architecture))
    assert loaded.notes == ()
    texts = prompts(4)
    assert decoded(loaded.model, tokenizer, texts) == generated(model, tokenizer, texts)
    ours, without = (
        aftertune.score_texts(one, tokenizer, texts, ["w1 w2 w3"] * 4).greedy.token_logprob
        for one in (loaded.model, base)
    )
    assert np.nanmax(np.abs(ours - without)) > 1e-3, "the adapter did not act"


def test_every_kind_that_peft_has_is_sorted():
    ours = [*adapters.LAYERS, *adapters.VIRTUAL_TOKENS, *adapters.REFUSED]
    assert sorted(ours) == sorted(kind.name for kind in PeftType)


@pytest.mark.parametrize("kind", [*adapters.LAYERS, *adapters.VIRTUAL_TOKENS])
def test_every_kind_decodes_from_its_folder_as_peft_does(kind, bases, tmp_path):
    check_kind_from_folder(kind, "llama", bases, tmp_path / "adapter")


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [kind for kind in (*adapters.LAYERS, *adapters.VIRTUAL_TOKENS) if kind not in ("ADAPTION_PROMPT", "CPT")],
)
def test_every_kind_on_an_encoder_decoder(kind, bases, tmp_path):
    check_kind_from_folder(kind, "t5", bases, tmp_path / "adapter")


@pytest.mark.parametrize("settings", [{"use_dora": True}, {"use_rslora": True, "lora_bias": True, "bias": "all"}])
@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_variants_of_lora(settings, architecture, bases, tmp_path):
    base, tokenizer = tiny(architecture)
    config = LoraConfig(r=4, task_type=TASK[architecture], target_modules=TARGETS[architecture], **settings)
    model = adapted(base, config)
    loaded = load(write(model, tmp_path / "adapter", bases / architecture))
    texts = prompts(4)
    assert decoded(loaded.model, tokenizer, texts) == generated(model, tokenizer, texts)
    assert decoded(loaded.model, tokenizer, texts) != decoded(base, tokenizer, texts)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"peft_type": kind, "task_type": "CAUSAL_LM"}, f"cannot be decoded: {kind}: {why}")
        for kind, why in adapters.REFUSED.items()
    ]
    + [
        ({"peft_type": "NEWTUNING"}, "NEWTUNING: this version of aftertune has not been tried with it"),
        (
            {"peft_type": "LORA", "alora_invocation_tokens": [5]},
            "activated LoRA: it acts only behind certain tokens",
        ),
        ({"peft_type": "LORA", "arrow_config": {"top_k": 2}}, "Arrow: it mixes several adapters"),
        (
            {"peft_type": "LORA", "task_type": "SEQ_CLS"},
            "is of task_type SEQ_CLS, and would not act as it was trained",
        ),
        ({"peft_type": "PREFIX_TUNING", "task_type": None}, "CAUSAL_LM or SEQ_2_SEQ_LM is wanted"),
    ],
)
def test_adapters_that_cannot_be_decoded(config, expected, bases, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "base"}))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    assert expected in one_line(lambda: check_checkpoint(tmp_path))


def test_an_adapter_in_memory_that_cannot_be_decoded():
    base, tokenizer = tiny("llama")
    poly = PEFT_TYPE_TO_CONFIG_MAPPING[PeftType.POLY](task_type="CAUSAL_LM", target_modules=["q_proj"])
    model = adapted(base, poly)
    message = one_line(lambda: aftertune.collect(model, tokenizer, prompts(2), beams=0, dropout_samples=0))
    assert "POLY: it needs the number of a task beside each prompt" in message
    virtual = adapted(base, PromptTuningConfig(task_type="SEQ_2_SEQ_LM", num_virtual_tokens=3))
    message = one_line(lambda: aftertune.collect(virtual, tokenizer, prompts(2), beams=0, dropout_samples=0))
    assert "is of task_type SEQ_2_SEQ_LM" in message


# Added tokens


EMBEDDINGS = {"llama": "embed_tokens", "gemma2": "embed_tokens", "t5": "shared", "bart": "shared"}
WAYS = {
    "resized": {},
    "modules_to_save": {"modules_to_save": ["EMBEDDINGS", "lm_head"]},
    "targeted": {"target_modules": ["TARGETS", "EMBEDDINGS"]},
    "token indices": {"trainable_token_indices": {"EMBEDDINGS": [45, 46], "lm_head": [45, 46]}},
}


def with_added_tokens(architecture, way, base, folder, *, known=True):
    """An adapter of a model that got two tokens more, `<a>` and `<b>`, saved with its tokenizer.

    known : whether PEFT finds the base when it saves, and so notices that the embeddings were resized.
    """
    model, tokenizer = tiny(architecture)
    model, tokenizer = copy.deepcopy(model), copy.deepcopy(tokenizer)
    tokenizer.add_tokens(["<a>", "<b>"])
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    targets = ["q", "v"] if architecture == "t5" else ["q_proj", "v_proj"]
    names = {"EMBEDDINGS": [EMBEDDINGS[architecture]], "TARGETS": targets, "lm_head": ["lm_head"]}
    settings = {"target_modules": targets}
    for key, value in WAYS[way].items():
        if isinstance(value, dict):
            settings[key] = {names[name][0]: ids for name, ids in value.items()}
        else:
            settings[key] = [one for name in value for one in names[name]]
    model = adapted(model, LoraConfig(r=4, task_type=TASK[architecture], **settings))
    model.peft_config["default"].base_model_name_or_path = str(base)
    where = base if known else "nowhere/at-all"
    write(model, folder, where)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(base)}))
    tokenizer.save_pretrained(folder)
    return model, tokenizer


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("architecture", ["llama", "t5", "gemma2", "bart"])
def test_an_adapter_with_added_tokens(architecture, way, bases, tmp_path):
    model, tokenizer = with_added_tokens(architecture, way, bases / architecture, tmp_path / "adapter")
    if (architecture, way) == ("llama", "targeted"):  # PEFT leaves the head out, which is not tied here
        message = one_line(lambda: load(tmp_path / "adapter"))
        assert "was trained with 2 more tokens than its base model has, and lacks their output embedd" in message
        return
    loaded = load(tmp_path / "adapter")
    assert loaded.notes == ()
    assert len(loaded.tokenizer) == loaded.model.get_input_embeddings().weight.shape[0] == len(VOCABULARY) + 2
    texts = ["<a> w1 w2 =", "w3 <b> <a> w4 =", "w5 ="]
    assert 45 in tokenizer(texts[0])["input_ids"]
    assert decoded(loaded.model, loaded.tokenizer, texts) == generated(model, tokenizer, texts)
    scored = [
        aftertune.score_texts(one, tokenizer, texts, ["w1 <a> <b>"] * 3).greedy.token_logprob
        for one in (model, loaded.model)
    ]
    np.testing.assert_allclose(scored[0], scored[1], atol=1e-5)


def test_rows_of_added_tokens_are_enough(bases, tmp_path):
    """`trainable_token_indices` saves the rows of the added tokens alone, where PEFT does not see the base."""
    model, tokenizer = with_added_tokens(
        "llama", "token indices", bases / "llama", tmp_path / "adapter", known=False
    )
    loaded = load(tmp_path / "adapter")
    texts = ["<a> w1 w2 =", "w5 ="]
    assert decoded(loaded.model, loaded.tokenizer, texts) == generated(model, tokenizer, texts)
    file = tmp_path / "adapter" / "adapter_config.json"
    config = json.loads(file.read_text())
    for name in ("embed_tokens", "lm_head"):
        config["trainable_token_indices"][name] = [44, 46]
    file.write_text(json.dumps(config))
    message = one_line(lambda: load(tmp_path / "adapter"))
    assert "was trained with 2 more tokens than its base model has, and lacks their input embeddings" in message


def test_added_tokens_without_embeddings(bases, tmp_path):
    with_added_tokens("llama", "resized", bases / "llama", tmp_path / "adapter", known=False)
    message = one_line(lambda: load(tmp_path / "adapter"))
    assert "has 47 tokens, but the model has embeddings for 45: 2 have none, the first is '<a>' (id 45)" in message


def test_embeddings_of_a_resized_model_are_saved(bases, tmp_path):
    with_added_tokens("llama", "resized", bases / "llama", tmp_path / "adapter")
    first = load(tmp_path / "adapter")
    save(first, tmp_path / "again")
    again = load(tmp_path / "again")
    texts = ["<a> w1 w2 =", "w5 ="]
    assert decoded(again.model, again.tokenizer, texts) == decoded(first.model, first.tokenizer, texts)


# Adapters that do not fit


def lora(architecture, **settings):
    config = {"r": 2, "task_type": TASK[architecture], "target_modules": TARGETS["llama"]}
    return LoraConfig(**(config | settings))


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_weights_that_the_base_has_no_place_for(bases, tmp_path):
    folder = write(adapted(tiny("llama")[0], lora("llama")), tmp_path / "adapter", bases / "llama")
    edit(folder / "adapter_config.json", target_modules=["q_proj"])
    message = one_line(lambda: load(folder))
    assert "which has no place for base_model.model.model.layers.0.self_attn.v_proj.lora_A" in message
    assert message.endswith("and 3 more")


def test_other_weights_in_an_adapter_are_noted(bases, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write(adapted(tiny("llama")[0], lora("llama")), tmp_path / "adapter", bases / "llama")
    weights = load_file(folder / "adapter_model.safetensors")
    save_file(weights | {"v_head.summary.weight": torch.zeros(2)}, folder / "adapter_model.safetensors")
    (note,) = load(folder).notes
    assert note == f"the adapter in {folder} has weights that nothing uses: v_head.summary.weight"


def test_target_modules_that_match_nothing(bases, tmp_path):
    folder = write(adapted(tiny("llama")[0], lora("llama")), tmp_path / "adapter", bases / "llama")
    edit(folder / "adapter_config.json", target_modules=["c_attn"])
    assert "does not fit its base model: Target modules {'c_attn'} not found" in one_line(lambda: load(folder))


def test_weights_that_an_adapter_lacks(bases, tmp_path):
    folder = write(adapted(tiny("llama")[0], lora("llama")), tmp_path / "adapter", bases / "llama")
    edit(folder / "adapter_config.json", target_modules=["q_proj", "v_proj", "k_proj"])
    assert "Found missing adapter keys" in one_line(lambda: load(folder))


def test_a_prefix_that_peft_cannot_run(tmp_path):
    """PEFT takes Falcon's prefix to have as many heads as its queries have."""
    base = FalconForCausalLM(
        FalconConfig(vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=1, num_attention_heads=4)
    )
    save(wrap(base, tiny("llama")[1]), tmp_path / "falcon")
    model = adapted(base, PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
    folder = write(model, tmp_path / "adapter", tmp_path / "falcon")
    assert "does not fit its base model: Sizes of tensors must match" in one_line(lambda: load(folder))
