"""Tables 2, 3, 4, 9, 10, 11 and 12 of the paper, as printed: what becomes of single items and of pairs of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from aftertune.report.paper.tables import rows

LOG_PROB, DROPOUT_BLEU = "Avg Tok Prob", "DO BLEU Var"
"""The two scores, by the paper's name."""

_SCORES = {"log_prob": LOG_PROB, "dropout_bleu": DROPOUT_BLEU}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuadrantRow:
    """A row of Tables 2 and 9: shares of items from epoch 1 to full; sums are 1 but for rounding."""

    model: str
    task: str
    concordant: float
    overconfident: float
    underconfident: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionRow:
    """A row of Table 3: per cent of items, averaged over transitions between epochs; Avg Tok Prob."""

    model: str
    task: str
    confidence_not_increased: float
    increased_quality_not_improved: float
    both_increased: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A row of Tables 4 and 10: shares of relatively correlated pairs, averaged over transitions."""

    model: str
    task: str
    stays: float
    case1: float
    both_flip: float
    case2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnchangedCell:
    """A cell of Table 11: share of case 1 pairs from the epoch before to `epoch` that came without a change."""

    model: str
    task: str
    score: str
    epoch: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityCell:
    """A cell of Table 12: rho of confidence with similarity to the training set, and whether it has a star."""

    model: str
    task: str
    score: str
    epoch: int
    rho: float
    starred: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperDynamics:
    """Rows and cells in the order of the tables.

    Attributes
    ----------
    quadrants : score → Table 2 (Avg Tok Prob) or 9 (DO BLEU Var), 12 rows each.
    direction : Table 3, 12 rows.
    pairs : score → Table 4 or 10, 12 rows each.
    unchanged : Table 11, 216 cells.
    similarity : Table 12, 120 cells: no decoder-only models.
    """

    quadrants: dict[str, tuple[QuadrantRow, ...]]
    direction: tuple[DirectionRow, ...]
    pairs: dict[str, tuple[PairRow, ...]]
    unchanged: tuple[UnchangedCell, ...]
    similarity: tuple[SimilarityCell, ...]


@cache
def paper_dynamics() -> PaperDynamics:
    """The tables that the package holds."""
    return PaperDynamics(
        quadrants={
            LOG_PROB: _quadrants("table2_quadrants_log_prob.csv"),
            DROPOUT_BLEU: _quadrants("table9_quadrants_dropout_bleu.csv"),
        },
        direction=tuple(
            DirectionRow(
                model=row["model"],
                task=row["task"],
                confidence_not_increased=float(row["confidence_not_increased"]),
                increased_quality_not_improved=float(row["confidence_increased_quality_not_improved"]),
                both_increased=float(row["both_increased"]),
            )
            for row in rows("table3_direction_of_change_percent.csv")
        ),
        pairs={
            LOG_PROB: _pairs("table4_pair_changes_log_prob.csv"),
            DROPOUT_BLEU: _pairs("table10_pair_changes_dropout_bleu.csv"),
        },
        unchanged=tuple(
            UnchangedCell(
                model=row["model"],
                task=row["task"],
                score=_SCORES[row["score"]],
                epoch=int(row["epoch"]),
                share=float(row["proportion"]),
            )
            for row in rows("table11_case1_without_change.csv")
        ),
        similarity=tuple(
            SimilarityCell(
                model=row["model"],
                task=row["task"],
                score=_SCORES[row["score"]],
                epoch=int(row["epoch"]),
                rho=float(row["spearman"]),
                starred=row["significant"] == "1",
            )
            for row in rows("table12_similarity_correlation.csv")
        ),
    )


def _quadrants(name: str) -> tuple[QuadrantRow, ...]:
    return tuple(
        QuadrantRow(
            model=row["model"],
            task=row["task"],
            concordant=float(row["concordant"]),
            overconfident=float(row["overconfident"]),
            underconfident=float(row["underconfident"]),
        )
        for row in rows(name)
    )


def _pairs(name: str) -> tuple[PairRow, ...]:
    return tuple(
        PairRow(
            model=row["model"],
            task=row["task"],
            stays=float(row["quality_same_confidence_same"]),
            case1=float(row["case1_quality_same_confidence_flips"]),
            both_flip=float(row["quality_flips_confidence_flips"]),
            case2=float(row["case2_quality_flips_confidence_same"]),
        )
        for row in rows(name)
    )
