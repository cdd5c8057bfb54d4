"""The items of a training run at two of its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aftertune.types import Ints, Records


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPairs:
    """The items of one training run at two checkpoints: rows of the records, matched by item id."""

    seed: int
    before: Ints
    after: Ints


def item_pairs(records: Records, key: tuple[str, str, str], from_: str, to: str) -> Iterator[ItemPairs]:
    """One entry for each seed that has both checkpoints and an item at both, in order of the seeds.

    Parameters
    ----------
    key : model, task and setting.
    from_, to : before, epoch_1, selected or last (which is never epoch 0); none has another checkpoint.
    """
    for seed, run in runs(records, key):
        epoch = records.epoch[run]
        at = {
            "before": epoch == 0,
            "epoch_1": epoch == 1,
            "selected": records.selected[run],
            "last": (epoch == epoch.max()) & (epoch > 0),
        }
        if from_ not in at or to not in at:
            continue
        first = {records.item_id[row]: row for row in run[at[from_]]}
        matched = [(first[records.item_id[row]], row) for row in run[at[to]] if records.item_id[row] in first]
        if matched:
            before, after = np.array(matched).T
            yield ItemPairs(seed=seed, before=before, after=after)


def runs(records: Records, key: tuple[str, str, str]) -> Iterator[tuple[int, Ints]]:
    """Seed and rows of the test items of each training run, in order of the seeds."""
    model, task, setting = key
    rows = (records.model == model) & (records.task == task) & (records.setting == setting)
    rows &= records.split == "test"
    for seed in np.unique(records.seed[rows]):
        yield int(seed), np.flatnonzero(rows & (records.seed == seed))
