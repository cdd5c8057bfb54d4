"""Loading: what is refused, in one line, and what is read from a folder."""

from __future__ import annotations

import copy
import json
import os
import shutil
from types import SimpleNamespace

import pytest
import torch

import aftertune
from aftertune.errors import InputError
from aftertune.files import hashes
from aftertune.models.folder import fingerprint
from aftertune.models.load import LoadOptions, check_checkpoint, load, save
from aftertune.models.loaded import without_weights, wrap
from tiny import EOS, tiny


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "model"
    save(wrap(*tiny("llama")), target)
    return target


def one_line(action):
    with pytest.raises(InputError) as error:
        action()
    message = str(error.value)
    assert "\n" not in message
    return message


def test_saved_and_loaded_again_is_the_same_model(folder):
    loaded = load(folder)
    model, _ = tiny("llama")
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[name])
    assert loaded.kind == "causal"
    assert loaded.context == 96
    assert not loaded.model.training


def test_dtype_is_asked_for(folder):
    assert load(folder, LoadOptions(dtype="bfloat16")).model.dtype == torch.bfloat16
    assert "float8" in one_line(lambda: LoadOptions(dtype="float8"))


def test_adapter_folder_brings_its_base(folder, tmp_path):
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    base = load(folder)
    adapted = wrap(get_peft_model(base.model, config).eval(), base.tokenizer)
    save(adapted, tmp_path / "adapter")
    names = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert "adapter_model.safetensors" in names
    assert "model.safetensors" not in names
    again = load(tmp_path / "adapter")
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        torch.testing.assert_close(again.model(ids).logits, adapted.model(ids).logits)
        assert not torch.allclose(again.model(ids).logits, load(folder).model(ids).logits)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda f: shutil.rmtree(f), "does not exist"),
        (lambda f: (f / "model.safetensors").unlink(), "has no weights (model.safetensors)"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pickled weights are not read"),
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: [p.unlink() for p in f.glob("tokenizer*")], "has no tokenizer"),
        (lambda f: (f / "config.json").write_text("{"), "does not load"),
        (lambda f: (f / "model.safetensors").write_bytes(b"junk"), "does not load"),
    ],
)
def test_folders_that_cannot_be_loaded(folder, spoil, expected):
    spoil(folder)
    assert expected in one_line(lambda: load(folder))


def test_a_file_is_not_a_checkpoint(folder):
    assert "is a file" in one_line(lambda: check_checkpoint(folder / "config.json"))


