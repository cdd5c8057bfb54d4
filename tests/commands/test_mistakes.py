"""Mistakes made on purpose: each is caught by a check, in the tables, in run.json, and first on the screen."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import aftertune
from aftertune.cli.main import main
from aftertune.commands import analyze as finishing
from aftertune.errors import InputError
from aftertune.finetune.protocol import LoraOptions
from aftertune.finetune.train import add_lora
from aftertune.models.load import load, save
from aftertune.tasks import TASKS, Sizes
from drawing import without_drawing
from samples import write_jsonl
from tiny import SEED

BASE, OTHER = "embedded:tiny-t5-translation", "embedded:tiny-t5-qa"
SETTINGS = {"input": "q", "target": "answer", "beams": 0, "dropout": "none", "resamples": 200}
TURNS = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    without_drawing(monkeypatch)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Items; near, the base a little changed; broken, much; chatty, near with a chat template; an adapter."""
    folder = tmp_path_factory.mktemp("bench")
    items = TASKS.get("toy_translation").load(sizes=Sizes(train=0, validation=0, test=40)).test
    rows = [
        {"id": one.id, "q": one.prompt.removesuffix(" =>"), "answer": list(one.references), "tail": "=>"}
        for one in items
    ]
    write_jsonl(folder / "items.jsonl", rows)
    write_jsonl(folder / "five.jsonl", rows[:5])
    write_jsonl(folder / "twice.jsonl", [*rows[:32], *({**row, "id": f"again {row['id']}"} for row in rows[:8])])
    for name, noise in (("near", 0.001), ("chatty", 0.001), ("broken", 2.0)):
        loaded, draw = load(BASE), torch.Generator().manual_seed(SEED)
        with torch.no_grad():
            for weight in loaded.model.parameters():
                weight += noise * weight.std() * torch.randn(weight.shape, generator=draw)
        save(loaded, folder / name)
    (folder / "chatty" / "chat_template.jinja").write_text(TURNS)
    save(add_lora(load(OTHER), LoraOptions(r=4), seed=0), folder / "adapter")
    return folder


def audit(bench, out, before=BASE, after="near", data="items.jsonl", **settings):
    after = after if after.startswith("embedded:") else bench / after
    before = before if before.startswith("embedded:") else bench / before
    settings = {"template": "{q} {tail}", **SETTINGS, **settings}
    return aftertune.audit(before, after, data=bench / data, out=out, **settings)


def refused(bench, out, *arguments):
    """What the command line prints where it refuses an audit; its exit code is 2 and nothing is written."""
    given = ["audit", *arguments, "--input", "q", "--target", "answer", "--beams", "0", "--dropout", "none"]
    assert main([*given, "--out", str(out)]) == 2
    assert not out.exists()


def found(result, check=None):
    """Findings that are not as they should be: checkpoint → message, of one check, or the names of all."""
    rows = [row for row in result.analysis.rows("checks") if row.level in ("warning", "refused")]
    if check is None:
        return {row.check for row in rows}
    return {row.checkpoint: row.message for row in rows if row.check == check}


@pytest.fixture(scope="module")
def right(bench, tmp_path_factory):
    """An audit without a mistake."""
    return audit(bench, tmp_path_factory.mktemp("right") / "run")


def test_nothing_is_found_where_nothing_is_wrong(right):
    assert found(right) <= {"token limit", "loops"}  # of what the model learnt, on any processor
    levels = {row.check: row.level for row in right.analysis.rows("checks")}
    for check in (
        "architecture", "weights", "tokenizer", "same prompts", "target in prompt", "template", "quality",
        "number of items", "common items", "duplicate items", "one class", "negative score",
    ):  # fmt: skip
        assert levels[check] == "ok", check
    assert "same files" in levels
    weights = next(row for row in right.analysis.rows("checks") if row.check == "weights")
    assert weights.value > 0.99


