"""Every model that ships: found by name, small, complete, loads without a word, answers as when made."""

import json
from functools import cache
from typing import Any

import pytest

from aftertune.errors import InputError
from aftertune.models import embedded
from aftertune.tasks import TASKS, Task, load_task

PARAMETERS = {"llama": (400_000, 600_000), "t5": (600_000, 800_000)}
FILES = {
    "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
    "tokenizer_config.json",
}  # fmt: skip

# (prompt, greedy output) of the pre-trained models, float32. Row among the test items for wide margins
# between the best and the second-best token (the test asks for one nat), so that another processor gives the same.
GOLDEN: dict[str, list[tuple[str, str]]] = {
    "embedded:tiny-llama-qa": [
        (
            "facts: Emma likes cold rice. Emma hates sour apple juice. Emma was born "
            "in Rome. Emma owns a red clock. question: who owns a red clock? =>",
            "Emma",
        ),
        ("facts: Olga hates cold milk. Olga was born in Accra. question: who was born in Accra? =>", "Olga"),
    ],
    "embedded:tiny-llama-sums": [
        ("problem: Clara has 3 boxes with 2 stamps each. How many stamps does Clara have? =>", "3 * 2 = 6"),
        ("problem: Ben has 8 stamps. Ben buys 10 more. How many stamps does Ben have? =>", "8 + 10 = 18"),
    ],
    "embedded:tiny-llama-translation": [
        ("translate: we see the young woman =>", "min vid yun selan"),
        ("translate: four happy men saw the dogs =>", "kvar feliz dorek vid kelo"),
    ],
    "embedded:tiny-t5-qa": [
        (
            "facts: Emma likes cold rice. Emma hates sour apple juice. Emma was born in "
            "Rome. Emma owns a red clock. question: who owns a red clock? =>",
            "Emma",
        ),
        (
            "facts: Grace owns a yellow boat. Grace was born in Delhi. question: who owns a yellow boat? =>",
            "Grace",
        ),
    ],
    "embedded:tiny-t5-sums": [
        ("problem: Iris has 3 boxes with 5 apples each. How many apples does Iris have? =>", "3 * 5 = 15"),
        ("problem: Jonas has 5 boxes with 2 apples each. How many apples does Jonas have? =>", "5 * 2 = 10"),
    ],
    "embedded:tiny-t5-translation": [
        ("translate: the old man will love the bridges =>", "vet dorek karam ponte"),
        ("translate: the red wolves will sell the house in the houses =>", "rud grau vend dova dova"),
    ],
}


@cache
def _load(name) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    folder = embedded.path(name)
    kind = AutoModelForSeq2SeqLM if "-t5-" in name else AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)


def _task(name) -> Task:
    return TASKS.get(f"toy_{name.rsplit('-', 1)[1]}")


def test_names_are_the_models_that_the_quickstart_and_the_goldens_know():
    assert embedded.names() == sorted(GOLDEN)
    assert len(embedded.names()) >= 4


def test_path_takes_a_name_with_or_without_the_prefix():
    name = embedded.names()[0]
    assert embedded.path(name) == embedded.path(name.removeprefix(embedded.PREFIX))
    assert embedded.path(name).is_dir()


@pytest.mark.parametrize("name", ["embedded:tiny-lama-translation", "tiny-lama-translation"])
def test_unknown_name_gives_the_nearest(name):
    with pytest.raises(InputError, match="did you mean embedded:tiny-llama-translation"):
        embedded.path(name)


@pytest.mark.parametrize("name", ["", "..", "../embedded", "embedded:../embedded"])
def test_a_path_is_not_a_name(name):
    with pytest.raises(InputError, match="unknown embedded model"):
        embedded.path(name)


def test_the_set_is_small():
    assert sum(file.stat().st_size for name in GOLDEN for file in embedded.path(name).iterdir()) <= 9_000_000


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_folder_is_complete_and_small(name):
    folder = embedded.path(name)
    assert {file.name for file in folder.iterdir()} == FILES
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 1_600_000
    config = json.loads((folder / "config.json").read_text())
    assert config["dtype"] == "float16"
    assert name.removeprefix(embedded.PREFIX) in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_loads_in_the_stated_shape(name):
    import torch

    model, tokenizer = _load(name)
    shape = "t5" if "-t5-" in name else "llama"
    low, high = PARAMETERS[shape]
    assert model.config.model_type == shape
    assert low <= model.num_parameters() <= high
    assert f"{model.num_parameters():,} parameters" in (embedded.path(name) / "README.md").read_text()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert len(tokenizer) == model.config.vocab_size
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1)
    assert (model.generation_config.pad_token_id, model.generation_config.eos_token_id) == (0, 1)
    assert tokenizer.padding_side == ("left" if shape == "llama" else "right")
    assert tokenizer.model_max_length == 256
    if shape == "t5":
        assert model.config.dropout_rate == 0.1
        assert tokenizer("a")["input_ids"][-1] == tokenizer.eos_token_id
    else:
        assert model.config.max_position_embeddings >= 256
        assert tokenizer("a")["input_ids"][-1] != tokenizer.eos_token_id


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_tokenizer_gives_the_texts_back_without_unknown_tokens(name):
    _, tokenizer = _load(name)
    longest = 0
    splits = load_task(_task(name).name)
    for example in (*splits.train, *splits.validation, *splits.test):
        for text in (example.prompt, example.target):
            ids = tokenizer(text)["input_ids"]
            assert tokenizer.unk_token_id not in ids
            assert tokenizer.decode(ids, skip_special_tokens=True) == text
        longest = max(longest, len(tokenizer(example.target, add_special_tokens=False)["input_ids"]) + 1)
        prompt = tokenizer(example.prompt, add_special_tokens=False)["input_ids"]
        joined = tokenizer(f"{example.prompt} {example.target}", add_special_tokens=False)["input_ids"]
        assert joined[: len(prompt)] == prompt, "the prompt's tokens do not depend on what follows"
        assert len(joined) < 200
    assert longest <= _task(name).max_new_tokens


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_digits_stand_alone(name):
    _, tokenizer = _load(name)
    tokens = tokenizer.tokenize("12 + 345")
    assert [token for token in tokens if any(c.isdigit() for c in token)] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_greedy_output_is_what_it_was(name):
    model, tokenizer = _load(name)
    for prompt, output in GOLDEN[name]:
        encoded = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        generated = model.generate(
            **encoded, do_sample=False, max_new_tokens=_task(name).max_new_tokens, output_logits=True,
            return_dict_in_generate=True,
        )  # fmt: skip
        start = 0 if model.config.is_encoder_decoder else encoded["input_ids"].shape[1]
        assert tokenizer.decode(generated.sequences[0, start:], skip_special_tokens=True).strip() == output
        for logits in generated.logits:
            best, second = logits[0].topk(2).values.tolist()
            assert best - second > 1


def test_the_room_needs_no_torch():
    import subprocess
    import sys

    code = "import sys, aftertune.models.embedded as e; e.names(); print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )
