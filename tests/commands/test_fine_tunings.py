"""Which fine-tuning each audited checkpoint belongs to, and in which order its checkpoints were made."""

from __future__ import annotations

import json

import pytest

from aftertune.commands.fine_tunings import fine_tunings, model_name
from aftertune.errors import InputError


def sorted_into(*afters, name=None):
    found, notes = fine_tunings(afters, name)
    return [(one.name, *one.checkpoints) for one in found], notes


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["o/checkpoint-1000", "o/checkpoint-500"], [("o", "o/checkpoint-500", "o/checkpoint-1000")]),
        (["o/epoch_2", "o/epoch_10", "o/epoch_1"], [("o", "o/epoch_1", "o/epoch_2", "o/epoch_10")]),
        (["a/mine-2", "a/mine-1"], [("mine", "a/mine-1", "a/mine-2")]),
        (["o/final", "o/checkpoint-5"], [("o", "o/checkpoint-5", "o/final")]),
        (["o/mine-epoch-2", "o/mine-epoch-1"], [("mine", "o/mine-epoch-1", "o/mine-epoch-2")]),
        (["x/sft", "x/dpo"], [("sft", "x/sft"), ("dpo", "x/dpo")]),
        (["a/sft", "b/sft"], [("a/sft", "a/sft"), ("b/sft", "b/sft")]),
        (["a/checkpoint-5", "b/checkpoint-5"], [("a", "a/checkpoint-5"), ("b", "b/checkpoint-5")]),
        (["me/llama-3b-sft"], [("llama-3b-sft", "me/llama-3b-sft")]),
        (["one=x/a", "two=x/b", "one=y/c"], [("one", "x/a", "y/c"), ("two", "x/b")]),
        (["one=x/checkpoint-9", "one=x/checkpoint-8"], [("one", "x/checkpoint-8", "x/checkpoint-9")]),
    ],
)
def test_sorted_into_fine_tunings(given, expected):
    found, notes = sorted_into(*given)
    assert found == expected
    reordered = [path for _, *paths in found for path in paths] != [one.rpartition("=")[2] for one in given]
    assert any("in the order of training" in note for note in notes) == (reordered and len(found) == 1)
    assert any("different fine-tunings" in note for note in notes) == (len(found) > 1)


def test_folders_on_disk(tmp_path, monkeypatch):
    """Relative names, the output folder itself, and the Trainer's own record of the step."""
    for name, step in (("checkpoint-20", 20), ("checkpoint-100", 100), ("best", 60)):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    monkeypatch.chdir(tmp_path / "run")
    found, notes = sorted_into("checkpoint-100", "checkpoint-20", "best", ".")
    assert found == [("run", "checkpoint-20", "best", "checkpoint-100", ".")]
    assert notes == [
        "checkpoints of run are taken in the order of training: checkpoint-20, best, checkpoint-100, ."
    ]
    assert sorted_into(str(tmp_path / "run" / "best"))[0] == [("run", str(tmp_path / "run" / "best"))]
    (tmp_path / "a=b").mkdir()
    assert sorted_into(str(tmp_path / "a=b"))[0] == [("a=b", str(tmp_path / "a=b"))]


@pytest.mark.parametrize(
    ("given", "name", "message"),
    [
        (["x/a", "x/a"], None, "x/a is given twice"),
        (["x/a", "x/b"], "mine", "--name is for one fine-tuning, and these are 2"),
        (["=x"], None, "should be NAME=PATH"),
        (["mine="], None, "should be NAME=PATH"),
    ],
)
def test_refused(given, name, message):
    with pytest.raises(InputError, match=message):
        fine_tunings(given, name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/mine/checkpoint-500", "mine"),
        ("owner/name", "name"),
        ("embedded:tiny-t5-qa", "tiny-t5-qa"),
        ("best", "best"),
    ],
)
def test_a_model_is_called_by_what_tells_most(path, name):
    assert model_name(path) == name
