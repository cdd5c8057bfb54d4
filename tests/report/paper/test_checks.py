"""What the paper says of its tables: counted here again from the files, without the package's code."""

from __future__ import annotations

import csv
from importlib.resources import files

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from aftertune.report.paper.checks import (
    Agreement,
    checks,
    difference_agreement,
    falls,
    falls_of_auroc,
    mirror,
    significant,
    starting_from_nothing,
)
from aftertune.report.paper.tables import paper_tables
from aftertune.stats.falls import Falls

TABLES = paper_tables()


def rows(table: str) -> list[dict[str, str]]:
    (file,) = [f for f in files("aftertune.report.paper").iterdir() if f.name.startswith(f"{table}_")]
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def test_table_1_falls_in_48_of_144() -> None:
    printed = [row["mean"] for row in rows("table1")]
    assert sum(mean.startswith("-") and float(mean) != 0 for mean in printed) == 48
    assert falls(TABLES.no_sft_to_full) == Falls(fell=48, rose=94, unchanged=2, undefined=0)


def test_table_1_with_every_score_oriented() -> None:
    signs = [-1 if row["score"] == "BS Imp Wt" else 1 for row in rows("table1")]
    values = [sign * float(row["mean"]) for sign, row in zip(signs, rows("table1"))]
    assert (sum(v < 0 for v in values), sum(v > 0 for v in values)) == (46, 96)
    assert falls(TABLES.no_sft_to_full, oriented=True) == Falls(fell=46, rose=96, unchanged=2, undefined=0)


def test_falls_from_a_correlation_that_was_undefined() -> None:
    found = starting_from_nothing(TABLES.no_sft_to_full, TABLES.by_stage)
    assert {cell.task for cell in found} == {"GSM8K"}
    assert len(found) == 48
    assert sum(cell.mean < 0 for cell in found) == 12


def test_table_6_rises_in_85_of_144() -> None:
    assert sum(float(row["mean"]) > 0 for row in rows("table6")) == 85
    assert falls(TABLES.epoch_1_to_full) == Falls(fell=58, rose=85, unchanged=1, undefined=0)
    assert falls(TABLES.epoch_1_to_full, oriented=True).rose == 89


def test_table_5_falls_in_23_of_48() -> None:
    first = {(r["model"], r["score"]): float(r["auroc"]) for r in rows("table5") if r["stage"] != "full"}
    full = {(r["model"], r["score"]): float(r["auroc"]) for r in rows("table5") if r["stage"] == "full"}
    assert sum(full[pair] < auroc for pair, auroc in first.items()) == 23
    assert falls_of_auroc(TABLES.auroc) == Falls(fell=23, rose=25, unchanged=0, undefined=0)
    kept = {"Avg Tok Prob", "BS Ratios", "BS Sums", "DO Meteor Var"}
    turned = sum((full[p] < first[p]) if p[1] in kept else (full[p] > first[p]) for p in first)
    assert falls_of_auroc(TABLES.auroc, oriented=True).fell == turned == 19


def test_tables_1_and_6_are_differences_of_table_8() -> None:
    """In thousandths, where the printed numbers are integers."""
    rho = {(r["model"], r["task"], r["score"], r["stage"]): round(1000 * float(r["mean"])) for r in rows("table8")}
    for table, start, exact in (("table1", "no_sft", 124), ("table6", "epoch_1", 115)):
        off = []
        for r in rows(table):
            key = (r["model"], r["task"], r["score"])
            off.append(abs(round(1000 * float(r["mean"])) - (rho[*key, "full"] - rho[*key, start])))
        assert (len(off), off.count(0), max(off)) == (144, exact, 1)
    expected = Agreement(n=144, agree=144, largest=0.001)
    assert difference_agreement(TABLES.no_sft_to_full, TABLES.by_stage, "no_sft") == expected
    assert difference_agreement(TABLES.epoch_1_to_full, TABLES.by_stage, "epoch_1") == expected
    wrong = difference_agreement(TABLES.no_sft_to_full, TABLES.by_stage, "epoch_1")
    assert wrong.agree < 50
    assert wrong.largest > 0.5


