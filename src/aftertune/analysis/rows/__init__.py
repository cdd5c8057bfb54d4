"""Rows of the tables that analysis writes; a column of a table is a field of its row."""

from __future__ import annotations

from dataclasses import dataclass

from aftertune.analysis.rows.downstream import (
    Alert,
    Chosen,
    DownstreamChangeRow,
    DownstreamRow,
    JudgedItems,
    PercentageRow,
    ReliabilityItems,
    ReviewRow,
)
from aftertune.analysis.rows.item_level import (
    Case1Row,
    DirectionRow,
    MovedItem,
    PairRow,
    QuadrantRow,
    SimilarityRow,
)
from aftertune.analysis.rows.task_level import (
    ChangeRow,
    CorrelationRow,
    EpochFallRow,
    SampleSizeRow,
)

__all__ = [
    "Alert",
    "Analysis",
    "Case1Row",
    "ChangeRow",
    "Chosen",
    "CorrelationRow",
    "DirectionRow",
    "DownstreamChangeRow",
    "DownstreamRow",
    "EpochFallRow",
    "JudgedItems",
    "MovedItem",
    "PairRow",
    "PercentageRow",
    "QuadrantRow",
    "ReliabilityItems",
    "ReviewRow",
    "SampleSizeRow",
    "SimilarityRow",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All that is computed from records: rows of tables, and notes for the reader (one sentence each)."""

    correlations: tuple[CorrelationRow, ...]
    changes: tuple[ChangeRow, ...]
    epoch_falls: tuple[EpochFallRow, ...] = ()
    sample_sizes: tuple[SampleSizeRow, ...] = ()
    quadrants: tuple[QuadrantRow, ...] = ()
    directions: tuple[DirectionRow, ...] = ()
    pairs: tuple[PairRow, ...] = ()
    case1: tuple[Case1Row, ...] = ()
    similarities: tuple[SimilarityRow, ...] = ()
    moved_items: tuple[MovedItem, ...] = ()
    downstream: tuple[DownstreamRow, ...] = ()
    downstream_changes: tuple[DownstreamChangeRow, ...] = ()
    percentages: tuple[PercentageRow, ...] = ()
    reviews: tuple[ReviewRow, ...] = ()
    alerts: tuple[Alert, ...] = ()
    chosen: tuple[Chosen, ...] = ()
    reliabilities: tuple[ReliabilityItems, ...] = ()
    notes: tuple[str, ...] = ()
