"""Dropout samples that have lost the task, or never differ from the greedy output, are said to."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import aftertune
from aftertune.files.evidence import read_notes, read_parts, write_part
from aftertune.generate.collect import CollectOptions
from aftertune.generate.prompts import PromptOptions
from aftertune.measure.dropout import DROPOUT, SampleCheck, check_samples, dropout_in_force, fault_of, read_dropout
from aftertune.measure.evidence import measure
from aftertune.measure.reporter import Reporter
from aftertune.models.dropout import parse_dropout
from aftertune.models.loaded import wrap
from aftertune.types import Example
from tiny import prompts, tiny

LIMIT = 14


def options(dropout, **changes):
    return CollectOptions(
        beams=0, dropout_samples=2, max_new_tokens=LIMIT, embedding=False, dropout=parse_dropout(dropout),
        prompts=PromptOptions(chat="off"), **changes,
    )  # fmt: skip


def right_items(model, words, n=6):
    """Items whose greedy outputs are right, whatever the model has learnt."""
    texts = prompts(n)
    greedy = aftertune.collect(model, words, texts, beams=0, dropout="none", max_new_tokens=LIMIT).greedy
    answers = [answer or "nothing" for answer in greedy.text]
    return [Example(id=str(i), prompt=text, references=(a,)) for i, (text, a) in enumerate(zip(texts, answers))]


def measured(folder, dropout, architecture="llama"):
    model, words = tiny(architecture)
    items = right_items(model, words)
    measure(folder, wrap(model, words), items, options(dropout), "mine", Reporter(), quality="token_f1")
    kept = read_dropout(folder)
    assert read_notes(folder) == []
    return kept["samples"], [] if kept["fault"] is None else [kept["fault"]]


def test_noise_is_said_to_be_noise_and_what_to_set(tmp_path):
    check, notes = measured(tmp_path, "residual:0.9")
    assert check["greedy_quality"] > 0.8
    assert check["quality"] < check["greedy_quality"] / 2
    assert check["logprob"] < check["greedy_logprob"] - 0.5
    assert check["n_scored"] == check["n_items"] == 6
    (note,) = notes
    assert note.startswith("with dropout residual:0.9 ")
    assert "write residual:0." in note
    assert "which suits this checkpoint, auto, or none for no dropout scores" in note


def test_samples_that_are_the_greedy_output_are_said_to_be(tmp_path):
    check, notes = measured(tmp_path, "residual:1e-9")
    assert (check["same"], check["variety"]) == (1.0, 0.0)
    assert check["logprob"] == pytest.approx(check["greedy_logprob"], abs=1e-4)
    (note,) = notes
    assert "with dropout residual:1e-09 100% of the samples are the greedy output" in note


def test_the_log_probability_is_that_of_the_samples_tokens_without_dropout(tmp_path):
    check, _ = measured(tmp_path, "native", "t5")
    model, words = tiny("t5")
    evidence = read_parts(tmp_path)
    ids = evidence.dropout.token_ids
    texts = [text for text in prompts(6) for _ in range(2)]
    alone = aftertune.score_texts(model, words, texts, ids.reshape(12, -1)).greedy
    expected = np.mean([row[:n].mean() for row, n in zip(alone.token_logprob, alone.n_tokens)])
    assert check["logprob"] == pytest.approx(expected, abs=1e-6)
    assert ids.max() < len(words)
    decoded = words.batch_decode([[t for t in row if t >= 0] for row in ids[:, 0]], skip_special_tokens=True)
    assert [text.strip() for text in decoded] == evidence.dropout.text[:, 0].tolist()


def test_greedy_outputs_may_lie_elsewhere(tmp_path):
    """As before fine-tuning, where only dropout samples depend on the seed."""
    model, words = tiny("t5")
    items, loaded = right_items(model, words), wrap(model, words)
    common, own = tmp_path / "common", tmp_path / "own"
    measure(common, loaded, items, replace(options("native"), dropout_samples=0), "mine", Reporter())
    only = replace(options("native"), greedy=False)
    measure(own, loaded, items, only, "mine", Reporter(), quality="token_f1", beside=common)
    apart = read_dropout(own)["samples"]
    measure(tmp_path / "whole", loaded, items, options("native"), "mine", Reporter(), quality="token_f1")
    assert apart == pytest.approx(read_dropout(tmp_path / "whole")["samples"])
    assert read_dropout(common) is None
    measure(tmp_path / "alone", loaded, items, only, "mine", Reporter())
    assert "samples" not in read_dropout(tmp_path / "alone")


def test_evidence_of_earlier_versions_is_read(tmp_path):
    model, words = tiny("t5")
    items, loaded = right_items(model, words), wrap(model, words)
    old = tmp_path / "old"
    measure(old, loaded, items, options("native"), "mine", Reporter())
    evidence = read_parts(old)
    before = replace(evidence, dropout=replace(evidence.dropout, token_ids=None))
    write_part(tmp_path / "earlier", before)
    (tmp_path / "earlier" / DROPOUT).write_text(json.dumps({"sites": 3, "probabilities": [0.1]}))
    again = read_parts(tmp_path / "earlier")
    assert again.dropout.token_ids is None
    check = check_samples(loaded, again, items, options("native"), "token_f1")
    assert (check.logprob, check.greedy_logprob, check.n_scored) == (None, None, 0)
    assert check.quality is not None
    acting = read_dropout(old)
    words = f"p = 0.1 at {acting['sites']} places a pass"
    assert dropout_in_force([tmp_path / "earlier", old, tmp_path]) == f"p = 0.1 at 3 places a pass; {words}"


FINE = SampleCheck(
    empty=0.0, greedy_empty=0.0, same=0.4, variety=0.5, quality=0.5, greedy_quality=0.6, logprob=-0.5,
    greedy_logprob=-0.3, n_items=50, n_scored=16,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"empty": 0.21}, "21% of the samples are empty (0% of the greedy outputs)"),
        ({"empty": 0.5, "greedy_empty": 0.4}, None),
        ({"same": 0.99}, "99% of the samples are the greedy output"),
        ({"same": 0.98}, None),
        ({"quality": 0.29, "logprob": -0.9}, "a mean quality of 0.29 (greedy outputs 0.6)"),
        ({"quality": 0.31, "logprob": -0.9}, None),
        ({"quality": 0.29, "logprob": -0.7}, None),
        ({"quality": 0.0, "greedy_quality": 0.0, "logprob": -2.2}, None),
        ({"quality": 0.0, "greedy_quality": 0.0, "logprob": -2.4}, "-2.4 per token without dropout"),
        ({"quality": None, "greedy_quality": None, "logprob": -2.4}, "-2.4 per token without dropout"),
        ({"quality": 0.0, "logprob": None, "greedy_logprob": None}, None),
    ],
)
def test_faults(changes, expected):
    found = fault_of(replace(FINE, **changes))
    assert (found is None) if expected is None else (expected in found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task", "dropout"),
    [
        ("tiny-llama-translation", "toy_translation", "residual:0.4"),
        ("tiny-llama-translation", "toy_translation", "auto"),
        ("tiny-llama-qa", "toy_qa", "auto"),
        ("tiny-llama-sums", "toy_sums", "auto"),
        ("tiny-t5-translation", "toy_translation", "native"),
        ("tiny-t5-qa", "toy_qa", "native"),
    ],
)
def test_no_alarm_on_the_embedded_models(tmp_path, name, task, dropout):
    from aftertune.generate.dropout_strength import acting_setting
    from aftertune.generate.prompts import encode
    from aftertune.models.load import LoadOptions, load
    from aftertune.tasks import TASKS, Sizes

    chosen = TASKS.get(task)
    items = chosen.load(data_dir=None, sizes=Sizes(test=60), seed=0).test
    loaded = load(f"embedded:{name}", LoadOptions())
    asked = replace(options(dropout), dropout_samples=3, max_new_tokens=chosen.max_new_tokens)
    encoded = encode(loaded, [item.asked for item in items], asked.prompts, asked.max_new_tokens)
    found = acting_setting(loaded, encoded.ids, asked.dropout, max_new_tokens=asked.max_new_tokens)
    measure(tmp_path, loaded, items, replace(asked, dropout=found), "mine", Reporter(), quality=chosen.quality)
    assert read_dropout(tmp_path)["fault"] is None
