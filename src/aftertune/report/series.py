"""Correlation of each score by checkpoint, by number of training items, and with the length of outputs removed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from aftertune.analysis import setting_names
from aftertune.analysis.schema import Analysis, Row
from aftertune.report.names import Key, at_checkpoint, at_the_end, group_name, grouped, key_of
from aftertune.report.verdicts import Group
from aftertune.types import Floats


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
    adjusted, adjusted_low, adjusted_high : (C,) the same of the tie-adjusted rho.
    chosen : the same at the checkpoint that each seed selected, whatever its epoch.
    """

    score: str
    epoch: Floats
    rho: Floats
    low: Floats
    high: Floats
    adjusted: Floats
    adjusted_low: Floats
    adjusted_high: Floats
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
    for key, rows in grouped(analysis.rows("correlation"), key_of).items():
        chosen = sorted({(row.epoch, row.seed) for row in rows if row.selected})
        seen = {(row.epoch, row.seed) for row in rows}
        seeds = {seed for _, seed in seen}
        found.append(
            Panel(
                key=key,
                series=tuple(_series(name, own) for name, own in grouped(rows, lambda row: row.score).items()),
                selected={e: tuple(seed for epoch, seed in chosen if epoch == e) for e, _ in chosen},
                late=_late(rows, len(seeds)),
                n_seeds=len(seeds),
                checkpoints=max(sum(s == seed for _, s in seen) for seed in seeds),
            )
        )
    return tuple(found)


def compared_points(analysis: Analysis, groups: Iterable[Group]) -> dict[Key, dict[str, tuple[Point, Point]]]:
    """Setting and score → its tie-adjusted rho at the two checkpoints that its group compares."""
    by_setting = grouped(analysis.rows("correlation"), key_of)
    found = {}
    for group in groups:
        rows = by_setting.get(group.key, [])
        ends = [grouped(at_checkpoint(rows, end), lambda row: row.score) for end in (group.from_, group.to)]
        scores = dict.fromkeys(row.score for row in rows)
        found[group.key] = {s: tuple(_adjusted(end.get(s, [])) for end in ends) for s in scores}
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
    at = grouped(sorted(rows, key=lambda row: row.epoch), lambda row: row.epoch)
    plain, adjusted = (
        np.array([(p.rho, p.low, p.high) for p in map(point, at.values())], dtype=np.float64).T
        for point in (_point, _adjusted)
    )
    return Series(
        score=score,
        epoch=np.array(list(at)),
        rho=plain[0],
        low=plain[1],
        high=plain[2],
        adjusted=adjusted[0],
        adjusted_low=adjusted[1],
        adjusted_high=adjusted[2],
        chosen=_point([row for row in rows if row.selected]),
    )


def _point(rows: Iterable[Row]) -> Point:
    values = [(row.spearman, row.ci_low, row.ci_high) for row in rows if np.isfinite(row.spearman)]
    rho, low, high = np.mean(values, axis=0) if values else (np.nan,) * 3
    return Point(rho=float(rho), low=float(low), high=float(high))


def _adjusted(rows: Iterable[Row]) -> Point:
    return _point(
        row._replace(spearman=row.adjusted, ci_low=row.adjusted_low, ci_high=row.adjusted_high) for row in rows
    )


