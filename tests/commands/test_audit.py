"""An audit of checkpoints from end to end: one folder before, several after, the user's own test set."""

from __future__ import annotations

import copy
import csv
import datetime
import json
import math
import os
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy.stats import spearmanr

import aftertune
from aftertune.commands import audit as auditing
from aftertune.errors import InputError
from aftertune.finetune.protocol import LoraOptions
from aftertune.finetune.train import add_lora
from aftertune.generate import collect as engine
from aftertune.generate import prompts as prompting
from aftertune.models.load import load, save
from aftertune.models.loaded import wrap
from aftertune.records.records import read_records
from drawing import without_drawing
from record_samples import same, with_rows
from samples import rows, write_jsonl
from tiny import tiny

SETTINGS = {
    "input": "q",
    "target": "answer",
    "template": "{q} =",
    "max_new_tokens": 14,
    "beams": 3,
    "dropout": "residual:0.1",
    "dropout_samples": 2,
    "batch_size": 8,
    "resamples": 200,
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """base; tuned-1 and tuned-2, the base with noise on its weights; adapter, one with noise; items 20."""
    folder = tmp_path_factory.mktemp("models")
    model, tokenizer = tiny("llama")
    save(wrap(model, tokenizer), folder / "base")
    for i in (1, 2):
        save(wrap(_noisy(copy.deepcopy(model), i), tokenizer), folder / f"tuned-{i}")
    adapted = add_lora(load(folder / "base"), LoraOptions(r=4), seed=0)
    save(wrap(_noisy(adapted.model, 3, only="lora_"), tokenizer), folder / "adapter")
    write_jsonl(folder / "test.jsonl", rows(20, 3))
    return folder


def _noisy(model, seed, only=""):
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if only in name:
                weight += 0.05 * torch.randn(weight.shape, generator=draw)
    return model


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    without_drawing(monkeypatch)


@pytest.fixture
def decoded(monkeypatch):
    """(model, items) of each batch that is decoded."""
    found, decode = [], engine.collect_batch

    def collect_batch(loaded, names, ids, options):
        found.append((loaded.name.rpartition("/")[2], tuple(names)))
        return decode(loaded, names, ids, options)

    monkeypatch.setattr(engine, "collect_batch", collect_batch)
    return found


def go(folder, afters, out, data="test.jsonl", **changes):
    paths = [folder / after for after in afters]
    return aftertune.audit(folder / "base", paths, data=folder / data, out=out, **(SETTINGS | changes))


@pytest.fixture(scope="module")
def audited(checkpoints, tmp_path_factory):
    out = tmp_path_factory.mktemp("audited") / "run"
    return go(checkpoints, ["tuned-1", "tuned-2"], out)


def test_checkpoints_are_epochs_in_the_order_given(audited):
    records = audited.records
    assert sorted(set(records.epoch)) == [0.0, 1.0, 2.0]
    assert not records.selected.any()
    assert set(records.model) == {"tuned"}
    assert set(records.task) == {"test"}
    assert len(records) == 60
    assert set(records.scores) == set(aftertune.scores.SCORES.names())
    assert {(row.from_, row.to) for row in audited.analysis.rows("change")} == {
        ("before", "last"),
        ("epoch_1", "last"),
    }


def test_manifest_tells_what_was_measured(audited, checkpoints):
    settings = json.loads((audited.out / "run.json").read_text())["settings"]
    assert settings["before"] == str(checkpoints / "base")
    assert settings["items"] == 20
    assert settings["quality"] == "token_f1"
    assert settings["prompt"] == "{q} ="
    assert settings["dropout in force"] == "p = 0.1 at 4 places a pass"
    made = shlex.split(settings["reproduce"])
    assert made[:5] == [
        "aftertune",
        "audit",
        *(str(checkpoints / name) for name in ("base", "tuned-1", "tuned-2")),
    ]
    assert made[-2:] == ["--out", str(audited.out)]


def test_correlations_are_those_of_the_records(audited):
    """correlation.csv against scipy on the records as they lie on disk."""
    records = read_records([audited.out])
    with (audited.out / "tables/correlation.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 3 * len(records.scores)
    for row in found:
        here = records.take(records.epoch == float(row["epoch"]))
        x, y = here.scores[row["score"]], here.quality
        kept = [i for i in range(len(here)) if not math.isnan(x[i])]
        assert int(row["n"]) == len(kept)
        if min(len(set(x[kept])), len(set(y[kept]))) > 1:
            assert float(row["spearman"]) == pytest.approx(spearmanr(x[kept], y[kept]).statistic, abs=2e-6)
        else:
            assert row["spearman"] == ""
            assert row["status"]


def test_again_decodes_nothing_and_another_checkpoint_only_itself(audited, checkpoints, decoded, monkeypatch):
    before = {path.name: path.read_bytes() for path in (audited.out / "records").iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(auditing, "load", None)
        go(checkpoints, ["tuned-1", "tuned-2"], audited.out)
    assert decoded == []
    assert {path.name: path.read_bytes() for path in (audited.out / "records").iterdir()} == before
    out = audited.out.with_name("more")
    shutil.copytree(audited.out, out)
    more = go(checkpoints, ["tuned-1", "tuned-2", "adapter"], out)
    assert {name for name, _ in decoded} == {"adapter"}
    assert set(zip(more.records.model, more.records.epoch)) == {
        ("tuned", 0), ("tuned", 1), ("tuned", 2), (checkpoints.name, 0), (checkpoints.name, 1)
    }  # fmt: skip


def test_stopped_and_gone_on_with(audited, checkpoints, tmp_path, decoded, monkeypatch):
    decode = engine.collect_batch

    def stops(*arguments):
        if len(decoded) == 4:
            raise KeyboardInterrupt
        return decode(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "collect_batch", stops)
        with pytest.raises(KeyboardInterrupt):
            go(checkpoints, ["tuned-1", "tuned-2"], tmp_path / "run")
    result = go(checkpoints, ["tuned-1", "tuned-2"], tmp_path / "run")
    assert len(decoded) == len(set(decoded)) == 9
    for name, values in result.records.scores.items():
        assert values.tolist() == pytest.approx(audited.records.scores[name].tolist(), nan_ok=True, abs=0)
    assert result.records.output.tolist() == audited.records.output.tolist()
    assert same(result.analysis, audited.analysis)


def test_an_adapter_is_its_base_with_the_adapter(checkpoints, tmp_path):
    settings = {"dropout": "none", "beams": 0}
    adapter = go(checkpoints, ["adapter"], tmp_path / "adapter", **settings)
    merged = load(checkpoints / "adapter")
    save(wrap(merged.model.merge_and_unload(), merged.tokenizer), checkpoints / "merged")
    whole = go(checkpoints, ["merged"], tmp_path / "merged", **settings)
    assert adapter.records.output.tolist() == whole.records.output.tolist()
    at_0, at_1 = (adapter.records.take(adapter.records.epoch == epoch) for epoch in (0, 1))
    assert at_0.scores["mean_token_logprob"].tolist() != at_1.scores["mean_token_logprob"].tolist()
    for name, values in adapter.records.scores.items():
        assert values.tolist() == pytest.approx(whole.records.scores[name].tolist(), abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_other_kinds_of_files_give_the_same(audited, checkpoints, tmp_path, decoded, suffix):
    items = rows(20, 3)
    path = checkpoints / f"test.{suffix}"
    if suffix == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(items[0]))
            writer.writeheader()
            writer.writerows(items)
    else:
        pq.write_table(pa.Table.from_pylist(items), path)
    out = tmp_path / "run"
    shutil.copytree(audited.out / "evidence", out / "evidence")
    (out / "run.json").write_text(json.dumps({"finished": False, "settings": {"command": "audit"}}))
    result = go(checkpoints, ["tuned-1", "tuned-2"], out, data=path.name)
    assert decoded == []  # the same items, weights and settings: the evidence is there
    assert result.records.quality.tolist() == audited.records.quality.tolist()


def test_what_a_notebook_shows(audited):
    assert list(audited.tables["change"].columns[:6]) == ["model", "task", "setting", "score", "from", "to"]
    assert repr(audited) == str(audited)
    assert repr(audited).startswith(f"Result({audited.out}: ")
    assert len(repr(audited)) < 300
    html = replace(
        audited,
        analysis=with_rows(
            audited.analysis,
            change=[row._replace(model="<script>") for row in audited.analysis.rows("change")[:2]],
        ),
    )._repr_html_()
    assert html.count("<tr>") == 1
    assert "<script>" not in html
    assert repr(audited.records) == "Records(60 rows: 1 training runs, 3 checkpoints, 13 scores)"


def test_some_scores_in_the_order_asked_for(checkpoints, tmp_path):
    result = go(checkpoints, ["tuned-1"], tmp_path / "run", scores=["mean_token_entropy", "beam_ratio[k=2]"])
    assert set(result.records.scores) == {"mean_token_entropy", "beam_ratio[k=2]"}
    assert {"verdict", "usable"} <= set(result.analysis.tables["change"].columns)
    signed = json.loads((tmp_path / "run/run.json").read_text())["signatures"]
    assert set(signed) == {"mean_token_entropy", "beam_ratio[k=2]", "token_f1"}


def test_items_limits_the_test_set(checkpoints, tmp_path):
    result = go(checkpoints, ["tuned-1"], tmp_path / "run", items=7, beams=0, dropout="none")
    assert len(set(result.records.item_id)) == 7


def test_constant_quality_is_said_and_no_number_printed(checkpoints, tmp_path):
    never = [row | {"answer": "never"} for row in rows(12, 3)]
    write_jsonl(checkpoints / "never.jsonl", never)
    result = go(checkpoints, ["tuned-1"], tmp_path / "run", data="never.jsonl", quality="exact_text", beams=0)
    for row in result.analysis.rows("correlation"):
        assert math.isnan(row.spearman)
        assert row.status.startswith("quality is constant")
    for row in result.analysis.rows("change"):
        assert row.status == "quality is constant before fine-tuning"
        assert math.isnan(row.mean)
        assert row.usable == ""
    checks = {row.checkpoint: row for row in result.analysis.rows("checks") if row.check == "one class"}
    assert {name: row.level for name, row in checks.items()} == {"before": "warning", "last": "warning"}
    assert checks["before"].message == (
        "quality is constant before fine-tuning (every item 0): no correlation can be computed"
    )


def test_prompts_left_out_are_noted_also_when_nothing_is_decoded(checkpoints, tmp_path):
    long = {"id": "long", "q": " ".join(["w1"] * 120), "answer": "w1"}
    write_jsonl(checkpoints / "long.jsonl", [*rows(8, 3), long])
    for _ in range(2):
        result = go(
            checkpoints, ["tuned-1"], tmp_path / "run", data="long.jsonl", long_prompts="drop", beams=0
        )  # fmt: skip
        assert len(set(result.records.item_id)) == 8
        for name in ("base", "tuned-1"):
            assert (
                f"{checkpoints / name}: 1 of 9 prompts left out: with the answer they are longer than the "
                "context (96 tokens)"
            ) in result.analysis.notes


def test_options_and_settings_go_together(checkpoints, tmp_path):
    options = auditing.AuditOptions(**(SETTINGS | {"beams": 0, "dropout": "none"}))
    result = aftertune.audit(
        str(checkpoints / "base"), str(checkpoints / "tuned-1"), data=str(checkpoints / "test.jsonl"),
        out=str(tmp_path / "run"), options=options, items=5,
    )  # fmt: skip
    assert len(set(result.records.item_id)) == 5
    with pytest.raises(InputError, match="unknown option of audit 'beamz': did you mean beams"):
        go(checkpoints, ["tuned-1"], tmp_path / "other", beamz=3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scores": ["beam_sum"], "beams": 0}, "score 'beam_sum' needs beams, and none are asked for"),
        ({"scores": ["dropout_kl"], "dropout": "none"}, "score 'dropout_kl' needs dropout samples"),
        ({"scores": []}, "no score is asked for"),
        ({"items": 0}, "items is 0: write a whole number from 1"),
        ({"items": 2}, "has 2 test items"),
        ({"margin": -1.0}, "margin is -1.0"),
        ({"margin": float("nan")}, "margin is nan"),
        ({"resamples": 10}, "resamples is 10: write a whole number from 200"),
        ({"dtype": "int8"}, "dtype 'int8' is not one of"),
        ({"batch_size": 0}, "batch_size is 0: write a whole number from 1"),
        ({"max_new_tokens": 96}, "leaves no room for a prompt"),
        ({"chat": "on"}, "no chat template"),
        ({"device": "cuda:99"}, "does not go to device 'cuda:99'"),
        ({"device": "nonsense"}, "device 'nonsense' is none"),
    ],
)
def test_refused_before_anything_is_written(checkpoints, tmp_path, decoded, changes, expected):
    with pytest.raises(InputError) as error:
        go(checkpoints, ["tuned-1"], tmp_path / "run", **changes)
    assert expected in str(error.value)
    assert decoded == []
    assert not (tmp_path / "run").exists()


def test_a_bad_last_checkpoint_is_found_before_the_first_is_decoded(checkpoints, tmp_path, decoded):
    spoilt = tmp_path / "spoilt"
    save(wrap(*tiny("llama")), spoilt)
    weights = spoilt / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(InputError, match="does not load"):
        go(checkpoints, ["tuned-1", spoilt], tmp_path / "run")
    assert decoded == []
    assert not (tmp_path / "run").exists()


def test_what_was_taken_for_granted_is_said(checkpoints, tmp_path):
    quick = {"beams": 0, "dropout_samples": 0, "max_new_tokens": 3}
    bare = go(checkpoints, ["tuned-1"], tmp_path / "bare", template=None, **quick)
    assert bare.analysis.notes[0] == (
        "nothing else was asked for, so the prompt is the column 'q' as it stands (--template) and quality is "
        "token_f1 (--quality)"
    )
    told = go(checkpoints, ["tuned-1"], tmp_path / "told", quality="token_f1", **quick)
    assert not any("nothing else was asked for" in note for note in told.analysis.notes)


# Several fine-tunings


def test_different_fine_tunings_have_their_own_rows(checkpoints, tmp_path, decoded):
    few = {"dropout": "none", "beams": 0, "items": 6}
    result = go(checkpoints, ["tuned-1", "adapter"], tmp_path / "run", **few)
    assert {name for name, _ in decoded} == {"base", "tuned-1", "adapter"}
    assert len(decoded) == 3  # the model before once
    assert {(row.model, row.from_, row.to) for row in result.analysis.rows("change")} == {
        (checkpoints.name, "before", "last"),
        ("tuned-1", "before", "last"),
    }
    assert any("2 different fine-tunings, tuned-1, " in n for n in result.analysis.notes)
    one = aftertune.audit(
        checkpoints / "base", [f"mine={checkpoints / name}" for name in ("tuned-1", "adapter")],
        data=checkpoints / "test.jsonl", out=tmp_path / "one", **(SETTINGS | few),
    )  # fmt: skip
    assert set(zip(one.records.model, one.records.epoch)) == {("mine", 0), ("mine", 1), ("mine", 2)}


def test_shell_order_of_checkpoints(checkpoints, tmp_path):
    for name, step in (("tuned-1", 500), ("tuned-2", 1000)):
        shutil.copytree(checkpoints / name, tmp_path / "out" / f"checkpoint-{step}")
    given = [tmp_path / "out" / f"checkpoint-{step}" for step in (1000, 500)]
    result = aftertune.audit(
        checkpoints / "base", given, data=checkpoints / "test.jsonl", out=tmp_path / "run",
        **(SETTINGS | {"dropout": "none", "beams": 0, "items": 6}),
    )  # fmt: skip
    last = result.records.take(result.records.epoch == 2)
    alone = go(checkpoints, ["tuned-2"], tmp_path / "alone", dropout="none", beams=0, items=6).records
    assert last.output.tolist() == alone.output[alone.epoch == 1].tolist()
    assert "checkpoints of out are taken in the order of training: checkpoint-500, checkpoint-1000" in (
        result.analysis.notes
    )


# A folder belongs to one audit


def test_another_audit_is_refused_also_before_the_first_is_finished(checkpoints, tmp_path, decoded, monkeypatch):
    few, out = {"dropout": "none", "beams": 0, "items": 6}, tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(auditing, "finish", None)
        with pytest.raises(TypeError):
            go(checkpoints, ["tuned-1"], out, **few)
    for other, settings, said in (
        (["adapter"], few, f"after {checkpoints / 'tuned-1'}"),
        (["tuned-1"], few | {"data": "other.jsonl"}, "task test; data"),
    ):
        write_jsonl(checkpoints / "other.jsonl", rows(20, 4))
        with pytest.raises(InputError, match="run holds another audit") as error:
            go(checkpoints, other, out, **settings)
        assert said in str(error.value)
        assert "give another folder with --out, such as" in str(error.value)
    go(checkpoints, ["tuned-1"], out, **few)
    assert len(decoded) == 2
    report = (out / "run.json").read_bytes()
    with pytest.raises(InputError, match="run holds another audit"):
        go(checkpoints, ["tuned-2"], out, **few)
    assert (out / "run.json").read_bytes() == report


# What the model reads


TURNS = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


@pytest.fixture
def chatty(checkpoints, tmp_path):
    """The checkpoints base and tuned-1 in a folder of their own, with a chat template that says w5 first."""
    for name in ("base", "tuned-1"):
        shutil.copytree(checkpoints / name, tmp_path / name)
        (tmp_path / name / "chat_template.jinja").write_text("w5 " + TURNS)
    shutil.copy(checkpoints / "test.jsonl", tmp_path)
    return tmp_path


FEW = {"dropout": "none", "beams": 0, "items": 6}


def test_prompts_are_recorded_as_the_model_read_them(chatty, tmp_path):
    records = go(chatty, ["tuned-1"], tmp_path / "run", **FEW).records
    for shown, prompt in zip(records.extra["rendered_prompt"], records.extra["input"]):
        assert shown == f"w5 {prompt}"


def test_a_template_edited_between_two_commands_decodes_anew(chatty, tmp_path, decoded):
    first = go(chatty, ["tuned-1"], tmp_path / "run", **FEW).records
    go(chatty, ["tuned-1"], tmp_path / "run", **FEW)
    assert len(decoded) == 2
    for name in ("base", "tuned-1"):
        (chatty / name / "chat_template.jinja").write_text("w6 w7 " + TURNS)
    second = go(chatty, ["tuned-1"], tmp_path / "run", **FEW).records
    assert len(decoded) == 4
    assert first.output.tolist() != second.output.tolist()


def test_a_tokenizer_edited_between_two_commands_decodes_anew(chatty, tmp_path, decoded):
    go(chatty, ["tuned-1"], tmp_path / "run", **FEW)
    file = chatty / "tuned-1" / "tokenizer.json"
    times = file.stat()
    swapped = file.read_text().replace('"w1"', '"w_"').replace('"w2"', '"w1"').replace('"w_"', '"w2"')
    file.write_text(swapped)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    go(chatty, ["tuned-1"], tmp_path / "run", **FEW)
    assert len(decoded) == 3


def test_a_template_with_the_date_of_today(chatty, tmp_path, decoded, monkeypatch):
    for name in ("base", "tuned-1"):
        (chatty / name / "chat_template.jinja").write_text("w{{ strftime_now('%d') | int }} " + TURNS)
    found = {}
    for day in (3, 3, 4):
        monkeypatch.setattr(prompting, "today", lambda day=day: datetime.date(2030, 1, day))
        found[day] = go(chatty, ["tuned-1"], tmp_path / "run", **FEW)
    assert len(decoded) == 4
    assert found[4].records.extra["rendered_prompt"][0].startswith("w4 ")
    assert any("the date of today" in note for note in found[4].analysis.notes)


def test_a_chat_template_at_one_checkpoint_only_is_said(chatty, tmp_path):
    (chatty / "base" / "chat_template.jinja").unlink()

    def read(out, **settings):
        rows = go(chatty, ["tuned-1"], tmp_path / out, **FEW, **settings).analysis.rows("checks")
        return [row.message for row in rows if row.check == "same prompts" and row.level == "warning"]

    (note,) = read("run")
    assert f"{chatty / 'base'} as '<s> w" in note
    assert f"{chatty / 'tuned-1'} as 'w5 w" in note
    assert read("off", chat="off") == []


# Similarity to the training set


def test_similarity_to_training_items_of_ones_own(checkpoints, tmp_path, decoded):
    """The test items themselves are among the training items: each is its own nearest."""
    train = write_jsonl(tmp_path / "train.jsonl", [*rows(12, 7), *rows(20, 3)])
    out = tmp_path / "run"
    settings = {"train": train, "dropout": "none", "beams": 0}
    result = go(checkpoints, ["tuned-1"], out, **settings)
    assert result.records.train_similarity == pytest.approx(1.0, abs=1e-6)
    texts = {row["id"]: row["q"] for row in rows(12, 7) + rows(20, 3)}
    for item, nearest in zip(result.records.item_id, result.records.extra["nearest_training_item"]):
        assert texts[nearest] == texts[item]
    assert all(row.status for row in result.analysis.rows("similarity"))  # constant: nothing to correlate with
    signatures = json.loads((out / "run.json").read_text())["signatures"]
    assert signatures["train_similarity"].startswith("largest cosine similarity to a training item|embedding:mean")
    # Again: nothing is embedded; other training items: only they are.
    decoded.clear()
    go(checkpoints, ["tuned-1"], out, **settings)
    assert decoded == []
    settings["train"] = write_jsonl(tmp_path / "other.jsonl", rows(9, 8))
    other = go(checkpoints, ["tuned-1"], out, **settings)
    assert {len(names) for _, names in decoded} == {8, 1}
    assert (other.records.train_similarity < 1).all()
    assert len({*other.records.train_similarity}) > 20
    without = go(checkpoints, ["tuned-1"], out, **(settings | {"train": None}))
    assert np.isnan(without.records.train_similarity).all()


def test_training_items_that_will_not_do(checkpoints, tmp_path):
    long = [{"id": "long", "q": " ".join(["w1"] * 120), "answer": "w1"}]
    train = write_jsonl(tmp_path / "train.jsonl", long)
    with pytest.raises(InputError, match="'long' has 122 tokens"):
        go(checkpoints, ["tuned-1"], tmp_path / "run", train=train)
    with pytest.raises(InputError, match=r"absent\.jsonl"):
        go(checkpoints, ["tuned-1"], tmp_path / "run", train=tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="with --task write --train task"):
        aftertune.audit(
            checkpoints / "base", checkpoints / "tuned-1", task="toy_qa", train=train, out=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


# Judged answers


def test_judged_answers_and_validation_items(checkpoints, tmp_path, decoded):
    """Every other reference is what the model before says, and no model says the others."""
    items = rows(20, 3)
    asked = [row["q"] + " =" for row in items]
    said = aftertune.collect(*tiny("llama"), asked, beams=0, dropout_samples=0, max_new_tokens=14).greedy.text
    judged = [row | {"answer": text if i % 2 else "never"} for i, (row, text) in enumerate(zip(items, said))]
    write_jsonl(checkpoints / "judged.jsonl", judged)
    decoded.clear()
    validation = write_jsonl(tmp_path / "validation.jsonl", rows(9, 11))
    out = tmp_path / "run"
    settings = {"data": "judged.jsonl", "judge": "rule", "validation": validation, "dropout": "none", "beams": 0}
    records = go(checkpoints, ["tuned-1"], out, **settings).records
    assert {(s, int((records.split == s).sum())) for s in set(records.split)} == {("test", 40), ("validation", 18)}
    before = records.take((records.epoch == 0) & (records.split == "test"))
    assert dict(zip(before.item_id, before.correct)) == {row["id"]: bool(i % 2) for i, row in enumerate(items)}
    for correct, quality in zip(records.correct, records.quality):
        assert correct == (quality == 1) or 0 < quality < 1
    signatures = json.loads((out / "run.json").read_text())["signatures"]
    assert "rule" in signatures["correct"]
    # Another judge, here none, decodes nothing.
    decoded.clear()
    again = go(checkpoints, ["tuned-1"], out, **(settings | {"judge": "none"})).records
    assert decoded == []
    assert set(again.correct) == {None}


def test_a_judge_that_will_not_do(checkpoints, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="unknown judge 'rull': did you mean rule"):
        go(checkpoints, ["tuned-1"], tmp_path / "run", judge="rull")
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        go(checkpoints, ["tuned-1"], tmp_path / "run", judge="openai:gpt-4o-mini")
    assert not (tmp_path / "run").exists()


def test_a_named_task_in_other_words(tmp_path):
    """The evidence is of the new prompts; items, references and what a judge is told are those of the task."""
    found = {}
    for name, template in (("own", None), ("other", "{question} ({facts})")):
        result = aftertune.audit(
            "embedded:tiny-t5-qa", "embedded:tiny-t5-qa", task="toy_qa", template=template, items=6,
            judge="token_f1", beams=0, dropout="none", resamples=200, out=tmp_path / name,
        )  # fmt: skip
        found[name] = result.records
    assert found["own"].item_id.tolist() == found["other"].item_id.tolist()
    assert [list(r) for r in found["own"].references] == [list(r) for r in found["other"].references]
    own, other = (found[name].extra["input"][0] for name in ("own", "other"))
    facts, _, question = own.removeprefix("facts: ").removesuffix(" =>").partition(" question: ")
    assert other == f"{question} ({facts})"
    own, other = (found[name].scores["mean_token_logprob"] for name in ("own", "other"))
    assert (own != other).all()
    for records in found.values():
        known = [record == 1 for record in records.quality.tolist()]
        assert records.correct.tolist() == known
    manifest = json.loads((tmp_path / "other" / "run.json").read_text())
    assert manifest["settings"]["prompt"] == "{question} ({facts})"
    assert any("prompts are '{question} ({facts})' instead of" in note for note in manifest["notes"])
