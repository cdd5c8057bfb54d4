"""Nothing that lies in a model's folder is run."""

from __future__ import annotations

import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from aftertune.errors import InputError
from aftertune.judges import Question
from aftertune.judges.local import LocalJudge
from aftertune.models.load import load, load_reader, save
from aftertune.models.loaded import wrap
from tiny import tiny


class Payload:
    """What a pickle runs when it is read."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "model"
    save(wrap(*tiny("llama")), target)
    return target


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    """A folder that is there if anything was run."""
    return tmp_path / "was-run"


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def edit(file: Path, **changes: object) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(content | changes))


def code(folder: Path, proof: Path) -> None:
    """Modules of every name that transformers, PEFT or a reader could look for."""
    text = f"import os\nos.makedirs({str(proof)!r}, exist_ok=True)\n"
    names = (
        "modeling_evil", "configuration_evil", "tokenization_evil", "custom_generate/generate", "__init__",
        "conftest", "sitecustomize", "usercustomize", "setup", "modeling_llama", "handler", "evil",
    )  # fmt: skip
    for name in names:
        (folder / f"{name}.py").parent.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(text)


def use(folder: Path) -> str:
    """Load the folder, put a question into its chat template and decode; "" or what was said."""
    question = Question(question="w1", answer="w2", references=("w3",))
    try:
        load_reader(folder)
        LocalJudge(str(folder)).judge([question])
    except InputError as error:
        return str(error)
    return ""


def test_modules_that_the_configuration_names(folder, proof):
    code(folder, proof)
    auto = dict.fromkeys(("AutoModel", "AutoModelForCausalLM", "AutoModelForSeq2SeqLM"), "modeling_evil.Evil")
    edit(folder / "config.json", auto_map={**auto, "AutoConfig": "configuration_evil.Evil"})
    edit(folder / "generation_config.json", custom_generate="custom_generate/generate.py")
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_evil.Evil", None]})
    use(folder)
    assert not proof.exists()


def test_a_model_type_that_only_its_own_code_knows(folder, proof):
    code(folder, proof)
    edit(
        folder / "config.json",
        model_type="evil",
        architectures=["Evil"],
        auto_map={"AutoConfig": "configuration_evil.Evil", "AutoModelForCausalLM": "modeling_evil.Evil"},
    )
    assert "does not load" in use(folder)
    assert not proof.exists()


def test_a_tokenizer_that_only_its_own_code_knows(folder, proof):
    code(folder, proof)
    edit(
        folder / "tokenizer_config.json",
        tokenizer_class="EvilTokenizer",
        auto_map={"AutoTokenizer": ["tokenization_evil.EvilTokenizer", "tokenization_evil.EvilTokenizer"]},
    )
    use(folder)
    assert not proof.exists()


def test_modules_where_the_command_is_given(folder, proof, monkeypatch):
    """Inside the folder nothing is found first that lies there."""
    code(folder, proof)
    monkeypatch.chdir(folder)
    before = list(sys.path)
    use(Path("."))
    assert not proof.exists()
    assert sys.path == before


@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_model.bin", "model.pt", "consolidated.00.pth"])
@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_pickled_weights(folder, proof, name, kind):
    (folder / "model.safetensors").unlink()
    if name.startswith("adapter"):
        edit(folder / "adapter_config.json", peft_type="LORA", base_model_name_or_path=str(folder))
    write_pickle(folder / name, proof, kind)
    assert "pickled" in use(folder)
    assert not proof.exists()


@pytest.mark.parametrize(
    "name",
    [
        "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt", "pytorch_model.bin",
        "tokenizer.pkl", "vocab.pkl", "added_tokens.pkl", "adapter_model.bin", "model.pkl", "flax_model.msgpack",
    ],
)  # fmt: skip
def test_pickles_beside_the_weights(folder, proof, name):
    write_pickle(folder / name, proof, "torch")
    assert use(folder) == ""
    assert not proof.exists()


def test_pickles_under_the_names_of_weights(folder, proof):
    write_pickle(folder / "model.safetensors", proof, "torch")
    assert "does not load" in use(folder)
    write_pickle(folder / "model.safetensors", proof, "pickle")
    assert "does not load" in use(folder)
    assert not proof.exists()


def test_an_index_that_names_pickles(folder, proof):
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    write_pickle(folder / "pytorch_model-00001-of-00001.bin", proof, "torch")
    names = list(tiny("llama")[0].state_dict())
    edit(
        folder / "model.safetensors.index.json",
        metadata={},
        weight_map=dict.fromkeys(names, "pytorch_model-00001-of-00001.bin"),
    )
    try:
        said = use(folder)
    except Exception as error:  # noqa: BLE001 - what it says is not the point here
        said = str(error)
    assert said
    assert not proof.exists()


def write_pickle(file: Path, proof: Path, kind: str) -> None:
    if kind == "torch":
        torch.save({"weight": Payload(proof)}, file)
        assert zipfile.is_zipfile(file)
    else:
        file.write_bytes(pickle.dumps(Payload(proof)))


def test_the_payload_would_work(tmp_path, proof):
    write_pickle(tmp_path / "a", proof, "pickle")
    pickle.loads((tmp_path / "a").read_bytes())  # noqa: S301
    assert proof.exists()


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__.__base__.__subclasses__() }}",
    "{{ (messages|attr('__class__')) }}",
    "{{ messages['__class__']['__init__']['__globals__']['os'].mkdir(PROOF) }}",
    "{{ self.__init__.__globals__.__builtins__.__import__('os').mkdir(PROOF) }}",
    "{{ cycler.__init__.__globals__.os.mkdir(PROOF) }}",
    "{{ lipsum.__globals__['os'].mkdir(PROOF) }}",
    "{{ joiner.__init__.__globals__.os.mkdir(PROOF) }}",
    "{{ namespace.__init__.__globals__.os.mkdir(PROOF) }}",
    "{{ raise_exception.__globals__['__builtins__']['__import__']('os').mkdir(PROOF) }}",
    "{{ strftime_now.__globals__['sys'].modules['os'].mkdir(PROOF) }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(raise_exception) }}",
    "{{ '%s'|format(lipsum.__globals__) }}",
    "{% set f = ['{0.__globals__}']|map('format', raise_exception)|list %}{{ f }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.mkdir(PROOF) }}",
    "{% extends '/etc/passwd' %}",
    "{{ messages.append(1) }}",
    "{{ config.__class__.from_envvar('HOME') }}",
]


@pytest.mark.parametrize("where", ["tokenizer_config.json", "chat_template.jinja"])
@pytest.mark.parametrize("template", ESCAPES)
def test_templates(folder, proof, template, where):
    template = template.replace("PROOF", repr(str(proof)))
    if where == "chat_template.jinja":
        (folder / where).write_text(template)
    else:
        edit(folder / where, chat_template=template)
    use(folder)
    assert not proof.exists()
    tokenizer = load(folder).tokenizer
    try:
        said = tokenizer.apply_chat_template([{"role": "user", "content": "w1"}], tokenize=False)
    except Exception:  # noqa: BLE001 - refused, in whichever way
        said = ""
    assert "root:" not in said
    assert "<class" not in said
    assert "__builtins__" not in said
    assert not proof.exists()


@pytest.mark.parametrize("module", ["evil", "modeling_evil", "antigravity"])
def test_modules_that_an_adapter_names(folder, proof, tmp_path, module, monkeypatch):
    from peft import LoraConfig, get_peft_model

    adapter = tmp_path / "adapter"
    base = load(folder)
    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    save(wrap(get_peft_model(base.model, config).eval(), base.tokenizer), adapter)
    code(adapter, proof)
    edit(
        adapter / "adapter_config.json",
        auto_mapping={"base_model_class": "Evil", "parent_library": module},
        megatron_config={"a": 1},
        megatron_core=module,
    )
    monkeypatch.chdir(adapter)
    monkeypatch.syspath_prepend(str(adapter))
    for name in ("evil", "modeling_evil"):
        sys.modules.pop(name, None)
    said = use(adapter)
    assert not proof.exists()
    assert module not in sys.modules
    assert said


def test_a_kernel_that_the_configuration_names(folder, proof):
    """It would be fetched and run where the package `kernels` is installed."""
    code(folder, proof)
    for name in ("attn_implementation", "_attn_implementation"):
        edit(folder / "config.json", **{name: "evil/kernel"})
    try:
        use(folder)
    except Exception as error:  # noqa: BLE001 - what it says is not the point here
        print(error)
    assert not proof.exists()
