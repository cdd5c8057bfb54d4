"""Correlation before and after, with the change and its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from aftertune.report.figures.drawing import Drawing, render
from aftertune.report.figures.style import RHO, WIDTH, axes_at, fit, new_figure
from aftertune.report.number_format import interval, signed
from aftertune.report.outcome import Group
from aftertune.report.series import Key, Point

Ends = Mapping[str, tuple[Point, Point]]
_VERDICT_COLOURS = {
    "degraded": "#B3261E",
    "improved": "#0B6E4F",
    "holds": "#4A4A4A",
    "inconclusive": "#9A7B00",
    "undefined": "#8A8A8A",
}
_ROW, _HEAD = 0.235, 0.62  # inches


def height_of(group: Group) -> float:
    return _HEAD + _ROW * len(group.outcomes)


def before_after(name: str, found: Sequence[Group], ends: Mapping[Key, Ends]) -> Drawing:
    """One panel below the other; `ends` are the points of every score of a group."""
    height = sum(map(height_of, found)) + 0.15
    figure = new_figure(height)
    points = [point for group in found for pair in ends[group.key].values() for point in pair]
    drawn = [v for point in points for v in (point.rho, point.low, point.high) if np.isfinite(v)]
    low, high = min([*drawn, 0.0]), max([*drawn, 0.0])
    pad = 0.04 * (high - low)
    top = height
    for group in found:
        tall = height_of(group)
        axes = axes_at(figure, 1.72, top - tall + 0.36, 3.25, tall - _HEAD)
        _dumbbells(axes, group, ends[group.key], (low - pad, high + pad))
        top -= tall
    several = any(group.n_seeds > 1 for group in found)
    points_are, ends_are = (", means over seeds", " (mean of its ends)") if several else ("", "")
    caption = (
        f"Correlation of each score with quality: hollow before, filled after{points_are}; whiskers: 95 % "
        f"interval over test items{ends_are}. On the right the change with its 95 % interval, and the verdict."
    )
    return render(figure, name, caption)


def _dumbbells(axes: Axes, group: Group, ends: Ends, limits: tuple[float, float]) -> None:
    n = len(group.outcomes)
    title = f"{group.name}: {group.comparison}"
    shown = fit(title, WIDTH - 0.3, 9)
    axes.set_title(shown.text, pad=5, x=-1.55 / 3.25, fontsize=shown.size)
    axes.set_xlim(*limits)
    axes.set_ylim(n - 0.5, -0.5)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.axvline(0, color="#555555", linewidth=0.9, zorder=1)
    names = [fit(o.score, 1.62, 7.5) for o in group.outcomes]
    size = min(name.size for name in names)
    axes.set_yticks(range(n), [name.text for name in names], fontsize=size)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(RHO, labelpad=1)
    for y, outcome in enumerate(group.outcomes):
        colour = _VERDICT_COLOURS[outcome.verdict]
        before, after = ends[outcome.score]
        for point, at in ((before, y - 0.17), (after, y + 0.17)):
            if np.isfinite(point.low) and np.isfinite(point.high):
                axes.plot([point.low, point.high], [at] * 2, color=colour, linewidth=0.9, alpha=0.55, zorder=2)
        if np.isfinite(before.rho) and np.isfinite(after.rho):
            axes.plot([before.rho, after.rho], [y - 0.17, y + 0.17], color=colour, linewidth=1.6, zorder=3)
        axes.plot(
            before.rho, y - 0.17, "o", markersize=4.6, markerfacecolor="white", markeredgecolor=colour, zorder=4
        )
        axes.plot(after.rho, y + 0.17, "o", markersize=4.8, color=colour, zorder=5)
        change = outcome.change
        moved = f"{signed(change.mean, 2)} {interval(change.ci_low, change.ci_high, 2)}".strip()
        place = axes.get_yaxis_transform()
        axes.text(1.03, y, moved, transform=place, fontsize=7.2, va="center", color="#333333")
        axes.text(
            1.03 + 1.33 / 3.25,
            y,
            outcome.verdict,
            transform=place,
            fontsize=7.2,
            va="center",
            color=colour,
            fontweight="bold" if outcome.verdict in ("degraded", "improved") else "normal",
        )
