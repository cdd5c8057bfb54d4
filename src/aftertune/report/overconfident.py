"""Example items that became over-confident: quality fell while a score rose (Fig. 1 of the paper)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from aftertune.report.outcome import Group
from aftertune.report.quality import item_pairs
from aftertune.types import Records

CONFIDENT = 0.75
"""Share of the test items that an over-confident one must stand above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverconfidentItem:
    """An item at two checkpoints of one training run.

    Attributes
    ----------
    rank_before, rank_after : share of the test items that the score puts below this one, 0–1, ties half.
    """

    group: Group
    seed: int
    item_id: str
    references: tuple[str, ...]
    score: str
    output_before: str
    output_after: str
    quality_before: float
    quality_after: float
    rank_before: float
    rank_after: float


def overconfident_items(
    records: Records, groups: Iterable[Group], *, per_group: int = 1
) -> tuple[OverconfidentItem, ...]:
    """The clearest examples: largest (rise in rank of confidence) × (fall in rank of quality).

    For each group, by its most degraded score (the one with the lowest change if none is degraded) in its
    first seed. Only items with outputs at both checkpoints whose quality fell and whose confidence rose into
    the upper quarter.
    """
    found = []
    for group in groups:
        defined = [o for o in group.outcomes if o.state != "undefined"]
        degraded = [o for o in defined if o.state == "degraded"]
        pairs = next(item_pairs(records, group), None)
        if pairs is None or not defined:
            continue
        score = (degraded or defined)[0].score
        if score not in records.scores:
            continue
        confidence, quality = records.scores[score], records.quality
        ends = pairs.before, pairs.after
        ok = np.all([np.isfinite(c[rows]) for c in (confidence, quality) for rows in ends], axis=0)
        ok &= np.array(
            [isinstance(records.output[a], str) and isinstance(records.output[b], str) for a, b in zip(*ends)]
        )
        before, after = pairs.before[ok], pairs.after[ok]
        rank = [(_share_below(confidence[rows]), _share_below(quality[rows])) for rows in (before, after)]
        wrong = (quality[after] < quality[before]) & (confidence[after] > confidence[before])
        wrong &= rank[1][0] >= CONFIDENT
        gain = np.where(wrong, (rank[1][0] - rank[0][0]) * (rank[0][1] - rank[1][1]), 0.0)
        gain[(rank[1][0] <= rank[0][0]) | (rank[1][1] >= rank[0][1])] = 0.0
        for i in np.argsort(-gain, kind="stable")[:per_group]:
            if gain[i] > 0:
                a, b = before[i], after[i]
                found.append(
                    OverconfidentItem(
                        group=group,
                        seed=pairs.seed,
                        item_id=str(records.item_id[b]),
                        references=tuple(records.references[b] or records.references[a] or ()),
                        score=score,
                        output_before=str(records.output[a]),
                        output_after=str(records.output[b]),
                        quality_before=float(quality[a]),
                        quality_after=float(quality[b]),
                        rank_before=float(rank[0][0][i]),
                        rank_after=float(rank[1][0][i]),
                    )
                )
    return tuple(found)


def _share_below(values: np.ndarray) -> np.ndarray:
    return (rankdata(values) - 1) / max(len(values) - 1, 1)