Over = Literal["runs", "items"]
"""What an interval is over: the mean over training runs, with the same test items, or other test items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtSize:
    """One score at the last checkpoint of all runs with one number of training items.

    Attributes
    ----------
    runs : rho of each run, seeds ascending, undefined ones left out.
    items : mean over the runs of the two ends of rho's interval over test items.
    """

    size: int
    runs: tuple[float, ...]
    items: tuple[float, float]

    @property
    def mean(self) -> float:
        return float(np.mean(self.runs)) if self.runs else np.nan

    def interval(self, over: Over) -> tuple[float, float]:
        return interval_over_runs(self.runs) if over == "runs" else self.items


@dataclass(frozen=True, slots=True, kw_only=True)
class SizePanel:
    """One model and task in one family of settings ("n=*", "n=*,steps=2500").

    Attributes
    ----------
    sizes : ascending, at least two.
    epoch : the last one, None where it is not the same in all runs.
    scores : score → one entry for each size.
    tests : score → its row of sample_size.csv.
    """

    model: str
    task: str
    family: str
    sizes: tuple[int, ...]
    epoch: float | None
    scores: Mapping[str, tuple[AtSize, ...]]
    tests: Mapping[str, Row]

    @property
    def name(self) -> str:
        return f"{self.model} on {self.task}"

    @property
    def steps(self) -> str:
        """Training steps where the family fixes them, else ""."""
        return setting_names.parse(self.family).get("steps", "")

    @property
    def training(self) -> str:
        """How long the runs trained: "2,500 steps", "10 epochs", or "training" where the last epochs differ."""
        if self.steps:
            return f"{int(self.steps):,} steps" if self.steps.isdecimal() else f"{self.steps} steps"
        if self.epoch is None:
            return "training"
        return "1 epoch" if self.epoch == 1 else f"{self.epoch:g} epochs"

    @property
    def without_steps(self) -> str:
        """The family of which this one is the control for training steps."""
        return ",".join(part for part in self.family.split(",") if part.partition("=")[0] != "steps")


def size_panels(analysis: Analysis) -> tuple[SizePanel, ...]:
    """One panel for each model, task and family with two sizes or more at which some rho is defined."""
    found: dict[tuple[str, str, str], dict[int, Sequence[Row]]] = {}
    for (model, task, setting), rows in grouped(analysis.rows("correlation"), key_of).items():
        family, size = setting_names.family(setting), setting_names.sample_size(setting)
        if family is not None and size is not None:
            found.setdefault((model, task, family), {})[size] = sorted(at_the_end(rows), key=lambda row: row.seed)
    tests = {(row.model, row.task, row.setting, row.score): row for row in analysis.rows("sample_size")}
    drawn = []
    for (model, task, family), by_size in found.items():
        sizes = tuple(sorted(by_size))
        scores = list(dict.fromkeys(row.score for size in sizes for row in by_size[size]))
        at = {score: tuple(_at_size(score, size, by_size[size]) for size in sizes) for score in scores}
        if sum(any(points[i].runs for points in at.values()) for i in range(len(sizes))) < 2:
            continue
        epochs = {row.epoch for rows in by_size.values() for row in rows}
        drawn.append(
            SizePanel(
                model=model,
                task=task,
                family=family,
                sizes=sizes,
                epoch=epochs.pop() if len(epochs) == 1 else None,
                scores=at,
                tests={s: tests[key] for s in scores if (key := (model, task, family, s)) in tests},
            )
        )
    return tuple(drawn)


def interval_over_runs(values: Sequence[float]) -> tuple[float, float]:
    """95 % t interval of the mean of runs, cut at −1 and 1; NaN with fewer than two.

    >>> [round(end, 3) for end in interval_over_runs([0.1, 0.2, 0.3])]  # 0.2 ± 4.303 · 0.1 / √3
    [-0.048, 0.448]
    """
    n = len(values)
    if n < 2:
        return np.nan, np.nan
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(special.stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)
    return max(mean - half, -1.0), min(mean + half, 1.0)


def what_over(panels: Iterable[SizePanel]) -> Over:
    """Runs where some point has two or more, else items."""
    points = (point for panel in panels for points in panel.scores.values() for point in points)
    return "runs" if any(len(point.runs) > 1 for point in points) else "items"


def _at_size(score: str, size: int, rows: Iterable[Row]) -> AtSize:
    own = [row for row in rows if row.score == score and np.isfinite(row.spearman)]
    ends = [(row.ci_low, row.ci_high) for row in own]
    low, high = np.mean(ends, axis=0) if ends else (np.nan, np.nan)
    return AtSize(size=size, runs=tuple(row.spearman for row in own), items=(float(low), float(high)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthRemoved:
    """Rho of one score of a group at the later checkpoint, beside the same with the output's length removed.

    Attributes
    ----------
    rho, given_length : means over the seeds in which both are defined.
    unit : what length is counted in.
    """

    group: Group
    score: str
    rho: float
    given_length: float
    unit: str


def length_removed(analysis: Analysis, groups: Sequence[Group]) -> tuple[LengthRemoved, ...]:
    """One entry for each score of each group that has lengths, in the order of the groups' outcomes."""
    by_score = grouped(analysis.rows("correlation"), lambda row: (*key_of(row), row.score))
    found = []
    for group in groups:
        for outcome in group.outcomes:
            after = [
                row
                for row in at_checkpoint(by_score.get((*group.key, outcome.score), []), group.to)
                if np.isfinite(row.spearman) and np.isfinite(row.spearman_given_length)
            ]
            units = {row.length_unit for row in after}
            if len(units) == 1:
                found.append(
                    LengthRemoved(
                        group=group,
                        score=outcome.score,
                        rho=float(np.mean([row.spearman for row in after])),
                        given_length=float(np.mean([row.spearman_given_length for row in after])),
                        unit=units.pop(),
                    )
                )
    return tuple(found)
