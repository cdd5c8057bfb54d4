"""The four experiments from end to end: what is measured, and what a stopped or extended study redoes."""

from __future__ import annotations

import numpy as np
import pytest

import aftertune
from aftertune.commands.run import find_trainings
from aftertune.files.runfolder import RunFolder
from aftertune.measure import evidence as measuring
from aftertune.measure.reporter import Reporter
from aftertune.records.records import read_records
from aftertune.study import training as running
from aftertune.study.config import StudyConfig
from drawing import without_drawing
from samples import Notes, study
from tiny import SEED

ALL = {
    "before_after": {"epochs": 4, "patience": 1},
    "by_epoch": {"epochs": 3},
    "by_samples": {"samples": [8, 16, 24], "epochs": 2},
    "by_samples_fixed_steps": {"samples": [8, 16, 24], "steps": 5},
}
"""24 items and batch 8: 3 steps an epoch; 5 steps are 1⅔ epochs, 2½ of 16 items, and 5 of 8 items."""


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    without_drawing(monkeypatch)


def go(content, out, reporter=None):
    return aftertune.run(StudyConfig.model_validate(content), out=out, reporter=reporter)


def small(bench, experiments, **changes):
    content = study(bench, "t5", evaluation={"beams": 2, "dropout_samples": 0}, **changes)
    content["models"][0]["dropout"] = "none"
    return content | {"experiments": experiments, "sizes": {"test": 8, "validation": 4}}


def table(out):
    records = read_records([out])
    found = {}
    for i in range(len(records)):
        key = (records.setting[i], int(records.seed[i]), float(records.epoch[i]), records.item_id[i])
        scores = {name: None if np.isnan(v[i]) else v[i] for name, v in records.scores.items()}
        found[key] = (records.selected[i], records.output[i], records.quality[i], scores)
    assert len(found) == len(records)
    return found


def checkpoints(found):
    return {(setting, epoch) for setting, _, epoch, _ in found}


class Trainings:
    def __init__(self, monkeypatch):
        self.schedules = []
        train = running.finetune

        def finetune(loaded, examples, options, schedule, **settings):
            self.schedules.append(schedule)
            return train(loaded, examples, options, schedule, **settings)

        monkeypatch.setattr(running, "finetune", finetune)


