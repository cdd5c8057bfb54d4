"""Which of the items that moved most are shown as examples (the paper's Figure 1)."""

from __future__ import annotations

from collections.abc import Iterable

from aftertune.analysis.schema import Analysis, Row
from aftertune.report.outcome import Group

SIDES = ("overconfident", "underconfident")


def examples(analysis: Analysis, groups: Iterable[Group]) -> tuple[Row, ...]:
    """For each group the item that moved most to each side, among those whose outputs are known at both ends.

    By the most degraded score that has one (the one with the lowest change if none is degraded).
    """
    found = []
    for group in groups:
        own = [
            item
            for item in analysis.rows("moved_items")
            if (item.model, item.task, item.setting) == group.key
            and (item.from_, item.to) == (group.from_, group.to)
            and item.output_from is not None
            and item.output_to is not None
        ]
        degraded = [outcome.score for outcome in group.having("degraded")]
        scores = list(dict.fromkeys([*degraded, *(outcome.score for outcome in group.outcomes)]))
        for side in SIDES:
            by_score = (_most([x for x in own if (x.side, x.score) == (side, score)]) for score in scores)
            found += [item for item in by_score if item is not None][:1]
    return tuple(found)


def _most(items: list[Row]) -> Row | None:
    return max(items, key=lambda item: item.move, default=None)
