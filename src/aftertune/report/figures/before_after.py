"""Correlation before and after, with the change and its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from aftertune.report.figures.figure import COLUMN, Data, Drawing, bare_figure, fit, render
from aftertune.report.names import Key
from aftertune.report.overview import Overview
from aftertune.report.series import Point
from aftertune.report.verdicts import Group

Ends = Mapping[str, tuple[Point, Point]]
_VERDICT_COLOURS = {
    "degraded": "#B3261E",
    "fell": "#C2502E",
    "improved": "#0B6E4F",
    "holds": "#4A4A4A",
    "inconclusive": "#9A7B00",
    "undefined": "#8A8A8A",
}
_ROW, _HEAD = 0.17, 0.74  # inches of a score, and of title, ticks and label
_NAMES, _WORDS = 1.3, 0.72  # inches for names at the left, and for verdicts at the right
_TEXT = 6.2  # points


def height_of(group: Group) -> float:
    return _HEAD + _ROW * len(group.outcomes)


def before_after(
    name: str, found: Sequence[Group], ends: Mapping[Key, Ends], views: Mapping[Key, Overview]
) -> Drawing:
    """One panel below the other; `ends` are the points of every score of a group."""
    height = sum(map(height_of, found)) + 0.05
    figure = bare_figure(height, COLUMN)
    points = [point for group in found for pair in ends[group.key].values() for point in pair]
    drawn = [v for point in points for v in (point.rho, point.low, point.high) if np.isfinite(v)]
    low, high = min([*drawn, 0.0]), max([*drawn, 0.0])
    pad = 0.06 * (high - low)
    top = height
    for group in found:
        rows = len(group.outcomes)
        bottom = top - 0.4 - _ROW * rows
        box = (_NAMES / COLUMN, bottom / height, (COLUMN - _NAMES - _WORDS) / COLUMN, _ROW * rows / height)
        axes = figure.add_axes(box)
        axes.set_xlim(low - pad, high + pad)
        for words, below, largest, weight in (
            (group.name, 0.05, 8, "bold"),
            (group.comparison, 0.2, 6.5, "normal"),
        ):
            shown, place = fit(words, (COLUMN - 0.1) / 1.1, largest), (0.04 / COLUMN, (top - below) / height)
            figure.text(*place, shown.text, fontsize=shown.size, fontweight=weight, va="top")
        _dumbbells(axes, group, ends[group.key], views[group.key])
        top -= height_of(group)
    several = any(group.n_seeds > 1 for group in found)
    points_are, ends_are = (", means over seeds", " (mean of its ends)") if several else ("", "")
    caption = (
        f"Tie-adjusted correlation of each score with quality: hollow before, filled after{points_are}; whiskers: "
        f"95 % interval over test items{ends_are}. On the right the verdict."
    )
    if any(views[group.key].said is not None for group in found):
        caption += " Bold: the recommended score."
    return render(figure, name, caption, [row for group in found for row in _data(group, ends[group.key])])


def _data(group: Group, ends: Ends) -> Iterator[Data]:
    for outcome in group.outcomes:
        before, after = ends[outcome.score]
        change = outcome.change
        yield {
            "model": group.model,
            "task": group.task,
            "setting": group.setting,
            "score": outcome.score,
            "from": group.from_,
            "to": group.to,
            **{f"adjusted_{end}": p.rho for end, p in (("from", before), ("to", after))},
            **{
                f"adjusted_{end}_{side}": getattr(p, side)
                for end, p in (("from", before), ("to", after))
                for side in ("low", "high")
            },
            "change": change.mean,
            "ci_low": change.ci_low,
            "ci_high": change.ci_high,
            "verdict": change.verdict,
        }


def _dumbbells(axes: Axes, group: Group, ends: Ends, one: Overview) -> None:
    outcomes = [line.outcome for line in one.every]
    n, recommended = len(outcomes), "" if one.said is None else one.said.score
    axes.set_ylim(n - 0.5, -0.5)
    axes.grid(axis="x")
    axes.axvline(0, color="#555555", linewidth=0.8, zorder=1)
    axes.set_yticks(range(n), [""] * n)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=_TEXT, length=2, pad=1.5)
    axes.locator_params(axis="x", nbins=5)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("tie-adjusted ρ with quality", labelpad=1, fontsize=6.5)
    for y, outcome in enumerate(outcomes):
        colour, bold = _VERDICT_COLOURS[outcome.verdict], outcome.score == recommended
        before, after = ends[outcome.score]
        for point, at in ((before, y - 0.17), (after, y + 0.17)):
            if np.isfinite(point.low) and np.isfinite(point.high):
                axes.plot([point.low, point.high], [at] * 2, color=colour, linewidth=0.7, alpha=0.55, zorder=2)
        if np.isfinite(before.rho) and np.isfinite(after.rho):
            axes.plot([before.rho, after.rho], [y - 0.17, y + 0.17], color=colour, linewidth=1.1, zorder=3)
        dots = {"marker": "o", "color": colour, "clip_on": False, "markeredgewidth": 0.8}
        axes.plot(before.rho, y - 0.17, markersize=3.0, markerfacecolor="white", zorder=4, **dots)
        axes.plot(after.rho, y + 0.17, markersize=3.2, zorder=5, **dots)
        name = fit(outcome.score, (_NAMES - 0.08) / (1.1 if bold else 1), _TEXT)
        weight = "bold" if bold else "normal"
        for x, points, words, size, shade, side in (
            (0, -4, name.text, name.size, "#222222", "right"), (1, 5, outcome.verdict, _TEXT, colour, "left"),
        ):  # fmt: skip
            axes.annotate(
                words, (x, y), xycoords=axes.get_yaxis_transform(), xytext=(points, 0), textcoords="offset points",
                fontsize=size, va="center", ha=side, color=shade, fontweight=weight if x == 0 else "normal",
            )  # fmt: skip
