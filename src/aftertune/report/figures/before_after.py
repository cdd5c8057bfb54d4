"""Correlation before and after, with the change and its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from aftertune.report.figures.figure import WIDTH, Drawing, fit, new_figure, render, settle, title
from aftertune.report.names import Key
from aftertune.report.numbers import interval, signed
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
_ROW, _HEAD = 0.235, 0.65  # inches


def height_of(group: Group) -> float:
    return _HEAD + _ROW * len(group.outcomes)


def before_after(name: str, found: Sequence[Group], ends: Mapping[Key, Ends]) -> Drawing:
    """One panel below the other; `ends` are the points of every score of a group."""
    rows = [len(group.outcomes) for group in found]
    figure = new_figure(sum(map(height_of, found)) + 0.1)
    panels = figure.subplots(len(found), squeeze=False, sharex=True, height_ratios=rows)[:, 0]
    points = [point for group in found for pair in ends[group.key].values() for point in pair]
    drawn = [v for point in points for v in (point.rho, point.low, point.high) if np.isfinite(v)]
    low, high = min([*drawn, 0.0]), max([*drawn, 0.0])
    pad = 0.04 * (high - low)
    panels[0].set_xlim(low - pad, high + pad)
    for axes, group in zip(panels, found):
        _dumbbells(axes, group, ends[group.key])
    settle(figure)
    left = min(axes.get_tightbbox().x0 / figure.dpi for axes in panels)  # where the longest score's name begins
    for axes, group in zip(panels, found):
        box = axes.get_position()
        shown = title(axes, f"{group.name}: {group.comparison}", WIDTH - left - 0.1)
        shown.set_x((left / WIDTH - box.x0) / box.width)
    several = any(group.n_seeds > 1 for group in found)
    points_are, ends_are = (", means over seeds", " (mean of its ends)") if several else ("", "")
    caption = (
        f"Tie-adjusted correlation of each score with quality: hollow before, filled after{points_are}; whiskers: "
        f"95 % interval over test items{ends_are}. On the right the change with its interval, and the verdict."
    )
    return render(figure, name, caption)


def _dumbbells(axes: Axes, group: Group, ends: Ends) -> None:
    n = len(group.outcomes)
    axes.set_title(" ", pad=5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.grid(axis="x")
    axes.axvline(0, color="#555555", linewidth=0.9, zorder=1)
    names = [fit(outcome.score, 1.62, 7.5) for outcome in group.outcomes]
    axes.set_yticks(range(n), [name.text for name in names], fontsize=min(name.size for name in names))
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelbottom=True)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("tie-adjusted ρ with quality", labelpad=1)
    for y, outcome in enumerate(group.outcomes):
        colour = _VERDICT_COLOURS[outcome.verdict]
        before, after = ends[outcome.score]
        for point, at in ((before, y - 0.17), (after, y + 0.17)):
            if np.isfinite(point.low) and np.isfinite(point.high):
                axes.plot([point.low, point.high], [at] * 2, color=colour, linewidth=0.9, alpha=0.55, zorder=2)
        if np.isfinite(before.rho) and np.isfinite(after.rho):
            axes.plot([before.rho, after.rho], [y - 0.17, y + 0.17], color=colour, linewidth=1.6, zorder=3)
        dots = {"marker": "o", "color": colour, "clip_on": False}
        axes.plot(before.rho, y - 0.17, markersize=4.6, markerfacecolor="white", zorder=4, **dots)
        axes.plot(after.rho, y + 0.17, markersize=4.8, zorder=5, **dots)
        change, verdict = outcome.change, outcome.verdict
        moved = f"{signed(change.mean, 2)} {interval(change.ci_low, change.ci_high, 2)}".strip()
        bold = "bold" if verdict in ("degraded", "improved") else "normal"
        for points, words, shade, weight in ((8, moved, "#333333", "normal"), (104, verdict, colour, bold)):
            axes.annotate(
                words, (1, y), xycoords=axes.get_yaxis_transform(), xytext=(points, 0), textcoords="offset points",
                fontsize=7.2, va="center", color=shade, fontweight=weight,
            )  # fmt: skip
