"""A study from end to end: what it leaves, and that a stopped or changed one redoes only what it must."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import aftertune
from aftertune.commands.analyze import redraw
from aftertune.errors import InputError
from aftertune.files.evidence import read_parts
from aftertune.generate import collect as engine
from aftertune.measure import evidence as measuring
from aftertune.measure.reporter import Reporter
from aftertune.models.load import load
from aftertune.quality import compute
from aftertune.records.records import read_records
from aftertune.study import training as running
from aftertune.study.config import StudyConfig
from drawing import without_drawing
from samples import LISTS, Notes, rows, study, write_jsonl, write_study
from tiny import SEED

CORRELATION = "model,task,setting,seed,epoch,selected,score,n,spearman,ci_low,ci_high,status"
CHANGE = (
    "model,task,setting,score,from,to,effect,n_items,n_seeds,value_from,value_to,mean,sd,ci_low,ci_high,ci_scope,"
    "simultaneous,p_anova,p_anova_holm,p_welch,p_paired,p_change,p_beyond_margin,verdict,usable"
)


GREEDY = {"evaluation": {"beams": 0, "dropout_samples": 0}}
"""The least evidence, for a study whose scores are not looked at."""


def go(content, out, reporter=None):
    return aftertune.run(StudyConfig.model_validate(content), out=out, reporter=reporter)


def table(out):
    """Key of a record → everything in it."""
    records = read_records([Path(out)])
    found = {}
    for i in range(len(records)):
        key = tuple(getattr(records, name)[i] for name in ("model", "task", "seed", "epoch", "item_id"))
        scores = {name: None if np.isnan(v[i]) else v[i] for name, v in records.scores.items()}
        found[key] = (
            records.selected[i], records.output[i], list(records.references[i]), records.quality[i], scores
        )  # fmt: skip
    assert len(found) == len(records)
    return found


def files(out, folder):
    return {path.name: path.read_bytes() for path in sorted((out / folder).iterdir())}


def history(out, model, seed=SEED):
    (path,) = out.glob(f"training/{model}-turn-seed{seed}-*/history.json")
    return json.loads(path.read_text())


class Counted:
    """Batches decoded for evidence, and trainings, while it is patched in."""

    def __init__(self, monkeypatch, fail_at=None):
        self.batches, self.trainings, self.fail_at = [], 0, fail_at
        decode, train = engine.collect_batch, running.finetune

        def collect_batch(loaded, names, ids, options):
            validation = options.greedy and not options.embedding
            training_items = options.embedding and not options.greedy
            if not (validation or training_items):
                if len(self.batches) == self.fail_at:
                    raise RuntimeError("stopped here")
                self.batches.append((loaded.name, tuple(names), options.greedy, options.dropout_samples))
            return decode(loaded, names, ids, options)

        def finetune(*arguments, **settings):
            self.trainings += 1
            return train(*arguments, **settings)

        monkeypatch.setattr(engine, "collect_batch", collect_batch)
        monkeypatch.setattr(running, "finetune", finetune)


@pytest.fixture(scope="module")
def kept(bench, tmp_path_factory):
    """Llama and T5 with adapters, two epochs, one seed, every checkpoint kept: (study, run folder); read only."""
    out = tmp_path_factory.mktemp("kept") / "run"
    content = study(bench, "llama", "t5", keep_checkpoints=True)
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        go(content, out)
    return content, out


@pytest.fixture(scope="module")
def finished(bench, kept, tmp_path_factory):
    """The same study without its checkpoints: (study, run folder); read only."""
    out = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(kept[1], out, ignore=shutil.ignore_patterns("checkpoints"))
    content = study(bench, "llama", "t5")
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        go(content, out)
    return content, out


@pytest.fixture
def again(finished, tmp_path):
    """The finished study in a folder that a test may spoil."""
    content, out = finished
    shutil.copytree(out, tmp_path / "run")
    return content, tmp_path / "run"


def draw_nothing(patch):
    """Figures and page take longer than these runs; `test_cli.test_run_and_its_default_folder` has them."""
    without_drawing(patch)


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    draw_nothing(monkeypatch)


# What a run leaves


def test_run_folder(finished):
    _, out = finished
    assert {path.name for path in out.iterdir() if path.name not in LISTS} == {
        "dropout", "evidence", "items", "training", "records", "summary.json", "tables"
    }  # fmt: skip
    assert len(list((out / "records").iterdir())) == 6
    for folder in (out / "evidence").iterdir():
        assert not list(folder.glob("part-*"))
        assert (folder / "all.evidence.parquet").is_file()
    for folder in (out / "training").iterdir():
        assert [path.name for path in folder.iterdir()] == ["history.json"]
    manifest = json.loads((out / "run.json").read_text())
    assert (manifest["state"], manifest["checkpoints"], len(manifest["records"])) == ("finished", 6, 6)
    assert manifest["settings"]["command"] == "run"
    assert manifest["signatures"]["token_f1"].startswith("token_f1|")


def test_records(finished, bench):
    _, out = finished
    found = table(out)
    items = {row["id"]: row for row in rows(20, 3)}
    assert set(found) == {
        (model, "turn", SEED, epoch, item) for model in ("llama", "t5") for epoch in (0, 1, 2) for item in items
    }
    for (_, _, _, _, item), (_, output, references, quality, scores) in found.items():
        assert references == [items[item]["answer"]]
        assert quality == compute("token_f1", [output], [references])[0]
        assert set(scores) == set(aftertune.scores.SCORES.names())
    for model in ("llama", "t5"):
        epochs = history(out, model)["checkpoints"]
        best = max(epochs, key=lambda e: (e["validation"], -e["epoch"]))["epoch"]
        assert {key[3] for key, value in found.items() if key[0] == model and value[0]} == {best}
    confidences = {
        tuple(found[m, "turn", SEED, e, item][4]["mean_token_logprob"] for item in items)
        for m in ("llama", "t5")
        for e in (0, 1, 2)
    }
    assert len(confidences) == 6, "each checkpoint is measured with weights of its own"


def test_tables(finished):
    _, out = finished
    found = files(out, "tables")
    names = ("correlation", "change", "epoch_fall", "quadrants", "direction", "pairs", "case1_unchanged",
             "similarity")  # fmt: skip
    without_latex = {f"{name}.{kind}" for name in ("recommendation", "checks") for kind in ("csv", "md")}
    assert set(found) - without_latex == {f"{name}.{kind}" for name in names for kind in ("csv", "md", "tex")} | {
        "moved_items.jsonl", "prompts_read.jsonl"
    }  # fmt: skip
    assert without_latex <= set(found)
    correlation, change = (found[f"{name}.csv"].decode().splitlines() for name in ("correlation", "change"))
    assert correlation[0].startswith(CORRELATION)
    assert change[0].startswith(CHANGE)
    assert len(correlation) == 1 + 2 * 3 * len(aftertune.scores.SCORES.names())


def test_validation_in_the_history_is_the_mean_quality_of_greedy_outputs(bench, tmp_path):
    """Where answers are judged, validation items have records too."""
    content = study(bench, "llama", **GREEDY)
    content["models"][0]["dropout"] = "none"
    content["tasks"][0]["judge"] = "rule"
    records = go(content, tmp_path / "run").records
    entries = history(tmp_path / "run", "llama")["checkpoints"]
    assert [entry["epoch"] for entry in entries] == [1, 2]
    for entry in entries:
        here = records.take((records.epoch == entry["epoch"]) & (records.split == "validation"))
        assert entry["validation"] == pytest.approx(here.quality.mean())
        assert entry["steps"] == 3 * entry["epoch"]


# The same command again


def test_again_decodes_and_trains_nothing(again, monkeypatch):
    content, out = again
    before = {folder: files(out, folder) for folder in ("records", "tables")}
    counted, notes = Counted(monkeypatch), Notes()
    monkeypatch.setattr(running, "load", None)
    go(content, out, notes)
    assert (counted.batches, counted.trainings) == ([], 0)
    assert {folder: files(out, folder) for folder in ("records", "tables")} == before
    assert notes.planned == (6, 6)


def test_another_margin_changes_verdicts_alone(again, monkeypatch):
    content, out = again
    records = files(out, "records")
    counted = Counted(monkeypatch)
    go(content | {"margin": 1.0}, out)
    assert (counted.batches, counted.trainings) == ([], 0)
    assert files(out, "records") == records
    assert json.loads((out / "run.json").read_text())["settings"]["margin"] == 1.0


def test_fewer_scores_decode_nothing(again, monkeypatch):
    content, out = again
    counted = Counted(monkeypatch)
    content = content | {"evaluation": content["evaluation"] | {"scores": ["beam_sum", "dropout_kl"]}}
    result = go(content, out)
    assert (counted.batches, counted.trainings) == ([], 0)
    assert set(result.records.scores) == {"beam_sum", "dropout_kl"}
    assert {row.score for row in result.analysis.rows("change")} == {"beam_sum", "dropout_kl"}


def test_more_beams_without_kept_weights_trains_again_and_says_so(again, monkeypatch):
    content, out = again
    before = table(out)
    counted, notes = Counted(monkeypatch), Notes()
    go(content | {"models": content["models"][:1], "evaluation": content["evaluation"] | {"beams": 4}}, out, notes)
    assert counted.trainings == 1
    assert any("training again" in note for note in notes.notes)
    after = table(out)
    assert {key[0] for key in after} == {"llama"}
    for key, (selected, output, _, _, scores) in after.items():
        assert (selected, output) == before[key][:2]
        same = pytest.approx(before[key][4]["mean_token_logprob"], abs=1e-6)  # decoded beside more beams
        assert scores["mean_token_logprob"] == same
        assert scores["dropout_kl"] == before[key][4]["dropout_kl"]
    assert any(value[4]["beam_sum"] != before[key][4]["beam_sum"] for key, value in after.items())
    at_epoch_0 = [batch for batch in counted.batches if batch[3] == 0]
    assert len(at_epoch_0) == 3  # greedy and beams before fine-tuning, without the dropout samples


# Stopped and gone on with


class Stop(Reporter):
    """Ctrl-C at the n-th sign of life."""

    def __init__(self, at):
        self.left = at

    def _tick(self):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def stage(self, text, total):
        self._tick()

    def advance(self, units):
        self._tick()


@pytest.fixture(scope="module")
def whole(bench, finished, tmp_path_factory):
    """The llama's part of the finished study: (study, its records, its number of decoded batches)."""
    return study(bench, "llama"), {k: v for k, v in table(finished[1]).items() if k[0] == "llama"}


