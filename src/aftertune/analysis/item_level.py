"""One setting → the rows of the item level: what becomes of items and of pairs of them (method, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aftertune.analysis.changes import Comparison
from aftertune.analysis.dynamics import direction_rows, quadrant_rows
from aftertune.analysis.grouping import Setting
from aftertune.analysis.moved_items import moved_items
from aftertune.analysis.pair_dynamics import pair_rows
from aftertune.analysis.rhos import Rhos
from aftertune.analysis.schema import Row
from aftertune.analysis.similarities import similarity_notes, similarity_rows
from aftertune.types import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemLevel:
    """Rows of one setting; similarities without Holm's correction, which is over all settings."""

    quadrants: list[Row]
    directions: list[Row]
    pairs: list[Row]
    case1: list[Row]
    similarities: list[Row]
    moved_items: list[Row]
    notes: list[str]


def item_level(
    records: Records, setting: Setting, names: Sequence[str], comparisons: Sequence[Comparison], rhos: Rhos
) -> ItemLevel:
    pairs, case1 = pair_rows(setting, names)
    return ItemLevel(
        quadrants=quadrant_rows(setting, comparisons),
        directions=direction_rows(setting, names),
        pairs=pairs,
        case1=case1,
        similarities=similarity_rows(setting, names, rhos),
        moved_items=moved_items(records, setting, comparisons),
        notes=list(similarity_notes(setting, names)),
    )
