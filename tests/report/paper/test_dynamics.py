"""Tables 2, 3, 4, 9, 10, 11 and 12, and what the text says of them: counted here again from the files."""

from __future__ import annotations

import csv
from collections import Counter
from importlib.resources import files
from statistics import fmean

import pytest

from aftertune.report.paper.dynamics import (
    DROPOUT_BLEU,
    LOG_PROB,
    DirectionRow,
    PairRow,
    QuadrantRow,
    SimilarityCell,
    UnchangedCell,
    paper_dynamics,
)
from aftertune.report.paper.dynamics_checks import (
    dynamics_checks,
    leaning,
    mean_share_range,
    prevalence,
    starred,
)
from aftertune.report.paper.names import paper_scores

TABLES = paper_dynamics()


def rows(table: str) -> list[dict[str, str]]:
    (file,) = [f for f in files("aftertune.report.paper").iterdir() if f.name.startswith(f"{table}_")]
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def of(table: str) -> list:
    return [check for check in dynamics_checks() if check.tables == table]


def test_every_row_and_cell_once() -> None:
    twelve = {(row["model"], row["task"]) for row in rows("table2")}
    assert len(twelve) == 12
    for table in (*TABLES.quadrants.values(), TABLES.direction, *TABLES.pairs.values()):
        assert {(row.model, row.task) for row in table} == twelve
        assert len(table) == 12
    unchanged = {(c.model, c.task, c.score, c.epoch) for c in TABLES.unchanged}
    assert len(unchanged) == len(TABLES.unchanged) == 12 * 2 * 9
    similarity = {(c.model, c.task, c.score, c.epoch) for c in TABLES.similarity}
    assert len(similarity) == len(TABLES.similarity) == 2 * 3 * 2 * 10
    assert {LOG_PROB, DROPOUT_BLEU} == {c.score for c in TABLES.unchanged} <= set(paper_scores())


def test_cells_as_printed() -> None:
    assert TABLES.quadrants[LOG_PROB][1] == QuadrantRow(
        model="BART", task="SQUAD", concordant=0.85, overconfident=0.11, underconfident=0.03
    )
    assert TABLES.quadrants[DROPOUT_BLEU][0].underconfident == 0.54
    assert TABLES.direction[0] == DirectionRow(
        model="BART",
        task="Eng-Afr",
        confidence_not_increased=32.0,
        increased_quality_not_improved=26.3,
        both_increased=41.7,
    )
    assert TABLES.pairs[LOG_PROB][3] == PairRow(
        model="Flan-T5", task="Eng-Afr", stays=0.65, case1=0.11, both_flip=0.17, case2=0.07
    )
    assert TABLES.pairs[DROPOUT_BLEU][0].case1 == 0.13
    assert TABLES.unchanged[0] == UnchangedCell(model="BART", task="Eng-Afr", score=LOG_PROB, epoch=2, share=0.429)
    assert TABLES.similarity[2] == SimilarityCell(
        model="BART", task="SQUAD", score=LOG_PROB, epoch=1, rho=0.208, starred=True
    )


def test_rows_sum_to_the_whole_but_for_rounding() -> None:
    for quadrants in TABLES.quadrants.values():
        for row in quadrants:
            assert row.concordant + row.overconfident + row.underconfident == pytest.approx(1, abs=0.0101)
    for row in TABLES.direction:
        total = row.confidence_not_increased + row.increased_quality_not_improved + row.both_increased
        assert total == pytest.approx(100, abs=0.101)
    for pairs in TABLES.pairs.values():
        for row in pairs:
            assert row.stays + row.case1 + row.both_flip + row.case2 == pytest.approx(1, abs=0.0101)


@pytest.mark.parametrize(("table", "score", "mean"), [("table4", LOG_PROB, 68.6), ("table10", DROPOUT_BLEU, 52.6)])
def test_case_1_among_miscorrelated_pairs(table: str, score: str, mean: float) -> None:
    """In hundredths, where the printed shares are integers."""
    cells = [[round(100 * float(value)) for value in list(row.values())[2:]] for row in rows(table)]
    larger = sum(case1 > case2 for _, case1, _, case2 in cells)
    tied = sum(case1 == case2 for _, case1, _, case2 in cells)
    assert (larger, tied) == ((9, 1) if table == "table4" else (6, 1))
    assert round(100 * fmean(case1 / (case1 + case2) for _, case1, _, case2 in cells), 1) == mean
    found, swapped = prevalence(TABLES.pairs[score]), prevalence(TABLES.pairs[score], swapped=True)
    assert (found.rows, found.larger, found.tied) == (12, larger, tied)
    assert round(100 * found.mean_share, 1) == mean
    assert swapped.mean_share == pytest.approx(fmean(case1 / (case1 + both) for _, case1, both, _ in cells))
    low, high = mean_share_range(TABLES.pairs[score])
    assert low < found.mean_share < high
    # Half a hundredth of the sum of both, up or down: the mean moves by the mean of 0.5 / (case 1 + case 2).
    assert high - low == pytest.approx(fmean(1 / (case1 + case2) for _, case1, _, case2 in cells))