BATCHES = 3 * 2 + 3 * 2
"""3 batches; before fine-tuning once for greedy and beams, once for dropout; then in each of 2 epochs."""


@pytest.mark.parametrize("batches", [2, 7])
def test_stopped_while_decoding(whole, tmp_path, monkeypatch, batches):
    content, expected = whole
    with monkeypatch.context() as patch:
        first = Counted(patch, fail_at=batches)
        with pytest.raises(RuntimeError, match="stopped here"):
            go(content, tmp_path / "run")
    assert len(first.batches) == batches
    assert not (tmp_path / "run" / "report.html").exists()
    second = Counted(monkeypatch)
    go(content, tmp_path / "run")
    assert table(tmp_path / "run") == expected
    assert len(first.batches) + len(second.batches) == BATCHES
    if batches < 6:
        decoded = [(b[1], b[2]) for b in first.batches + second.batches if b[2] or b[3]]
        assert len(decoded[:6]) == len(set(decoded[:6]))


@pytest.mark.parametrize("at", [13, 24])
def test_interrupted_anywhere(whole, tmp_path, monkeypatch, at):
    content, expected = whole
    written = []
    write_part = measuring.write_part

    def watched(folder, evidence):
        written.extend((folder.name, item) for item in evidence.item_ids)
        return write_part(folder, evidence)

    monkeypatch.setattr(measuring, "write_part", watched)
    with pytest.raises(KeyboardInterrupt):
        go(content, tmp_path / "run", Stop(at))
    go(content, tmp_path / "run")
    assert table(tmp_path / "run") == expected
    assert len(written) == len(set(written)) == 20 * 4


