"""Correlation by epoch: lines, and intervals at the last checkpoint (the paper's Figure 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from aftertune.report.figures.drawing import Drawing, render
from aftertune.report.figures.labels import PITCH, Label, label_right
from aftertune.report.figures.style import (
    GREY,
    RHO,
    WIDTH,
    axes_at,
    fit,
    limits,
    marker,
    new_figure,
    rho_axis,
    whiskers,
)
from aftertune.report.outcome import Group
from aftertune.report.palette import Look
from aftertune.report.series import Key, Panel, Point, Series

LEFT, NAMES = 0.62, 1.95  # inches for the ρ axis, and for the names
HEAD, FOOT = 0.42, 0.42  # inches above and below the axes
SLOTS = 8  # places for intervals side by side, at least


def height_of(found: Sequence[Panel]) -> float:
    """Inches for one of the panels: as many names as scores fit below each other."""
    return HEAD + max(1.7, PITCH * max(len(panel.series) for panel in found) + 0.12) + FOOT


def by_epoch(name: str, found: Sequence[Panel], by_key: Mapping[Key, Group], looks: Mapping[str, Look]) -> Drawing:
    """One panel below the other. `by_key` says which scores stand out."""
    most = max(len(panel.series) for panel in found)
    each = height_of(found)
    tall = each - HEAD - FOOT
    height = len(found) * each + 0.05
    figure = new_figure(height)
    strip = min(max(0.085 * most, 0.85), 1.2)
    low, high = _limits(found, by_key)
    for i, panel in enumerate(found):
        bottom = height - (i + 1) * each + FOOT
        strong = _highlights(by_key.get(panel.key))
        wide = WIDTH - LEFT - 0.12 - strip - NAMES
        lines = axes_at(figure, LEFT, bottom, wide, tall)
        rho_axis(lines, low, high)
        title = fit(panel.name, WIDTH - LEFT, 9)
        lines.set_title(title.text, pad=11, fontsize=title.size)
        lines.set_ylabel(RHO)
        _lines(lines, panel, looks, strong)
        ends = axes_at(figure, LEFT + wide + 0.12, bottom, strip, tall)
        rho_axis(ends, low, high, labelled=False)
        _ends(ends, panel, looks, strong)
    return render(figure, name, _caption(found, by_key))


def _caption(found: Sequence[Panel], by_key: Mapping[Key, Group]) -> str:
    several = max(panel.n_seeds for panel in found) > 1
    late, early = any(panel.late for panel in found), any(not panel.late for panel in found)
    ends = ["the last epoch"] * early + ["the later checkpoint that early stopping selected"] * late
    highlighted = any(_highlights(by_key.get(panel.key)) for panel in found)
    inside = [(panel, e) for panel in found for e in panel.selected if e not in panel.late]
    partly = any(len(panel.selected[e]) < panel.n_seeds for panel, e in inside)
    of_mean = ", mean over the seeds" if several else ""
    parts = [
        f"Correlation of each score with quality by epoch{of_mean}; at the right, {' or '.join(ends)} with the "
        f"95 % interval over test items{' (mean of its ends)' if several else ''}."
    ]
    marks = []
    if highlighted:
        marks.append(
            "thick, with the interval as a band: the score that fell most and the one that rose most, where the "
            "verdict is clear"
        )
    if inside:
        marks.append(
            f"dotted vertical: a checkpoint that early stopping selected{' (s1: in seed 1)' if partly else ''}"
        )
    if marks:
        joined = "; ".join(marks)
        parts.append(f"{joined[0].upper()}{joined[1:]}.")
    return " ".join(parts)


def _limits(found: Sequence[Panel], by_key: Mapping[Key, Group]) -> tuple[float, float]:
    """Of all panels together, all that is drawn included."""
    drawn: list[float] = []
    for panel in found:
        strong = _highlights(by_key.get(panel.key))
        for series in panel.series:
            end = _end(panel, series)
            drawn += [*series.rho, end.rho, end.low, end.high]
            if series.score in strong:
                drawn += [*series.low, *series.high]
    return limits(np.array(drawn))


def _highlights(group: Group | None) -> set[str]:
    """The score that fell most and the one that rose most, if their verdicts say so."""
    if group is None:
        return set()
    fallen = [o for o in group.outcomes if o.verdict == "degraded"]
    risen = [o for o in group.outcomes if o.verdict == "improved"]
    return {o.score for o in (*fallen[:1], *risen[-1:])}


def _lines(axes: Axes, panel: Panel, looks: Mapping[str, Look], strong: set[str]) -> None:
    epochs = [epoch for epoch in panel.epochs if epoch not in panel.late]
    for epoch in panel.selected:
        if epoch in panel.late:
            continue
        axes.axvline(epoch, color="#8A8A8A", linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        seeds = panel.selected[epoch]
        axes.annotate(
            "selected" if len(seeds) == panel.n_seeds else "s" + ",".join(map(str, seeds)),
            (epoch, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 0.5),
            textcoords="offset points",
            fontsize=6,
            color=GREY,
            ha="center",
            va="bottom",
        )
    for series in sorted(panel.series, key=lambda s: s.score in strong):
        look, bold = looks[series.score], series.score in strong
        drawn = np.isin(series.epoch, epochs)
        x, rho = series.epoch[drawn], series.rho[drawn]
        if bold:
            axes.fill_between(
                x, series.low[drawn], series.high[drawn], color=look.colour, alpha=0.15, linewidth=0, zorder=2
            )
        axes.plot(
            x,
            rho,
            color=look.colour,
            linestyle=look.dashes,
            linewidth=2.0 if bold else 1.0,
            zorder=4 if bold else 3,
            **marker(look, 4.2 if bold else 3.2),
        )
    pad = 0.03 * (epochs[-1] - epochs[0]) or 0.5
    axes.set_xlim(epochs[0] - pad, epochs[-1] + pad)
    ticks = [epoch for epoch in epochs if float(epoch).is_integer()] or epochs
    step = -(-len(ticks) // 12)
    axes.set_xticks(ticks[::step], ["before" if tick == 0 else f"{tick:g}" for tick in ticks[::step]])
    axes.set_xlabel("epoch", labelpad=1)


def _end(panel: Panel, series: Series) -> Point:
    if panel.late:
        return series.chosen
    last = np.flatnonzero(series.epoch == panel.epochs[-1])
    if not len(last):
        return Point(rho=np.nan, low=np.nan, high=np.nan)
    i = last[0]
    return Point(rho=float(series.rho[i]), low=float(series.low[i]), high=float(series.high[i]))


def _ends(axes: Axes, panel: Panel, looks: Mapping[str, Look], strong: set[str]) -> None:
    """Intervals side by side, the highest ρ first, and the names."""
    points = {series.score: _end(panel, series) for series in panel.series}
    defined = sorted((s for s in points if np.isfinite(points[s].rho)), key=lambda s: -points[s].rho)
    labels = []
    slots = max(len(points), SLOTS)
    for x, score in enumerate(defined, (slots - len(points)) // 2):
        look, point, bold = looks[score], points[score], score in strong
        whiskers(axes, [x], [point.low], [point.high], color=look.colour, linewidth=1.8 if bold else 1.0, zorder=3)
        axes.plot([x], [point.rho], linestyle="", zorder=4, **marker(look, 4.2 if bold else 3.4))
        labels.append(Label(score=score, x=x, y=point.rho, strong=bold))
    for series in panel.series:
        drawn = series.rho[np.isfinite(series.rho)]
        if series.score not in defined and len(drawn):
            label = Label(
                score=series.score,
                x=slots - 0.2,
                y=float(drawn[-1]),
                strong=series.score in strong,
                note=" (undefined)",
            )
            labels.append(label)
    axes.set_xlim(-0.8, slots - 0.2)
    where = f"at epoch {panel.epochs[-1]:g}"
    if panel.late:
        chosen = [f"{epoch:g}" for epoch in sorted(panel.selected)]
        where = "selected at epoch " + (", ".join(chosen) if len(chosen) < 4 else f"{chosen[0]}–{chosen[-1]}")
    axes.set_xticks([])
    below = fit(where, 1.6, 7)
    axes.set_xlabel(f"95 % intervals,\n{below.text}", labelpad=3, fontsize=below.size)
    axes.spines["bottom"].set_visible(False)
    axes.set_facecolor("#F7F7F7")
    label_right(axes, labels, looks, inches=NAMES)
