"""summary.json: what a pipeline reads."""

from __future__ import annotations

import json
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from aftertune.report.summary import QualityChange
from aftertune.report.summary_file import (
    SCHEMA,
    SCHEMA_FILE,
    SummaryFile,
    fields_of,
    json_schema,
    summary_file,
    with_fields,
    write_summary,
)
from aftertune.report.verdicts import Group

DOCS = Path(__file__).parents[2] / "docs"
PLACE = {"model": "m", "task": "t", "setting": "default"}


def change(score: str = "s", effect: str = "adjusted", ci_scope: str = "models", **others) -> SimpleNamespace:
    row = {
        "score": score, "from_": "before", "to": "selected", "effect": effect, "n_items": 90, "n_seeds": 2,
        "value_from": 0.5, "value_to": 1 / 3, "mean": -1 / 6, "ci_low": -0.3, "ci_high": -0.01,
        "ci_scope": ci_scope, "simultaneous": True, "verdict": "fell", "usable": "yes", "status": "",
        "items_needed": None, "items_needed_low": None, "items_needed_high": None,
    }  # fmt: skip
    return SimpleNamespace(**PLACE | row | others)


def correlation(seed: int, epoch: float, score: str = "s", **others) -> SimpleNamespace:
    row = {
        "adjusted_low": 0.1 + 0.2 * seed, "adjusted_high": 0.7, "ci_low": 0.1, "ci_high": 0.5, "concordance": 0.7,
        "adjusted": 0.4, "spearman": 0.3,
    }  # fmt: skip
    return SimpleNamespace(**PLACE, seed=seed, epoch=epoch, selected=epoch == 1, score=score, **row | others)


class Made(SimpleNamespace):
    """An analysis whose rows are made by hand."""

    def rows(self, name: str) -> tuple:
        return tuple(getattr(self, name, ()))