@pytest.mark.parametrize(("start", "fell", "rose"), [("no_sft", 2, 8), ("epoch_1", 0, 0)])
def test_significant_changes_as_the_text_counts_them(start, fell: int, rose: int) -> None:
    """F = 3 (m1 − m0)² / (s0² + s1²) on 1 and 4 degrees of freedom for two groups of three."""
    at = {
        (r["model"], r["task"], r["score"], r["stage"]): (float(r["mean"]), float(r["sd"])) for r in rows("table8")
    }
    change, p = [], []
    for *key, stage in at:
        (m0, s0), (m1, s1) = at[*key, start], at[*key, "full"]
        if stage == "full" and (s0 or s1):
            change.append(m1 - m0)
            p.append(stats.f.sf(3 * (m1 - m0) ** 2 / (s0**2 + s1**2), 1, 4))
    rejected, sign = multipletests(p, method="holm")[0], np.sign(change)
    assert (np.sum(rejected & (sign < 0)), np.sum(rejected & (sign > 0))) == (fell, rose)
    found = significant(TABLES.by_stage, start)
    assert (len(found.fell), len(found.rose), found.tests) == (fell, rose, len(p))


def test_the_significant_falls_are_mirrored_by_rises() -> None:
    found = significant(TABLES.by_stage, "no_sft")
    assert [(c.model, c.task, c.score) for c in found.fell] == [
        ("BART", "SQUAD", "BS Sums"),
        ("Flan-T5", "SQUAD", "BS Sums"),
    ]
    assert [(c.model, c.task) for c in found.rose if c.score == "BS Imp Wt"] == [
        ("BART", "SQUAD"),
        ("Flan-T5", "SQUAD"),
    ]


def test_beam_sums_mirror_importance_weights_outside_squad() -> None:
    at = {(r["model"], r["task"], r["stage"], r["score"]): round(1000 * float(r["mean"])) for r in rows("table8")}
    sums = {key[:3]: abs(value + at[*key[:3], "BS Imp Wt"]) for key, value in at.items() if key[3] == "BS Sums"}
    assert (len(sums), sum(s <= 1 for s in sums.values()), max(sums.values())) == (36, 24, 166)
    assert sum(s <= 1 for key, s in sums.items() if key[1] != "SQUAD") == 22
    found = mirror(TABLES.by_stage, "BS Sums", "BS Imp Wt")
    assert (found.n, found.close, found.largest) == (36, 24, 0.166)
    assert (found.at.model, found.at.task, found.at.stage) == ("BART", "SQUAD", "epoch_1")


def test_what_is_reported() -> None:
    found = checks()
    assert [(check.tables, check.agrees) for check in found] == [
        ("Table 1", True),
        ("Table 1", False),
        ("Tables 1, 8", True),
        ("Table 6", True),
        ("Tables 6, 8", True),
        ("Tables 1, 6, 8", True),
        ("Table 5", True),
        ("Table 7", False),
        ("Table 8", False),
        ("Table 2", True),
        ("Table 2", True),
        ("Table 3", True),
        ("Table 3", True),
        ("Table 4", True),
        ("Table 4", True),
        ("Table 9", False),
        ("Table 10", True),
        ("Table 10", True),
        ("Table 11", True),
        ("Table 12", True),
    ]
    held = [check.held for check in found]
    assert held[0] == "48 of 144 cells are below zero"
    assert held[1] == "94 cells are above zero, 2 are exactly zero"
    assert held[2].startswith("2 falls and 8 rises")
    assert held[3] == "85 of 144 cells are above zero"
    assert held[5] == "288 of 288 cells agree within rounding (0.0015); the largest deviation is 0.001"
    assert held[6] == "AUROC falls in 23 of 48 pairs"
    assert held[7] == "−0.548 for BS Imp Wt of Llama-3.1 on Eng-Afr; 2 of 144 cells are below −0.391"
    assert held[8].startswith("BS Sums = −BS Imp Wt to 0.001 in 24 of 36 cells (22 of 24 outside SQUAD)")
    assert all(check.remark.endswith(".") for check in found)


def test_the_largest_fall_of_table_7() -> None:
    falls_of_7 = sorted((float(r["mean"]), r["model"], r["task"], r["score"]) for r in rows("table7"))
    assert falls_of_7[0] == (-0.548, "Llama-3.1", "Eng-Afr", "BS Imp Wt")
    assert [fall[0] for fall in falls_of_7[:4]] == [-0.548, -0.473, -0.391, -0.352]
    remark = next(check.remark for check in checks() if check.tables == "Table 7")
    assert "the 3 largest are of BS Imp Wt" in remark
    assert "the next is −0.352 for CoCoA MTE of Flan-T5 on Eng-Afr" in remark
