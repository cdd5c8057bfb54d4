"""How quality and confidence of each item changed between two checkpoints: the dots of the paper's Figure 5."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from aftertune.report.item_pairs import ItemPairs, item_pairs
from aftertune.report.outcome import group_name
from aftertune.report.series import Key
from aftertune.stats.items import Quadrants, quadrants
from aftertune.types import Floats, Records

COMPARED = (("epoch_1", "last"), ("before", "selected"))
"""Pairs of checkpoints: as in the paper, and over all of fine-tuning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChanges:
    """One score in one setting between two checkpoints, training runs one after the other.

    Attributes
    ----------
    dc, dq : (n_seeds · n_items,) changes of confidence and of quality. The items are those that have both at
        both checkpoints in every training run that has these checkpoints, so that runs weigh the same and the
        pooled shares are the means over runs.
    quadrants : their shares.
    """

    key: Key
    score: str
    dc: Floats
    dq: Floats
    n_items: int
    n_seeds: int
    quadrants: Quadrants

    @property
    def name(self) -> str:
        return group_name(*self.key)


def item_changes(records: Records, keys: Iterable[Key], from_: str, to: str) -> tuple[ItemChanges, ...]:
    """One entry for each setting and score with an item to draw; none where the two are one checkpoint."""
    found = []
    for key in keys:
        runs = list(item_pairs(records, key, from_, to))
        if not any((records.epoch[pairs.before] != records.epoch[pairs.after]).any() for pairs in runs):
            continue
        before, after = _on_common_items(records, runs)
        dq = records.quality[after] - records.quality[before]
        for score, values in records.scores.items():
            dc = values[after] - values[before]
            kept = (np.isfinite(dc) & np.isfinite(dq)).all(axis=0)
            if kept.any():
                pooled_dc, pooled_dq = dc[:, kept].ravel(), dq[:, kept].ravel()
                found.append(
                    ItemChanges(
                        key=key,
                        score=score,
                        dc=pooled_dc,
                        dq=pooled_dq,
                        n_items=int(kept.sum()),
                        n_seeds=len(runs),
                        quadrants=quadrants(pooled_dc, pooled_dq),
                    )
                )
    return tuple(found)


def _on_common_items(records: Records, runs: list[ItemPairs]) -> tuple[np.ndarray, np.ndarray]:
    """(R, n) rows of the items that all R runs have, at the two checkpoints."""
    by_item = [dict(zip(records.item_id[p.after], zip(p.before, p.after))) for p in runs]
    common = [item for item in by_item[0] if all(item in other for other in by_item)]
    rows = np.array([[run[item] for item in common] for run in by_item], dtype=np.int64)
    rows = rows.reshape(len(runs), len(common), 2)
    return rows[..., 0], rows[..., 1]
