"""Study files: what is refused, with file and line, and how numbers and words are read."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from aftertune.errors import InputError
from aftertune.study.config import read_study

GOOD = """\
name: mine
models:
  - name: small
    path: models/small
    dropout: residual:0.1
tasks:
  - name: turn
    test: test.jsonl
    train: train.jsonl
    quality: token_f1
seeds: [0, 1]
training: {epochs: 3}
evaluation: {beams: 4}
"""
ROOT = Path(__file__).parents[2]
SHIPPED = sorted(ROOT.glob("studies/*.yaml")) + sorted(Path(str(files("aftertune.study"))).glob("*.yaml"))


def read(tmp_path, text, name="study.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_study(path)


def refusal(tmp_path, text):
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_good_file(tmp_path):
    study = read(tmp_path, GOOD)
    assert [model.name for model in study.models] == ["small"]
    assert study.task_configs()[0].quality == "token_f1"
    assert study.seeds == [0, 1]
    assert study.training.epochs == 3
    assert study.training.patience == 2
    assert study.evaluation.beams == 4
    assert study.evaluation.epochs == "ends"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_studies_parse(path):
    study = read_study(path)
    assert study.pairs()


def test_there_are_shipped_studies():
    assert SHIPPED


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("seeds: [0, 1]", "seed: [0, 1]", 11, "unknown key 'seed': did you mean seeds"),
        ("{epochs: 3}", "{epoch: 3}", 12, "unknown key 'epoch': did you mean epochs"),
        ("{epochs: 3}", "\n  learning_rte: 1.0", 13, "unknown key 'learning_rte': did you mean learning_rate"),
        ("    dropout:", "    droput:", 5, "unknown key 'droput': did you mean dropout"),
        ("    quality:", "    qualty:", 10, "unknown key 'qualty': did you mean quality"),
        ("{beams: 4}", "{beam: 4}", 13, "unknown key 'beam': did you mean beams"),
        ("dropout: residual:0.1", "lora: {rank: 4, r: 4}", 5, "unknown key 'rank'"),
        ("{epochs: 3}", "{epochs: three}", 12, "training.epochs: should be a valid integer"),
        ("{epochs: 3}", "{epochs: 3.5}", 12, "training.epochs: should be a valid integer"),
        ("{epochs: 3}", "{epochs: 0}", 12, "training.epochs: should be greater than or equal to 1 (given: 0)"),
        ("{epochs: 3}", "{patience: 0}", 12, "training.patience: should be greater than or equal to 1"),
        ("{epochs: 3}", "{patience: none}", 12, "training.patience: should be a valid integer"),
        ("{epochs: 3}", "{learning_rate: .nan}", 12, "training.learning_rate: should be"),
        ("{epochs: 3}", "{learning_rate: -1.0}", 12, "training.learning_rate: should be greater than 0"),
        ("{epochs: 3}", "{learning_rate: .inf}", 12, "training.learning_rate: should be a finite number"),
        ("{epochs: 3}", "3", 12, "training: should be"),
        ("{beams: 4}", "{beams: -4}", 13, "evaluation.beams: should be greater than or equal to 0"),
        ("{beams: 4}", "{epochs: some}", 13, "evaluation.epochs: should be 'all' or 'ends' (given: 'some')"),
        ("{beams: 4}", "{scores: [beam_rato]}", 13, "unknown score 'beam_rato': did you mean beam_ratio"),
        ("{beams: 4}", "\n  scores:\n    - beam_sum\n    - cocoa", 16, "unknown score 'cocoa'"),
        ("{beams: 4}", "{scores: []}", 13, "evaluation.scores: give at least one"),
        ("seeds: [0, 1]", "seeds: []", 11, "seeds: give at least one"),
        ("seeds: [0, 1]", "seeds: [0, 0]", 11, "seeds: one stands twice"),
        ("seeds: [0, 1]", "seeds: [-1]", 11, "seeds[0]: should be greater than or equal to 0"),
        ("seeds: [0, 1]", "seeds: 1", 11, "seeds: should be a valid list (given: 1)"),
        ("seeds: [0, 1]", "margin: -0.1", 11, "margin: should be greater than or equal to 0"),
        ("seeds: [0, 1]", "1: 2", 11, "the key 1 is not a word"),
        ("seeds: [0, 1]", "[1]: 2", 11, "a key is one word"),
        ("seeds: [0, 1]", "name: again", 11, "key name stands twice"),
        ("    path: models/small", "    name: x", 4, "key name stands twice"),
        ("    path: models/small\n", "", 3, "models[0].path is missing: write path: …"),
        ("    path: models/small", "    path: 3", 4, "models[0].path: should be a valid string"),
        ("  - name: small\n", "  - name: small\n    path: a\n  - name: small\n", 5, "two are called 'small'"),
        ("    dropout: residual:0.1", "    dropout: residual", 5, "dropout residual needs a probability"),
        ("    dropout: residual:0.1", "    dropout: rsidual:0.1", 5, "dropout 'rsidual' is not one of"),
        ("    dropout: residual:0.1", "    tasks: [trun]", 5, "unknown task 'trun': did you mean turn"),
        ("    dropout: residual:0.1", "    tasks: []", 5, "models[0].tasks: give at least one"),
        ("    dropout: residual:0.1", "    lora: {target_modules: [1]}", 5, "models[0].lora.target_modules"),
        ("tasks:\n", "tasks:\n  - sqaud\n", 7, "unknown task 'sqaud': did you mean squad"),
        ("    quality: token_f1", "    quality: token_f", 10, "unknown quality metric 'token_f': did you mean"),
        ("    quality: token_f1", "    max_new_tokens: long", 10, "tasks[0].max_new_tokens: should be a valid"),
        ("    test: test.jsonl", "    test: 3", 8, "tasks[0].test: should be a valid string (given: 3)"),
        ("name: mine", "name: [", 3, "not YAML"),
        ("name: mine", "name: mine\n\tx: 1", 2, "not YAML"),
        ("name: mine", "name: &a [*a]", 1, "a value holds itself"),
        ("name: mine", "name: a\x07b", 1, "not YAML: special characters are not allowed"),
    ],
)
def test_refused_with_file_and_line(tmp_path, old, new, line, expected):
    assert GOOD.count(old) == 1
    message = refusal(tmp_path, GOOD.replace(old, new))
    assert message.startswith(f"{tmp_path / 'study.yaml'}, line {line}: ")
    assert expected in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a study is a mapping"),
        ("- a\n", "a study is a mapping"),
        ("just text\n", "a study is a mapping"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("name: x\ntasks: [squad]\n", "line 1: models is missing: write models: …"),
        ("name: x\nmodels: []\ntasks: [squad]\n", "line 2: models: give at least one"),
        ("name: x\nmodels: [{name: a, path: b}]\ntasks: []\n", "line 3: tasks: give at least one"),
        ("name: x\nmodels: [{name: a, path: b}]\n", "line 1: tasks is missing"),
        ("---\na: 1\n---\nb: 2\n", "not YAML"),
    ],
)
def test_refused_as_a_whole(tmp_path, text, expected):
    message = refusal(tmp_path, text)
    assert str(tmp_path / "study.yaml") in message
    assert expected in message


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_study(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="does not exist"):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("text", "rate"), [("5e-5", 5e-5), ("5.0e-5", 5e-5), ("1E-3", 1e-3), (".5e-4", 5e-5), ("0.001", 0.001)]
)
def test_numbers_with_exponents_are_numbers(tmp_path, text, rate):
    assert read(tmp_path, GOOD.replace("epochs: 3", f"learning_rate: {text}")).training.learning_rate == rate


def test_words_that_yaml_1_1_takes_for_something_else(tmp_path):
    text = GOOD.replace("dropout: residual:0.1", "chat: on").replace("name: mine", "name: 2025-01-01")
    study = read(tmp_path, text.replace("[0, 1]", "[010]"))
    assert study.models[0].chat == "on"
    assert study.name == "2025-01-01"
    assert study.seeds == [10]
    assert read(tmp_path, text.replace("chat: on", "chat: off")).models[0].chat == "off"


def test_null_and_booleans(tmp_path):
    study = read(tmp_path, GOOD.replace("{epochs: 3}", "{patience: null}") + "keep_checkpoints: true\n")
    assert study.training.patience is None
    assert study.keep_checkpoints is True
    assert read(tmp_path, GOOD + "keep_checkpoints: selected\n").keep_checkpoints == "selected"
    message = refusal(tmp_path, GOOD + "keep_checkpoints: yes\n")
    assert "line 14: keep_checkpoints: should be True, False or 'selected' (given: 'yes')" in message


def test_paths_start_from_the_study_where_they_exist_there(tmp_path):
    (tmp_path / "models" / "small").mkdir(parents=True)
    (tmp_path / "train.jsonl").write_text("")
    study = read(tmp_path, GOOD)
    assert study.models[0].path == str(tmp_path / "models/small")
    assert study.task_configs()[0].train == str(tmp_path / "train.jsonl")
    assert study.task_configs()[0].test == "test.jsonl"


def test_a_byte_order_mark_does_not_matter(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()).name == "mine"
