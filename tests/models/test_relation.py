"""Which checkpoints can be before and after one fine-tuning."""

from __future__ import annotations

import copy
import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model

from aftertune.errors import InputError
from aftertune.models.load import load, save
from aftertune.models.loaded import wrap
from aftertune.models.relation import adapter_base, check_parent, relation_checks, same_model
from tiny import tiny


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """llama; moved (a copy), shards (the same in parts), tuned (a weight changed), two adapters, gemma2."""
    folder = tmp_path_factory.mktemp("models")
    model, tokenizer = tiny("llama")
    save(wrap(model, tokenizer), folder / "llama")
    shutil.copytree(folder / "llama", folder / "moved")
    shutil.copytree(folder / "llama", folder / "shards")
    model.save_pretrained(folder / "shards", max_shard_size="20KB")
    (folder / "shards" / "model.safetensors").unlink()
    tuned = copy.deepcopy(model)
    with torch.no_grad():
        tuned.lm_head.weight[44, 31] += 1e-3
    save(wrap(tuned, tokenizer), folder / "tuned")
    save(wrap(*tiny("gemma2")), folder / "gemma2")
    for name, seed in (("adapter", 1), ("later", 2)):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            adapted = get_peft_model(
                load(folder / "llama").model,
                LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
            )
        save(wrap(adapted, tokenizer), folder / name)
    return folder


def test_the_same_weights_under_another_name(models):
    assert len(list((models / "shards").glob("*.safetensors"))) > 1
    for other in ("llama", "moved", "shards"):
        assert same_model(models / "llama", models / other)
        assert same_model(models / other, models / "llama")
    for other in ("tuned", "gemma2", "adapter", "nowhere"):
        assert not same_model(models / "llama", models / other)
    assert same_model("Owner/Name", "owner/name")
    assert not same_model("owner/name", "owner/other")


def test_the_recorded_base_is_the_model_before(models, tmp_path):
    assert adapter_base(models / "adapter") == str(models / "llama")
    assert adapter_base(models / "llama") is None
    for before in ("llama", "moved", "shards", "adapter", "later"):
        check_parent(models / before, models / "adapter")
    assert check_parent(models / "gemma2", models / "llama") == []  # whole models record no parent
    with pytest.raises(InputError) as error:
        check_parent(models / "tuned", models / "adapter")
    assert str(error.value) == (
        f"the adapter {models / 'adapter'} was trained on {models / 'llama'}, not on {models / 'tuned'}: give "
        f"{models / 'llama'} as the model before, or --allow-other-base if you mean to compare with another"
    )
    (found,) = check_parent(models / "tuned", models / "adapter", allow=True)
    assert found.level == "refused"
    assert check_parent(models / "llama", models / "adapter")[0].level == "ok"


def gone(models, folder, base="./gone"):
    shutil.copytree(models / "adapter", folder)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": base}))
    return folder


def test_a_base_that_is_gone(models, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    lost = gone(models, tmp_path / "lost")
    check_parent(models / "moved", lost)
    with pytest.raises(
        InputError, match="the base model of the adapter .*lost: model folder ./gone does not exist"
    ):
        load(lost)
    loaded = load(lost, base=models / "moved")
    note = f"the adapter {lost} was trained on ./gone, which cannot be found: it was put on {models / 'moved'}"
    assert loaded.notes == (note,)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        expected = load(models / "adapter").model(ids).logits
        torch.testing.assert_close(loaded.model(ids).logits, expected)
        on_adapter = load(lost, base=models / "adapter")  # its own base
        torch.testing.assert_close(on_adapter.model(ids).logits, expected)
    of_hub = gone(models, tmp_path / "hub", "aftertune-tests/no-such-model")
    with pytest.raises(InputError, match="was trained on aftertune-tests/no-such-model, not on"):
        check_parent(models / "moved", of_hub)
    assert "which cannot be found" in load(of_hub, base=models / "moved").notes[0]


def test_an_adapter_on_the_hub(models, tmp_path, monkeypatch):
    home = tmp_path / "models--aftertune-tests--adapter"
    shutil.copytree(models / "adapter", home / "snapshots" / "0123456789abcdef0123456789abcdef01234567")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0123456789abcdef0123456789abcdef01234567")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
    assert adapter_base("aftertune-tests/adapter") == str(models / "llama")
    loaded = load("aftertune-tests/adapter")
    assert loaded.name == "aftertune-tests/adapter"
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, load(models / "adapter").model(ids).logits)


def test_a_base_that_is_there_is_taken(models):
    loaded = load(models / "adapter", base=models / "tuned")
    assert loaded.notes == ()
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, load(models / "adapter").model(ids).logits)


def findings(before, after):
    """Messages of the checks that found something."""
    return [one.message for one in relation_checks(before, after) if one.level != "ok" and one.is_known]


def test_parent_and_child(models, tmp_path):
    for after in ("moved", "tuned", "adapter"):
        assert findings(models / "llama", models / after) == []
    note, *_ = findings(models / "llama", models / "gemma2")
    assert "is of the architecture llama, " in note
    assert note.endswith("gemma2 of gemma2: neither comes of the other")
    changed = tmp_path / "changed"
    shutil.copytree(models / "llama", changed)
    config = json.loads((changed / "config.json").read_text())
    (changed / "config.json").write_text(json.dumps(config | {"hidden_size": 64, "num_hidden_layers": 3}))
    (note,) = findings(models / "llama", changed)
    assert note.endswith("differ in size (layers 2 and 3, hidden size 32 and 64): neither comes of the other")
    (changed / "config.json").write_text(json.dumps(config | {"vocab_size": 47}))
    (note,) = findings(models / "llama", changed)
    assert note.endswith("have 45 and 47 embeddings: tokens were added?")
    found = relation_checks(models / "llama", "aftertune-tests/no-such-model")
    assert [one.is_known for one in found] == [False, False]


def test_tokenizers_that_differ(models, tmp_path):
    _, tokenizer = tiny("llama")
    other = copy.deepcopy(tokenizer)
    other.add_tokens(["<a>", "<b>"])
    other.pad_token = "<a>"
    shutil.copytree(models / "llama", tmp_path / "other")
    other.save_pretrained(tmp_path / "other")
    tokens, special = findings(models / "llama", tmp_path / "other")
    assert tokens.endswith("have different tokens: 2 only after (first '<a>')")
    assert special.endswith("have different special tokens: pad_token '<pad>' and '<a>'")
    file = tmp_path / "other" / "tokenizer.json"
    content = json.loads((models / "llama" / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["w1"], vocabulary["w2"] = vocabulary["w2"], vocabulary["w1"]
    file.write_text(json.dumps(content))
    assert "2 with other ids (first 'w1')" in findings(models / "llama", tmp_path / "other")[0]
