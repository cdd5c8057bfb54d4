"""Correlation by epoch: lines, and intervals at the last checkpoint (the paper's Figure 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from aftertune.report.figures.figure import (
    GREY,
    RHO,
    WIDTH,
    Drawing,
    fit,
    inches,
    limits,
    mark_selected,
    marker,
    new_figure,
    render,
    rho_axis,
    settle,
    title,
    whiskers,
)
from aftertune.report.names import Key
from aftertune.report.palette import Look
from aftertune.report.series import Panel, Point, Series
from aftertune.report.verdicts import Group

NAMES = 1.95  # inches for the names
PITCH = 0.125  # inches from one name to the next
SLOTS = 8  # places for intervals side by side, at least


def height_of(found: Sequence[Panel]) -> float:
    """Inches for one of the panels: as many names as scores fit below each other."""
    return 0.82 + max(1.7, PITCH * max(len(panel.series) for panel in found) + 0.12)


def by_epoch(name: str, found: Sequence[Panel], by_key: Mapping[Key, Group], looks: Mapping[str, Look]) -> Drawing:
    """One panel below the other; the verdicts in `by_key` say which scores stand out."""
    strong = {panel.key: _highlights(by_key.get(panel.key)) for panel in found}
    most = max(len(panel.series) for panel in found)
    figure = new_figure(len(found) * height_of(found) + 0.05, right=NAMES)
    strip = min(max(0.085 * most, 0.85), 1.2)
    grid = figure.subplots(len(found), 2, squeeze=False, width_ratios=[WIDTH - NAMES - 0.7 - strip, strip])
    ends = {panel.key: {series.score: _end(panel, series) for series in panel.series} for panel in found}
    drawn: list[float] = []
    for panel in found:
        for series in panel.series:
            end = ends[panel.key][series.score]
            drawn += [*series.rho, end.rho, end.low, end.high]
            if series.score in strong[panel.key]:
                drawn += [*series.low, *series.high]
    low, high = limits(drawn)
    for panel, (left, right) in zip(found, grid):
        rho_axis(left, low, high)
        rho_axis(right, low, high, labelled=False)
        title(left, panel.name, WIDTH - 0.7, pad=11)
        left.set_ylabel(RHO)
        _lines(left, panel, looks, strong[panel.key])
        _intervals(right, panel, ends[panel.key], looks, strong[panel.key])
    settle(figure)
    for panel, (_, right) in zip(found, grid):
        _names(right, panel, ends[panel.key], looks, strong[panel.key])
    return render(figure, name, _caption(found, any(strong.values())))


def _caption(found: Sequence[Panel], highlighted: bool) -> str:
    several = max(panel.n_seeds for panel in found) > 1
    late, early = any(panel.late for panel in found), any(not panel.late for panel in found)
    ends = ["the last epoch"] * early + ["the later checkpoint that early stopping selected"] * late
    inside = [(panel, e) for panel in found for e in panel.selected if e not in panel.late]
    partly = any(len(panel.selected[e]) < panel.n_seeds for panel, e in inside)
    marks = [
        "thick, with the interval as a band: the score that fell most and the one that rose most, where the "
        "verdict is clear"
    ] * highlighted
    marks += [
        f"dotted vertical: a checkpoint that early stopping selected{' (s1: in seed 1)' if partly else ''}"
    ] * bool(inside)
    joined = "; ".join(marks)
    over, of = (", mean over the seeds", " (mean of its ends)") if several else ("", "")
    return (
        f"Correlation of each score with quality by epoch{over}; at the right, {' or '.join(ends)} with the 95 % "
        f"interval over test items{of}." + (f" {joined[0].upper()}{joined[1:]}." if marks else "")
    )


def _highlights(group: Group | None) -> set[str]:
    """The score that fell most and the one that rose most, if their verdicts say so."""
    if group is None:
        return set()
    fallen = [o for o in group.outcomes if o.verdict in ("degraded", "fell")]
    risen = [o for o in group.outcomes if o.verdict == "improved"]
    return {o.score for o in (*fallen[:1], *risen[-1:])}


def _lines(axes: Axes, panel: Panel, looks: Mapping[str, Look], strong: set[str]) -> None:
    epochs = [epoch for epoch in panel.epochs if epoch not in panel.late]
    for epoch, seeds in panel.selected.items():
        if epoch in panel.late:
            continue
        mark_selected(axes, epoch)
        axes.annotate(
            "selected" if len(seeds) == panel.n_seeds else "s" + ",".join(map(str, seeds)),
            (epoch, 1), xycoords=("data", "axes fraction"), xytext=(0, 0.5), textcoords="offset points",
            fontsize=6, color=GREY, ha="center", va="bottom",
        )  # fmt: skip
    for series in sorted(panel.series, key=lambda s: s.score in strong):
        look, bold = looks[series.score], series.score in strong
        drawn = np.isin(series.epoch, epochs)
        x, low, high = series.epoch[drawn], series.low[drawn], series.high[drawn]
        if bold:
            axes.fill_between(x, low, high, color=look.colour, alpha=0.15, linewidth=0, zorder=2)
        axes.plot(
            x, series.rho[drawn], color=look.colour, linestyle=look.dashes, linewidth=2.0 if bold else 1.0,
            zorder=4 if bold else 3, **marker(look, 4.2 if bold else 3.2),
        )  # fmt: skip
    pad = 0.03 * (epochs[-1] - epochs[0]) or 0.5
    axes.set_xlim(epochs[0] - pad, epochs[-1] + pad)
    ticks = [epoch for epoch in epochs if float(epoch).is_integer()] or epochs
    ticks = ticks[:: -(-len(ticks) // 12)]
    axes.set_xticks(ticks, ["before" if tick == 0 else f"{tick:g}" for tick in ticks])
    axes.set_xlabel("epoch", labelpad=1)


def _end(panel: Panel, series: Series) -> Point:
    if panel.late:
        return series.chosen
    last = np.flatnonzero(series.epoch == panel.epochs[-1])
    if not len(last):
        return Point(rho=np.nan, low=np.nan, high=np.nan)
    i = last[0]
    return Point(rho=float(series.rho[i]), low=float(series.low[i]), high=float(series.high[i]))


def _defined(points: Mapping[str, Point]) -> list[str]:
    """The highest rho first."""
    return sorted((s for s in points if np.isfinite(points[s].rho)), key=lambda s: -points[s].rho)


def _first_slot(points: Mapping[str, Point]) -> int:
    return max(SLOTS - len(points), 0) // 2


def _intervals(
    axes: Axes, panel: Panel, points: Mapping[str, Point], looks: Mapping[str, Look], strong: set[str]
) -> None:
    """Side by side, the highest rho first."""
    for x, score in enumerate(_defined(points), _first_slot(points)):
        look, point, bold = looks[score], points[score], score in strong
        whiskers(axes, [x], [point.low], [point.high], color=look.colour, linewidth=1.8 if bold else 1.0, zorder=3)
        axes.plot([x], [point.rho], linestyle="", zorder=4, **marker(look, 4.2 if bold else 3.4))
    axes.set_xlim(-0.8, max(len(points), SLOTS) - 0.2)
    where = f"at epoch {panel.epochs[-1]:g}"
    if panel.late:
        chosen = [f"{epoch:g}" for epoch in sorted(panel.selected)]
        where = "selected at epoch " + (", ".join(chosen) if len(chosen) < 4 else f"{chosen[0]}–{chosen[-1]}")
    axes.set_xticks([])
    below = fit(where, 1.6, 7)
    axes.set_xlabel(f"95 % intervals,\n{below.text}", labelpad=3, fontsize=below.size)
    axes.spines["bottom"].set_visible(False)
    axes.set_facecolor("#F7F7F7")


def _names(
    axes: Axes, panel: Panel, points: Mapping[str, Point], looks: Mapping[str, Look], strong: set[str]
) -> None:
    """To the right of the settled axes, moved apart, each with its marks and a thin leader."""
    defined, right = _defined(points), axes.get_xlim()[1]
    labels = [(score, "", (float(x), points[score].rho)) for x, score in enumerate(defined, _first_slot(points))]
    for series in panel.series:
        drawn = series.rho[np.isfinite(series.rho)]
        if series.score not in defined and len(drawn):
            labels.append((series.score, " (undefined)", (right, float(drawn[-1]))))
    figure = axes.get_figure(root=True)
    assert figure is not None
    wide, tall = inches(axes)
    starts = [axes.transLimits.transform(start) * (wide, tall) for _, _, start in labels]
    corner = axes.get_position().p0 * figure.get_size_inches()
    places = spread_out([float(y) for _, y in starts], PITCH, 0, tall)
    for (score, note, _), (x, y), to in zip(labels, starts, places):
        look, bold = looks[score], score in strong
        lines = {"color": look.colour, "transform": figure.dpi_scale_trans, "clip_on": False}
        leader = np.array([(x, y), (wide + 0.02, y), (wide + 0.16, to)]) + corner
        axes.plot(*leader.T, linewidth=0.4, alpha=0.55, zorder=1.5, **lines)
        mark = np.array([(wide + 0.18, to), (wide + 0.31, to), (wide + 0.44, to)]) + corner
        thick = 1.6 if bold else 1.1
        axes.plot(*mark.T, linestyle=look.dashes, linewidth=thick, markevery=[1], **lines, **marker(look, 3.6))
        name = fit(score + note, (NAMES - 0.49) / (1.15 if bold else 1), 7)
        axes.text(
            corner[0] + wide + 0.49, corner[1] + to, name.text, transform=figure.dpi_scale_trans, color="#222222",
            fontsize=name.size, fontweight="bold" if bold else "normal", va="center_baseline",
        )  # fmt: skip


def spread_out(
    positions: Sequence[float], gap: float, low: float = -math.inf, high: float = math.inf
) -> list[float]:
    """The nearest positions (least squares) in the same order that are at least `gap` apart.

    They stay between `low` and `high` where there is room for all of them, else they start at `low`.

    >>> spread_out([0.5, 0.5], 0.2), spread_out([0.9, 1.0], 0.2, 0.0, 1.0)
    ([0.4, 0.6], [0.8, 1.0])
    """
    order = np.argsort(positions, kind="stable")
    blocks: list[list[float]] = []  # [sum of (position − offset), members]
    for rank, i in enumerate(order):
        blocks.append([positions[i] - rank * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, members = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + members]
    flat = [total / members for total, members in blocks for _ in range(int(members))]
    highest = max(low, high - (len(order) - 1) * gap)
    flat = [min(max(mean, low), highest) for mean in flat]  # the solution with bounds, see isotonic regression
    placed = [0.0] * len(order)
    for rank, i in enumerate(order):
        placed[i] = round(flat[rank] + rank * gap, 12)
    return placed
