"""Loading: what is refused, in one line, and what is read from a folder."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest
import torch

import aftertune
from aftertune.errors import InputError
from aftertune.models.fingerprint import fingerprint
from aftertune.models.load import LoadOptions, check_checkpoint, load
from aftertune.models.loaded import wrap
from aftertune.models.save import save
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


def test_a_hub_id_that_cannot_be_reached(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = one_line(lambda: load("aftertune-tests/no-such-model"))
    assert "'aftertune-tests/no-such-model' is neither a folder here nor reachable" in message


def test_fingerprint_changes_with_the_weights(folder):
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    (folder / "model.safetensors").touch()
    assert fingerprint(folder) != before


def test_no_pad_token_takes_the_end_token_and_neither_is_an_error():
    model, _ = tiny("llama")
    fake = SimpleNamespace(
        config=model.config,
        generation_config=SimpleNamespace(eos_token_id=[EOS], pad_token_id=None),
        modules=lambda: (),
    )
    assert wrap(fake, SimpleNamespace(pad_token_id=None, eos_token_id=EOS)).rules.pad_id == EOS
    fake.generation_config.eos_token_id = None
    fake.config = SimpleNamespace(eos_token_id=None, is_encoder_decoder=False)
    message = one_line(lambda: wrap(fake, SimpleNamespace(pad_token_id=None, eos_token_id=None), "mine"))
    assert "mine has neither a pad nor an end-of-sequence token" in message
    assert "pad_token" in message


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