@pytest.mark.thorough
def test_killed_and_started_again(whole, tmp_path):
    content, expected = whole
    file, out = write_study(tmp_path / "study.yaml", content), tmp_path / "run"
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-m", "aftertune", "run", str(file), "--out", str(out)]
    whole_files: set[Path] = set()
    for moment in ("evidence/*/part-*", "training/*/state/checkpoint-*"):
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        ) as process:
            while process.poll() is None and not any(out.glob(moment)):
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            _, stderr = process.communicate()
        assert process.returncode == -signal.SIGKILL, stderr.decode()
        assert all(path.exists() for path in whole_files)
        whole_files = set(out.glob("evidence/*/all.evidence.parquet"))
    assert whole_files
    go(content, out)
    assert all(path.exists() for path in whole_files)
    assert table(out) == expected
    assert not list(out.glob("training/*/state"))


def test_a_stopped_run_cannot_be_redrawn_and_is_not_another_commands(whole, bench, tmp_path):
    content, _ = whole
    with pytest.raises(KeyboardInterrupt):
        go(content, tmp_path / "run", Stop(3))
    with pytest.raises(
        InputError, match="has no records yet \\(interrupted\\): give the same aftertune run command again"
    ):
        redraw(tmp_path / "run")
    with pytest.raises(InputError, match="holds a run of aftertune run"):
        aftertune.audit(bench / "llama", bench / "llama", data=bench / "test.jsonl", out=tmp_path / "run",
                        input="q", target="answer", dropout="none")  # fmt: skip