def test_adapter_without_base_or_weights(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "adapter_model.safetensors" in one_line(lambda: check_checkpoint(tmp_path))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    assert "base_model_name_or_path" in one_line(lambda: load(tmp_path))


# Weights that are not used, and tokenizers that do not fit


def with_weights(folder, **more):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file(weights | {name.replace("__", "."): one for name, one in more.items()}, folder / "model.safetensors")
    return load(folder)


def test_weights_that_the_architecture_does_not_use_are_refused(folder):
    assert load(folder).notes == ()
    message = one_line(lambda: with_weights(folder, transformer__h__0__attn__weight=torch.zeros(2)))
    assert message.startswith(
        f"weights in {folder} that LlamaForCausalLM does not use: transformer.h.0.attn.weight: mend config.json"
    )


def test_heads_beside_the_language_model_are_noted(folder):
    loaded = with_weights(folder, v_head__weight=torch.zeros(2), score__weight=torch.zeros(2))
    assert loaded.notes == (f"weights in {folder} that LlamaForCausalLM does not use: score.weight and 1 more",)


def test_an_adapter_that_was_never_merged_is_refused(folder):
    name = "model__layers__0__self_attn__q_proj__lora_A__default__weight"
    message = one_line(lambda: with_weights(folder, **{name: torch.zeros(2, 32)}))
    assert "does not use: model.layers.0.self_attn.q_proj.lora_A.default.weight: this is an adapter" in message
    assert message.endswith("after merge_and_unload()")


def test_buffers_of_older_versions_are_not_noted(folder):
    old = {
        "model__rotary_emb__inv_freq": torch.zeros(4),
        "model__layers__0__self_attn__rotary_emb__inv_freq": torch.zeros(4),
    }
    assert with_weights(folder, **old, model__position_ids=torch.zeros(9)).notes == ()


@pytest.mark.parametrize("architecture", ["gemma2", "t5", "bart"])
def test_a_tied_head_that_was_saved_too_is_not_noted(architecture, tmp_path):
    from safetensors.torch import load_file, save_file

    save(wrap(*tiny(architecture)), tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    weights = load_file(file)
    embedding = next(
        one for name, one in weights.items() if name.endswith(("embed_tokens.weight", "shared.weight"))
    )
    save_file(weights | {"lm_head.weight": embedding.clone()}, file)
    assert load(tmp_path / "model").notes == ()


def test_a_tokenizer_that_is_larger_than_the_embeddings(folder):
    _, tokenizer = tiny("llama")
    larger = copy.deepcopy(tokenizer)
    larger.add_tokens(["<a>", "<b>"])
    larger.save_pretrained(folder)
    message = one_line(lambda: load(folder))
    assert f"the tokenizer of {folder} has 47 tokens, but the model has embeddings for 45: 2 have none" in message
    assert "the first is '<a>' (id 45)" in message
    (folder / "tokenizer.json").unlink()
    padded = copy.deepcopy(tokenizer)
    padded.add_special_tokens({"pad_token": "[PAD]"})  # never read
    padded.save_pretrained(folder)
    loaded = load(folder)
    assert loaded.tokenizer.pad_token_id == 45
    settings = {"prompts": ["w1 w2 =", "w3 ="], "beams": 2, "dropout_samples": 0, "max_new_tokens": 8}
    evidence = aftertune.collect(loaded.model, loaded.tokenizer, **settings)
    expected = aftertune.collect(loaded.model, tokenizer, **settings)
    assert list(evidence.greedy.text) == list(expected.greedy.text)


# Folders of other kinds


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["config.json", "global_step5/mp_rank_00_model_states.pt"],
            "zero_to_fp32.py FOLDER FOLDER --safe_serialization",
        ),
        (["zero_pp_rank_0_mp_rank_00_optim_states.pt"], "FOLDER holds DeepSpeed's shards, not a model"),
        (["config.json", "pytorch_model_fsdp_0/__0_0.distcp"], "merge-weights FOLDER/pytorch_model_fsdp_0 OUT`"),
        (["__0_0.distcp", ".metadata"], "FOLDER holds FSDP's shards, not a model"),
        (
            ["adapter_config.json", "adapter_model.bin"],
            "adapter_model.bin is pickled, which is not read; where you",
        ),
        (
            ["config.json", "pytorch_model.bin"],
            "pytorch_model.bin is pickled, and pickled weights are not read; load",
        ),
        (["config.json", "model-q4.gguf"], "GGUF files are not read"),
    ],
)
def test_folders_that_hold_something_else(tmp_path, names, expected):
    touch(tmp_path, *names)
    if "adapter_config.json" in names:
        (tmp_path / "adapter_config.json").write_text("{}")
    message = one_line(lambda: check_checkpoint(tmp_path))
    assert expected.replace("FOLDER", str(tmp_path)) in message


def test_a_trainers_output_root_names_its_checkpoints(folder, tmp_path):
    out = tmp_path / "out"
    for step in (1000, 500, 1500):
        shutil.copytree(folder, out / f"checkpoint-{step}")
    touch(out, "runs/events", "training_args.bin")
    message = one_line(lambda: check_checkpoint(out))
    steps = ", ".join(str(out / f"checkpoint-{step}") for step in (500, 1000, 1500))
    assert message == f"{out} holds no model itself, but checkpoints: give one of them ({steps})"
    for step in range(2000, 6000, 500):
        (out / f"checkpoint-{step}").mkdir()
        shutil.copy(folder / "config.json", out / f"checkpoint-{step}")
    assert f"(the last 5 of 11: {out / 'checkpoint-3500'}, " in one_line(lambda: check_checkpoint(out))


def test_shards_that_are_absent_and_pointers(folder):
    model, _ = tiny("llama")
    model.save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink()
    assert load(folder).notes == ()
    shards = sorted(folder.glob("model-*.safetensors"))
    shards[1].unlink()
    message = one_line(lambda: load(folder))
    assert f"lacks {shards[1].name}, which model.safetensors.index.json names" in message
    shards[1].write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    assert "is a Git LFS pointer, not the weights: run `git lfs pull` there" in one_line(lambda: load(folder))


@pytest.mark.parametrize(
    ("config", "method", "package"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes", "bitsandbytes"),
        ({"load_in_8bit": True}, "bitsandbytes", "bitsandbytes"),
        ({"quant_method": "gptq", "bits": 4}, "gptq", "gptqmodel optimum"),
        ({"quant_method": "awq", "bits": 4}, "awq", "gptqmodel"),
        ({"quant_method": "hqq"}, "hqq", "hqq"),
        ({"quant_method": "compressed-tensors"}, "compressed-tensors", "compressed-tensors"),
    ],
)
def test_quantised_weights_whose_package_is_absent(folder, config, method, package, monkeypatch):
    monkeypatch.setattr("aftertune.models.folder.find_spec", lambda name: None)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | {"quantization_config": config}))
    message = one_line(lambda: check_checkpoint(folder))
    assert (
        message == f"the weights of {folder} are quantised ({method}): reading them needs `pip install {package}`"
    )


