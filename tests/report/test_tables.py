"""The tables on disk."""

from __future__ import annotations

import csv
import json
from math import nan
from pathlib import Path

from aftertune.analysis import schema
from aftertune.analysis.schema import TABLES, Analysis
from aftertune.report.tables import cell, write_tables

CORRELATION = schema.CORRELATION.row(
    model="my_model|v1",
    task="50%",
    setting="default",
    seed=0,
    epoch=0.0,
    selected=False,
    score="beam_sum",
    n=60,
    spearman=nan,
    ci_low=nan,
    ci_high=nan,
    status="quality is constant: no correlation",
)
CHANGE = schema.CHANGE.row(
    model="my_model|v1",
    task="50%",
    setting="default",
    score="beam_sum",
    from_="before",
    to="selected",
    effect="spearman",
    n_items=60,
    n_seeds=3,
    value_from=0.5,
    value_to=0.376543211,
    mean=-0.123456789,
    sd=0.02,
    ci_low=-0.2,
    ci_high=-0.1,
    ci_scope="models",
    simultaneous=True,
    p_anova=0.01,
    p_anova_holm=0.02,
    p_welch=0.03,
    p_paired=0.04,
    p_change=0.001,
    p_beyond_margin=0.3,
    verdict="degraded",
    usable="yes",
    items_needed=None,
    items_needed_low=None,
    items_needed_high=None,
)
FALL = schema.EPOCH_FALL.row(
    model="m",
    task="t",
    setting="default",
    score="beam_sum",
    n_seeds=2,
    mean=-0.1,
    sd=0.05,
    worst=-0.2,
    worst_from_epoch=3.0,
)
SIZE = schema.SAMPLE_SIZE.row(
    model="m",
    task="t",
    setting="n=*",
    score="beam_sum",
    settings="n=100; n=500",
    f=2.5,
    p_anova=0.1,
    p_anova_holm=0.2,
)
WHERE = {"model": "m", "task": "t", "setting": "default", "score": "beam_sum"}
QUADRANT = schema.QUADRANTS.row(
    **WHERE,
    from_="before",
    to="last",
    n=8,
    concordant=0.75,
    overconfident=0.25,
    underconfident=0.0,
    tied=0.625,
    n_seeds=1,
)
DIRECTION = schema.DIRECTION.row(
    **WHERE,
    n=16,
    confidence_not_increased=56.25,
    increased_quality_not_improved=31.25,
    both_increased=12.5,
    n_transitions=2,
)
STEP = {"seed": 0, "from_epoch": 1.0, "to_epoch": 2.0}
PAIR = schema.PAIRS.row(**WHERE, **STEP, n_correlated=21, stays=9, case1=3, both_flip=1, case2=2, n_tied=6)
CASE1 = schema.CASE1.row(**WHERE, **STEP, n_case1=3, output_unchanged=None, quality_unchanged=2)
SIMILARITY = schema.SIMILARITY.row(
    **WHERE,
    seed=0,
    epoch=1.0,
    n=8,
    spearman=0.5,
    p=0.2,
    p_holm=0.4,
    quality_spearman=0.25,
    quality_given_similarity=nan,
    status="p is rough",
)
MOVED = schema.MOVED_ITEMS.row(
    **WHERE,
    from_="before",
    to="last",
    side="overconfident",
    move=0.25,
    seed=0,
    item_id="D",
    input=None,
    references=("<b>d</b>", "Dé"),
    output_from="two\nlines",
    output_to="\u2028 |",
    quality_from=1.0,
    quality_to=0.0,
    confidence_from=2.0,
    confidence_to=4.0,
    quality_rank_from=0.5,
    quality_rank_to=0.0,
    confidence_rank_from=0.25,
    confidence_rank_to=0.75,
)
DOWNSTREAM = schema.DOWNSTREAM.row(
    **WHERE,
    seed=0,
    epoch=0.0,
    selected=False,
    n=100,
    auroc=0.612345678,
    prr=0.2,
    aurc=0.3,
    ece=nan,
    auroc_ci_low=0.5,
    auroc_ci_high=0.71234567,
    ece_if_calibrated=nan,
    brier=nan,
    n_correct=40,
    map="",
    n_validation=0,
    status="no percentages: no validation rows",
)
DOWNSTREAM_CHANGE = schema.DOWNSTREAM_CHANGE.row(
    **WHERE,
    from_="before",
    to="selected",
    n_items=100,
    n_seeds=3,
    auroc_from=0.6,
    auroc_to=0.7,
    mean=0.1,
    sd=0.02,
    ci_low=0.05,
    ci_high=0.15,
    ci_scope="training",
    p_change=0.01,
    p_change_holm=0.02,
    status="",
)
PERCENTAGE = schema.PERCENTAGES.row(
    **WHERE,
    seed=0,
    map="min-max",
    fitted="before",
    applied="selected",
    n_validation=50,
    n=100,
    ece=0.25,
    ece_if_calibrated=0.05,
    brier=0.2,
    miscalibration=0.05,
    discrimination=0.1,
    uncertainty=0.25,
    status="",
)
REVIEW = schema.REVIEW.row(
    **WHERE,
    seed=0,
    wanted=0.9,
    chosen="before",
    applied="selected",
    threshold=-0.5,
    n_validation=50,
    bound=0.91,
    n=100,
    kept=0,
    coverage=0.0,
    precision=nan,
    ci_low=nan,
    ci_high=nan,
    without=0.4,
    status="all answers are sent to review",
)
TOLD = schema.ALERTS.row(
    **WHERE,
    seed=0,
    epoch=3.0,
    checkpoint="selected",
    item_id="D",
    confidence=-0.5,
    chance=0.733,
    alert="There is an estimated 73 % chance the answer is right",
    correct=False,
    input=None,
    references=("é",),
    output="two\nlines",
)
ALL = Analysis.of(
    correlation=(CORRELATION,),
    change=(CHANGE,),
    epoch_fall=(FALL,),
    sample_size=(SIZE,),
    quadrants=(QUADRANT,),
    direction=(DIRECTION,),
    pairs=(PAIR,),
    case1_unchanged=(CASE1,),
    similarity=(SIMILARITY,),
    moved_items=(MOVED,),
    downstream=(DOWNSTREAM,),
    downstream_change=(DOWNSTREAM_CHANGE,),
    percentages=(PERCENTAGE,),
    review=(REVIEW,),
    alerts=(TOLD,),
)
COLUMNS = {
    "correlation": "model,task,setting,seed,epoch,selected,score,n,spearman,ci_low,ci_high,status",
    "change": "model,task,setting,score,from,to,effect,n_items,n_seeds,value_from,value_to,mean,sd,ci_low,ci_high,"
    "ci_scope,simultaneous,p_anova,p_anova_holm,p_welch,p_paired,p_change,p_beyond_margin,verdict,usable,"
    "items_needed,items_needed_low,items_needed_high,p_permutation,status",
    "epoch_fall": "model,task,setting,score,n_seeds,mean,sd,worst,worst_from_epoch",
    "sample_size": "model,task,setting,score,settings,f,p_anova,p_anova_holm",
    "quadrants": "model,task,setting,score,from,to,n,concordant,overconfident,underconfident,tied",
    "direction": "model,task,setting,score,n,confidence_not_increased,increased_quality_not_improved,"
    "both_increased",
    "pairs": "model,task,setting,score,seed,from_epoch,to_epoch,n_correlated,stays,case1,both_flip,case2,n_tied",
    "case1_unchanged": "model,task,setting,score,seed,from_epoch,to_epoch,n_case1,output_unchanged,"
    "quality_unchanged",
    "similarity": "model,task,setting,seed,epoch,score,n,spearman,p",
    "downstream": "model,task,setting,seed,epoch,selected,score,n,auroc,prr,aurc,ece",
    "downstream_change": "model,task,setting,score,from,to,n_items,n_seeds,auroc_from,auroc_to,mean,sd,ci_low,"
    "ci_high,ci_scope,p_change,p_change_holm,status",
    "percentages": "model,task,setting,score,seed,map,fitted,applied,n_validation,n,ece,ece_if_calibrated,brier",
    "review": "model,task,setting,score,seed,wanted,chosen,applied,threshold,n_validation,bound,n,kept,coverage,"
    "precision",
}
WITHOUT_LATEX = ("percentages", "review")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_table_in_three_forms(tmp_path: Path) -> None:
    paths = write_tables(ALL, tmp_path / "tables")
    assert sorted(paths) == sorted((tmp_path / "tables").iterdir())
    tables = [
        f"{t}.{suffix}" for t in COLUMNS for suffix in ("csv", "md", *(() if t in WITHOUT_LATEX else ("tex",)))
    ]
    assert [path.name for path in paths] == [*tables, "moved_items.jsonl", "alerts.jsonl"]


def test_columns_begin_as_the_contract_says(tmp_path: Path) -> None:
    write_tables(ALL, tmp_path)
    for name, columns in COLUMNS.items():
        header = (tmp_path / f"{name}.csv").read_text().splitlines()[0]
        assert header.startswith(columns)
        assert (tmp_path / f"{name}.md").read_text().splitlines()[0] == "| " + header.replace(",", " | ") + " |"
        assert header.split(",") == [column.name for column in TABLES[name].columns]


def test_cells(tmp_path: Path) -> None:
    write_tables(ALL, tmp_path)
    (row,) = read(tmp_path / "correlation.csv")
    assert (row["spearman"], row["selected"], row["epoch"]) == ("", "false", "0")
    assert row["status"] == "quality is constant: no correlation"
    (row,) = read(tmp_path / "change.csv")
    found = [row[name] for name in ("mean", "from", "simultaneous", "usable", "items_needed")]
    assert found == ["-0.123457", "before", "true", "yes", ""]
    (row,) = read(tmp_path / "epoch_fall.csv")
    assert (row["worst"], row["worst_from_epoch"]) == ("-0.2", "3")
    (row,) = read(tmp_path / "sample_size.csv")
    assert (row["settings"], row["f"]) == ("n=100; n=500", "2.5")
    (row,) = read(tmp_path / "quadrants.csv")
    assert [row[name] for name in ("from", "to", "concordant", "n_seeds")] == ["before", "last", "0.75", "1"]
    (row,) = read(tmp_path / "pairs.csv")
    assert [row[name] for name in ("from_epoch", "to_epoch", "n_correlated", "n_tied")] == ["1", "2", "21", "6"]
    (row,) = read(tmp_path / "case1_unchanged.csv")
    assert [row[name] for name in ("n_case1", "output_unchanged", "quality_unchanged")] == ["3", "", "2"]
    (row,) = read(tmp_path / "similarity.csv")
    assert [row[name] for name in ("p", "p_holm", "quality_given_similarity")] == ["0.2", "0.4", ""]
    (row,) = read(tmp_path / "downstream.csv")
    assert [row[name] for name in ("selected", "auroc", "ece", "map")] == ["false", "0.612346", "", ""]
    assert [row[name] for name in ("auroc_ci_low", "auroc_ci_high")] == ["0.5", "0.712346"]
    (row,) = read(tmp_path / "review.csv")
    assert [row[name] for name in ("kept", "coverage", "precision")] == ["0", "0", ""]
    markdown = (tmp_path / "change.md").read_text().splitlines()
    assert len(markdown) == 3
    assert markdown[2].startswith(
        r"| my_model\|v1 | 50% | default | beam_sum | before | selected | spearman | 60 |"
    )
    latex = (tmp_path / "change.tex").read_text()
    assert r"\multicolumn{1}{c}{my\_model\textbar{}v1}" in latex
    assert r"BS Sums & $-$0.123 (0.020)$^{*\dagger}$ \\" in latex