# Which checkpoints


def scripted(monkeypatch, values):
    """Validation results in this order instead of measured ones."""
    left = iter(values)
    monkeypatch.setattr(running, "mean_quality", lambda *arguments: next(left))


@pytest.mark.slow
def test_ends_with_early_stopping(bench, tmp_path, monkeypatch):
    settings = {"epochs": 5, "patience": 2, "evaluation": {"beams": 2, "dropout_samples": 0}}
    early = study(bench, "llama", **settings, by_epoch=False)
    everything = study(bench, "llama", **settings)
    for content in (early, everything):
        content["models"][0]["dropout"] = "none"
    validation = [0.1, 0.5, 0.4, 0.5, 0.9]
    scripted(monkeypatch, validation)
    go(early, tmp_path / "ends")
    assert [entry["epoch"] for entry in history(tmp_path / "ends", "llama")["checkpoints"]] == [1, 2, 3, 4]
    ends = table(tmp_path / "ends")
    assert {(key[3], value[0]) for key, value in ends.items()} == {(0, False), (1, False), (2, True)}
    assert not (tmp_path / "ends" / "checkpoints").exists() or not any((tmp_path / "ends/checkpoints").iterdir())
    assert not list((tmp_path / "ends").rglob("*.safetensors"))
    scripted(monkeypatch, validation)
    go(everything, tmp_path / "all")
    found = table(tmp_path / "all")
    assert {key[3] for key in found} == {0, 1, 2, 3, 4, 5}
    assert {key[3] for key, value in found.items() if value[0]} == {2}
    assert all(found[key] == value for key, value in ends.items())


@pytest.mark.slow
def test_ends_of_an_adapter_stopped_before_the_selected_one_is_measured(bench, finished, tmp_path, monkeypatch):
    content = study(bench, "t5", epochs=3, by_epoch=False)
    scripted(monkeypatch, [0.1, 0.3, 0.2])
    with monkeypatch.context() as patch:
        Counted(patch, fail_at=9)  # 6 batches before, 3 in epoch 1; then the selected one
        with pytest.raises(RuntimeError, match="stopped here"):
            go(content, tmp_path / "run")
    counted = Counted(monkeypatch)
    go(content, tmp_path / "run")
    assert (counted.trainings, len(counted.batches)) == (0, 3)
    found = table(tmp_path / "run")
    assert {(key[3], value[0]) for key, value in found.items()} == {(0, False), (1, False), (2, True)}
    expected = table(finished[1])  # of a shorter training, without a stop, whose checkpoints were kept at first
    assert all(value[1:] == expected[key][1:] for key, value in found.items())
    assert not list((tmp_path / "run").rglob("*.safetensors"))


