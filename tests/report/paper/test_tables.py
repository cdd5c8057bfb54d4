"""The paper's tables in the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from aftertune.report.paper.names import paper_scores
from aftertune.report.paper.tables import AurocCell, ChangeCell, StageCell, paper_tables

PAPER = Path(__file__).resolve().parents[4] / "shared" / "paper"
SHIPPED = sorted(file.name for file in files("aftertune.report.paper").iterdir() if file.name.endswith(".csv"))


def test_all_twelve_tables_are_shipped() -> None:
    assert {name.split("_")[0] for name in SHIPPED} == {f"table{number}" for number in range(1, 13)}
    assert len(SHIPPED) == 12


@pytest.mark.skipif(not PAPER.is_dir(), reason="the paper's tables (shared/paper beside the project) are not here")
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_as_given(name: str) -> None:
    shipped = files("aftertune.report.paper").joinpath(name).read_bytes()
    assert shipped == (PAPER / name).read_bytes()


def test_every_cell_once() -> None:
    tables = paper_tables()
    for cells in (tables.no_sft_to_full, tables.epoch_1_to_full, tables.largest_epoch_fall):
        assert len({(c.model, c.task, c.score) for c in cells}) == len(cells) == 4 * 3 * 12
    assert len({(c.model, c.task, c.score, c.stage) for c in tables.by_stage}) == len(tables.by_stage) == 432
    assert len({(c.model, c.score, c.stage) for c in tables.auroc}) == len(tables.auroc) == 96


def test_cells_as_printed() -> None:
    tables = paper_tables()
    assert tables.no_sft_to_full[0] == ChangeCell(
        model="BART", task="Eng-Afr", score="Avg Tok Prob", mean=0.278, sd=0.033
    )
    assert tables.auroc[0] == AurocCell(model="BART", score="Avg Tok Prob", stage="epoch_1", auroc=0.563)
    assert tables.by_stage[0] == StageCell(
        model="BART", task="Eng-Afr", score="Avg Tok Prob", stage="no_sft", mean=0.092, sd=0.014
    )


def test_every_score_of_the_paper_is_one_of_ours() -> None:
    found = paper_scores()
    assert {name: score.name for name, score in found.items()} == {
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
    tables = paper_tables()
    for cells in (tables.no_sft_to_full, tables.epoch_1_to_full, tables.largest_epoch_fall, tables.auroc):
        assert {cell.score for cell in cells} == set(found)
    assert [name for name, score in found.items() if score.sign_in_paper == -1] == ["BS Imp Wt"]
    assert [name for name, score in found.items() if score.sign_in_table5 == 1] == [
        "Avg Tok Prob",
        "BS Ratios",
        "BS Sums",
        "DO Meteor Var",
    ]