def test_moved_items_are_one_object_a_line(tmp_path: Path) -> None:
    write_tables(Analysis.of(moved_items=(MOVED, MOVED)), tmp_path)
    text = (tmp_path / "moved_items.jsonl").read_bytes().decode("utf-8")
    one, two, end = text.split("\n")
    assert one == two
    assert end == ""
    row = json.loads(one)
    assert list(row) == [column.name for column in TABLES["moved_items"].columns]
    assert (row["from"], row["input"], row["references"]) == ("before", None, ["<b>d</b>", "Dé"])
    assert (row["output_from"], row["output_to"], row["move"]) == ("two\nlines", "\u2028 |", 0.25)
    assert "Dé" in one


def test_alerts_are_one_object_a_line(tmp_path: Path) -> None:
    write_tables(Analysis.of(alerts=(TOLD, TOLD)), tmp_path)
    one, two, end = (tmp_path / "alerts.jsonl").read_bytes().decode("utf-8").split("\n")
    assert (one == two, end) == (True, "")
    row = json.loads(one)
    assert list(row) == [column.name for column in TABLES["alerts"].columns]
    assert (row["alert"], row["correct"], row["input"], row["output"]) == (TOLD.alert, False, None, "two\nlines")
    assert (row["chance"], row["confidence"], row["references"]) == (0.733, -0.5, ["é"])


def test_a_table_without_rows_has_no_files_even_from_before(tmp_path: Path) -> None:
    write_tables(ALL, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    paths = write_tables(Analysis.of(correlation=(CORRELATION,), change=(CHANGE,)), tmp_path)
    assert {path.stem for path in paths} == {"correlation", "change"}
    assert sorted(tmp_path.iterdir()) == sorted([*paths, tmp_path / "notes.txt"])
    assert write_tables(Analysis.of(), tmp_path / "none") == []


def test_the_same_again(tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in write_tables(ALL, tmp_path)}
    assert {path.name: path.read_bytes() for path in write_tables(ALL, tmp_path)} == first


def test_undefined_and_exact_numbers() -> None:
    values = [nan, None, True, False, 0, 12, 1 / 3, -0.0, 1e-7, "a"]
    assert [cell(v) for v in values] == ["", "", "true", "false", "0", "12", "0.333333", "0", "1e-07", "a"]
