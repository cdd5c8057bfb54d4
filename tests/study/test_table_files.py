"""The tables on disk."""

from __future__ import annotations

import csv
from dataclasses import fields, replace
from math import nan
from pathlib import Path

from aftertune.rows import Analysis, ChangeRow, CorrelationRow, EpochFallRow, SampleSizeRow
from aftertune.study.table_files import cell, write_tables

CORRELATION = CorrelationRow(
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
CHANGE = ChangeRow(
    model="my_model|v1",
    task="50%",
    setting="default",
    score="beam_sum",
    from_="before",
    to="selected",
    n_items=60,
    n_seeds=3,
    mean=-0.123456789,
    sd=0.02,
    ci_low=-0.2,
    ci_high=-0.1,
    ci_scope="models",
    p_anova=0.01,
    p_anova_holm=0.02,
    p_bootstrap=0.001,
    p_bootstrap_holm=0.002,
    verdict="degraded",
    useful=True,
    items_needed=None,
)
FALL = EpochFallRow(
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
SIZE = SampleSizeRow(
    model="m",
    task="t",
    setting="n=*",
    score="beam_sum",
    settings="n=100; n=500",
    f=2.5,
    p_anova=0.1,
    p_anova_holm=0.2,
)
ALL = Analysis(correlations=(CORRELATION,), changes=(CHANGE,), epoch_falls=(FALL,), sample_sizes=(SIZE,))
COLUMNS = {
    "correlation": "model,task,setting,seed,epoch,selected,score,n,spearman,ci_low,ci_high,status",
    "change": "model,task,setting,score,from,to,n_items,n_seeds,mean,sd,ci_low,ci_high,ci_scope,p_anova,"
    "p_anova_holm,p_bootstrap,p_bootstrap_holm,verdict",
    "epoch_fall": "model,task,setting,score,n_seeds,mean,sd,worst,worst_from_epoch",
    "sample_size": "model,task,setting,score,settings,f,p_anova,p_anova_holm",
}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_table_in_three_forms(tmp_path: Path) -> None:
    paths = write_tables(ALL, tmp_path / "tables")
    assert sorted(paths) == sorted((tmp_path / "tables").iterdir())
    assert [path.name for path in paths] == [f"{t}.{suffix}" for t in COLUMNS for suffix in ("csv", "md", "tex")]


def test_columns_begin_as_the_contract_says(tmp_path: Path) -> None:
    write_tables(ALL, tmp_path)
    for name, columns in COLUMNS.items():
        header = (tmp_path / f"{name}.csv").read_text().splitlines()[0]
        assert header.startswith(columns)
        assert (tmp_path / f"{name}.md").read_text().splitlines()[0] == "| " + header.replace(",", " | ") + " |"
    kinds = {
        "correlation": CorrelationRow,
        "change": ChangeRow,
        "epoch_fall": EpochFallRow,
        "sample_size": SampleSizeRow,
    }
    for name, kind in kinds.items():
        assert len(read(tmp_path / f"{name}.csv")[0]) == len(fields(kind))


def test_cells(tmp_path: Path) -> None:
    write_tables(ALL, tmp_path)
    (row,) = read(tmp_path / "correlation.csv")
    assert (row["spearman"], row["selected"], row["epoch"]) == ("", "false", "0")
    assert row["status"] == "quality is constant: no correlation"
    (row,) = read(tmp_path / "change.csv")
    assert (row["mean"], row["from"], row["useful"], row["items_needed"]) == ("-0.123457", "before", "true", "")
    (row,) = read(tmp_path / "epoch_fall.csv")
    assert (row["worst"], row["worst_from_epoch"]) == ("-0.2", "3")
    (row,) = read(tmp_path / "sample_size.csv")
    assert (row["settings"], row["f"]) == ("n=100; n=500", "2.5")
    markdown = (tmp_path / "change.md").read_text().splitlines()
    assert len(markdown) == 3
    assert markdown[2].startswith(r"| my_model\|v1 | 50% | default | beam_sum | before | selected | 60 | 3 |")
    latex = (tmp_path / "change.tex").read_text()
    assert r"\multicolumn{1}{c}{my\_model\textbar{}v1}" in latex
    assert r"BS Sums & $-$0.123 (0.020)$^{*\dagger}$ \\" in latex


def test_a_table_without_rows_has_no_files_even_from_before(tmp_path: Path) -> None:
    write_tables(ALL, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    paths = write_tables(replace(ALL, epoch_falls=(), sample_sizes=()), tmp_path)
    assert {path.stem for path in paths} == {"correlation", "change"}
    assert sorted(tmp_path.iterdir()) == sorted([*paths, tmp_path / "notes.txt"])
    assert write_tables(Analysis(correlations=(), changes=()), tmp_path / "none") == []


def test_the_same_again(tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in write_tables(ALL, tmp_path)}
    assert {path.name: path.read_bytes() for path in write_tables(ALL, tmp_path)} == first


def test_undefined_and_exact_numbers() -> None:
    values = [nan, None, True, False, 0, 12, 1 / 3, -0.0, 1e-7, "a"]
    assert [cell(v) for v in values] == ["", "", "true", "false", "0", "12", "0.333333", "0", "1e-07", "a"]
