"""Conversations from a file to the model and the records: an audit and a training's callback."""

from __future__ import annotations

import copy
import json

import pytest
from transformers import Trainer, TrainingArguments

import aftertune
from aftertune.finetune.examples import tokenise
from aftertune.generate import collect as engine
from aftertune.judges import questions_of
from aftertune.models.load import save
from aftertune.models.loaded import wrap
from aftertune.tasks import load_file
from drawing import without_drawing
from tiny import tiny

# a user speaks after w8, an assistant after w9
TEMPLATE = "{% for m in messages %}{{ 'w8' if m.role == 'user' else 'w9' }} {{ m.content }} {% endfor %}="
CONVERSATIONS = [
    [("user", f"w{i} w1"), ("assistant", "w2"), ("user", f"w{i} w3"), ("assistant", f"w{i} w3")] for i in range(8)
]


@pytest.fixture
def data(tmp_path):
    rows = [
        {"messages": [{"role": role, "content": content} for role, content in turns]} for turns in CONVERSATIONS
    ]
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def prompts(monkeypatch):
    """Token ids of each prompt that is decoded."""
    found, decode = [], engine.collect_batch

    def collect_batch(loaded, names, ids, options):
        found.extend(zip(names, map(tuple, ids)))
        return decode(loaded, names, ids, options)

    monkeypatch.setattr(engine, "collect_batch", collect_batch)
    without_drawing(monkeypatch)
    return found


def chat_model(template):
    model, tokenizer = map(copy.deepcopy, tiny("llama"))
    tokenizer.chat_template = template
    return model, tokenizer


@pytest.mark.parametrize("template", [TEMPLATE, None])
def test_an_audit(data, prompts, template, tmp_path):
    model, tokenizer = chat_model(template)
    save(wrap(model, tokenizer), tmp_path / "base")
    settings = {"beams": 0, "dropout_samples": 0, "dropout": "none", "max_new_tokens": 4, "batch_size": 8}
    result = aftertune.audit(tmp_path / "base", [tmp_path / "base"], data=data, out=tmp_path / "run", **settings)
    rendered = {}
    for i, ((_, first), (_, second), (_, third), _) in enumerate(CONVERSATIONS):
        as_template = f"w8 {first} w9 {second} w8 {third} ="
        plain = f"user: {first}\nassistant: {second}\nuser: {third}\nassistant:"
        text = as_template if template else plain
        rendered[f"row-{i:06d}"] = tuple(tokenizer(text, add_special_tokens=not template)["input_ids"])
    assert dict(prompts) == rendered
    records = result.records
    assert {tuple(r) for r in records.references} == {(turns[-1][1],) for turns in CONVERSATIONS}
    assert any("the last turn of 'messages' is the reference" in note for note in result.analysis.notes)
    assert not any("column 'input'" in note for note in result.analysis.notes)


def test_a_judge_is_asked_the_last_question(data):
    items = load_file(data)
    assert [question.question for question in questions_of(items, ["w1"] * 8)] == [t[2][1] for t in CONVERSATIONS]


def test_targets_of_a_training_follow_the_conversation(data):
    model, tokenizer = chat_model(TEMPLATE)
    (first, *_) = tokenise(wrap(model, tokenizer), load_file(data), chat="auto", too_long="error").examples
    words = tokenizer.convert_ids_to_tokens(first.input_ids)
    assert words == ["w8", "w0", "w1", "w9", "w2", "w8", "w0", "w3", "=", "w0", "w3", "</s>"]
    assert [label == -100 for label in first.labels] == [True] * 9 + [False] * 3


def test_the_callback_of_a_training(data, prompts, tmp_path):
    model, tokenizer = chat_model(TEMPLATE)
    confidence = aftertune.ConfidenceCallback(
        data, tmp_path / "run", beams=0, dropout_samples=0, dropout="none", max_new_tokens=4, epochs=[]
    )
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "trainer"), max_steps=1, save_strategy="no", report_to="none", use_cpu=True,
        disable_tqdm=True, dataloader_pin_memory=False, remove_unused_columns=False,
    )  # fmt: skip
    rows = [{"input_ids": [1, 5, 6], "labels": [1, 5, 6]}] * 2
    Trainer(model, arguments, train_dataset=rows, processing_class=tokenizer, callbacks=[confidence]).train()
    as_template = [f"w8 {t[0][1]} w9 {t[1][1]} w8 {t[2][1]} =" for t in CONVERSATIONS]
    assert {ids for _, ids in prompts} == {
        tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in as_template
    }
