"""Correlation of each score by number of training items: what the figures draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from aftertune import setting_names
from aftertune.analysis.schema import Analysis, Row
from aftertune.report.series import by_setting

Over = Literal["runs", "items"]
"""What an interval is over: another training run with the same test items, or other test items."""


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
    def without_steps(self) -> str:
        """The family of which this one is the control for training steps."""
        return ",".join(part for part in self.family.split(",") if part.partition("=")[0] != "steps")


def size_panels(analysis: Analysis) -> tuple[SizePanel, ...]:
    """One panel for each model, task and family with two sizes or more at which some rho is defined."""
    found: dict[tuple[str, str, str], dict[int, Sequence[Row]]] = {}
    for (model, task, setting), rows in by_setting(analysis).items():
        family, size = setting_names.family(setting), setting_names.sample_size(setting)
        if family is not None and size is not None:
            found.setdefault((model, task, family), {})[size] = _last(rows)
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


def _last(rows: Sequence[Row]) -> list[Row]:
    last: dict[int, float] = {}
    for row in rows:
        last[row.seed] = max(row.epoch, last.get(row.seed, row.epoch))
    return sorted((row for row in rows if row.epoch == last[row.seed]), key=lambda row: row.seed)


def _at_size(score: str, size: int, rows: Iterable[Row]) -> AtSize:
    own = [row for row in rows if row.score == score and np.isfinite(row.spearman)]
    ends = [(row.ci_low, row.ci_high) for row in own]
    low, high = np.mean(ends, axis=0) if ends else (np.nan, np.nan)
    return AtSize(size=size, runs=tuple(row.spearman for row in own), items=(float(low), float(high)))