@pytest.fixture(scope="module")
def finished(bench, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        without_drawing(patch)
        values = iter([0.1, 0.5, 0.5, 0.2])  # epochs 1 to 4 of the whole task: 2 is selected after 3
        patch.setattr(running, "mean_quality", lambda loaded, *rest: next(values, 0.0))
        out = tmp_path_factory.mktemp("experiments") / "run"
        go(small(bench, ALL), out)
    return out


def test_what_is_measured(finished):
    found = table(finished)
    assert checkpoints(found) == {
        ("default", 0), ("default", 1), ("default", 2), ("default", 3),
        ("n=8", 2), ("n=16", 2), ("n=24", 2),
        ("n=8,steps=5", 5), ("n=16,steps=5", 2.5), ("n=24,steps=5", 1.6667),
    }  # fmt: skip
    assert {(key[0], key[2]) for key, value in found.items() if value[0]} == {("default", 2)}
    assert len(list((finished / "training").iterdir())) == 3
    # 10 checkpoints of results are 9 of models: epoch 2 of all 24 items stands in two settings.
    assert len(list((finished / "evidence").iterdir())) == 9
    for item in {key[3] for key in found}:
        assert found["default", SEED, 2.0, item][1:] == found["n=24", SEED, 2.0, item][1:]
        assert found["default", SEED, 2.0, item][2] is not None


def test_tables_of_the_experiments(finished):
    tables = {path.name for path in (finished / "tables").iterdir()}
    assert {"correlation.csv", "change.csv", "epoch_fall.csv", "sample_size.csv", "sample_size.tex"} <= tables
    sizes = (finished / "tables" / "sample_size.csv").read_text().splitlines()
    assert sizes[0] == "model,task,setting,score,settings,f,p_anova,p_anova_holm"
    assert {line.split(",")[2] for line in sizes[1:]} == {"n=*", '"n=*'}


def test_the_checkpoint_of_a_sample_size_is_that_of_a_study_of_its_own(finished, bench, tmp_path):
    """What is shared gives the same records as what is not: a training with the whole task, and with steps."""
    expected = table(finished)
    alone = {
        "by_samples": ALL["by_samples"] | {"samples": [8, 24]},
        "by_samples_fixed_steps": ALL["by_samples_fixed_steps"] | {"samples": [16, 24]},
    }
    for name, experiment in alone.items():
        go(small(bench, {name: experiment}), tmp_path / name)
        found = table(tmp_path / name)
        assert len(found) == 2 * 8
        assert all(expected[key] == value for key, value in found.items())


def test_an_experiment_added_later_measures_only_what_is_new(bench, tmp_path, monkeypatch):
    out = tmp_path / "run"
    go(small(bench, {"by_epoch": {"epochs": 2}}), out)
    before = table(out)
    trainings, notes = Trainings(monkeypatch), Notes()
    measured = []
    write = measuring.merge_parts
    monkeypatch.setattr(
        measuring, "merge_parts", lambda folder, *rest: measured.append(folder.name) or write(folder, *rest)
    )
    go(small(bench, {"by_epoch": {"epochs": 3}, "by_samples": {"samples": [8], "epochs": 2}}), out, notes)
    assert [sorted(schedule.epochs) for schedule in trainings.schedules] == [[1, 2, 3], [2]]
    assert [name.rpartition("-")[0] for name in measured] == [
        f"t5-turn-seed{SEED}-epoch3", f"t5-turn-n_8-seed{SEED}-epoch2"
    ]  # fmt: skip
    assert any("an earlier run ended after epoch 2, and more is asked for" in note for note in notes.notes)
    after = table(out)
    assert all(after[key] == value for key, value in before.items())
    assert checkpoints(after) == {("default", e) for e in range(4)} | {("n=8", 2)}
    # Fewer again: nothing is trained, and the records of what is not asked for go.
    trainings.schedules.clear()
    go(small(bench, {"by_epoch": {"epochs": 2}}), out, notes)
    assert trainings.schedules == []
    assert table(out) == before
    assert "1 of 1 training runs are finished and used as they are" in notes.notes


class Stop(Reporter):
    """Ctrl-C at a stage."""

    def __init__(self, at):
        self.at = at

    def stage(self, text, total):
        if text.endswith(self.at):
            raise KeyboardInterrupt


@pytest.mark.slow
def test_stopped_anywhere_it_ends_with_the_same_records(bench, tmp_path):
    """Stopped and gone on with at one place after the other, in each of the three trainings."""
    content = small(bench, ALL, seeds=[3 + SEED])
    go(content, tmp_path / "whole")
    stages = (
        "epoch 1: validation",
        "epoch 2: similarity to the training items",
        f"n=24,steps=5 · seed {3 + SEED} · epoch 1.667: scoring",
        f"n=16 · seed {3 + SEED} · epoch 2.5: decoding",
        f"n=8 · seed {3 + SEED}: fine-tuning",
    )
    for at in stages:
        with pytest.raises(KeyboardInterrupt):
            go(content, tmp_path / "run", Stop(at))
    go(content, tmp_path / "run")
    assert table(tmp_path / "run") == table(tmp_path / "whole")


def test_by_epoch_alone_selects_nothing(bench, tmp_path):
    result = go(small(bench, {"by_epoch": {"epochs": 2}}), tmp_path / "run")
    assert not result.records.selected.any()
    assert {(row.from_, row.to) for row in result.analysis.rows("change")} == {
        ("before", "last"),
        ("epoch_1", "last"),
    }


def test_kept_checkpoints_of_the_experiments(bench, tmp_path):
    content = small(bench, {"by_samples_fixed_steps": {"samples": [16], "steps": 5}}, keep_checkpoints=True)
    go(content, tmp_path / "run")
    (folder,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert [path.name for path in folder.iterdir()] == ["step-5"]
    assert (folder / "step-5" / "adapter_model.safetensors").exists()
    assert not (folder / "step-5" / "model.safetensors").exists()


def test_similarity_to_the_training_set(finished, bench):
    """In each checkpoint's own embeddings; not for sample sizes, as in the paper."""
    records = read_records([finished])
    runs = find_trainings(StudyConfig.model_validate(small(bench, ALL)), RunFolder(finished))
    trained_on = {run.planned.items: {example.id for example in run.train_items} for run in runs}
    assert {n: len(ids) for n, ids in trained_on.items()} == {8: 8, 16: 16, 24: 24}
    of_sizes = records.setting != "default"
    assert np.isnan(records.train_similarity[of_sizes]).all()
    assert np.isfinite(records.train_similarity[~of_sizes]).all()
    assert set(records.extra["nearest_training_item"][~of_sizes]) <= trained_on[24]
    by_epoch = {tuple(records.train_similarity[~of_sizes & (records.epoch == epoch)]) for epoch in range(4)}
    assert len(by_epoch) == 4


@pytest.mark.parametrize("selected", [2, 3])
def test_a_selected_epoch_that_a_sample_size_measures_too(bench, tmp_path, monkeypatch, selected):
    """A sample size needs no similarity to the training items; the selected epoch does, of its own weights."""
    found = []
    for more in ({}, {"by_samples": {"samples": [24], "epochs": selected}}):
        left = iter([*[0.1, 0.2, 0.5][3 - selected :], 0.2])
        monkeypatch.setattr(running, "mean_quality", lambda *rest, left=left: next(left))
        out = tmp_path / f"{len(more)}"
        records = go(small(bench, {"before_after": {"epochs": 4, "patience": 1}} | more), out).records
        assert set(records.epoch[records.selected]) == {selected}
        found.append(records.train_similarity[records.selected])
        assert not list(out.rglob("*.safetensors"))
    assert np.isfinite(found[0]).all()
    assert found[0].tolist() == found[1].tolist()


def test_without_similarity(bench, tmp_path):
    content = small(bench, {"by_epoch": {"epochs": 1}})
    content["evaluation"]["train_similarity"] = False
    result = go(content, tmp_path / "run")
    assert np.isnan(result.records.train_similarity).all()
    assert "nearest_training_item" not in result.records.extra
    assert not list((tmp_path / "run" / "evidence").glob("*/similarity-*"))


def test_judged_answers_are_measured_on_validation_too(bench, tmp_path, monkeypatch):
    """For before_after and by_epoch; sample sizes have test items alone. Another judge decodes nothing."""
    content = small(bench, {"by_epoch": {"epochs": 1}, "by_samples": {"samples": [8], "epochs": 1}})
    content["tasks"][0]["judge"] = "rule"
    records = go(content, tmp_path / "run").records
    found = {
        (setting, float(epoch), split)
        for setting, epoch, split in zip(records.setting, records.epoch, records.split)
    }
    assert found == {("n=8", 1, "test"), *(("default", e, s) for e in (0, 1) for s in ("test", "validation"))}
    assert None not in set(records.correct)
    assert np.isnan(records.train_similarity[records.split == "validation"]).all()
    trainings = Trainings(monkeypatch)
    content["tasks"][0]["judge"] = "none"
    again = go(content, tmp_path / "run").records
    assert trainings.schedules == []
    assert set(again.correct) == {None}
    assert set(again.split) == {"test"}
