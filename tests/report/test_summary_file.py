"""summary.json: what a pipeline reads."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest

from aftertune.analysis.schema import (
    CHANGE,
    CORRELATION,
    DOWNSTREAM,
    DOWNSTREAM_CHANGE,
    RECOMMENDATION,
    Analysis,
    Row,
)
from aftertune.commands.analyze import analyze, redraw
from aftertune.commands.gate import read_summary
from aftertune.files.runfolder import RunFolder
from aftertune.records.records import to_jsonl
from aftertune.report.summary import QualityChange, summarise
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
from record_samples import study
from report_rows import row

DOCS = Path(__file__).parents[2] / "docs"
SCOPES = ("models", "training", "new_run")
PLACE = {"model": "m", "task": "t", "setting": "default"}


def change(effect: str = "adjusted", ci_scope: str = "models", **others) -> Row:
    values = {
        "from_": "before", "to": "selected", "n_items": 90, "n_seeds": 2, "value_from": 0.5, "value_to": 1 / 3,
        "mean": -1 / 6, "ci_low": -0.3, "ci_high": -0.01, "simultaneous": True, "p_beyond_margin": 0.2,
        "verdict": "fell", "usable": "yes", "items_needed": None, "items_needed_low": None,
        "items_needed_high": None,
    }  # fmt: skip
    return row(CHANGE, effect=effect, ci_scope=ci_scope, **values | others)


def correlation(seed: int, epoch: float, **others) -> Row:
    values = {
        "adjusted": 0.4, "adjusted_low": 0.1 + 0.2 * seed, "adjusted_high": 0.7, "spearman": 0.3, "ci_low": 0.1,
        "ci_high": 0.5, "concordance": 0.7,
    }  # fmt: skip
    return row(CORRELATION, seed=seed, epoch=epoch, selected=epoch == 1, **values | others)


def made(changes: list[Row], correlations: list[Row] | None = None, **tables) -> SummaryFile:
    both = [correlation(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    analysis = Analysis.of(
        change=changes, correlation=both if correlations is None else correlations, notes=["a note"], **tables
    )
    summary = summarise(analysis)
    quality = QualityChange(
        group=summary.groups[0], before=0.25, after=2 / 3, better=0.5, worse=0.1, same=0.4, n_items=88, n_seeds=2
    )
    settings = {"command": "run", "lr": nan}
    return summary_file(
        analysis, replace(summary, quality=(quality,)), study(), title="x", settings=settings, partial=False
    )


def recommended(**others) -> Row:
    values = {column.name: nan for column in RECOMMENDATION.columns if column.kind == "float"}
    values |= {
        "role": "recommended",
        "from_": "before",
        "to": "selected",
        "score": "s",
        "chosen_on": "cross-fitting",
    }
    values |= {"n_scores": 2, "n_choice": 90, "n_items": 90, "n_seeds": 2, "verdict": "fell", "usable": "yes"}
    return RECOMMENDATION.row(**PLACE, **values | {"graded": True, "concordance": 0.7} | others)


def test_where_nothing_is_recommended_no_score_stands_there():
    rows = [change(e) for e in ("adjusted", "spearman")]
    (row,) = made(rows, recommendation=[recommended(status="no score is shown to be usable")]).recommendation
    assert (row["score"], row["nearest"], row["sentences"][0]) == (None, "s", "No score is shown to be usable.")


def test_what_stands_in_it(tmp_path):
    rows = [change(e, scope, mean=-0.1) for e in ("adjusted", "spearman") for scope in SCOPES]
    content = made(rows, recommendation=[recommended()])
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
    assert list(score["adjusted"]["change"]) == list(SCOPES)
    assert score["adjusted"]["change"]["models"] == {
        "value": -0.1, "low": -0.3, "high": -0.01, "simultaneous": True
    }  # fmt: skip
    assert score["concordance"] == {"before": 0.7, "after": 0.7}
    assert (score["scope"], score["verdict"], score["usable"], score["auroc"]) == ("training", "fell", "yes", None)
    assert score["new_run_falls"] == 0.2
    (row,) = read["recommendation"]
    assert (row["score"], row["nearest"], row["concordance"], row["concordance_low"]) == ("s", None, 0.7, None)
    assert row["sentences"][0] == "Use s."
    assert (read["schema"], read["partial"], read["checks"], read["notes"]) == (SCHEMA, False, [], ["a note"])
    assert read["settings"] == {"command": "run", "lr": None}
    assert SummaryFile.model_validate_json((tmp_path / "summary.json").read_text()) == content
    again = (tmp_path / "summary.json").read_bytes()
    write_summary(made(rows, recommendation=[recommended()]), tmp_path / "summary.json")
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
    before = made([change(), change("spearman")], some).comparisons[0].scores["s"].adjusted.before
    assert (before.value, before.low, before.high) == (0.5, None, 0.7)


def test_items_needed():
    said = {"verdict": "inconclusive", "items_needed": 800, "items_needed_low": 300}
    needed = made([change(**said), change("spearman", **said)]).comparisons[0].scores["s"].items_needed
    assert needed is not None
    assert needed.model_dump() == {"value": 800, "low": 300, "high": None}


def test_auroc():
    judged = [
        row(DOWNSTREAM, epoch=e, selected=e == 1, auroc=0.8 - 0.1 * e, auroc_ci_low=0.6, auroc_ci_high=0.9)
        for e in (0, 1)
    ]
    moved = row(DOWNSTREAM_CHANGE, from_="before", to="selected", auroc_from=0.81, auroc_to=0.72, mean=-0.09,
                ci_low=-0.2, ci_high=0.02, ci_scope="models")  # fmt: skip
    content = made([change(), change("spearman")], downstream=judged, downstream_change=[moved])
    auroc = content.comparisons[0].scores["s"].auroc
    assert auroc is not None
    assert auroc.before.model_dump() == {"value": 0.81, "low": 0.6, "high": 0.9}
    assert auroc.change["models"].model_dump() == {
        "value": -0.09, "low": -0.2, "high": 0.02, "simultaneous": False
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a\x1b[31m", "\u202egnp", "\x9b31m", '"\\', "</script>", "字"])
def test_texts_from_outside_are_data(tmp_path, name):
    rows = [change(effect, model=name, score=name, status=name) for effect in ("adjusted", "spearman")]
    write_summary(made(rows, []), tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text("ascii")
    assert text.replace("\n", " ").isprintable()
    (one,) = json.loads(text)["comparisons"]
    assert (one["model"], list(one["scores"])) == (name, [name])


def test_of_a_study(tmp_path):
    """Every number is that of a table, and the second comparison is there, too."""
    to_jsonl(study(), tmp_path / "r.jsonl")
    result = analyze(tmp_path / "r.jsonl", out=tmp_path / "out", resamples=200, correct_at=0.0)
    content, state = read_summary(tmp_path / "out")
    assert (content.partial, state, content.notes) == (False, "finished", list(result.analysis.notes))
    assert content.settings["correct_at"] == 0.0
    changes = result.tables["change"]
    assert {(one.from_, one.to) for one in content.comparisons} == set(zip(changes["from"], changes["to"]))
    assert len(content.comparisons) > 1
    assert [one.shown for one in content.comparisons].count(True) == 1
    for one in content.comparisons:
        assert one.quality is not None
        for name, score in one.scores.items():
            own = changes[(changes["score"] == name) & (changes["from"] == one.from_) & (changes["to"] == one.to)]
            for effect in ("adjusted", "spearman"):
                for row_ in own[own["effect"] == effect].itertuples():
                    found = getattr(score, effect).change[row_.ci_scope]
                    assert (found.value, found.low) == pytest.approx((row_.mean, row_.ci_low), rel=1e-5)
                assert getattr(score, effect).after.value == pytest.approx(row_.value_to, rel=1e-5)
            assert {score.verdict} == set(own["verdict"])
            assert score.auroc is not None
            low, value, high = score.auroc.after.low, score.auroc.after.value, score.auroc.after.high
            assert low < value < high
    assert not RunFolder(tmp_path / "out").damaged()


def test_a_partial_run_says_so(tmp_path):
    to_jsonl(study(), tmp_path / "r.jsonl")
    analyze(tmp_path / "r.jsonl", out=tmp_path / "out", resamples=200)
    folder = RunFolder(tmp_path / "out")
    before = folder.summary.read_bytes()
    redraw(folder.root)
    assert folder.summary.read_bytes() == before
    assert folder.state() == "finished"
    folder.change(state="interrupted", records=["x"])
    redraw(folder.root)
    assert read_summary(folder.root)[0].partial


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
