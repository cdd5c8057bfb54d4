"""How a score is distributed over the items at each epoch: the upper part of the paper's Figures 7 and 8."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.report.item_pairs import runs
from aftertune.report.outcome import group_name
from aftertune.report.series import Key, Panel, Series
from aftertune.types import Floats, Records

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
LEAST_EPOCHS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSpread:
    """One score in one setting by epoch.

    Attributes
    ----------
    epoch : (C,) ascending, without late ones (`Panel.late`).
    quantiles : (C, 5) quantiles over the test items that have the score, at `LEVELS`; means over the training
        runs that have the checkpoint, NaN where none has an item with the score.
    n_items : smallest and largest number of items behind a quantile.
    correlation : the score's series; it has late epochs too.
    """

    panel: Panel
    score: str
    epoch: Floats
    quantiles: Floats
    n_items: tuple[int, int]
    correlation: Series

    @property
    def key(self) -> Key:
        return self.panel.key

    @property
    def name(self) -> str:
        return group_name(*self.key)


def item_spreads(records: Records, panels: Iterable[Panel], scores: Sequence[str]) -> tuple[ItemSpread, ...]:
    """One entry for each panel and score which items have at three whole epochs or more (epoch 0 is one)."""
    found = []
    for panel in panels:
        epochs = np.array([epoch for epoch in panel.epochs if epoch not in panel.late])
        if _whole(epochs) < LEAST_EPOCHS:
            continue
        series = {one.score: one for one in panel.series}
        at = [
            [run[records.epoch[run] == epoch] for _, run in runs(records, panel.key)] for epoch in epochs.tolist()
        ]
        for score in scores:
            if score not in series or score not in records.scores:
                continue
            values = records.scores[score]
            defined = [[v[np.isfinite(v)] for v in (values[rows] for rows in there)] for there in at]
            there = [[own for own in of_epoch if len(own)] for of_epoch in defined]
            quantiles = np.array([_mean_quantiles(own) for own in there])
            if _whole(epochs[np.isfinite(quantiles[:, 0])]) < LEAST_EPOCHS:
                continue
            sizes = [len(own) for of_epoch in there for own in of_epoch]
            found.append(
                ItemSpread(
                    panel=panel,
                    score=score,
                    epoch=epochs,
                    quantiles=quantiles,
                    n_items=(min(sizes), max(sizes)),
                    correlation=series[score],
                )
            )
    return tuple(found)


def _whole(epochs: Floats) -> int:
    return int(np.count_nonzero(epochs == np.floor(epochs)))


def _mean_quantiles(of_runs: Sequence[Floats]) -> Floats:
    if not of_runs:
        return np.full(len(LEVELS), np.nan)
    return np.mean([np.quantile(values, LEVELS) for values in of_runs], axis=0)
