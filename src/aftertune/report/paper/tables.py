"""Tables 1, 5, 6, 7 and 8 of the paper, as printed (the others: `dynamics`)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

Stage = Literal["no_sft", "epoch_1", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCell:
    """A cell of Tables 1, 6 and 7: change of rho, mean and standard deviation over 3 seeds; the paper's sign."""

    model: str
    task: str
    score: str
    mean: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCell:
    """A cell of Table 8: rho at one stage, mean and standard deviation over 3 seeds; the paper's sign."""

    model: str
    task: str
    score: str
    stage: Stage
    mean: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AurocCell:
    """A cell of Table 5: AUROC of "the answer is correct" on TruthfulQA; the first stage differs by model."""

    model: str
    score: str
    stage: Stage
    auroc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTables:
    """Cells in the paper's order of scores; `score` is the paper's name (see `names`).

    Attributes
    ----------
    no_sft_to_full : Table 1, 144 cells.
    auroc : Table 5, 96 cells: 48 pairs.
    epoch_1_to_full : Table 6, 144 cells.
    largest_epoch_fall : Table 7, 144 cells.
    by_stage : Table 8, 432 cells.
    """

    no_sft_to_full: tuple[ChangeCell, ...]
    auroc: tuple[AurocCell, ...]
    epoch_1_to_full: tuple[ChangeCell, ...]
    largest_epoch_fall: tuple[ChangeCell, ...]
    by_stage: tuple[StageCell, ...]


@cache
def paper_tables() -> PaperTables:
    """The tables that the package holds."""
    return PaperTables(
        no_sft_to_full=_changes("table1_change_no_sft_to_full.csv"),
        auroc=tuple(
            AurocCell(
                model=row["model"], score=row["score"], stage=_stage(row["stage"]), auroc=float(row["auroc"])
            )
            for row in rows("table5_truthfulqa_auroc.csv")
        ),
        epoch_1_to_full=_changes("table6_change_epoch1_to_full.csv"),
        largest_epoch_fall=_changes("table7_largest_epoch_drop.csv"),
        by_stage=tuple(
            StageCell(
                model=row["model"],
                task=row["task"],
                score=row["score"],
                stage=_stage(row["stage"]),
                mean=float(row["mean"]),
                sd=float(row["sd"]),
            )
            for row in rows("table8_correlation_by_stage.csv")
        ),
    )


def rows(name: str) -> list[dict[str, str]]:
    """Rows of a CSV file of this folder, by column."""
    text = files("aftertune.report.paper").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _changes(name: str) -> tuple[ChangeCell, ...]:
    return tuple(
        ChangeCell(
            model=row["model"],
            task=row["task"],
            score=row["score"],
            mean=float(row["mean"]),
            sd=float(row["sd"]),
        )
        for row in rows(name)
    )


def _stage(name: str) -> Stage:
    for stage in get_args(Stage):
        if name == stage:
            return stage
    raise ValueError(f"unknown stage {name!r}")
