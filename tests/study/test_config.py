"""Study files: what is refused, with file and line, and how numbers and words are read."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from aftertune.errors import InputError
from aftertune.study.config import BeforeAfterConfig, LoraConfig, read_study

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
training: {batch_size: 4}
evaluation: {beams: 4}
"""
ROOT = Path(__file__).parents[2]
SEEDS = "seeds: [0, 1]"
BOMB = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else 'x'] * 9)}]" for i in range(9))
SHIPPED = sorted(ROOT.glob("studies/*.yaml")) + sorted(Path(str(files("aftertune.commands"))).glob("*.yaml"))


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
    assert study.training.batch_size == 4
    assert study.training.learning_rate == 5e-5
    assert study.evaluation.beams == 4
    assert study.experiments.names() == ["before_after"]
    assert study.experiments.before_after == BeforeAfterConfig(epochs=200, patience=2)


PAPER = {
    "before_after": {"epochs": 200, "patience": 2},
    "by_epoch": {"epochs": 10},
    "by_samples": {"samples": [100, 500, 1000, 2000], "epochs": 10},
    "by_samples_fixed_steps": {"samples": [100, 500, 1000, 2000], "steps": 2500},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[before_after, by_epoch, by_samples, by_samples_fixed_steps]", PAPER),
        ("[by_epoch]", {"by_epoch": {"epochs": 10}}),
        ("\n  - by_epoch", {"by_epoch": {"epochs": 10}}),
        ("\n  by_epoch:\n  before_after: {patience: null}",
         {"by_epoch": {"epochs": 10}, "before_after": {"epochs": 200, "patience": None}}),
        ("{by_samples: {samples: [50, 20]}}", {"by_samples": {"samples": [20, 50], "epochs": 10}}),
    ],
)  # fmt: skip
def test_experiments(tmp_path, text, expected):
    study = read(tmp_path, GOOD.replace("training:", f"experiments: {text}\ntraining:"))
    assert (
        study.experiments.model_dump(exclude_none=True)
        | {name: getattr(study.experiments, name).model_dump() for name in expected}
        == expected
    )
    assert study.experiments.names() == [name for name in PAPER if name in expected]


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
        ("{batch_size: 4}", "{batchsize: 3}", 12, "unknown key 'batchsize': did you mean batch_size"),
        ("{batch_size: 4}", "\n  learning_rte: 1.0", 13, "unknown key 'learning_rte': did you mean learning_rate"),
        ("    dropout:", "    droput:", 5, "unknown key 'droput': did you mean dropout"),
        ("    quality:", "    qualty:", 10, "unknown key 'qualty': did you mean quality"),
        ("{beams: 4}", "{beam: 4}", 13, "unknown key 'beam': did you mean beams"),
        ("dropout: residual:0.1", "lora: {rank: 4, r: 4}", 5, "unknown key 'rank'"),
        ("{batch_size: 4}", "{batch_size: three}", 12, "training.batch_size: should be a valid integer"),
        ("{batch_size: 4}", "{batch_size: 3.5}", 12, "training.batch_size: should be a valid integer"),
        (
            "{batch_size: 4}",
            "{batch_size: 0}",
            12,
            "training.batch_size: should be greater than or equal to 1 (given: 0)",
        ),
        (SEEDS, "experiments: {before_after: {patience: 0}}", 11, "experiments.before_after.patience: should be"),
        (SEEDS, "experiments: {before_after: {patience: no}}", 11, "experiments.before_after.patience: should be"),
        (SEEDS, "experiments: [by_epochs]", 11, "unknown key 'by_epochs': did you mean by_epoch"),
        (SEEDS, "experiments:\n  by_epoch:\n  by_sample:", 13, "unknown key 'by_sample': did you mean by_samples"),
        (SEEDS, "experiments:\n  by_epoch:\n    epoch: 3", 13, "unknown key 'epoch': did you mean epochs"),
        (
            SEEDS,
            "experiments:\n  by_samples_fixed_steps:\n    step: 3",
            13,
            "unknown key 'step': did you mean steps",
        ),
        (SEEDS, "experiments: {by_epoch: 10}", 11, "experiments.by_epoch: should be"),
        (SEEDS, "experiments: {by_epoch: {epochs: 0}}", 11, "experiments.by_epoch.epochs: should be greater"),
        (SEEDS, "experiments: {by_samples: {samples: []}}", 11, "by_samples.samples: give at least one"),
        (SEEDS, "experiments: {by_samples: {samples: [5, 5]}}", 11, "by_samples.samples: one stands twice"),
        (SEEDS, "experiments: {by_samples: {samples: [0]}}", 11, "by_samples.samples[0]: should be greater"),
        (SEEDS, "experiments: {}", 11, "experiments: give at least one of before_after, by_epoch"),
        (SEEDS, "experiments: by_epoch", 11, "experiments: should be"),
        (SEEDS, "experiments: [by_epoch, by_epoch]", 11, "experiments: by_epoch stands twice"),
        (SEEDS, "experiments: [by_epoch: {epochs: 3}]", 11, "experiments: is a list of names, or a mapping"),
        (SEEDS, "permutation: 3", 11, "permutation: should be a valid boolean"),
        ("{batch_size: 4}", "{learning_rate: .nan}", 12, "training.learning_rate: should be"),
        ("{batch_size: 4}", "{learning_rate: -1.0}", 12, "training.learning_rate: should be greater than 0"),
        ("{batch_size: 4}", "{learning_rate: .inf}", 12, "training.learning_rate: should be a finite number"),
        ("{batch_size: 4}", "3", 12, "training: should be"),
        ("{beams: 4}", "{beams: -4}", 13, "evaluation.beams: should be greater than or equal to 0"),
        ("{beams: 4}", "{epochs: all}", 13, "unknown key 'epochs'"),
        ("{beams: 4}", "{scores: [beam_rato]}", 13, "unknown score 'beam_rato': did you mean beam_ratio"),
        ("{beams: 4}", "\n  scores:\n    - beam_sum\n    - cocoa", 16, "unknown score 'cocoa'"),
        ("{beams: 4}", "{scores: []}", 13, "evaluation.scores: give at least one"),
        ("seeds: [0, 1]", "seeds: []", 11, "seeds: give at least one"),
        ("seeds: [0, 1]", "seeds: [0, 0]", 11, "seeds: one stands twice"),
        ("seeds: [0, 1]", "seeds: [-1]", 11, "seeds[0]: should be greater than or equal to 0"),
        ("seeds: [0, 1]", "seeds: 1", 11, "seeds: should be a valid list (given: 1)"),
        ("seeds: [0, 1]", "margin: -0.1", 11, "margin: should be greater than or equal to 0"),
        ("seeds: [0, 1]", "1: 2", 11, "the key 1 is not a word"),
        ("seeds: [0, 1]", "null: 2", 11, "the key null is not a word: quote it"),
        ("seeds: [0, 1]", "[1]: 2", 11, "a key is one word"),
        ("seeds: [0, 1]", "seeds: [!!int x]", 11, "not YAML: 'x' is no int"),
        ("seeds: [0, 1]", "margin: !!float '1:30'", 11, "not YAML: '1:30' is no float"),
        ("seeds: [0, 1]", "permutation: !!bool maybe", 11, "not YAML: 'maybe' is no bool"),
        ("seeds: [0, 1]", f"seeds: [{'9' * 5000}]", 11, f"not YAML: '{'9' * 30}"),
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
        ("    quality: token_f1", "    template: '{q'", 10, "the template '{q' cannot be read"),
        ("    quality: token_f1", "    judge: rull", 10, "unknown judge 'rull': did you mean rule"),
        ("    quality: token_f1", "    judge: token_f1:2", 10, "the threshold of the judge token_f1 is 2"),
        (
            "tasks:\n",
            "tasks:\n  - name: squad\n    template: '{contxt}'\n",
            8,
            "the template '{contxt}' names {contxt}, which task squad lacks: it has {context} and {question}",
        ),
        ("tasks:\n", "tasks:\n  - name: squad\n    template: '{'\n", 8, "the template '{' cannot be read"),
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
        (BOMB, "more than 10,000 values: write fewer aliases"),
        ("name: " + "[" * 1000, "nested too deeply"),
    ],
)
def test_refused_as_a_whole(tmp_path, text, expected):
    message = refusal(tmp_path, text)
    assert str(tmp_path / "study.yaml") in message
    assert expected in message


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_study(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="a file is wanted, this is a folder"):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("text", "rate"), [("5e-5", 5e-5), ("5.0e-5", 5e-5), ("1E-3", 1e-3), (".5e-4", 5e-5), ("0.001", 0.001)]
)
def test_numbers_with_exponents_are_numbers(tmp_path, text, rate):
    assert read(tmp_path, GOOD.replace("batch_size: 4", f"learning_rate: {text}")).training.learning_rate == rate


