"""Mean quality before and after, beside the correlations: a score can only track quality that varies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from aftertune.report.item_pairs import item_pairs
from aftertune.report.outcome import Group
from aftertune.types import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityChange:
    """Mean quality over test items, then over seeds.

    Attributes
    ----------
    n_items : items whose quality is defined at both checkpoints, smallest number over seeds.
    better, worse, same : shares of these items, mean over seeds.
    """

    group: Group
    before: float
    after: float
    better: float
    worse: float
    same: float
    n_items: int
    n_seeds: int


def quality_changes(records: Records, groups: Iterable[Group]) -> tuple[QualityChange, ...]:
    """One entry for each group in which some item has a quality at both checkpoints."""
    found = []
    for group in groups:
        means, shares, n_items = [], [], []
        for pairs in item_pairs(records, group.key, group.from_, group.to):
            before, after = records.quality[pairs.before], records.quality[pairs.after]
            both = np.isfinite(before) & np.isfinite(after)
            if both.any():
                before, after = before[both], after[both]
                means.append((before.mean(), after.mean()))
                shares.append(((after > before).mean(), (after < before).mean(), (after == before).mean()))
                n_items.append(int(both.sum()))
        if means:
            (before, after), (better, worse, same) = np.mean(means, axis=0), np.mean(shares, axis=0)
            found.append(
                QualityChange(
                    group=group,
                    before=float(before),
                    after=float(after),
                    better=float(better),
                    worse=float(worse),
                    same=float(same),
                    n_items=min(n_items),
                    n_seeds=len(means),
                )
            )
    return tuple(found)
