"""Mean quality before and after, beside the correlations: a score can only track quality that varies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPairs:
    """The items of one training run at two checkpoints: rows of the records, matched by item id."""

    seed: int
    before: np.ndarray
    after: np.ndarray


def item_pairs(records: Records, group: Group) -> Iterator[ItemPairs]:
    """One entry for each seed that has both checkpoints of the group, in order of the seeds."""
    rows = (records.model == group.model) & (records.task == group.task) & (records.setting == group.setting)
    rows &= records.split == "test"
    for seed in np.unique(records.seed[rows]):
        run = np.flatnonzero(rows & (records.seed == seed))
        epoch = records.epoch[run]
        at = {
            "before": epoch == 0,
            "epoch_1": epoch == 1,
            "selected": records.selected[run],
            "last": (epoch == epoch.max()) & (epoch > 0),
        }
        if group.from_ not in at or group.to not in at:
            continue
        first = {records.item_id[row]: row for row in run[at[group.from_]]}
        matched = [
            (first[records.item_id[row]], row) for row in run[at[group.to]] if records.item_id[row] in first
        ]
        if matched:
            before, after = np.array(matched).T
            yield ItemPairs(seed=int(seed), before=before, after=after)


def quality_changes(records: Records, groups: Iterable[Group]) -> tuple[QualityChange, ...]:
    """One entry for each group in which some item has a quality at both checkpoints."""
    found = []
    for group in groups:
        means, shares, n_items = [], [], []
        for pairs in item_pairs(records, group):
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
