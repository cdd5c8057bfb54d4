"""The paper's tables, and what its text says of them: counted again from the files, without the package's code."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from aftertune.report.latex_tables import PAPER_SCORES
from aftertune.report.paper.claims import Cells, corrected, falls, leaning, mirror, prevalence, with_tests
from aftertune.report.paper.tables import AS_IN_TABLE_5, DROPOUT_BLEU, FILES, LOG_PROB, printed
from aftertune.scores import SCORES, get
from aftertune.stats.falls import Falls, count_falls
from paper.claims import (
    PAGE,
    Claim,
    claims,
    differences,
    mean_share_range,
    page,
    significant,
    starting_from_nothing,
    welch_range,
)

GIVEN = Path(__file__).resolve().parents[3] / "shared" / "paper"


def rows(number: int) -> list[dict[str, str]]:
    (file,) = FILES.glob(f"table{number}_*.csv")
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def of(number: int) -> list[Claim]:
    return [claim for claim in claims() if claim.tables == f"Table {number}"]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run PYTHONPATH=src python tests/paper/claims.py"


@pytest.mark.skipif(not GIVEN.is_dir(), reason="the paper's tables (shared/paper beside the project) are not here")
@pytest.mark.parametrize("name", sorted(file.name for file in FILES.glob("*.csv")))
def test_tables_as_given(name: str) -> None:
    assert (FILES / name).read_bytes() == (GIVEN / name).read_bytes()


def test_every_row_and_cell_once() -> None:
    twelve = {(row["model"], row["task"]) for row in rows(2)}
    assert len(twelve) == 12
    for number in (2, 3, 4, 9, 10):
        assert {(row["model"], row["task"]) for row in rows(number)} == twelve
        assert len(rows(number)) == 12
    names = list(dict.fromkeys(row["score"] for row in rows(8)))
    assert [get(score).paper_name for score in PAPER_SCORES] == names
    for number, key, n in (
        *((number, ("model", "task", "score"), 144) for number in (1, 6, 7)),
        (5, ("model", "score", "stage"), 96),
        (8, ("model", "task", "score", "stage"), 432),
    ):
        assert {row["score"] for row in rows(number)} == set(names)
        assert len({tuple(row[column] for column in key) for row in rows(number)}) == len(rows(number)) == n
    for number, n in ((11, 12 * 2 * 9), (12, 2 * 3 * 2 * 10)):
        cells = {(row["model"], row["task"], row["score"], row["epoch"]) for row in rows(number)}
        assert len(cells) == len(rows(number)) == n
        assert set(printed(number)["score"]) == {LOG_PROB, DROPOUT_BLEU} <= set(names)


def test_every_score_of_the_paper_is_one_of_ours() -> None:
    assert {get(score).paper_name: score for score in PAPER_SCORES} == {
        "Avg Tok Prob": "mean_token_logprob",
        "Avg Tok Ent": "mean_token_entropy",
        "DO Ent": "dropout_entropy",
        "BS Imp Wt": "beam_importance_weighted",
        "BS Ratios": "beam_ratio",
        "BS Sums": "beam_sum",
        "DO BLEU Var": "dropout_bleu_variance",
        "DO KL Div": "dropout_kl",
        "DO Meteor Var": "dropout_meteor",
        "CoCoA MSP": "cocoa_msp",
        "CoCoA MTE": "cocoa_mte",
        "CoCoA PPL": "cocoa_ppl",
    }
    first = {entry.paper_name: name for name, entry in reversed(list(SCORES.items()))}
    assert all(first[get(score).paper_name] == score for score in PAPER_SCORES)
    assert [score for score in PAPER_SCORES if get(score).sign_in_paper == -1] == ["beam_importance_weighted"]
    assert set(AS_IN_TABLE_5) < {get(score).paper_name for score in PAPER_SCORES}


def test_rows_sum_to_the_whole_but_for_rounding() -> None:
    for number, whole in ((2, 1), (9, 1), (3, 100), (4, 1), (10, 1)):
        for row in rows(number):
            assert sum(float(value) for value in list(row.values())[2:]) == pytest.approx(
                whole, abs=0.0101 * whole
            )


def test_table_1_falls_in_48_of_144() -> None:
    means = [row["mean"] for row in rows(1)]
    assert sum(mean.startswith("-") and float(mean) != 0 for mean in means) == 48
    assert falls(printed(1)) == Falls(fell=48, rose=94, unchanged=2, undefined=0)


def test_table_1_with_every_score_oriented() -> None:
    values = [(-1 if row["score"] == "BS Imp Wt" else 1) * float(row["mean"]) for row in rows(1)]
    assert (sum(v < 0 for v in values), sum(v > 0 for v in values)) == (46, 96)
    assert falls(printed(1), oriented=True) == Falls(fell=46, rose=96, unchanged=2, undefined=0)


def test_falls_from_a_correlation_that_was_undefined() -> None:
    found = starting_from_nothing()
    assert set(found["task"]) == {"GSM8K"}
    assert (len(found), (found["mean"] < 0).sum()) == (48, 12)


def test_table_6_rises_in_85_of_144() -> None:
    assert sum(float(row["mean"]) > 0 for row in rows(6)) == 85
    assert falls(printed(6)) == Falls(fell=58, rose=85, unchanged=1, undefined=0)
    assert falls(printed(6), oriented=True).rose == 89


def test_table_5_falls_in_23_of_48() -> None:
    first = {(r["model"], r["score"]): float(r["auroc"]) for r in rows(5) if r["stage"] != "full"}
    full = {(r["model"], r["score"]): float(r["auroc"]) for r in rows(5) if r["stage"] == "full"}
    assert sum(full[pair] < auroc for pair, auroc in first.items()) == 23
    cells = Cells(tables={5: printed(5)}, oriented=False)
    assert count_falls(cells.auroc_changes(oriented=False)) == Falls(fell=23, rose=25, unchanged=0, undefined=0)
    kept = {"Avg Tok Prob", "BS Ratios", "BS Sums", "DO Meteor Var"}
    turned = sum((full[p] < first[p]) if p[1] in kept else (full[p] > first[p]) for p in first)
    assert count_falls(cells.auroc_changes(oriented=True)).fell == turned == 19


def test_tables_1_and_6_are_differences_of_table_8() -> None:
    """In thousandths, where the printed numbers are integers."""
    rho = {(r["model"], r["task"], r["score"], r["stage"]): round(1000 * float(r["mean"])) for r in rows(8)}
    for number, start, exact in ((1, "no_sft", 124), (6, "epoch_1", 115)):
        off = []
        for r in rows(number):
            key = (r["model"], r["task"], r["score"])
            off.append(abs(round(1000 * float(r["mean"])) - (rho[*key, "full"] - rho[*key, start])))
        assert (len(off), off.count(0), max(off)) == (144, exact, 1)
        np.testing.assert_allclose(sorted(differences(number, start) * 1000), sorted(off), atol=1e-9)
    wrong = differences(1, "epoch_1")
    assert (wrong <= 0.0015).sum() < 50
    assert wrong.max() > 0.5


@pytest.mark.parametrize(("start", "fell", "rose"), [("no_sft", 2, 8), ("epoch_1", 0, 0)])
def test_significant_changes_as_the_text_counts_them(start: str, fell: int, rose: int) -> None:
    """F = 3 (m1 − m0)² / (s0² + s1²) on 1 and 4 degrees of freedom for two groups of three."""
    at = {(r["model"], r["task"], r["score"], r["stage"]): (float(r["mean"]), float(r["sd"])) for r in rows(8)}
    change, p = [], []
    for *key, stage in at:
        (m0, s0), (m1, s1) = at[*key, start], at[*key, "full"]
        if stage == "full" and (s0 or s1):
            change.append(m1 - m0)
            p.append(stats.f.sf(3 * (m1 - m0) ** 2 / (s0**2 + s1**2), 1, 4))
    rejected, sign = multipletests(p, method="holm")[0], np.sign(change)
    assert (np.sum(rejected & (sign < 0)), np.sum(rejected & (sign > 0))) == (fell, rose)
    found = significant(1 if start == "no_sft" else 6)
    assert (len(found.fell), len(found.rose), found.tests) == (fell, rose, len(p))


def test_the_significant_falls_are_mirrored_by_rises() -> None:
    found = significant(1)
    assert found.fell[["model", "task", "score"]].values.tolist() == [
        ["BART", "SQUAD", "BS Sums"],
        ["Flan-T5", "SQUAD", "BS Sums"],
    ]
    mirrored = found.rose[found.rose["score"] == "BS Imp Wt"]
    assert mirrored[["model", "task"]].values.tolist() == [["BART", "SQUAD"], ["Flan-T5", "SQUAD"]]


def test_what_fitting_tests_leave_of_the_significant_cells() -> None:
    """Welch: t² = 3 (m1 − m0)² / (s0² + s1²), degrees of freedom by Satterthwaite; paired: t = √3 m / s on 2."""
    at = {(r["model"], r["task"], r["score"], r["stage"]): (float(r["mean"]), float(r["sd"])) for r in rows(8)}
    welch, constant = [], []
    for *key, stage in at:
        (m0, s0), (m1, s1) = at[*key, "no_sft"], at[*key, "full"]
        if stage == "full" and (s0 or s1):
            df = 2 * (s0**2 + s1**2) ** 2 / (s0**4 + s1**4)
            welch.append(2 * stats.t.sf(abs(m1 - m0) / np.sqrt((s0**2 + s1**2) / 3), df))
            constant.append((s0 == 0) != (s1 == 0))
    change = [(float(r["mean"]), float(r["sd"])) for r in rows(1)]
    paired = [2 * stats.t.sf(np.sqrt(3) * abs(m) / s, 2) for m, s in change if s]
    found = corrected(with_tests(1))
    for test, p in (("welch", welch), ("paired", paired)):
        assert len(p) == 143
        assert np.sort(found[f"p_{test}"].dropna()) == pytest.approx(np.sort(multipletests(p, method="holm")[1]))
    assert found["constant"].sum() == sum(constant) == 75
    ten = found[found["p_anova"] < 0.05]
    assert (len(ten), ten["constant"].sum()) == (10, 9)
    left = found[found["p_welch"] < 0.05]
    assert left[["model", "task", "score"]].values.tolist() == [["BART", "SQUAD", "DO KL Div"]]
    assert (left["mean"] > 0).all()
    assert found["p_paired"].min() == pytest.approx(0.1256, abs=1e-4)
    later = corrected(with_tests(6))
    assert not (later[["p_anova", "p_welch", "p_paired"]] < 0.05).any(axis=None)
    low, high = welch_range(left)
    assert low < left["p_welch"].item() < 0.05 < high


def test_beam_sums_mirror_importance_weights_outside_squad() -> None:
    at = {
        (r["model"], r["task"], r["stage"], r["score"]): round(1000 * float(r["mean"]))
        for r in rows(8)
        if float(r["mean"]) or float(r["sd"])  # else nothing varies there
    }
    sums = {key[:3]: abs(value + at[*key[:3], "BS Imp Wt"]) for key, value in at.items() if key[3] == "BS Sums"}
    assert (len(sums), sum(s <= 1 for s in sums.values()), max(sums.values())) == (32, 20, 166)
    assert sum(s <= 1 for key, s in sums.items() if key[1] != "SQUAD") == 18
    found = mirror(printed(8))
    assert (len(found), (found <= 0.001).sum(), found.max()) == (32, 20, 0.166)
    assert found.idxmax() == ("BART", "SQUAD", "epoch_1")


def test_what_is_reported() -> None:
    found = claims()
    assert [(claim.tables, claim.agrees) for claim in found] == [
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
    held = [claim.held for claim in found]
    assert held[0] == "48 of 144 cells are below zero"
    assert held[1] == "94 cells are above zero, 2 are exactly zero"
    assert held[2].startswith("2 falls and 8 rises")
    assert held[3] == "85 of 144 cells are above zero"
    assert held[5] == "288 of 288 cells agree within rounding (0.0015); the largest deviation is 0.001"
    assert held[6] == "AUROC falls in 23 of 48 pairs"
    assert held[7] == "−0.548 for BS Imp Wt of Llama-3.1 on Eng-Afr; 2 of 144 cells are below −0.391"
    assert held[8].startswith("BS Sums = −BS Imp Wt to 0.001 in 20 of 32 defined cells (18 of 20 outside SQUAD)")
    assert all(claim.remark.endswith(".") for claim in found)


def test_the_largest_fall_of_table_7() -> None:
    falls_of_7 = sorted((float(r["mean"]), r["model"], r["task"], r["score"]) for r in rows(7))
    assert falls_of_7[0] == (-0.548, "Llama-3.1", "Eng-Afr", "BS Imp Wt")
    assert [fall[0] for fall in falls_of_7[:4]] == [-0.548, -0.473, -0.391, -0.352]
    (claim,) = of(7)
    assert "the 3 largest are of BS Imp Wt" in claim.remark
    assert "the next is −0.352 for CoCoA MTE of Flan-T5 on Eng-Afr" in claim.remark


@pytest.mark.parametrize(("number", "mean"), [(4, 68.6), (10, 52.6)])
def test_case_1_among_miscorrelated_pairs(number: int, mean: float) -> None:
    """In hundredths, where the printed shares are integers."""
    cells = [[round(100 * float(value)) for value in list(row.values())[2:]] for row in rows(number)]
    larger = sum(case1 > case2 for _, case1, _, case2 in cells)
    tied = sum(case1 == case2 for _, case1, _, case2 in cells)
    assert (larger, tied) == ((9, 1) if number == 4 else (6, 1))
    assert round(100 * fmean(case1 / (case1 + case2) for _, case1, _, case2 in cells), 1) == mean
    found, swapped = prevalence(printed(number)), prevalence(printed(number), swapped=True)
    assert (found.rows, found.larger, found.tied) == (12, larger, tied)
    assert round(100 * found.mean_share, 1) == mean
    assert swapped.mean_share == pytest.approx(fmean(case1 / (case1 + both) for _, case1, both, _ in cells))
    low, high = mean_share_range(number)
    assert low < found.mean_share < high
    # Half a hundredth of the sum of both, up or down: the mean moves by the mean of 0.5 / (case 1 + case 2).
    assert high - low == pytest.approx(fmean(1 / (case1 + case2) for _, case1, _, case2 in cells))


def test_what_is_said_of_case_1() -> None:
    larger, share = of(4)
    assert larger.held == "case 1 is larger in 9 of 12 rows, 1 is tied (Gemma-2 on SQUAD)"
    assert share.held.startswith("68.6 %")
    assert "66.2 to 71.0 %" in share.remark
    larger, share = of(10)
    assert larger.held == "case 1 is larger in 6 of 12 rows, 1 is tied (Gemma-2 on GSM8K)"
    assert share.held.startswith("52.6 %")


def test_over_and_under_confidence() -> None:
    for number in (2, 9):
        over = [float(r["overconfident"]) for r in rows(number)]
        under = [float(r["underconfident"]) for r in rows(number)]
        found = leaning(printed(number))
        assert found.rose == sum(o > u for o, u in zip(over, under))
        assert found.fell == sum(o < u for o, u in zip(over, under))
    assert sum(o > 0 for o in over) == 9
    concordant, overconfident = of(2)
    assert sum(float(r["concordant"]) > 0.5 for r in rows(2)) == 10
    assert concordant.held == "more than half of them in 10 of 12 rows"
    assert "Not for Flan-T5 on Eng-Afr and Llama-3.1 on SQUAD;" in concordant.remark
    assert overconfident.held == "over-confident is larger than under-confident in 8 of 9 rows"
    assert overconfident.remark == ("Not for Llama-3.1 on Eng-Afr; Flan-T5 leans the other way in 3 of 3 rows.")
    (underconfident,) = of(9)
    assert underconfident.held == (
        "under-confident is larger than over-confident in 10 of 12 rows; over-confident is above 0.00 in 9, "
        "at most 0.09"
    )
    assert "not for Gemma-2 on SQUAD" in underconfident.remark


def test_direction_of_change() -> None:
    increases, without = of(3)
    printed = [100 - float(r["confidence_not_increased"]) for r in rows(3)]
    assert (round(min(printed), 1), round(max(printed), 1)) == (50.8, 68.0)
    assert "12 of 12 rows: from 50.8 % (Flan-T5 on GSM8K) to 68.0 % (BART on Eng-Afr)" in increases.held
    not_improved = "confidence_increased_quality_not_improved"
    assert sum(float(r[not_improved]) > float(r["both_increased"]) for r in rows(3)) == 9
    assert without.held == "quality does not improve in more than half of them in 9 of 12 rows"


def test_case_1_without_a_change() -> None:
    (claim,) = of(11)
    named = [r for r in rows(11) if r["model"] in ("BART", "Flan-T5") and r["task"] != "Eng-Afr"]
    shares = [float(r["proportion"]) for r in named]
    assert (len(shares), min(shares), max(shares)) == (72, 0.744, 0.999)
    more = [r for r in rows(11) if float(r["proportion"]) > 0.999]
    assert {(r["score"], r["model"], r["task"]) for r in more} == {("dropout_bleu", "Llama-3.1", "GSM8K")}
    over_half = sum(float(r["proportion"]) > 0.5 for r in rows(11))
    assert claim.held == f"74.4 to 99.9 % in these 72 cells; more than half in {over_half} of all 216"
    assert "100.0 % for DO BLEU Var of Llama-3.1 on GSM8K" in claim.remark


def test_stars_of_similarity() -> None:
    (claim,) = of(12)
    starred = [r for r in rows(12) if r["significant"] == "1"]
    assert Counter(r["spearman"].startswith("-") for r in starred) == {False: 23, True: 21}
    stars = Counter((r["score"], r["spearman"].startswith("-")) for r in starred if r["task"] != "Eng-Afr")
    assert stars == {("log_prob", False): 23, ("dropout_bleu", True): 20}
    assert claim.held == (
        "Avg Tok Prob: of 40 correlations 23 positive and 0 negative have a star; "
        "DO BLEU Var: of 40 correlations 0 positive and 20 negative have a star"
    )
    assert "up to 0.323 (BART on GSM8K)" in claim.remark
