"""LaTeX in the layout of the paper's Table 5: the cells by hand, and the paper's own numbers."""

from __future__ import annotations

from math import nan

import pytest

from aftertune.analysis.schema import DOWNSTREAM, DOWNSTREAM_CHANGE, Row
from aftertune.report.latex_tables import PAPER_SCORES
from aftertune.report.latex_tables import tex as tex_of
from aftertune.report.paper.tables import printed as printed_table
from aftertune.scores import get
from latex_samples import HOSTILE, body, captions, tabulars
from report_rows import row


def at(score: str, epoch: float, auroc: float, **values: object) -> Row:
    base = {"task": "qa", "n": 100, "n_correct": 50}
    return row(DOWNSTREAM, **base | values, score=score, epoch=epoch, auroc=auroc)


def change(score: str, mean: float, **values: object) -> Row:
    base: dict[str, object] = {
        "task": "qa", "from_": "before", "to": "selected", "n_items": 100, "n_seeds": 3, "sd": 0.02,
        "ci_scope": "training", "p_change_holm": 0.02,
    }  # fmt: skip
    return row(DOWNSTREAM_CHANGE, **base | values, score=score, mean=mean)


def test_cells() -> None:
    none = "none of 100 answers are correct: nothing to tell apart; no percentages: no validation rows"
    rows = [
        at("mine", 0, 0.5),
        at("mine", 0, 0.7, seed=1),
        at("mine", 2, 0.55, selected=True),
        at("mine", 2, 0.55, selected=True, seed=1),
        at("mine", 3, 0.99),
        at("beam_sum", 0, 0.5),
        at("beam_sum", 2, 0.5, selected=True),
        at("beam_sum", 1, 0.4, model="n"),
        at("beam_sum", 3, 0.45, model="n"),
        at("mine", 1, nan, model="n", status=none),
        at("mine", 3, 0.6, model="n"),
        at("mine", 0, 0.61, model="o"),
    ]
    tex = tex_of("downstream", rows)
    (table,) = tabulars(tex)
    assert table == [
        ["", "m", "n", "o", *[""] * 0],
        ["", "Pre", "Full", "1 Ep", "Last", "Pre"],
        ["BS Sums", "0.500", "0.500", "0.400", r"0.450~$\uparrow$", "--$^{a}$"],
        [r"\texttt{mine}", "0.600", r"0.550~$\downarrow$", "--$^{b}$", "0.600", "0.610"],
    ]
    (caption,) = captions(tex)
    assert "mean over seeds" in caption
    assert "$^{b}$~none of 100 answers are correct" in caption
    assert r"\label{tab:aftertune-auroc-qa}" in tex


def test_the_caption_says_how_many_answers_are_right() -> None:
    rows = [
        at("mine", 0, 0.5, n=73, n_correct=2),
        at("mine", 0, 0.5, n=73, n_correct=5, seed=1),
        at("beam_sum", 0, nan, n=0, n_correct=0, status="no item has this score"),
        at("mine", 2, 0.55, selected=True, n=1072, n_correct=1000),
        at("beam_sum", 2, 0.55, selected=True, n=1073, n_correct=1001),
        at("mine", 1, 0.99, n=9, n_correct=9),
        at("mine", 1, 0.4, model="a_b", n=40, n_correct=30),
        at("mine", 0, nan, model="c", n=0, n_correct=0, status="no answer is judged"),
    ]
    (caption,) = captions(tex_of("downstream", rows))
    assert (
        r" Right answers: m 2--5 of 73 (Pre), 1,000--1,001 of 1,072--1,073 (Full); a\_b 30 of 40 (Last). Few "
        in caption
    )
    assert r"leave an AUROC uncertain: intervals are in \texttt{downstream.csv}." in caption
    nothing = [at("mine", 0, nan, n=0, n_correct=0, status="no answer is judged")]
    assert "Right answers" not in tex_of("downstream", nothing)


def test_a_table_for_each_task_and_setting() -> None:
    rows = [at("mine", 0, 0.6), at("mine", 0, 0.7, task="other"), at("mine", 0, 0.8, setting="n=100")]
    tex = tex_of("downstream", rows)
    assert [body(table)[r"\texttt{mine}"] for table in tabulars(tex)] == [["0.600"], ["0.700"], ["0.800"]]
    assert [caption.partition(";")[0] for caption in captions(tex)] == [
        "AUROC of confidence scores, right against wrong answers, qa",
        "AUROC of confidence scores, right against wrong answers, other",
        r"AUROC of confidence scores, right against wrong answers, qa, setting \texttt{n=100}",
    ]


def test_the_papers_table_5_comes_out_of_its_numbers() -> None:
    """48 pairs side by side, 4 models; 23 of them fall."""
    epochs = {"no_sft": 0.0, "epoch_1": 1.0, "full": 3.0}
    ours = {get(score).paper_name: score for score in PAPER_SCORES}
    cells = printed_table(5).itertuples()
    rows = [
        at(ours[c.score], epochs[c.stage], c.auroc, model=c.model, task="truthfulqa", selected=c.stage == "full")
        for c in cells
    ]
    tex = tex_of("downstream", rows)
    (table,) = tabulars(tex)
    assert table[1] == ["", "1 Ep", "Full", *["Pre", "Full"] * 3]
    found = body(table)
    assert found["Avg Tok Prob"] == [
        "0.563", r"0.639~$\uparrow$", "0.545", r"0.610~$\uparrow$",
        "0.532", r"0.465~$\downarrow$", "0.441", r"0.467~$\uparrow$",
    ]  # fmt: skip
    assert len(found) == 12
    assert tex.count(r"\downarrow") == 23
    assert tex.count(r"\uparrow") == 25


def test_changes() -> None:
    rows = [
        change("mine", -0.15, ci_scope="models", p_change_holm=1.0),
        change("mine", -0.15),
        change("beam_sum", 0.05, p_change_holm=0.3),
        change("beam_sum", nan, model="n", sd=nan, p_change_holm=nan, status="no items"),
    ]
    tex = tex_of("downstream_change", rows)
    (table,) = tabulars(tex)
    found = body(table)
    assert found["BS Sums"] == ["0.050 (0.020)", "--$^{a}$"]
    assert found[r"\texttt{mine}"][0] == r"−0.150 (0.020)$^{\dagger}$"
    assert captions(tex)[0].startswith("Change of AUROC from before fine-tuning to the selected checkpoint; mean")


@pytest.mark.parametrize("table", ["downstream", "downstream_change"])
def test_hostile_names(table: str) -> None:
    names = {"model": HOSTILE, "task": HOSTILE, "setting": HOSTILE, "status": HOSTILE}
    one = at(HOSTILE, 0, nan, **names) if table == "downstream" else change(HOSTILE, nan, **names)
    assert len(tabulars(tex_of(table, [one]))) == 1
