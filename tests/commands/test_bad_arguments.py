"""Bad input that is no data file: model folders, the command line, Python arguments, the environment.

Each is one line that says where, what is wrong and what to write; nothing is written.
"""

# ruff: noqa: E501 - one case, one line

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import aftertune
from aftertune.arguments import LIMITS
from aftertune.cli.main import main
from aftertune.errors import InputError
from aftertune.finetune.protocol import LoraOptions
from aftertune.finetune.train import check_lora
from aftertune.generate import prompts
from aftertune.models import embedded
from aftertune.models.load import load
from aftertune.options import AuditOptions
from aftertune.registry import PlugInWarning, Registry
from aftertune.types import Example
from samples import write_jsonl

LLAMA, T5 = "tiny-llama-qa", "tiny-t5-qa"
ITEMS = [{"id": str(i), "input": f"{n} + 1 =", "target": "2"} for i, n in enumerate(("1", "2", "3", "4"))]
QUICK = ["--beams", "0", "--dropout", "none", "--max-new-tokens", "4", "--batch-size", "4"]


def check_line(message: str, *expected: str) -> str:
    assert "\n" not in message
    assert len(message) <= 500, len(message)
    assert "Traceback" not in message
    for part in expected:
        assert part in message, message
    return message


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The line that a command prints where it refuses something; its notes are left out."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith("note: ")]
    assert (code, out, len(lines)) == (2, "", 1), (code, out, err[-3000:])
    assert lines[0].startswith("aftertune: ")
    return check_line(lines[0].removeprefix("aftertune: "))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with items, records and a study, and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    write_jsonl(tmp_path / "items.jsonl", ITEMS)
    records = [
        {"model": "m", "task": "t", "seed": 0, "epoch": e, "item_id": f"{i}", "quality": i / 9, "scores": {"s": i}}
        for e in (0, 1)
        for i in range(9)
    ]
    write_jsonl(tmp_path / "records.jsonl", records)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("mine")
    return tmp_path


def copy(name: str, folder: Path) -> Path:
    shutil.copytree(embedded.path(name), folder)
    return folder


def edit(file: str, **changes: Any) -> Callable[[Path], object]:
    """Other values in a JSON file of a folder; ... takes a key out."""

    def spoil(folder: Path) -> None:
        path = folder / file
        content = json.loads(path.read_text()) if path.exists() else {}
        content |= changes
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))

    return spoil


def text(file: str, content: str | bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)


def instead(file: str) -> Callable[[Path], object]:
    """A folder where a file should be."""

    def spoil(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).mkdir()

    return spoil


def config(**changes: Any) -> Callable[[Path], object]:
    return edit("config.json", **changes)


def generation(**changes: Any) -> Callable[[Path], object]:
    return edit("generation_config.json", **changes)


def template(source: str) -> Callable[[Path], object]:
    return text("chat_template.jinja", source)


def vocabulary(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], object]:
    """tokenizer.json with its content changed."""

    def spoil(folder: Path) -> None:
        content = json.loads((folder / "tokenizer.json").read_text())
        change(content)
        (folder / "tokenizer.json").write_text(json.dumps(content))

    return spoil


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def header(change: Callable[[bytearray], object]) -> Callable[[Path], object]:
    """The bytes of model.safetensors changed."""

    def spoil(folder: Path) -> None:
        content = bytearray((folder / "model.safetensors").read_bytes())
        change(content)
        (folder / "model.safetensors").write_bytes(content)

    return spoil


def index(**places: Any) -> Callable[[Path], object]:
    """An index in the place of the weights."""

    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-1.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, **places}))

    return spoil


def adapter(**changes: Any) -> Callable[[Path], object]:
    """An adapter in the place of the model, on the embedded one."""

    def spoil(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        n = "base_model.model.model.layers.0.self_attn.q_proj"
        save_file(
            {f"{n}.lora_A.weight": torch.zeros(2, 128), f"{n}.lora_B.weight": torch.zeros(128, 2)},
            folder / "adapter_model.safetensors",
        )
        base = str(embedded.path(LLAMA))
        whole = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base, "r": 2,
                 "lora_alpha": 2, "target_modules": ["q_proj"], "layers_to_transform": [0]} | changes  # fmt: skip
        whole = {key: value for key, value in whole.items() if value is not ...}
        (folder / "adapter_config.json").write_text(json.dumps(whole))

    return spoil