def made(changes: list, correlations: list | None = None, group=("m", "t", "default"), **others) -> SummaryFile:
    model, task, setting = group
    shown = Group(model=model, task=task, setting=setting, from_="before", to="selected", outcomes=())
    both = [correlation(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    analysis = Made(
        change=changes, correlation=both if correlations is None else correlations, notes=("a note",),
        tables={"recommendation": pd.DataFrame(columns=["role", "score", "sentences", "low"])}, **others,
    )  # fmt: skip
    quality = QualityChange(
        group=shown, before=0.25, after=2 / 3, better=0.5, worse=0.1, same=0.4, n_items=88, n_seeds=2
    )
    summary = SimpleNamespace(groups=(shown,), quality=(quality,))
    return summary_file(analysis, summary, None, title="x", settings={"command": "run", "lr": nan}, partial=False)  # pyright: ignore


def test_what_stands_in_it(tmp_path):
    scopes = ("models", "training", "new_run")
    rows = [change(effect=e, ci_scope=s, mean=-0.1) for e in ("adjusted", "spearman") for s in scopes]
    recommended = [("recommended", "s", ("Use s.", "It fell."), nan)]
    content = made(rows, recommendation=recommended)
    write_summary(content, tmp_path / "summary.json")
    read = json.loads((tmp_path / "summary.json").read_text("ascii"))
    (one,) = read["comparisons"]
    score = one["scores"].pop("s")
    assert one == {
        **PLACE, "from": "before", "to": "selected", "shown": True, "items": 90, "seeds": 2,
        "quality": {"before": 0.25, "after": 0.666667, "items": 88}, "scores": {},
    }  # fmt: skip
    assert score["adjusted"]["before"] == {"value": 0.5, "low": 0.2, "high": 0.7}  # means of the runs' ends
    assert score["adjusted"]["after"]["value"] == 0.333333
    assert score["spearman"]["after"] == {"value": 0.333333, "low": 0.1, "high": 0.5}
    assert list(score["adjusted"]["change"]) == list(scopes)
    assert score["adjusted"]["change"]["models"] == {
        "value": -0.1, "low": -0.3, "high": -0.01, "simultaneous": True
    }  # fmt: skip
    assert score["concordance"] == {"before": 0.7, "after": 0.7}
    assert (score["scope"], score["verdict"], score["usable"], score["auroc"]) == ("training", "fell", "yes", None)
    assert read["recommendation"] == [
        {"role": "recommended", "score": "s", "sentences": ["Use s.", "It fell."], "low": None}
    ]
    assert (read["schema"], read["partial"], read["checks"], read["notes"]) == (SCHEMA, False, [], ["a note"])
    assert read["settings"] == {"command": "run", "lr": None}
    assert SummaryFile.model_validate_json((tmp_path / "summary.json").read_text()) == content
    again = (tmp_path / "summary.json").read_bytes()
    write_summary(made(rows, recommendation=recommended), tmp_path / "summary.json")
    assert (tmp_path / "summary.json").read_bytes() == again


def test_what_is_undefined_is_null_and_never_zero():
    nothing = {"value_from": nan, "value_to": inf, "mean": nan, "ci_low": nan, "ci_high": -inf}
    rows = [
        change(effect=e, verdict="undefined", usable="", status="no item", **nothing)
        for e in ("adjusted", "spearman")
    ]
    none = {"adjusted_low": nan, "adjusted_high": nan, "ci_low": nan, "ci_high": nan, "concordance": nan}
    content = made(rows, [correlation(0, 0, **none), correlation(0, 1, **none)])
    score = content.comparisons[0].scores["s"]
    assert (score.verdict, score.usable, score.status, score.scope) == ("undefined", None, "no item", "models")
    text = score.model_dump_json()
    assert "0" not in text.replace('"items":90', "")
    assert not any(value is not None for value in score.adjusted.before.model_dump().values())


def test_an_interval_of_some_runs_is_none():
    some = [correlation(0, 0), correlation(1, 0, adjusted_low=nan), correlation(0, 1), correlation(1, 1)]
    before = made([change()], some).comparisons[0].scores["s"].adjusted.before
    assert (before.value, before.low, before.high) == (0.5, None, 0.7)


def test_items_needed():
    (row,) = [change(verdict="inconclusive", items_needed=800, items_needed_low=300.0, items_needed_high=None)]
    needed = made([row]).comparisons[0].scores["s"].items_needed
    assert needed is not None
    assert needed.model_dump() == {"value": 800, "low": 300, "high": None}


def test_auroc():
    judged = [
        correlation(0, e, auroc=0.8 - 0.1 * e, auroc_ci_low=0.6, auroc_ci_high=0.9)
        for e in (0, 1)
    ]  # fmt: skip
    moved = SimpleNamespace(**PLACE, score="s", from_="before", to="selected", auroc_from=0.81, auroc_to=0.72,
                            mean=-0.09, ci_low=-0.2, ci_high=0.02, ci_scope="models")  # fmt: skip
    auroc = made([change()], downstream=judged, downstream_change=[moved]).comparisons[0].scores["s"].auroc
    assert auroc is not None
    assert auroc.before.model_dump() == {"value": 0.81, "low": 0.6, "high": 0.9}
    assert auroc.change["models"].model_dump() == {
        "value": -0.09, "low": -0.2, "high": 0.02, "simultaneous": False
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a\x1b[31m", "\u202egnp", "\x9b31m", '"\\', "</script>", "字"])
def test_texts_from_outside_are_data(tmp_path, name):
    rows = [change(name, effect=effect, model=name, status=name) for effect in ("adjusted", "spearman")]
    write_summary(made(rows, [], group=(name, "t", "default")), tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text("ascii")
    assert text.replace("\n", " ").isprintable()
    (one,) = json.loads(text)["comparisons"]
    assert (one["model"], list(one["scores"])) == (name, [name])


def test_the_schema_and_the_page_are_up_to_date():
    renew = "python -m aftertune.report.summary_file docs/summary.md"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == json_schema(), renew
    page = (DOCS / "summary.md").read_text(encoding="utf-8")
    assert with_fields(page) == page, renew
    for place, meaning in fields_of(SummaryFile):
        assert meaning, place


def test_the_example_in_the_page_is_one():
    page = (DOCS / "summary.md").read_text(encoding="utf-8")
    example = page.partition("```json\n")[2].partition("```")[0]
    SummaryFile.model_validate_json(example)