@pytest.mark.slow
def test_kept_checkpoints_load_and_give_the_same_outputs(bench, kept, tmp_path, monkeypatch):
    content, out = kept[0], tmp_path / "run"
    shutil.copytree(kept[1], out)
    expected = table(out)
    for model in ("llama", "t5"):
        (folder,) = out.glob(f"checkpoints/{model}-*")
        afters = [folder / "epoch-1", folder / "epoch-2"]
        assert (afters[0] / "adapter_model.safetensors").exists() == (model == "t5")
        audited = aftertune.audit(
            bench / model, afters, data=bench / "test.jsonl", out=tmp_path / model, input="q", target="answer",
            template="{q} =", max_new_tokens=14, beams=3, dropout="none", batch_size=8, name=model, resamples=200,
        )  # fmt: skip
        assert set(audited.records.scores) < set(aftertune.scores.SCORES.names())
        for key, (_, output, references, quality, scores) in table(tmp_path / model).items():
            run_key = (model, "turn", SEED, *key[3:])
            assert (output, references, quality) == expected[run_key][1:4]
            for name in ("mean_token_logprob", "beam_sum_logprob"):
                assert scores[name] == pytest.approx(expected[run_key][4][name], abs=1e-5)
    # With the weights there, another setting needs no training.
    counted = Counted(monkeypatch)
    sizes = {"train": None, "validation": None, "test": 12}
    go(content | {"sizes": sizes, "evaluation": content["evaluation"] | {"beams": 2}}, out)
    assert counted.trainings == 0
    assert len(counted.batches) == 2 * 2 * (1 + 1 + 2)
    smaller = table(out)
    assert len({key[4] for key in smaller}) == 12
    assert all(value[1] == expected[key][1] for key, value in smaller.items())


@pytest.mark.parametrize("by_epoch", [True, False])
@pytest.mark.parametrize("selected", [1, 2])
def test_the_selected_checkpoint_alone_is_kept(bench, tmp_path, monkeypatch, by_epoch, selected):
    scripted(monkeypatch, [0.1, 0.5, 0.2] if selected == 2 else [0.5, 0.1, 0.2])
    out = tmp_path / "run"
    content = study(bench, "llama", epochs=3, by_epoch=by_epoch, **GREEDY)
    content["models"][0]["dropout"] = "none"
    go(content | {"keep_checkpoints": "selected"}, out)
    (folder,) = out.glob("checkpoints/*")
    assert [path.name for path in folder.iterdir()] == ["selected"]
    loaded = load(folder / "selected")
    evidence = aftertune.collect(
        loaded.model, loaded.tokenizer, [row["q"] + " =" for row in rows(20, 3)], beams=0, dropout_samples=0,
        max_new_tokens=14, batch_size=8,
    )  # fmt: skip
    found = table(out)
    expected = [found["llama", "turn", SEED, selected, row["id"]] for row in rows(20, 3)]
    assert all(value[0] for value in expected)
    assert evidence.greedy.text.tolist() == [value[1] for value in expected]
    notes = Notes()
    go(content | {"keep_checkpoints": "selected"}, out, notes)
    assert notes.notes == ["1 of 1 training runs are finished and used as they are"]
    go(content, out, notes)
    assert not list(out.glob("checkpoints/*"))
    go(content | {"keep_checkpoints": True}, out, notes)
    assert [note for note in notes.notes if "to train it again, remove" in note]


def test_seeds_share_what_does_not_depend_on_them(bench, tmp_path, monkeypatch):
    counted = Counted(monkeypatch)
    go(study(bench, "llama", seeds=[SEED, SEED + 1], epochs=1), tmp_path / "run")
    names = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "run/evidence").iterdir())
    assert names == ["llama-turn-epoch0"] + [
        f"llama-turn-seed{s}-epoch{e}" for s in (SEED, SEED + 1) for e in (0, 1)
    ]
    (shared,) = (tmp_path / "run/evidence").glob("llama-turn-epoch0-*")
    assert read_parts(shared).dropout is None
    for folder in (tmp_path / "run/evidence").glob("llama-turn-seed*-epoch0-*"):
        evidence = read_parts(folder)
        assert (evidence.greedy, evidence.beams, evidence.embedding) == (None, None, None)
    assert len(counted.batches) == 3 + 2 * 3 + 2 * 3
    found = table(tmp_path / "run")
    for (_, _, seed, epoch, item), (_, output, _, _, scores) in found.items():
        if seed == SEED and epoch == 0:
            other = found["llama", "turn", SEED + 1, 0, item]
            assert output == other[1]
            assert scores["beam_sum"] == other[4]["beam_sum"]
    first, second = (
        [v[4]["dropout_kl"] for k, v in found.items() if k[2] == seed and k[3] == 0] for seed in (SEED, SEED + 1)
    )
    assert first != second