def test_words_that_yaml_1_1_takes_for_something_else(tmp_path):
    text = GOOD.replace("dropout: residual:0.1", "chat: on").replace("name: mine", "name: 2025-01-01")
    study = read(tmp_path, text.replace("[0, 1]", "[010]"))
    assert read(tmp_path, GOOD.replace("name: mine", "name: 1_000")).name == "1_000"
    assert study.models[0].chat == "on"
    assert study.name == "2025-01-01"
    assert study.seeds == [10]
    assert read(tmp_path, text.replace("chat: on", "chat: off")).models[0].chat == "off"


def test_merged_and_repeated_values(tmp_path):
    text = GOOD.replace("name: mine", "name: &n mine").replace("path: models/small", "path: *n")
    assert read(tmp_path, text).models[0].path == "mine"
    study = read(tmp_path, GOOD + "experiments: {by_epoch: &e {epochs: 3}, before_after: {<<: *e, patience: 1}}\n")
    assert study.experiments.before_after == BeforeAfterConfig(epochs=3, patience=1)


def test_null_and_booleans(tmp_path):
    study = read(tmp_path, GOOD + "keep_checkpoints: true\nexperiments: {before_after: {patience: null}}\n")
    assert study.experiments.before_after is not None
    assert study.experiments.before_after.patience is None
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


def test_the_example_of_the_documentation(tmp_path):
    """It parses, and shows the defaults, as it says."""
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    example = text.partition("<!-- example:begin -->\n```yaml\n")[2].partition("```")[0]
    shown = read(tmp_path, example)
    bare = read(tmp_path, "name: my-study\nmodels: [{name: my-llama, path: x}]\ntasks: [squad]\n")
    own = {"name", "models", "tasks", "experiments"}
    assert shown.model_dump(exclude=own) == bare.model_dump(exclude=own)
    assert shown.experiments.model_dump() == PAPER
    (model,) = shown.models
    (plain,) = bare.models
    assert model.lora == LoraConfig()
    shown_model = model.model_dump(exclude={"path", "lora", "tasks", "learning_rate"})
    assert shown_model == plain.model_dump(exclude={"path", "lora", "tasks", "learning_rate"})
