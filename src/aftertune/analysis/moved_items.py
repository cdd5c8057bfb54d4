"""The items that moved most into over-confidence and into under-confidence: examples for a reader (Figure 1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.analysis.changes import Comparison
from aftertune.analysis.grouping import Point, Setting
from aftertune.analysis.schema import MOVED_ITEMS, Row
from aftertune.stats.ranks import share_below
from aftertune.types import Floats, Records

PER_SIDE = 5

MAIN = (
    (("before", "selected"), ("before", "last")),
    (("epoch_1", "last"), ("epoch_1", "selected")),
)
"""Of each of these, the first pair of checkpoints that exists."""

SIDES = (("overconfident", 1), ("underconfident", -1))
"""And which way confidence goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The items of a comparison at both checkpoints of one training run; (2, items) each, from and to.

    Attributes
    ----------
    confidence_rank, quality_rank : share of the other items below.
    """

    ends: tuple[Point, Point]
    confidence: Floats
    quality: Floats
    confidence_rank: Floats
    quality_rank: Floats

    @classmethod
    def of(cls, c: Comparison, ends: tuple[Point, Point]) -> _Run:
        confidence = np.stack([point.scores[c.score][c.items] for point in ends])
        quality = np.stack([point.quality[c.items] for point in ends])
        return cls(
            ends=ends,
            confidence=confidence,
            quality=quality,
            confidence_rank=np.stack([share_below(values) for values in confidence]),
            quality_rank=np.stack([share_below(values) for values in quality]),
        )

    def move(self, direction: int) -> Floats:
        """(items,) how far each moved: confidence in the direction, quality against it; 0 for the others."""
        confidence, quality = (direction * np.diff(x, axis=0)[0] for x in (self.confidence, self.quality))
        rise = direction * np.diff(self.confidence_rank, axis=0)[0]
        fall = -direction * np.diff(self.quality_rank, axis=0)[0]
        apart = (confidence > 0) & (quality < 0) & (rise > 0) & (fall > 0)
        return np.where(apart, rise * fall, 0.0)


def moved_items(
    records: Records, setting: Setting, comparisons: Sequence[Comparison], *, per_side: int = PER_SIDE
) -> list[Row]:
    """For each score and each of the two main pairs: over-confident items, then under-confident ones, most first.

    An item moved into over-confidence when its confidence rose and its quality fell, in value and in rank among
    the items of the comparison; into under-confidence when both went the other way. "Most" is by (change of the
    rank of confidence) × (change of the rank of quality). Of the training runs, that counts in which an item
    moved most, so that it is named once. Ties go by item id.
    """
    pairs = {(c.from_, c.to) for c in comparisons}
    main = [next((pair for pair in choice if pair in pairs), None) for choice in MAIN]
    return [
        moved for c in comparisons if (c.from_, c.to) in main for moved in _moved(records, setting, c, per_side)
    ]


def _moved(records: Records, setting: Setting, c: Comparison, per_side: int) -> Iterator[Row]:
    if not c.items.any():
        return
    runs = [_Run.of(c, ends) for ends in c.ends]
    places = np.flatnonzero(c.items)
    for side, direction in SIDES:
        moves = np.stack([run.move(direction) for run in runs])
        most = moves.max(axis=0)
        for i in np.argsort(-most, kind="stable")[:per_side].tolist():
            if most[i] > 0:
                run = runs[int(moves[:, i].argmax())]
                yield _item(records, setting, c, run, side, i, at=int(places[i]), move=float(most[i]))


def _item(
    records: Records, setting: Setting, c: Comparison, run: _Run, side: str, i: int, *, at: int, move: float
) -> Row:
    """`i` is the item's place among those of the comparison, `at` that among those of the setting."""
    a, b = run.ends
    rows = int(a.row[at]), int(b.row[at])
    return MOVED_ITEMS.row(
        model=setting.model,
        task=setting.task,
        setting=setting.setting,
        score=c.score,
        from_=c.from_,
        to=c.to,
        side=side,
        move=move,
        seed=a.seed,
        item_id=str(setting.item_ids[at]),
        input=input_of(records, rows),
        references=next((tuple(records.references[row]) for row in rows if records.references[row]), ()),
        output_from=a.output[at],
        output_to=b.output[at],
        quality_from=float(run.quality[0, i]),
        quality_to=float(run.quality[1, i]),
        confidence_from=float(run.confidence[0, i]),
        confidence_to=float(run.confidence[1, i]),
        quality_rank_from=float(run.quality_rank[0, i]),
        quality_rank_to=float(run.quality_rank[1, i]),
        confidence_rank_from=float(run.confidence_rank[0, i]),
        confidence_rank_to=float(run.confidence_rank[1, i]),
    )


def input_of(records: Records, rows: Sequence[int]) -> str | None:
    """The field `input` of the records, where it is a text."""
    column = records.extra.get("input")
    found = [column[row] for row in rows] if column is not None else []
    return next((text for text in found if isinstance(text, str)), None)