def both(*spoils: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: [spoil(folder) for spoil in spoils]


# fmt: off
CONFIG, GENERATION, SAFETENSORS = "broken/config.json", "generation_config.json", "broken/model.safetensors"
NUMBER = "a number from 1 is wanted"

MODELS: dict[str, tuple[str, Callable[[Path], object], tuple[str, ...]]] = {
    # config.json
    "config: layers as text": (LLAMA, config(num_hidden_layers="3"), (CONFIG, "num_hidden_layers is '3'", NUMBER)),
    "config: layers negative": (LLAMA, config(num_hidden_layers=-3), (CONFIG, "num_hidden_layers is -3", NUMBER)),
    "config: layers of half": (LLAMA, config(num_hidden_layers=2.5), (CONFIG, "num_hidden_layers is 2.5", NUMBER)),
    "config: layers true": (LLAMA, config(num_hidden_layers=True), (CONFIG, "num_hidden_layers is True", NUMBER)),
    "config: layers null": (LLAMA, config(num_hidden_layers=None), ("broken", "does not load", "num_hidden_layers")),
    "config: layers huge": (LLAMA, config(num_hidden_layers=10**9), (CONFIG, "is 1000000000", "mend it")),
    "config: layers absent": (LLAMA, config(num_hidden_layers=...), ("broken", "weights hold", "mend its sizes")),
    "config: layers none": (LLAMA, config(num_hidden_layers=0), ("broken", "does not use", "config.json")),
    "config: too few layers": (LLAMA, config(num_hidden_layers=2), ("broken", "model.layers.2.", "config.json")),
    "config: too few layers, T5": (T5, config(num_layers=1), ("broken", "encoder.block.1.", "config.json")),
    "config: too few layers, T5 decoder": (T5, config(num_decoder_layers=1), ("broken", "decoder.block.1.", "config")),
    "config: too many layers": (LLAMA, config(num_hidden_layers=4), ("broken", "lack model.layers.3.", "save")),
    "config: hidden size as text": (LLAMA, config(hidden_size="128"), (CONFIG, "hidden_size is '128'", NUMBER)),
    "config: hidden size as list": (LLAMA, config(hidden_size=[128]), ("broken", "does not load", "hidden_size")),
    "config: hidden size 0": (LLAMA, config(hidden_size=0), ("broken", "does not load")),
    "config: hidden size huge": (LLAMA, config(hidden_size=10**9), (CONFIG, "hidden_size is 1000000000", "mend it")),
    "config: hidden size too large": (LLAMA, config(hidden_size=2**17), ("broken", "weights hold", "mend its sizes")),
    "config: hidden size double": (LLAMA, config(hidden_size=256), ("broken", "have the wrong shape", "save")),
    "config: intermediate size huge": (LLAMA, config(intermediate_size=10**12), (CONFIG, "intermediate_size", "mend")),
    "config: vocabulary huge": (LLAMA, config(vocab_size=10**10), (CONFIG, "vocab_size is 10000000000", "mend it")),
    "config: vocabulary of lists": (LLAMA, config(vocab_size=[394]), ("broken", "does not load", "vocab_size")),
    "config: vocabulary too small": (LLAMA, config(vocab_size=100), ("broken", "wrong shape for", "save")),
    "config: vocabulary null": (LLAMA, config(vocab_size=None), ("broken", "does not load", "vocab_size")),
    "config: heads 0": (LLAMA, config(num_attention_heads=0), ("broken", "does not load")),
    "config: heads as dict": (LLAMA, config(num_attention_heads={}), (CONFIG, "num_attention_heads is a dict", NUMBER)),
    "config: epsilon as text": (LLAMA, config(rms_norm_eps="small"), ("broken", "does not load", "rms_norm_eps")),
    "config: activation unknown": (LLAMA, config(hidden_act="silly"), ("broken", "does not load", "silly")),
    "config: rope unknown": (LLAMA, config(rope_parameters={"rope_type": "odd"}), ("broken", "does not load")),
    "config: rope as list": (LLAMA, config(rope_parameters=[1]), ("broken", "does not load")),
    "config: eos as text": (LLAMA, both(config(eos_token_id="x"), generation(eos_token_id=...)), ("broken", "eos")),
    "config: model_type unknown": (LLAMA, config(model_type="nothing"), ("broken", "does not load", "nothing")),
    "config: model_type absent": (LLAMA, config(model_type=...), ("broken", "does not load", "model_type")),
    "config: model_type as list": (LLAMA, config(model_type=["llama"]), ("broken", "does not load")),
    "config: model_type no language model": (LLAMA, config(model_type="clip"), ("broken", "does not load")),
    "config: model_type another": (LLAMA, config(model_type="gpt2"), ("broken", "lack lm_head.weight", "save")),
    "config: dtype unknown": (LLAMA, config(dtype="float99"), ("broken", "does not load")),
    "config: a text in the place of text_config": (LLAMA, config(text_config="x"), (CONFIG, "text_config is 'x'")),
    "config: layers of text_config": (LLAMA, config(text_config={"num_hidden_layers": "3"}), (CONFIG, "is '3'", NUMBER)),
    "config: a list": (LLAMA, text("config.json", "[]"), (CONFIG, "a JSON object is wanted")),
    "config: null": (LLAMA, text("config.json", "null"), (CONFIG, "a JSON object is wanted")),
    "config: empty": (LLAMA, text("config.json", ""), (CONFIG, "line 1", "not JSON")),
    "config: not UTF-8": (LLAMA, text("config.json", b"\xff\xfe{}"), (CONFIG, "not UTF-8")),
    "config: nested": (LLAMA, text("config.json", '{"a":' * 9999), (CONFIG, "nested too deeply")),
    "config: digits": (LLAMA, text("config.json", '{"a":' + "9" * 5000 + "}"), (CONFIG, "numbers too long")),
    "config: a folder": (LLAMA, instead("config.json"), (CONFIG, "is no file", "put the file there")),
    "config: a link to nothing": (
        LLAMA,
        lambda f: [(f / "config.json").unlink(), (f / "config.json").symlink_to("gone")],
        (CONFIG, "is no file"),
    ),
    "config: quantised with a text": (LLAMA, config(quantization_config="4bit"), ("config.json", "JSON object")),
    # generation_config.json
    "generation: not JSON": (LLAMA, text(GENERATION, "{"), (GENERATION, "line 1", "not JSON")),
    "generation: a list": (LLAMA, text(GENERATION, "[1]"), (GENERATION, "a JSON object is wanted")),
    "generation: a folder": (LLAMA, instead(GENERATION), (GENERATION, "is no file")),
    "generation: eos as text": (LLAMA, generation(eos_token_id="x"), ("broken", "eos_token_id is 'x'", GENERATION)),
    "generation: eos as half": (LLAMA, generation(eos_token_id=1.5), ("broken", "eos_token_id is 1.5", GENERATION)),
    "generation: eos of texts": (LLAMA, generation(eos_token_id=["1"]), ("broken", "eos_token_id is '1'", GENERATION)),
    "generation: eos as object": (LLAMA, generation(eos_token_id={"a": 1}), ("broken", "eos_token_id", GENERATION)),
    "generation: eos nowhere": (
        LLAMA,
        both(generation(eos_token_id=None), config(eos_token_id=None), edit("tokenizer_config.json", eos_token=None)),
        ("broken", "no end-of-sequence token", GENERATION),
    ),
    "generation: pad as text": (
        LLAMA,
        both(generation(pad_token_id="x"), edit("tokenizer_config.json", pad_token=None)),
        ("broken", "pad_token_id is 'x'", GENERATION),
    ),
    "generation: start as text": (T5, generation(decoder_start_token_id="0"), ("decoder_start_token_id is '0'",)),
    "generation: start beyond": (T5, generation(decoder_start_token_id=10**6), ("decoder_start_token_id", "392")),
    "generation: start negative": (T5, generation(decoder_start_token_id=-1), ("decoder_start_token_id is -1",)),
    "generation: forced as text": (T5, generation(forced_bos_token_id="a"), ("forced_bos_token_id is 'a'", GENERATION)),
    "generation: forced beyond": (T5, generation(forced_bos_token_id=999), ("forced_bos_token_id is 999", "mend")),
    "generation: forced end beyond": (T5, generation(forced_eos_token_id=999), ("forced_eos_token_id", "mend")),
    "generation: bad words as text": (LLAMA, generation(bad_words_ids="bad"), ("bad_words_ids", "mend", GENERATION)),
    "generation: bad words of ids": (LLAMA, generation(bad_words_ids=[3]), ("bad_words_ids", "list of lists")),
    "generation: bad words of texts": (LLAMA, generation(bad_words_ids=[["a"]]), ("bad_words_ids", "mend")),
    "generation: suppressed texts": (LLAMA, generation(suppress_tokens=["a"]), ("suppress_tokens is 'a'", "mend")),
    # weights
    "weights: empty": (LLAMA, text("model.safetensors", b""), (SAFETENSORS, "cut short", "copy or save")),
    "weights: 7 bytes": (LLAMA, text("model.safetensors", b"1234567"), (SAFETENSORS, "does not load", "copy or save")),
    "weights: header cut": (LLAMA, header(lambda b: b.__delitem__(slice(200, None))), (SAFETENSORS, "cut short")),
    "weights: one byte less": (LLAMA, header(lambda b: b.pop()), (SAFETENSORS, "bytes, and its header says", "copy")),
    "weights: half": (LLAMA, header(lambda b: b.__delitem__(slice(len(b) // 2, None))), (SAFETENSORS, "bytes, and")),
    "weights: more bytes": (LLAMA, header(lambda b: b.extend(b"more")), (SAFETENSORS, "bytes, and its header says")),
    "weights: header length": (
        LLAMA, header(lambda b: b.__setitem__(slice(0, 8), struct.pack("<Q", 2**60))), (SAFETENSORS, "cut short"),
    ),
    "weights: header length, one bit": (
        LLAMA, header(lambda b: b.__setitem__(0, b[0] ^ 1)), (SAFETENSORS, "does not load", "copy or save"),
    ),
    "weights: header, one bit of a brace": (
        LLAMA, header(lambda b: b.__setitem__(8, b[8] ^ 1)), (SAFETENSORS, "header is no JSON of tensors"),
    ),
    "weights: header, one bit of a name": (
        LLAMA,
        header(lambda b: b.__setitem__(i := b.index(b"q_proj"), b[i] ^ 1)),
        ("broken", "lack", "q_proj", "save the whole model again"),
    ),
    "weights: header, one bit of an offset": (
        LLAMA,
        header(lambda b: b.__setitem__(i := b.index(b'"data_offsets":[') + 16, b[i] ^ 1)),
        (SAFETENSORS, "does not load", "copy or save"),
    ),
    "weights: header, one bit of a shape": (
        LLAMA,
        header(lambda b: b.__setitem__(i := b.index(b'"shape":[') + 9, b[i] ^ 1)),
        ("broken", "does not load"),
    ),
    "weights: header, another dtype": (
        LLAMA, header(lambda b: b.__setitem__(slice(i := b.index(b"F16"), i + 3), b"F99")), ("broken", "does not load"),
    ),
    "weights: a header of a list": (LLAMA, text("model.safetensors", struct.pack("<Q", 2) + b"[]"), (SAFETENSORS,)),
    "weights: no tensors": (LLAMA, text("model.safetensors", struct.pack("<Q", 2) + b"{}"), ("broken",)),
    "weights: a folder": (LLAMA, instead("model.safetensors"), (SAFETENSORS, "is no file")),
    "weights: pickled, renamed": (LLAMA, text("model.safetensors", b"\x80\x02}q\x00."), (SAFETENSORS, "does not load")),
    "weights: a page of HTML": (LLAMA, text("model.safetensors", "<!DOCTYPE html>" * 9), (SAFETENSORS, "copy or save")),
    "weights: one lacks": (
        LLAMA, weights(lambda t: t.pop("model.norm.weight")), ("broken", "lack model.norm.weight", "save"),
    ),
    "weights: one of another shape": (
        LLAMA,
        weights(lambda t: t.update({"model.norm.weight": torch.ones(64)})),
        ("broken", "wrong shape for model.norm.weight", "save"),
    ),
    "weights: one that nothing uses": (
        LLAMA,
        weights(lambda t: t.update({"model.layers.9.mlp.up_proj.weight": torch.ones(4)})),
        ("broken", "model.layers.9.mlp.up_proj.weight", "config.json"),
    ),
    "weights: an adapter, never merged": (
        LLAMA,
        weights(lambda t: t.update({"model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(4)})),
        ("broken", "merge_and_unload()"),
    ),
    # an index
    "index: a .bin": (LLAMA, index(weight_map={"a": "pytorch_model.bin"}), ("index.json", "pytorch_model.bin", "save")),
    "index: absolute": (LLAMA, index(weight_map={"a": "/etc/passwd"}), ("index.json", "'/etc/passwd'", "save")),
    "index: outside": (LLAMA, index(weight_map={"a": "../x.safetensors"}), ("index.json", "'../x.safetensors'", "save")),
    "index: below": (LLAMA, index(weight_map={"a": "x/y.safetensors"}), ("index.json", "'x/y.safetensors'")),
    "index: missing": (LLAMA, index(weight_map={"a": "model-2.safetensors"}), ("lacks model-2.safetensors", "copy")),
    "index: a tensor elsewhere": (LLAMA, index(weight_map={"a": "model-1.safetensors"}), ("index.json", "names a")),
    "index: a number": (LLAMA, index(weight_map={"a": 1}), ("index.json", "tensor → file, is wanted")),
    "index: a list": (LLAMA, index(weight_map=["model-1.safetensors"]), ("index.json", "tensor → file, is wanted")),
    "index: no map": (LLAMA, index(), ("index.json", "weight_map is wrong")),
    "index: empty map": (LLAMA, index(weight_map={}), ("index.json", "weight_map is wrong")),
    "index: not JSON": (
        LLAMA, both(index(), text("model.safetensors.index.json", "{")), ("index.json", "line 1", "not JSON"),
    ),
    # the tokenizer
    "tokenizer: not JSON": (LLAMA, text("tokenizer.json", "{"), ("tokenizer in", "broken", "does not load")),
    "tokenizer: a list": (LLAMA, text("tokenizer.json", "[]"), ("tokenizer in", "broken", "does not load")),
    "tokenizer: an empty object": (LLAMA, text("tokenizer.json", "{}"), ("tokenizer in", "broken", "does not load")),
    "tokenizer: another model": (
        LLAMA,
        vocabulary(lambda t: t.update(model={"type": "Strange"})),
        ("tokenizer in", "broken", "does not load"),
    ),
    "tokenizer: empty vocabulary": (
        LLAMA,
        vocabulary(lambda t: t.update(added_tokens=[], model={"type": "WordLevel", "vocab": {}, "unk_token": "a"})),
        ("tokenizer", "broken"),
    ),
    "tokenizer: without unknown": (
        LLAMA,
        vocabulary(
            lambda t: t.update(added_tokens=[], model={"type": "WordLevel", "vocab": {"a": 5}, "unk_token": "b"})
        ),
        ("tokenizer of", "broken", "mend or replace its tokenizer.json"),
    ),
    "tokenizer: more tokens than embeddings": (
        LLAMA,
        vocabulary(
            lambda t: t.update(
                model={"type": "WordLevel", "vocab": {f"w{i}": i for i in range(500)}, "unk_token": "w3"}
            )
        ),
        ("broken", "has 503 tokens", "embeddings for 394", "another model's?"),
    ),
    "tokenizer: an id beyond": (
        LLAMA,
        vocabulary(
            lambda t: t["added_tokens"].append({**t["added_tokens"][0], "id": 394, "content": "1 + 1", "special": False})
        ),
        ("broken", "embeddings for 394", "(id 394)"),
    ),
    "tokenizer: config not JSON": (LLAMA, text("tokenizer_config.json", "{]"), ("tokenizer_config.json", "not JSON")),
    "tokenizer: config a list": (LLAMA, text("tokenizer_config.json", "[]"), ("tokenizer_config.json", "object")),
    "tokenizer: config a folder": (LLAMA, instead("tokenizer_config.json"), ("tokenizer_config.json", "is no file")),
    "tokenizer: special tokens not JSON": (LLAMA, text("special_tokens_map.json", "x"), ("special_tokens_map", "JSON")),
    "tokenizer: a folder": (LLAMA, instead("tokenizer.json"), ("tokenizer.json", "is no file")),
    "tokenizer: class unknown": (
        LLAMA,
        both(edit("tokenizer_config.json", tokenizer_class="Odd"), lambda f: (f / "tokenizer.json").unlink()),
        ("tokenizer in", "broken", "does not load"),
    ),
    "tokenizer: length as text": (
        LLAMA, edit("tokenizer_config.json", model_max_length="many"), ("tokenizer of broken", "mend or replace"),
    ),
    # the chat template
    "template: not jinja": (LLAMA, template("{% for m in messages %}{{ m"), ("chat template of", "broken", "--chat off")),
    "template: an unknown tag": (LLAMA, template("{% dance %}"), ("chat template of", "broken", "'dance'", "--chat off")),
    "template: refuses": (
        LLAMA, template("{{ raise_exception('no users') }}"), ("chat template of", "broken fails on", "no users", "--chat off"),
    ),
    "template: divides by 0": (LLAMA, template("{{ 1 / 0 }}"), ("chat template of", "broken", "--chat off")),
    "template: unsafe": (
        LLAMA, template("{{ messages.__class__.__mro__[1].__subclasses__() }}"), ("chat template of", "--chat off"),
    ),
    "template: a huge range": (
        LLAMA, template("{% for i in range(10 ** 9) %}x{% endfor %}"), ("chat template of", "MAX_RANGE", "--chat off"),
    ),
    "template: without an end": (
        LLAMA,
        template("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"),
        ("chat template of", "had not ended after 0.5 s", "--chat off"),
    ),
    "template: recursion": (
        LLAMA, template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), ("chat template of", "--chat off"),
    ),
    "template: writes nothing": (LLAMA, template("{# nothing #}"), ("the prompt of item '0' is empty",)),
    "template: not UTF-8": (LLAMA, text("chat_template.jinja", b"\xff\xfe"), ("tokenizer", "broken", "does not load")),
    "template: a number": (LLAMA, edit("tokenizer_config.json", chat_template=5), ("broken",)),
    # adapters
    "adapter: not JSON": (LLAMA, both(adapter(), text("adapter_config.json", "{")), ("adapter_config.json", "line 1")),
    "adapter: a list": (LLAMA, both(adapter(), text("adapter_config.json", "[]")), ("adapter_config.json", "object")),
    "adapter: a folder": (LLAMA, both(adapter(), instead("adapter_config.json")), ("adapter_config.json", "no file")),
    "adapter: type unknown": (LLAMA, adapter(peft_type="MAGIC"), ("broken", "MAGIC", "cannot be decoded")),
    "adapter: type as list": (LLAMA, adapter(peft_type=["LORA"]), ("broken", "cannot be decoded")),
    "adapter: type absent": (LLAMA, adapter(peft_type=...), ("adapter_config.json", "peft_type", "save")),
    "adapter: task as list": (LLAMA, adapter(task_type=["x"]), ("broken", "task_type", "CAUSAL_LM")),
    "adapter: for another task": (LLAMA, adapter(task_type="SEQ_CLS"), ("broken", "SEQ_CLS", "CAUSAL_LM")),
    "adapter: base a number": (LLAMA, adapter(base_model_name_or_path=5), ("adapter_config.json", "is 5", "write there")),
    "adapter: base null": (LLAMA, adapter(base_model_name_or_path=None), ("adapter_config.json", "write there")),
    "adapter: base empty": (LLAMA, adapter(base_model_name_or_path=" "), ("adapter_config.json", "write there")),
    "adapter: base itself": (LLAMA, adapter(base_model_name_or_path="broken"), ("adapter_config.json", "write there")),
    "adapter: base itself by a detour": (
        LLAMA, adapter(base_model_name_or_path="./folder/../broken/"), ("adapter_config.json", "write there"),
    ),
    "adapter: base a circle": (
        LLAMA,
        both(
            adapter(base_model_name_or_path="other"),
            lambda f: [shutil.copytree(f, f.parent / "other"), edit("adapter_config.json",
                       base_model_name_or_path=str(f))(f.parent / "other")],
        ),
        ("broken/adapter_config.json", "write there"),
    ),
    "adapter: base another model": (LLAMA, adapter(base_model_name_or_path="embedded:tiny-t5-qa"), ("broken",)),
    "adapter: base unknown": (LLAMA, adapter(base_model_name_or_path="embedded:tiny-lama-qa"), ("tiny-llama-qa",)),
    "adapter: targets match nothing": (LLAMA, adapter(target_modules=["nothing"]), ("broken", "does not fit", "nothing")),
    "adapter: targets no expression": (LLAMA, adapter(target_modules="("), ("broken", "does not fit")),
    "adapter: targets a number": (LLAMA, adapter(target_modules=7), ("broken", "does not fit")),
    "adapter: layers match nothing": (LLAMA, adapter(layers_to_transform=[9]), ("broken", "does not fit")),
    "adapter: rank as text": (LLAMA, adapter(r="2"), ("adapter_config.json", "r is '2'", "mend it")),
    "adapter: rank negative": (LLAMA, adapter(r=-2), ("adapter_config.json", "r is -2", "mend it")),
    "adapter: rank huge": (LLAMA, adapter(r=10**9), ("adapter_config.json", "r is 1000000000", "mend it")),
    "adapter: another rank": (LLAMA, adapter(r=4), ("broken", "does not fit")),
    "adapter: alpha as text": (LLAMA, adapter(lora_alpha="x"), ("broken", "does not fit")),
    "adapter: alpha null": (LLAMA, adapter(lora_alpha=None), ("broken", "does not fit")),
    "adapter: weights empty": (LLAMA, both(adapter(), text("adapter_model.safetensors", b"")), ("adapter_model",)),
    "adapter: weights a folder": (LLAMA, both(adapter(), instead("adapter_model.safetensors")), ("no file",)),
    "adapter: weights lack": (LLAMA, adapter(layers_to_transform=[0, 1]), ("broken", "does not fit")),
    "adapter: virtual tokens huge": (
        LLAMA,
        adapter(peft_type="PROMPT_TUNING", num_virtual_tokens=10**9, r=..., target_modules=...),
        ("adapter_config.json", "num_virtual_tokens is 1000000000", "mend it"),
    ),
}

# fmt: on


def some_of(cases: Iterable[str]) -> list[Any]:
    """Every third of them in every run, the others with the mark `thorough`."""
    return [pytest.param(case, marks=pytest.mark.thorough if i % 3 else ()) for i, case in enumerate(cases)]


@pytest.mark.parametrize("case", some_of(MODELS))
def test_model_folders(case: str, here: Path, capsys, monkeypatch) -> None:
    base, spoil, expected = MODELS[case]
    monkeypatch.setattr(prompts, "TEMPLATE_SECONDS", 0.5)
    copy(base, here / "broken")
    spoil(here / "broken")
    command = ["audit", "broken", f"embedded:{base}", "--data", "items.jsonl", *QUICK, "--out", "out"]
    check_line(refused(capsys, *command), *expected)
    assert not (here / "out").exists()


NAMES: dict[str, tuple[str, ...]] = {
    "no model here/at/all": ("does not exist",),
    "./nothing": ("does not exist",),
    "items.jsonl": ("is a file", "give the folder"),
    "folder": ("has no config.json",),
    "/dev/null": ("/dev/null", "give the folder"),
    "x" * 300: ("before is", "255 bytes", "shorter"),
    "./" + "x/" * 3000: ("cannot be looked for", "too long"),
    "~nobody-at-all/model": ("~nobody-at-all",),
    "embedded:": ("unknown embedded model", "tiny-llama-qa"),
    "embedded:tiny-lama-qa": ("did you mean embedded:tiny-llama-qa",),
    "owner/name/too/deep": ("does not exist",),
    "owner/na me": ("is neither a folder here nor reachable on the hub",),
    "-": ("is neither a folder here nor reachable on the hub",),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_models(name: str, here: Path, capsys) -> None:
    command = ["audit", "--data", "items.jsonl", *QUICK, "--out", "out", "--", name, "embedded:tiny-llama-qa"]
    check_line(refused(capsys, *command), *NAMES[name])
    assert not (here / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_must_not_be_read(here: Path, capsys) -> None:
    copy(LLAMA, here / "broken").chmod(0)
    command = ["audit", "broken", "embedded:tiny-llama-qa", "--data", "items.jsonl", "--out", "out"]
    check_line(refused(capsys, *command), "broken", "cannot be read")


@pytest.mark.parametrize("targets", [["nothing"], "nothing", "(", [], ["norm"], ["q_proj", 5]])
def test_targets_of_lora_are_checked_without_training(targets: Any) -> None:
    loaded = load("embedded:tiny-llama-qa")
    with pytest.raises(InputError) as error:
        check_lora(loaded, LoraOptions(target_modules=targets))
    check_line(str(error.value), "lora does not fit embedded:tiny-llama-qa", "mend lora.target_modules")


def test_targets_that_fit_leave_the_model_as_it_was() -> None:
    loaded = load("embedded:tiny-llama-qa")
    before = [name for name, _ in loaded.model.named_modules()]
    check_lora(loaded, LoraOptions(target_modules=["q_proj"]))
    assert [name for name, _ in loaded.model.named_modules()] == before


# The command line

# fmt: off
AUDIT = ["audit", "embedded:tiny-llama-qa", "embedded:tiny-llama-qa", "--data", "items.jsonl", *QUICK]
BAD_NUMBERS = ("many", "", "-1", "nan", "inf", "1e3", "1_0x", "9" * 5000)
WHOLE = ("beams", "dropout-samples", "max-new-tokens", "batch-size", "items", "judge-concurrency", "resamples", "seed")
COMMAND_LINE: dict[str, tuple[list[str], tuple[str, ...]]] = {
    **{
        f"--{option} {value[:9]!r}": ([*AUDIT, f"--{option}", value], (f"{option.replace('-', '_')}|--{option}",))
        for option in WHOLE
        for value in (*BAD_NUMBERS, str(10**12))
    },
    **{
        f"--{option} 0": ([*AUDIT, f"--{option}", "0"], (f"{option.replace('-', '_')}|--{option}",))
        for option in ("max-new-tokens", "batch-size", "items", "judge-concurrency", "resamples")
    },
    **{f"--margin {v!r}": ([*AUDIT, "--margin", v], ("margin",)) for v in ("nan", "inf", "-0.1", "much", "1e400", "3")},
    **{
        f"--{option} empty": ([*AUDIT, f"--{option}", ""], (f"--{option} is followed by an empty text", "write a value"))
        for option in ("task", "data-dir", "input", "template", "quality", "judge", "train", "dropout", "chat", "score",
                       "name", "dtype", "device", "out", "long-prompts")
    },
    "--out= empty": ([*AUDIT, "--out="], ("--out is followed by an empty text",)),
    "model empty": (["audit", "", "b", "--task", "squad"], ("empty text",)),
    "--dropout nan": ([*AUDIT, "--dropout", "residual:nan"], ("between 0 and 1", "residual:0.02")),
    "--dropout 1": ([*AUDIT, "--dropout", "attention:1"], ("between 0 and 1", "attention:0.02")),
    "--dropout -0.5": ([*AUDIT, "--dropout", "attention:-0.5"], ("between 0 and 1",)),
    "--dropout comma": ([*AUDIT, "--dropout", "attention:0,1"], ("'0,1' is not a number",)),
    "--dropout native:p": ([*AUDIT, "--dropout", "native:0.1"], ("takes no probability",)),
    "--dtype": ([*AUDIT, "--dtype", "fp16"], ("dtype 'fp16' is not one of", "float16")),
    "--device": ([*AUDIT, "--device", "gpu"], ("gpu", "device")),
    "--device meta": ([*AUDIT, "--device", "meta"], ("meta", "device")),
    "--device cuda:x": ([*AUDIT, "--device", "cuda:x"], ("cuda:x", "device")),
    "--judge threshold nan": ([*AUDIT, "--judge", "token_f1:nan"], ("judge", "token_f1")),
    "--judge threshold text": ([*AUDIT, "--judge", "token_f1:high"], ("judge", "token_f1")),
    "--judge unknown": ([*AUDIT, "--judge", "jury"], ("unknown judge 'jury'",)),
    "--score with a bad parameter": ([*AUDIT, "--score", "beam_ratio[k=x]"], ("k=x", "beam_ratio[k=")),
    "--score open bracket": ([*AUDIT, "--score", "beam_ratio[k=2"], ("unknown score", "beam_ratio")),
    "--score of no evidence": ([*AUDIT, "--score", "beam_ratio"], ("'beam_ratio' needs beams",)),
    "--data a folder": ([*AUDIT, "--data", "folder"], ("folder", "a file is wanted")),
    "--data absent": ([*AUDIT, "--data", "gone.jsonl"], ("gone.jsonl", "no such file")),
    "--data too long": ([*AUDIT, "--data", "x" * 300 + ".jsonl"], ("data is", "255 bytes", "shorter")),
    "--data-dir a file": (["audit", "a", "b", "--task", "squad", "--data-dir", "items.jsonl"], ("does not exist|a",)),
    "--validation absent": ([*AUDIT, "--validation", "gone.jsonl"], ("gone.jsonl", "no such file")),
    "--train absent": ([*AUDIT, "--train", "gone.jsonl"], ("gone.jsonl", "no such file")),
    "--out a file": ([*AUDIT, "--out", "items.jsonl"], ("items.jsonl is a file", "give a folder with --out")),
    "--out in a file": ([*AUDIT, "--out", "items.jsonl/run"], ("items.jsonl/run", "give another one with --out")),
    "--out a device": ([*AUDIT, "--out", "/dev/full"], ("/dev/full", "give another one with --out")),
    "--out in a device": ([*AUDIT, "--out", "/dev/full/run"], ("/dev/full/run", "give another one with --out")),
    "--out of somebody": ([*AUDIT, "--out", "folder"], ("folder is not empty", "give another one with --out")),
    "--out too long": ([*AUDIT, "--out", "x" * 300], ("out is", "255 bytes", "shorter")),
    "--nmae": ([*AUDIT, "--nmae", "x"], ("No such option: --nmae", "--name", "audit --help")),
    "--beam": ([*AUDIT, "--beam", "x"], ("--beam", "audit --help")),
    "an option of 9999 letters": ([*AUDIT, "--" + "x" * 9999, "x"], ("No such option", "audit --help")),
    "a value of 9999 letters": ([*AUDIT, "--chat", "x" * 9999], ("chat 'xxx", "auto, on, off")),
    "NAME= without a path": (["audit", "embedded:tiny-llama-qa", "mine=", "--task", "squad"], ("should be NAME=PATH",)),
    "the same twice": (["audit", "a", "b", "b", "--task", "squad"], ("b is given twice", "give each checkpoint once")),
    "a command misspelt": (["anlyze", "records.jsonl"], ("No such command 'anlyze'", "analyze", "aftertune --help")),
    "no such command": (["frobnicate"], ("No such command 'frobnicate'", "aftertune --help")),
    "list of nothing": (["list", "score s"], ("unknown list 'score s'", "scores")),
    "list twice": (["list", "scores", "tasks"], ("tasks", "list --help")),
    "analyze: seed": (["analyze", "records.jsonl", "--out", "o", "--seed", "-1"], ("seed is -1", "0 to 4294967295")),
    "analyze: huge seed": (["analyze", "records.jsonl", "--out", "o", "--seed", str(2**32)], ("seed is 4294967296",)),
    "analyze: correct-at nan": (["analyze", "records.jsonl", "--out", "o", "--correct-at", "nan"], ("correct_at is nan",)),
    "analyze: correct-at text": (["analyze", "records.jsonl", "--correct-at", "half"], ("--correct-at", "--help")),
    "analyze: resamples": (["analyze", "records.jsonl", "--out", "o", "--resamples", str(10**9)], ("to 100000",)),
    "analyze: margin": (["analyze", "records.jsonl", "--out", "o", "--margin", "nan"], ("margin",)),
    "analyze: a device": (["analyze", "/dev/null", "--out", "o"], ("/dev/null",)),
    "analyze: out of a file": (["analyze", "records.jsonl", "--out", "items.jsonl/o"], ("items.jsonl/o", "--out")),
    "analyze: out full": (["analyze", "records.jsonl", "--out", "/dev/full"], ("/dev/full", "--out")),
    "analyze: too long": (["analyze", "x" * 300 + ".jsonl", "--out", "o"], ("255 bytes",)),
    "report: a file": (["report", "records.jsonl"], ("records.jsonl", "run folder")),
    "report: a folder": (["report", "folder"], ("folder is not a run folder",)),
    "report: too long": (["report", "x" * 300], ("255 bytes",)),
    "report: a device": (["report", "/dev/full"], ("/dev/full", "run folder")),
    "run: a folder": (["run", "folder"], ("folder",)),
    "run: too long": (["run", "x" * 300], ("255 bytes",)),
    "run: absent": (["run", "gone.yaml"], ("gone.yaml: no such file",)),
    "quickstart: out a file": (["quickstart", "--fast", "--out", "items.jsonl"], ("items.jsonl is a file", "--out")),
    "quickstart: out full": (["quickstart", "--fast", "--out", "/dev/full"], ("/dev/full", "--out")),
    "quickstart: fast with a value": (["quickstart", "--fast=yes"], ("--fast", "--help")),
}

# fmt: on


@pytest.mark.parametrize("case", COMMAND_LINE)
def test_command_line(case: str, here: Path, capsys) -> None:
    arguments, expected = COMMAND_LINE[case]
    before = sorted(here.rglob("*"))
    message = refused(capsys, *arguments)
    for part in expected:
        assert any(one in message for one in part.split("|")), message
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("name", ["../../elsewhere", "/tmp/elsewhere", "a/b", ".."])
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_study_whose_name_is_a_path(name: str, more: list[str], here: Path, capsys) -> None:
    study = {"name": name, "models": [{"name": "m", "path": "embedded:tiny-llama-sums"}], "tasks": ["toy_sums"]}
    (here / "study.yaml").write_text(json.dumps(study))
    before = sorted(here.rglob("*"))
    check_line(refused(capsys, "run", "study.yaml", *more), "study.yaml", "name", repr(name), "path")
    assert sorted(here.rglob("*")) == before


STUDY: dict[str, tuple[dict[str, Any], str]] = {
    "beams": ({"evaluation": {"beams": 10**9}}, "evaluation.beams"),
    "dropout_samples": ({"evaluation": {"dropout_samples": 10**9}}, "evaluation.dropout_samples"),
    "batch_size": ({"evaluation": {"batch_size": 10**9}}, "evaluation.batch_size"),
    "judge_concurrency": ({"evaluation": {"judge_concurrency": 10**9}}, "evaluation.judge_concurrency"),
    "training batch": ({"training": {"batch_size": 10**9}}, "training.batch_size"),
    "resamples": ({"resamples": 10**9}, "resamples"),
    "margin": ({"margin": 10**9}, "margin"),
    "seeds": ({"seeds": [10**10]}, "seeds[0]"),
    "data_seed": ({"data_seed": 10**10}, "data_seed"),
    "epochs": ({"experiments": {"before_after": {"epochs": 10**9}}}, "before_after.epochs"),
    "by_epoch": ({"experiments": {"by_epoch": {"epochs": 10**9}}}, "by_epoch.epochs"),
    "steps": ({"experiments": {"by_samples_fixed_steps": {"steps": 10**9}}}, "by_samples_fixed_steps.steps"),
    "samples": ({"experiments": {"by_samples": {"samples": [10**10]}}}, "by_samples.samples[0]"),
    "sizes": ({"sizes": {"train": 10**10}}, "sizes.train"),
    "rank": ({"models": [{"name": "m", "path": "embedded:tiny-llama-sums", "lora": {"r": 10**9}}]}, "lora.r"),
    "answer": ({"tasks": [{"name": "toy_sums", "max_new_tokens": 10**9}]}, "max_new_tokens"),
}


@pytest.mark.parametrize("case", STUDY)
def test_limits_hold_in_studies(case: str, here: Path, capsys) -> None:
    changes, place = STUDY[case]
    study = {"name": "s", "models": [{"name": "m", "path": "embedded:tiny-llama-sums"}], "tasks": ["toy_sums"]}
    (here / "study.yaml").write_text(json.dumps(study | changes))
    check_line(
        refused(capsys, "run", "study.yaml"), "study.yaml, line 1", place, "should be less than or equal to"
    )
    assert not (here / "runs").exists()


# Python arguments

MODEL, DATA, OUT = "embedded:tiny-llama-qa", "items.jsonl", "out"
LIST = "write a list of texts"


def audit(before: Any = MODEL, after: Any = MODEL, **changes: Any) -> Any:
    return aftertune.audit(before, after, **{"data": DATA, "out": OUT, "beams": 0, "dropout": "none"} | changes)


def collect(given: Any = ("1 + 1 =",), **changes: Any) -> Any:
    loaded = load(MODEL)
    quick = {"beams": 0, "dropout_samples": 0, "max_new_tokens": 2}
    return aftertune.collect(
        **{"model": loaded.model, "tokenizer": loaded.tokenizer, "prompts": given, **quick} | changes
    )


def score_texts(given: Any = ("1 + 1 =",), texts: Any = ("2",), **changes: Any) -> Any:
    loaded = load(MODEL)
    return aftertune.score_texts(
        **{"model": loaded.model, "tokenizer": loaded.tokenizer, "prompts": given, "texts": texts} | changes
    )


def callback(data: Any = DATA, out: Any = OUT, **changes: Any) -> Any:
    return aftertune.ConfidenceCallback(data, out, **changes)


def analyze(records: Any = "records.jsonl", **changes: Any) -> Any:
    return aftertune.analyze(records, **{"out": OUT} | changes)


# fmt: off
PYTHON: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    # collect
    "collect: prompts a text": (lambda: collect("1 + 1 ="), ("prompts is '1 + 1 ='", LIST)),
    "collect: prompts None": (lambda: collect(None), ("prompts is None", LIST)),
    "collect: prompts bytes": (lambda: collect(b"1"), ("prompts is b'1'", LIST)),
    "collect: prompts a number": (lambda: collect(5), ("prompts is 5", LIST)),
    "collect: prompts a generator": (lambda: collect(str(i) for i in range(3)), ("prompts is a generator", LIST)),
    "collect: prompts a set": (lambda: collect({"a"}), ("prompts is a set", LIST)),
    "collect: prompts a dict": (lambda: collect({"a": "b"}), ("prompts is a dict", LIST)),
    "collect: prompts a frame": (lambda: collect(pd.DataFrame({"a": ["b"]})), ("prompts is a DataFrame", LIST)),
    "collect: no prompts": (lambda: collect([]), ("no prompts", "give at least one")),
    "collect: a prompt None": (lambda: collect(["a", None]), ("prompts[1] is None", "write a text")),
    "collect: a prompt a list": (lambda: collect([["a"]]), ("prompts[0] is a list", "write a text")),
    "collect: a prompt a conversation": (lambda: collect([{"role": "user"}]), ("prompts[0] is a dict", "write a text")),
    "collect: a prompt a number": (lambda: collect([1.5]), ("prompts[0] is 1.5", "write a text")),
    "collect: a prompt empty": (lambda: collect([""]), ("the prompt of item '0' is empty",)),
    "collect: a model's path": (lambda: collect(model=MODEL), ("model is 'embedded:tiny-llama-qa'", "from_pretrained")),
    "collect: no model": (lambda: collect(model=None), ("model is None", "from_pretrained")),
    "collect: a layer": (lambda: collect(model=torch.nn.Linear(2, 2)), ("model is a Linear", "from_pretrained")),
    "collect: a model's class": (lambda: collect(model=dict), ("model is a type", "from_pretrained")),
    "collect: no tokenizer": (lambda: collect(tokenizer=None), ("tokenizer is None", "from_pretrained")),
    "collect: a tokenizer's path": (lambda: collect(tokenizer=MODEL), ("tokenizer is 'embedded", "from_pretrained")),
    "collect: the two exchanged": (
        lambda: aftertune.collect(load(MODEL).tokenizer, load(MODEL).model, ["a"]), ("model is a", "from_pretrained"),
    ),
    "collect: beams text": (lambda: collect(beams="3"), ("beams is '3'", "a whole number from 0 to 256")),
    "collect: beams float": (lambda: collect(beams=3.0), ("beams is 3.0", "a whole number from 0 to 256")),
    "collect: beams None": (lambda: collect(beams=None), ("beams is None", "a whole number")),
    "collect: beams True": (lambda: collect(beams=True), ("beams is True", "a whole number")),
    "collect: dropout a number": (lambda: collect(dropout=0.1), ("dropout is 0.1", "write a text")),
    "collect: dropout unknown": (lambda: collect(dropout="residul"), ("'residul' is not one of",)),
    "collect: embedding text": (lambda: collect(embedding="no"), ("embedding is 'no'", "True or False")),
    "collect: option unknown": (lambda: collect(beam=3), ("unknown option of collect 'beam'", "did you mean beams")),
    "collect: option unheard of": (lambda: collect(xyzzy=3), ("unknown option of collect 'xyzzy'", "known:")),
    "collect: nothing": (lambda: aftertune.collect(), ("collect", "missing", "model, tokenizer, prompts")),
    "collect: too much": (lambda: aftertune.collect(1, 2, 3, 4, 5), ("collect", "too many", "model, tokenizer, prompts")),
    # score_texts
    "score_texts: prompts a text": (lambda: score_texts("a"), ("prompts is 'a'", LIST)),
    "score_texts: texts a text": (lambda: score_texts(["a"], "b"), ("texts is 'b'", "write a list")),
    "score_texts: texts None": (lambda: score_texts(["a"], None), ("texts is None", "write a list")),
    "score_texts: fewer texts": (lambda: score_texts(["a", "b"], ["c"]), ("2 prompts and 1 texts", "give one text")),
    "score_texts: none": (lambda: score_texts([], []), ("no texts to score", "give at least one")),
    "score_texts: a text None": (lambda: score_texts(["a"], [None]), ("item '0'", "token ids")),
    "score_texts: ids beyond": (lambda: score_texts(["a"], [[10**9]]), ("item '0'", "1000000000", "vocabulary")),
    "score_texts: ids halves": (lambda: score_texts(["a"], [[1.5]]), ("item '0'", "token ids")),
    "score_texts: a path": (lambda: score_texts(model="x"), ("model is 'x'", "from_pretrained")),
    "score_texts: option": (lambda: score_texts(batchsize=3), ("unknown option of score_texts", "batch_size")),
    "score_texts: batch 0": (lambda: score_texts(batch_size=0), ("batch_size is 0", "1 to 65536")),
    # score, quality, read_records, load_task
    "score: names a text": (lambda: aftertune.score(collect(), "beam_sum"), ("names is 'beam_sum'", LIST)),
    "score: a name None": (lambda: aftertune.score(collect(), [None]), ("names[0] is None", "write a text")),
    "score: no evidence": (lambda: aftertune.score(None), ("evidence is None", "Evidence")),
    "score: scores": (lambda: aftertune.score(["a"]), ("evidence is a list", "Evidence")),
    "score: unknown": (lambda: aftertune.score(collect(), ["mean_token_logprop"]), ("did you mean mean_token_logprob",)),
    "quality: outputs a text": (lambda: aftertune.quality.compute("token_f1", "a", [["a"]]), ("outputs is 'a'", LIST)),
    "quality: references": (lambda: aftertune.quality.compute("token_f1", ["a"], "a"), ("references is 'a'", "list")),
    "quality: name None": (lambda: aftertune.quality.compute(None, ["a"], [["a"]]), ("name is None", "write a text")),
    "quality: unknown": (lambda: aftertune.quality.compute("tokenf1", ["a"], [["a"]]), ("did you mean token_f1",)),
    "load_task: None": (lambda: aftertune.load_task(None), ("name is None", "write a text")),
    "load_task: unknown": (lambda: aftertune.load_task("toy_sum"), ("did you mean toy_sums",)),
    "load_task: seed": (lambda: aftertune.load_task("toy_sums", seed="1"), ("seed is '1'", "whole number")),
    "load_task: sizes": (lambda: aftertune.load_task("toy_sums", sizes=5), ("sizes is 5", "Sizes")),
    "read_records: None": (lambda: aftertune.read_records(None), ("paths is None", "write")),
    "read_records: nothing": (lambda: aftertune.read_records([]), ("no records", "give")),
    "read_records: absent": (lambda: aftertune.read_records("gone.jsonl"), ("gone.jsonl", "no such file")),
    # audit
    "audit: a model object": (lambda: audit(load(MODEL).model), ("before is a LlamaForCausalLM", "write a text or a path")),
    "audit: after a model object": (lambda: audit(after=load(MODEL).model), ("after is a Llama", "write")),
    "audit: after models": (lambda: audit(after=[load(MODEL).model]), ("after[0] is a Llama", "write")),
    "audit: after None": (lambda: audit(after=None), ("after is None", "write")),
    "audit: after nothing": (lambda: audit(after=[]), ("at least one after",)),
    "audit: after a generator": (lambda: audit(after=(x for x in [MODEL])), ("after is a generator", "list")),
    "audit: before None": (lambda: audit(None), ("before is None", "write")),
    "audit: before empty": (lambda: audit(""), ("before is empty", "write")),
    "audit: before null": (lambda: audit("a\0b"), ("before is 'a\\x00b'", "null character")),
    "audit: data a frame": (lambda: audit(data=pd.DataFrame({"a": [1]})), ("data is a DataFrame", "write a text or a path")),
    "audit: data a list": (lambda: audit(data=[{"input": "a"}]), ("data is a list", "write a text or a path")),
    "audit: data and task": (lambda: audit(task="toy_qa"), ("either a task",)),
    "audit: out None": (lambda: audit(out=None), ("out is None", "write")),
    "audit: out a number": (lambda: audit(out=5), ("out is 5", "write")),
    "audit: out a file": (lambda: audit(out=DATA), ("items.jsonl is a file",)),
    "audit: out too long": (lambda: audit(out="x" * 300), ("255 bytes",)),
    "audit: option": (lambda: audit(max_token=3), ("unknown option of audit 'max_token'", "max_new_tokens")),
    "audit: option of run": (lambda: audit(dropout_sample=3), ("did you mean dropout_samples",)),
    "audit: options a dict": (lambda: audit(options={"beams": 3}), ("options is a dict", "AuditOptions")),
    "audit: reporter": (lambda: audit(reporter=print), ("reporter is a builtin", "Reporter")),
    "audit: score": (lambda: audit(scores="beam_sum"), ("scores is 'beam_sum'", LIST)),
    "audit: no scores": (lambda: audit(scores=[]), ("no score is asked for", "name at least one")),
    "audit: scores of numbers": (lambda: audit(scores=[3]), ("scores[0] is 3", "write a text")),
    "audit: chat": (lambda: audit(chat=True), ("chat is True", "auto, on, off")),
    "audit: chat yes": (lambda: audit(chat="yes"), ("chat 'yes' is not one of auto, on, off",)),
    "audit: dtype": (lambda: audit(dtype=torch.float16), ("dtype is a dtype", "float16")),
    "audit: device": (lambda: audit(device=0), ("device is 0", "write a text")),
    "audit: trust": (lambda: audit(trust_remote_code="yes"), ("trust_remote_code is 'yes'", "True or False")),
    "audit: margin": (lambda: audit(margin="0.1"), ("margin is '0.1'", "a number from 0 to 2")),
    "audit: margin nan": (lambda: audit(margin=float("nan")), ("margin is nan", "a number from 0 to 2")),
    "audit: template": (lambda: audit(template=5), ("template is 5", "write a text")),
    "audit: judge": (lambda: audit(judge=None), ("judge is None", "write a text")),
    "audit: name empty": (lambda: audit(name=" "), ("name is empty", "write a text")),
    "audit: items": (lambda: audit(items=0), ("items is 0", "whole number from 1")),
    # analyze, run
    "analyze: None": (lambda: analyze(None), ("records is None", "write")),
    "analyze: nothing": (lambda: analyze([]), ("no records", "give")),
    "analyze: a frame": (lambda: analyze(pd.DataFrame({"a": [1]})), ("records is a DataFrame", "write")),
    "analyze: records": (lambda: analyze([{"model": "m"}]), ("records[0] is a dict", "write")),
    "analyze: a generator": (lambda: analyze(x for x in "a"), ("records is a generator", "list")),
    "analyze: resamples": (lambda: analyze(resamples=1e3), ("resamples is 1000.0", "a whole number from 200 to 100000")),
    "analyze: seed": (lambda: analyze(seed=None), ("seed is None", "whole number")),
    "analyze: correct_at": (lambda: analyze(correct_at=float("inf")), ("correct_at is inf", "a number")),
    "analyze: permutation": (lambda: analyze(permutation=3), ("permutation is 3", "True or False")),
    "analyze: option": (lambda: analyze(resample=300), ("unknown option of analyze", "resamples")),
    "analyze: title": (lambda: analyze(title=""), ("title is empty", "write a text")),
    "analyze: out absent": (lambda: aftertune.analyze("records.jsonl"), ("analyze", "missing", "'out'")),
    "run: None": (lambda: aftertune.run(None, out=OUT), ("study is None", "write a text or a path")),
    "run: a dict": (lambda: aftertune.run({"name": "x"}, out=OUT), ("study is a dict", "StudyConfig")),
    "run: absent": (lambda: aftertune.run("gone.yaml", out=OUT), ("gone.yaml: no such file",)),
    "run: option": (lambda: aftertune.run("gone.yaml", out=OUT, devcie="cpu"), ("did you mean device",)),
    # the callback
    "callback: nothing": (lambda: aftertune.ConfidenceCallback(), ("no folder to write to",)),
    "callback: no folder": (lambda: callback(out=None), ("no folder to write to", "runs/mine")),
    "callback: a frame": (lambda: callback(pd.DataFrame({"a": [1]})), ("data is a DataFrame", "write")),
    "callback: dicts": (lambda: callback([{"input": "a"}]), ("data[0] is a dict", "Example")),
    "callback: no items": (lambda: callback([]), ("no items for test",)),
    "callback: a number": (lambda: callback(5), ("data is 5", "write")),
    "callback: option": (lambda: callback(beam=3), ("unknown option of ConfidenceCallback 'beam'", "beams")),
    "callback: epochs 0": (lambda: callback(epochs=[0]), ("epochs is [0]", "numbers from 1")),
    "callback: epochs a number": (lambda: callback(epochs=3), ("epochs is 3", "write")),
    "callback: epochs some": (lambda: callback(epochs="some"), ("epochs is 'some'", "numbers from 1")),
    "callback: before": (lambda: callback(before="yes"), ("before is 'yes'", "True or False")),
    "callback: seed": (lambda: callback(seed=-1), ("seed is -1", "whole number from 0")),
    "callback: task": (lambda: callback(None, task="toy_sum"), ("did you mean toy_sums",)),
    "callback: scores": (lambda: callback(scores="beam_sum"), ("scores is 'beam_sum'", LIST)),
    "callback: out a file": (lambda: callback(out=DATA), ("items.jsonl is a file",)),
    "callback: examples twice": (
        lambda: callback([Example(id="a", prompt="b", references=("c",))] * 3), ("the same id", "unique"),
    ),
    "options: beams": (lambda: AuditOptions(beams=-2), ("beams is -2", "from 0 to 256")),
}
# fmt: on


@pytest.mark.parametrize("case", PYTHON)
def test_python(case: str, here: Path) -> None:
    call, expected = PYTHON[case]
    before = sorted(here.rglob("*"))
    with pytest.raises(InputError) as error:
        call()
    check_line(str(error.value), *expected)
    assert sorted(here.rglob("*")) == before


def doors() -> list[tuple[str, Callable[[Any], Any]]]:
    """Each setting with limits, at each door of Python that takes it."""
    found: list[tuple[str, Callable[[Any], Any]]] = []
    for name in ("beams", "dropout_samples", "max_new_tokens", "batch_size", "seed"):
        found.append((name, lambda value, name=name: collect(**{name: value})))
        found.append((name, lambda value, name=name: audit(**{name: value})))
        found.append((name, lambda value, name=name: callback(**{name: value})))
    for name in ("items", "judge_concurrency", "data_seed"):
        found.append((name, lambda value, name=name: audit(**{name: value})))
    for name in ("resamples", "margin"):
        found.append((name, lambda value, name=name: audit(**{name: value})))
        found.append((name, lambda value, name=name: analyze(**{name: value})))
    found.append(("items", lambda value: callback(None, task="toy_sums", items=value)))
    return found


@pytest.mark.parametrize("end", ["below", "above", "10**5000"])
@pytest.mark.parametrize("door", range(len(doors())))
def test_limits_hold_at_every_door(door: int, end: str, here: Path) -> None:
    name, call = doors()[door]
    low, high = LIMITS[name]
    before = sorted(here.rglob("*"))
    with pytest.raises(InputError) as error:
        call({"below": int(low) - 1, "above": int(high) + 1, "10**5000": 10**5000}[end])
    check_line(str(error.value), f"{name} is ", "write a", f"from {low:g} to {high:.0f}")
    assert sorted(here.rglob("*")) == before


def test_limits_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    for name, (low, high) in LIMITS.items():
        assert f"| `{name}` | {low:g} | {high:,.0f} |" in page


def test_numbers_of_other_libraries_are_taken() -> None:
    options = AuditOptions(beams=np.int64(3), margin=np.float32(0.5), resamples=np.uint16(300))  # type: ignore[arg-type]
    assert (type(options.beams), type(options.margin), options.resamples) == (int, float, 300)


@pytest.mark.parametrize("given", [("1 + 1 =",), np.array(["1 + 1 ="]), pd.Series(["1 + 1 ="], index=["x"])])
def test_lists_of_other_libraries_are_taken(given: Any) -> None:
    assert len(collect(given)) == 1


# Plug-ins and the environment


class _Package:
    name = "their-package"


BROKEN = {
    "no such module": "not_there_at_all:thing",
    "no such attribute": "json:nothing_of_that_name",
    "raises": "raising_plug_in:thing",
    "leaves halves": "half_plug_in:thing",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plug_in_is_left_out_and_named(case: str, here: Path, monkeypatch) -> None:
    registry: Registry[int] = Registry("quality metric", "things", "aftertune.stats")
    (here / "raising_plug_in.py").write_text("1 / 0\n")
    (here / "half_plug_in.py").write_text("import plug_in_test\nplug_in_test.add('half', 1)\n1 / 0\n")
    (here / "plug_in_test.py").write_text("add = None\n")
    monkeypatch.syspath_prepend(here)
    import plug_in_test  # type: ignore[import-not-found]

    plug_in_test.add = registry.add
    point = importlib.metadata.EntryPoint("thing", BROKEN[case], "aftertune.things")
    vars(point).update(dist=_Package)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    with pytest.warns(PlugInWarning) as caught:
        assert registry.names() == []
    check_line(str(caught[0].message), "their-package", "'thing'", BROKEN[case], "left out")
    for module in ("plug_in_test", "raising_plug_in", "half_plug_in"):
        sys.modules.pop(module, None)


def test_a_broken_plug_in_is_a_note_on_the_command_line(capsys, monkeypatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back afterwards

    def show(what: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("the plug-in their-package is left out", PlugInWarning, stacklevel=1)

    monkeypatch.setattr("aftertune.cli.listing.show_list", show)
    monkeypatch.setattr(
        warnings, "showwarning", lambda *a, **k: print(warnings.formatwarning(*a[:4]), end="", file=sys.stderr)
    )
    assert main(["list", "scores"]) == 0
    assert capsys.readouterr().err == "note: the plug-in their-package is left out\n"


ENVIRONMENTS: dict[str, dict[str, str | None]] = {
    "no home, ascii": {"HOME": None, "PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C", "COLUMNS": "0"},
    "a home that is none, narrow": {"HOME": "/dev/null/x", "COLUMNS": "10", "LINES": "1", "TERM": "dumb"},
    "no cache, bad columns": {
        "HF_HOME": "/dev/null/x",
        "XDG_CACHE_HOME": "/dev/null/y",
        "MPLCONFIGDIR": "/dev/null/z",
        "COLUMNS": "wide",
        "TERM": "nothing-known",
    },
}


@pytest.mark.parametrize("case", some_of(ENVIRONMENTS))
def test_environments(case: str, here: Path) -> None:
    """Lists, refusals and analyses as anywhere."""
    source = str(Path(aftertune.__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": source}
    for name, value in ENVIRONMENTS[case].items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    code = (
        "import sys; from aftertune.cli.main import main; "
        "sys.exit(main(['list', 'tasks']) or main(['analyze', 'records.jsonl', '--out', 'out', '--resamples', '200']) "
        "or main(['audit', 'a', 'ü→', '--task', 'sqaud']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=here)
    assert done.returncode == 2, done.stderr
    assert "truthfulqa" in done.stdout
    assert "report: out/report.html" in done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    check_line(lines[-1], "aftertune: ")
    assert "Traceback" not in done.stderr