def test_quantised_weights_that_this_machine_cannot_read(folder):
    content = json.loads((folder / "config.json").read_text())
    quantised = {"quantization_config": {"quant_method": "fp_quant", "forward_dtype": "nvfp4"}}
    (folder / "config.json").write_text(json.dumps(content | quantised))
    assert "needs `pip install fp_quant`" in one_line(lambda: load(folder))
    (folder / "config.json").write_text(json.dumps(content | {"quantization_config": {"quant_method": "new"}}))
    assert "are quantised (new), which the installed transformers does not know" in one_line(lambda: load(folder))


def test_quantised_weights_are_used_as_they_are(folder, tmp_path):
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32)
    quantised = AutoModelForCausalLM.from_pretrained(folder, quantization_config=config)
    quantised.save_pretrained(tmp_path / "quantised")
    tiny("llama")[1].save_pretrained(tmp_path / "quantised")
    loaded = load(tmp_path / "quantised", LoadOptions(dtype="bfloat16", device="cpu"))
    (note,) = loaded.notes
    assert note.endswith("are quantised (bitsandbytes) and used as they are, not as bfloat16")
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, quantised.eval()(ids).logits)


def test_a_hub_id_that_cannot_be_reached(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = one_line(lambda: load("aftertune-tests/no-such-model"))
    assert "'aftertune-tests/no-such-model' is neither a folder here nor reachable" in message


@pytest.mark.parametrize("large", [0, 1 << 40])
def test_a_fingerprint_is_of_the_content(folder, tmp_path, monkeypatch, large):
    monkeypatch.setattr(hashes, "LARGE", large)
    monkeypatch.setattr(hashes, "SETTLED", -1.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hashes._memory.cache_clear()
    weights = folder / "model.safetensors"
    before, times, content = fingerprint(folder), weights.stat(), weights.read_bytes()
    read = []
    monkeypatch.setattr(hashes, "sha256_of", lambda path, of=hashes.sha256_of: read.append(path) or of(path))
    assert fingerprint(folder) == before
    assert not read or large  # remembered
    weights.touch()
    (folder / "README.md").write_text("words")
    (folder / "trainer_state.json").write_text("{}")
    assert fingerprint(folder) == before
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))  # as if it had not been edited
    assert fingerprint(folder) != before
    weights.write_bytes(content)
    assert fingerprint(folder) == before
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert fingerprint(folder) != before
    hashes._memory.cache_clear()


def test_a_hub_id_stands_for_its_commit(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository, found = tmp_path / "models--mine--tuned", set()
    for commit in ("a" * 40, "b" * 40):
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "snapshots" / commit / "config.json").write_text("{}")
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(commit)
        found.add(fingerprint("mine/tuned"))
    assert len(found) == 2
    assert fingerprint("mine/unknown") == fingerprint("mine/unknown")


def test_no_pad_token_takes_the_end_token_and_no_end_is_an_error():
    config_of = config = tiny("llama")[0].config
    words = SimpleNamespace(pad_token_id=None, eos_token_id=EOS)
    generation = SimpleNamespace(eos_token_id=[EOS], pad_token_id=None)
    assert without_weights(config, generation, words, "mine").rules.pad_id == EOS
    generation.eos_token_id = words.eos_token_id = None
    config = SimpleNamespace(
        eos_token_id=None, is_encoder_decoder=False, get_text_config=lambda decoder: config_of
    )
    message = one_line(lambda: without_weights(config, generation, words, "mine"))
    assert "mine has no end-of-sequence token" in message
    assert "set eos_token_id in its generation_config.json" in message


def test_decoding_settings_of_the_model_do_not_matter(folder):
    """A generation config that samples, penalises and forbids must change nothing: every setting is ours."""
    path = folder / "generation_config.json"
    content = json.loads(path.read_text())
    plain = load(folder)
    path.write_text(
        json.dumps(content | {"do_sample": True, "temperature": 0.7, "repetition_penalty": 2.0, "min_length": 9})
    )
    odd = load(folder)
    settings = {"beams": 3, "dropout_samples": 0, "max_new_tokens": 8}
    prompts = ["w1 w2 w3 =", "w9 ="]
    a = aftertune.collect(plain.model, plain.tokenizer, prompts, **settings)
    b = aftertune.collect(odd.model, odd.tokenizer, prompts, **settings)
    assert list(a.greedy.text) == list(b.greedy.text)
    assert a.beams.text.tolist() == b.beams.text.tolist()