def test_checks_are_a_table_and_those_made_while_measuring_are_in_run_json(right):
    with (right.out / "tables" / "checks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(right.analysis.rows("checks"))
    manifest = json.loads((right.out / "run.json").read_text())
    kept = {one["check"] for one in manifest["checks"]}
    assert {"architecture", "template", "same prompts"} <= kept
    assert "token limit" not in kept  # records tell it, and a report makes it again
    again = finishing.redraw(right.out)
    assert repr(again.analysis.rows("checks")) == repr(right.analysis.rows("checks"))
    elsewhere = finishing.analyze(right.out, out=right.out.parent / "again", resamples=200)
    assert {row.check for row in elsewhere.analysis.rows("checks")} == {row["check"] for row in rows}


def test_a_prompt_is_shown_as_each_checkpoint_read_it(right):
    before, after = right.analysis.rows("prompts_read")
    assert (before.checkpoint, after.checkpoint) == ("before", "last")
    assert before.prompt == after.prompt
    assert before.prompt.startswith("translate: ")
    assert before.prompt.endswith(" =></s>")
    assert before.references
    assert isinstance(before.output, str)


def test_five_duplicated_items_read_with_a_literal_backslash_n_and_a_limit_of_three_tokens(bench, tmp_path):
    result = audit(bench, tmp_path / "run", data="twice.jsonl", template=r"{q} {tail}\n", max_new_tokens=3)
    (note,) = [row for row in result.analysis.rows("checks") if row.check == "template"]
    assert note.level == "note"
    assert r"\n is read as a new line (↵)" in note.message
    assert all(prompt.endswith("=>\n") for prompt in result.records.extra["input"])

    limit = found(result, "token limit")
    assert set(limit) == {"before", "last"}
    assert limit["last"].startswith("3-token limit: ")
    assert limit["last"].endswith(
        " % of answers after fine-tuning were cut at it: raise --max-new-tokens (in a study file max_new_tokens)"
    )

    (message,) = found(result, "duplicate items").values()
    assert message.startswith("8 of 40 items repeat another (same prompt and references)")


def test_the_field_hit_limit_is_that_of_outputs_without_an_end(right):
    """A limit of as many tokens as the longest answer has cuts nothing."""
    records = right.records
    assert set(records.extra["prompt_cut"]) == {False}
    longest = max(records.extra["n_tokens"])
    cut = np.array(records.extra["hit_limit"], dtype=bool)
    assert not cut[np.array(records.extra["n_tokens"]) < 128].any()
    assert longest <= 128


def test_target_in_the_template(bench, tmp_path, capsys):
    arguments = (BASE, str(bench / "near"), "--data", str(bench / "items.jsonl"), "--template", "{q} {answer}")
    refused(bench, tmp_path / "run", *arguments)
    said = capsys.readouterr().err
    assert "contains the target column 'answer'" in said
    assert "--allow-target-in-template" in said
    with pytest.raises(InputError, match="the input column is the target column 'q'"):
        audit(bench, tmp_path / "run", template=None, target="q")
    with pytest.raises(InputError, match="allow_target_in_template: true"):
        aftertune.ConfidenceCallback(
            bench / "items.jsonl", tmp_path / "other", input="q", target="answer", template="{answer}"
        )
    write_jsonl(tmp_path / "text.jsonl", [{"q": f"cat {i}", "answer": f"dog {i}"} for i in range(5)])
    allowed = aftertune.audit(
        BASE, bench / "near", data=tmp_path / "text.jsonl", out=tmp_path / "run", template="{q} {answer} =>",
        allow_target_in_template=True, max_new_tokens=2, **SETTINGS,
    )  # fmt: skip
    (row,) = [row for row in allowed.analysis.rows("checks") if row.check == "target in prompt"]
    assert row.level == "refused"
    (message,) = found(allowed, "number of items").values()
    assert message.startswith("only 5 items have quality and a score at both before and last")


def test_a_chat_template_on_one_side(bench, tmp_path):
    result = audit(bench, tmp_path / "run", after="chatty", data="five.jsonl", max_new_tokens=2)
    (message,) = found(result, "same prompts").values()
    assert f"A chat template is used by {bench / 'chatty'} and not by {BASE}" in message
    assert "--chat off" in message
    off = audit(bench, tmp_path / "off", after="chatty", data="five.jsonl", max_new_tokens=2, chat="off")
    assert found(off, "same prompts") == {}
    assert len(found(off, "number of items")) == 1


def test_a_wrong_parent(bench, tmp_path, capsys):
    refused(bench, tmp_path / "run", BASE, str(bench / "adapter"), "--data", str(bench / "five.jsonl"))
    said = capsys.readouterr().err
    assert f"tiny-t5-qa, not on {BASE}: give" in said
    assert "--allow-other-base" in said
    full = audit(bench, tmp_path / "run", after=OTHER, data="five.jsonl", max_new_tokens=2)
    assert {"weights", "tokenizer", "architecture"} <= found(full)
    (message,) = found(full, "weights").values()
    assert "was it fine-tuned from another model?" in message


def test_swapped_checkpoints(bench, tmp_path, capsys):
    result = audit(bench, tmp_path / "run", after="broken")  # what was fine-tuned, given first
    (message,) = found(result, "quality").values()
    assert message.startswith("mean quality fell from ")
    assert "were the two models swapped?" in message
    assert "duplicate items" not in found(result)


def lines(sign=1.0, n=60, **changes):
    """Records of another pipeline: one score that follows quality, another with this sign."""
    rng = np.random.default_rng(1 + SEED)
    rows = []
    for epoch in (0, 1):
        quality = rng.random(n)
        mine = sign * (quality + 0.3 * rng.normal(size=n))
        for i in range(n):
            row = {
                "model": "m", "task": "t", "seed": 0, "epoch": epoch, "item_id": f"{i}", "output": f"o{i}",
                "references": ["r"], "quality": quality[i],
                "scores": {"mine": mine[i], "other": quality[i] + i / n},
            }  # fmt: skip
            rows.append(row | {name: value(i, epoch) for name, value in changes.items()})
    return rows


def analyze(tmp_path, rows, **settings):
    write_jsonl(tmp_path / "records.jsonl", rows)
    return finishing.analyze(tmp_path / "records.jsonl", out=tmp_path / "out", resamples=200, **settings)


def test_a_negated_score(tmp_path):
    result = analyze(tmp_path, lines(sign=-1.0))
    (message,) = found(result, "negative score").values()
    assert message.startswith(
        "mine is lower where quality is higher, before fine-tuning and after fine-tuning (rho"
    )
    assert message.endswith("aftertune analyze … --negate mine")
    mended = analyze(tmp_path, lines(sign=-1.0), negate=["mine"])
    assert found(mended) == set()
    assert mended.records.scores["mine"].tolist() == (-result.records.scores["mine"]).tolist()
    with pytest.raises(InputError, match="unknown score in these records 'mein': did you mean mine"):
        analyze(tmp_path, lines(), negate=["mein"])
    assert main(["analyze", str(tmp_path / "records.jsonl"), "--out", str(tmp_path / "cli"), "--negate", "mine",
                 "--resamples", "200"]) == 0  # fmt: skip


def test_checkpoints_without_a_common_item(tmp_path, capsys):
    rows = lines(item_id=lambda i, epoch: f"{epoch}-{i}")
    file = write_jsonl(tmp_path / "records.jsonl", rows)
    assert main(["analyze", str(file), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "before and last have no item in common (such as '0-0' and '1-0')" in said
    assert "--allow-other-items" in said
    assert not (tmp_path / "out").exists()
    allowed = analyze(tmp_path, rows, allow_other_items=True)
    assert [row.level for row in allowed.analysis.rows("checks") if row.check == "common items"] == ["refused"]


def test_what_records_of_another_pipeline_do_not_say_is_not_known(tmp_path, capsys):
    result = analyze(tmp_path, lines())
    assert found(result) == set()
    unknown = {
        row.check for row in result.analysis.rows("checks") if row.level == "note" and row.value != row.value
    }
    assert unknown == {"token limit", "duplicate items"}


def test_the_screen_begins_with_what_was_found(tmp_path, capsys):
    file = write_jsonl(tmp_path / "records.jsonl", lines(hit_limit=lambda i, epoch: i < 30 * epoch,
                                                         n_tokens=lambda i, epoch: 24))  # fmt: skip
    assert main(["analyze", str(file), "--out", str(tmp_path / "out"), "--resamples", "200"]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("Checks: ")
    assert "1 warning" in first
    said = " ".join(" ".join(others[:2]).split())
    assert said.startswith("⚠ 24-token limit: 50 % of answers after fine-tuning were cut at it: raise")
    assert Path(tmp_path / "out" / "tables" / "checks.csv").exists()


@pytest.mark.thorough
def test_a_limit_of_24_tokens_on_long_answers(tmp_path):
    """Of three sentences at once."""
    items = TASKS.get("toy_translation").load(sizes=Sizes(train=0, validation=0, test=60)).test
    rows = [
        {"q": " ".join([*(one.prompt.removesuffix(" =>") for one in items[i : i + 3]), "=>"]), "answer": "tam"}
        for i in range(40)
    ]
    write_jsonl(tmp_path / "long.jsonl", rows)
    model = "embedded:tiny-llama-translation"
    result = aftertune.audit(
        model, model, data=tmp_path / "long.jsonl", out=tmp_path / "run", max_new_tokens=24, **SETTINGS
    )
    assert "same files" in found(result)
    cut = np.array(result.records.extra["hit_limit"], dtype=bool)
    assert (cut <= (np.array(result.records.extra["n_tokens"]) == 24)).all()
    checks = {(row.check, row.checkpoint): row for row in result.analysis.rows("checks")}
    assert checks["token limit", "last"].value == pytest.approx(cut[result.records.epoch == 1].mean())
