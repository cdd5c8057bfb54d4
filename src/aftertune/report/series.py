"""Correlation of each score by epoch, averaged over seeds: what the figures draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.report.outcome import group_name, keys
from aftertune.types import Analysis, CorrelationRow, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One score in one panel.

    Attributes
    ----------
    epoch : (C,) ascending.
    rho, low, high : (C,) means over the seeds in which rho is defined there of rho and of the two ends of
        its interval over test items; NaN where it is defined in none.
    """

    score: str
    epoch: Floats
    rho: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One model, task and setting. `selected` is epoch → seeds that selected it."""

    key: tuple[str, str, str]
    series: tuple[Series, ...]
    selected: dict[float, tuple[int, ...]]
    n_seeds: int

    @property
    def name(self) -> str:
        return group_name(*self.key)

    @property
    def epochs(self) -> list[float]:
        return sorted({float(epoch) for series in self.series for epoch in series.epoch})


def panels(analysis: Analysis) -> tuple[Panel, ...]:
    """One panel for each model, task and setting, in order of appearance."""
    found = []
    for key in keys(analysis.correlations):
        rows = [row for row in analysis.correlations if (row.model, row.task, row.setting) == key]
        scores = dict.fromkeys(row.score for row in rows)
        chosen = sorted({(row.epoch, row.seed) for row in rows if row.selected})
        found.append(
            Panel(
                key=key,
                series=tuple(_series(name, [row for row in rows if row.score == name]) for name in scores),
                selected={e: tuple(seed for epoch, seed in chosen if epoch == e) for e, _ in chosen},
                n_seeds=len({row.seed for row in rows}),
            )
        )
    return tuple(found)


def _series(score: str, rows: Sequence[CorrelationRow]) -> Series:
    epochs = sorted({row.epoch for row in rows})
    columns = []
    for name in ("spearman", "ci_low", "ci_high"):
        values = ([getattr(r, name) for r in rows if r.epoch == e and np.isfinite(r.spearman)] for e in epochs)
        columns.append(np.array([np.mean(v) if v else np.nan for v in values], dtype=np.float64))
    rho, low, high = columns
    return Series(score=score, epoch=np.array(epochs), rho=rho, low=low, high=high)