def test_without_dropout(bench, tmp_path):
    content = study(bench, "llama", epochs=1)
    content["models"][0]["dropout"] = "none"
    result = go(content, tmp_path / "run")
    assert not [name for name in result.records.scores if name.startswith("dropout")]
    assert "beam_sum" in result.records.scores
    assert len(list((tmp_path / "run/evidence").iterdir())) == 2


@pytest.mark.slow
def test_names_that_look_alike_as_file_names_stay_apart(bench, tmp_path):
    content = study(bench, "llama", epochs=1, **GREEDY)
    content["models"] = [
        content["models"][0] | {"name": name, "dropout": "none"} for name in ("a b", "a_b" + "c" * 90, "a_b")
    ]
    go(content, tmp_path / "run")
    assert {key[0] for key in table(tmp_path / "run")} == {"a b", "a_b", "a_b" + "c" * 90}


# Refused before anything is trained or written


@pytest.mark.parametrize(
    ("split", "where"), [("train", "training item 'long'"), ("validation", "'long'"), ("test", "'long'")]
)
def test_an_item_beyond_the_context_is_found_first(bench, tmp_path, monkeypatch, split, where):
    counted = Counted(monkeypatch)
    long = {"id": "long", "q": " ".join(["w1"] * 120), "answer": "w1"}
    content = study(bench, "t5", "llama")
    content["tasks"][0][split] = str(write_jsonl(tmp_path / "long.jsonl", [*rows(8, 9), long]))
    with pytest.raises(InputError) as error:
        go(content, tmp_path / "run")
    assert where in str(error.value)
    assert "long_prompts" in str(error.value)
    assert (counted.batches, counted.trainings) == ([], 0)
    assert not (tmp_path / "run").exists()


def test_items_beyond_the_context_cut_and_noted_each_time(bench, tmp_path):
    long = {"id": "long", "q": " ".join(["w1"] * 120), "answer": "w1"}
    content = study(bench, "llama", epochs=1, evaluation={"long_prompts": "truncate"})
    content["tasks"][0]["test"] = str(write_jsonl(tmp_path / "test.jsonl", [*rows(8, 9), long]))
    content["tasks"][0]["train"] = str(
        write_jsonl(tmp_path / "train.jsonl", [*rows(8, 8), long | {"q": "w2 " * 120}])
    )
    for _ in range(2):
        result = go(content, tmp_path / "run")
        (note,) = [note for note in result.analysis.notes if "longer than the context" in note]
        assert "1 of 9 training items cut at the beginning of their prompt" in note
        cut = {row.checkpoint: row for row in result.analysis.rows("checks") if row.check == "prompts cut"}
        assert {round(row.value, 2) for row in cut.values()} == {0.11}
        assert {row.level for row in cut.values()} == {"warning"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"dropout": "native"}, "dropout native does not act, the model has no dropout of its own"),
        ({"dropout": "lora"}, "dropout lora does not act, there are no LoRA adapters with dropout"),
        ({"path": "/no/such/folder"}, "model folder /no/such/folder does not exist"),
        ({"chat": "on"}, "no chat template"),
    ],
)
def test_a_model_that_will_not_do(bench, tmp_path, monkeypatch, change, expected):
    counted = Counted(monkeypatch)
    content = study(bench, "t5", "llama")
    content["models"][1] |= change
    with pytest.raises(InputError) as error:
        go(content, tmp_path / "run")
    assert expected in str(error.value)
    assert (counted.batches, counted.trainings) == ([], 0)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"evaluation": {"dropout_samples": 0, "scores": ["beam_sum", "dropout_kl"]}},
            "score 'dropout_kl' needs dropout samples, and none are asked for",
        ),
        ({"sizes": {"test": 2}}, "has 2 test items: a correlation needs at least 3"),
    ],
)
def test_settings_that_are_refused(bench, tmp_path, changes, expected):
    with pytest.raises(InputError, match=expected):
        go(study(bench, "llama", **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()