def test_what_is_said_of_case_1() -> None:
    larger, share = of("Table 4")
    assert larger.held == "case 1 is larger in 9 of 12 rows, 1 is tied (Gemma-2 on SQUAD)"
    assert share.held.startswith("68.6 %")
    assert "66.2 to 71.0 %" in share.remark
    larger, share = of("Table 10")
    assert larger.held == "case 1 is larger in 6 of 12 rows, 1 is tied (Gemma-2 on GSM8K)"
    assert share.held.startswith("52.6 %")


def test_over_and_under_confidence() -> None:
    over = {table: [float(r["overconfident"]) for r in rows(table)] for table in ("table2", "table9")}
    under = {table: [float(r["underconfident"]) for r in rows(table)] for table in ("table2", "table9")}
    for table, score in (("table2", LOG_PROB), ("table9", DROPOUT_BLEU)):
        found = leaning(TABLES.quadrants[score])
        assert found.rose == sum(o > u for o, u in zip(over[table], under[table]))
        assert found.fell == sum(o < u for o, u in zip(over[table], under[table]))
    concordant, overconfident = of("Table 2")
    assert sum(float(r["concordant"]) > 0.5 for r in rows("table2")) == 10
    assert concordant.held == "more than half of them in 10 of 12 rows"
    assert "Not for Flan-T5 on Eng-Afr and Llama-3.1 on SQUAD;" in concordant.remark
    assert overconfident.held == "over-confident is larger than under-confident in 8 of 9 rows"
    assert overconfident.remark == ("Not for Llama-3.1 on Eng-Afr; Flan-T5 leans the other way in 3 of 3 rows.")
    (underconfident,) = of("Table 9")
    assert sum(o > 0 for o in over["table9"]) == 9
    assert underconfident.held == (
        "under-confident is larger than over-confident in 10 of 12 rows; over-confident is above 0.00 in 9, "
        "at most 0.09"
    )
    assert "not for Gemma-2 on SQUAD" in underconfident.remark


def test_direction_of_change() -> None:
    increases, without = of("Table 3")
    printed = [100 - float(r["confidence_not_increased"]) for r in rows("table3")]
    assert (round(min(printed), 1), round(max(printed), 1)) == (50.8, 68.0)
    assert "12 of 12 rows: from 50.8 % (Flan-T5 on GSM8K) to 68.0 % (BART on Eng-Afr)" in increases.held
    more = [
        r for r in rows("table3")
        if float(r["confidence_increased_quality_not_improved"]) > float(r["both_increased"])
    ]  # fmt: skip
    assert len(more) == 9
    assert without.held == "quality does not improve in more than half of them in 9 of 12 rows"


def test_case_1_without_a_change() -> None:
    (check,) = of("Table 11")
    named = [r for r in rows("table11") if r["model"] in ("BART", "Flan-T5") and r["task"] != "Eng-Afr"]
    shares = [float(r["proportion"]) for r in named]
    assert (len(shares), min(shares), max(shares)) == (72, 0.744, 0.999)
    more = [r for r in rows("table11") if float(r["proportion"]) > 0.999]
    assert {(r["score"], r["model"], r["task"]) for r in more} == {("dropout_bleu", "Llama-3.1", "GSM8K")}
    over_half = sum(float(r["proportion"]) > 0.5 for r in rows("table11"))
    assert check.held == f"74.4 to 99.9 % in these 72 cells; more than half in {over_half} of all 216"
    assert "100.0 % for DO BLEU Var of Llama-3.1 on GSM8K" in check.remark


def test_stars_of_similarity() -> None:
    (check,) = of("Table 12")
    stars = Counter(
        (r["score"], not r["spearman"].startswith("-"))
        for r in rows("table12")
        if r["significant"] == "1" and r["task"] != "Eng-Afr"
    )
    assert stars == {("log_prob", True): 23, ("dropout_bleu", False): 20}
    assert check.held == (
        "Avg Tok Prob: of 40 correlations 23 positive and 0 negative have a star; "
        "DO BLEU Var: of 40 correlations 0 positive and 20 negative have a star"
    )
    every = starred(TABLES.similarity)
    assert (every.rose, every.fell) == (23, 21)
    assert "up to 0.323 (BART on GSM8K)" in check.remark
    assert all(check.remark.endswith(".") for check in dynamics_checks())
