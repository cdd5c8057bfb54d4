"""Correlation of each score by checkpoint, averaged over seeds: what the figures draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from aftertune.analysis.schema import Analysis, Row
from aftertune.report.outcome import Group, group_name, is_at
from aftertune.types import Floats

Key = tuple[str, str, str]
K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Means over the seeds in which rho is defined, of rho and of the two ends of its interval over items."""

    rho: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One score in one panel.

    Attributes
    ----------
    epoch : (C,) ascending.
    rho, low, high : (C,) means over the seeds in which rho is defined there of rho and of the two ends of
        its interval over test items; NaN where it is defined in none.
    chosen : the same at the checkpoint that each seed selected, whatever its epoch.
    """

    score: str
    epoch: Floats
    rho: Floats
    low: Floats
    high: Floats
    chosen: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One model, task and setting.

    Attributes
    ----------
    selected : epoch → seeds that selected it.
    late : epochs after those that were measured one by one: single seeds' selected checkpoints, or one
        selected checkpoint after a gap.
    checkpoints : the most that one seed has.
    """

    key: Key
    series: tuple[Series, ...]
    selected: dict[float, tuple[int, ...]]
    late: tuple[float, ...]
    n_seeds: int
    checkpoints: int

    @property
    def name(self) -> str:
        return group_name(*self.key)

    @property
    def epochs(self) -> list[float]:
        return sorted({float(epoch) for series in self.series for epoch in series.epoch})


def panels(analysis: Analysis) -> tuple[Panel, ...]:
    """One panel for each model, task and setting, in order of appearance."""
    found = []
    for key, rows in by_setting(analysis).items():
        chosen = sorted({(row.epoch, row.seed) for row in rows if row.selected})
        seen = {(row.epoch, row.seed) for row in rows}
        seeds = {seed for _, seed in seen}
        found.append(
            Panel(
                key=key,
                series=tuple(_series(name, own) for name, own in _grouped(rows, lambda row: row.score).items()),
                selected={e: tuple(seed for epoch, seed in chosen if epoch == e) for e, _ in chosen},
                late=_late(rows, len(seeds)),
                n_seeds=len(seeds),
                checkpoints=max(sum(s == seed for _, s in seen) for seed in seeds),
            )
        )
    return tuple(found)


def by_setting(analysis: Analysis) -> dict[Key, list[Row]]:
    """Rows of correlations by model, task and setting, in order of appearance."""
    return _grouped(analysis.rows("correlation"), lambda row: (row.model, row.task, row.setting))


def ends(rows: Iterable[Row], group: Group) -> dict[str, tuple[Point, Point]]:
    """Score → its points at the two checkpoints that the group compares; `rows` are of the group's setting."""
    rows = list(rows)
    last: dict[int, float] = {}
    for row in rows:
        last[row.seed] = max(row.epoch, last.get(row.seed, row.epoch))
    found = {}
    for score, own in _grouped(rows, lambda row: row.score).items():
        before, after = (
            _point([row for row in own if is_at(row, end, last[row.seed])]) for end in (group.from_, group.to)
        )
        found[score] = (before, after)
    return found


def _late(rows: Sequence[Row], n_seeds: int) -> tuple[float, ...]:
    epochs = sorted({row.epoch for row in rows})
    usual = [epoch for epoch in epochs if any(not row.selected for row in rows if row.epoch == epoch)]
    if not usual:
        return ()
    after = tuple(epoch for epoch in epochs if epoch > usual[-1])
    steps = np.diff(usual)
    if (
        len(after) == 1
        and len({row.seed for row in rows if row.epoch == after[0]}) == n_seeds
        and len(steps)
        and after[0] - usual[-1] <= 1.5 * steps[-1]
    ):
        return ()
    return after


def _series(score: str, rows: Sequence[Row]) -> Series:
    at = _grouped(sorted(rows, key=lambda row: row.epoch), lambda row: row.epoch)
    points = [_point(there) for there in at.values()]
    rho, low, high = np.array([(p.rho, p.low, p.high) for p in points], dtype=np.float64).T
    chosen = _point([row for row in rows if row.selected])
    return Series(score=score, epoch=np.array(list(at)), rho=rho, low=low, high=high, chosen=chosen)


def _point(rows: Iterable[Row]) -> Point:
    values = [(row.spearman, row.ci_low, row.ci_high) for row in rows if np.isfinite(row.spearman)]
    rho, low, high = np.mean(values, axis=0) if values else (np.nan,) * 3
    return Point(rho=float(rho), low=float(low), high=float(high))


def _grouped(rows: Iterable[Row], key: Callable[[Row], K]) -> dict[K, list[Row]]:
    groups: dict[K, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups
