"""The rows that the page's sections show, setting by setting, scores in the order of its first screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from aftertune.analysis.schema import Row
from aftertune.report.items import PairsOfItems, Similarity, UnchangedShares
from aftertune.report.names import Key, grouped, key_of
from aftertune.report.overview import Overview
from aftertune.report.series import LengthRemoved
from aftertune.report.summary import Summary, UndefinedRho


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRows:
    """Rows of one model, task and setting.

    Attributes
    ----------
    changes : rows of change.csv for the checkpoints that are compared.
    moved : rows of quadrants.csv for these, or the first ones that there are.
    quadrants : all of them.
    """

    changes: Sequence[Row]
    falls: Sequence[Row]
    lengths: Sequence[LengthRemoved]
    moved: Sequence[Row]
    quadrants: Sequence[Row]
    directions: Sequence[Row]
    pairs: Sequence[PairsOfItems]
    unchanged: Sequence[UnchangedShares]
    similarities: Sequence[Similarity]
    undefined: Sequence[UndefinedRho]


def by_setting(summary: Summary, overviews: Iterable[Overview]) -> dict[Key, SettingRows]:
    """One entry for each overview."""
    level = summary.items
    tables: dict[str, Mapping[Key, Sequence[Any]]] = {
        "changes": grouped(summary.changes, key_of),
        "falls": grouped(summary.epoch_falls, key_of),
        "lengths": grouped(summary.lengths, attrgetter("group.key")),
        "quadrants": grouped(level.quadrants, key_of),
        "directions": grouped(level.directions, key_of),
        "pairs": grouped(level.pairs, attrgetter("key")),
        "unchanged": grouped(level.unchanged, attrgetter("key")),
        "similarities": grouped(level.similarities, attrgetter("key")),
    }
    undefined = grouped(summary.undefined, attrgetter("key"))
    found = {}
    for one in overviews:
        place = {line.score: i for i, line in enumerate(one.every)}
        own = {
            name: sorted(rows.get(one.key, ()), key=lambda row: place.get(row.score, len(place)))
            for name, rows in tables.items()
        }
        own["changes"] = [row for row in own["changes"] if (row.from_, row.to) == (one.from_, one.to)]
        by_ends = grouped(own["quadrants"], lambda row: (row.from_, row.to))
        moved = by_ends.get((one.from_, one.to)) or next(iter(by_ends.values()), [])
        found[one.key] = SettingRows(**own, moved=moved, undefined=undefined.get(one.key, ()))
    return found
