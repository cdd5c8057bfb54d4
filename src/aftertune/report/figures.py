"""Figures: correlation by epoch (three checkpoints or more), or before → after (two).

The only file that imports matplotlib, and never pyplot.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from aftertune.report.number_format import interval, signed
from aftertune.report.outcome import Group, groups
from aftertune.report.palette import LOOKS, Look, looks
from aftertune.report.series import Panel, Series, panels
from aftertune.store.atomic import atomic_write_bytes
from aftertune.types import Analysis

WIDTH = 7.2  # inches: the text width of a printed page, so that fonts keep their size
DPI = 200
Key = tuple[str, str, str]
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "axes.linewidth": 0.7,
    "axes.unicode_minus": True,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "svg.hashsalt": "aftertune",
    "svg.fonttype": "path",
    "figure.facecolor": "white",
}
_VERDICT_COLOURS = {
    "degraded": "#B3261E",
    "improved": "#0B6E4F",
    "holds": "#4A4A4A",
    "inconclusive": "#9A7B00",
    "undefined": "#8A8A8A",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure ready for paper and screen.

    Attributes
    ----------
    name : stem of its files.
    caption : what is drawn, one or two sentences.
    """

    name: str
    caption: str
    svg: bytes
    png: bytes

    def save(self, folder: Path) -> list[Path]:
        """Write `<name>.svg` and `<name>.png`; the paths."""
        paths = []
        for suffix, content in ((".svg", self.svg), (".png", self.png)):
            paths.append(Path(folder) / f"{self.name}{suffix}")
            atomic_write_bytes(paths[-1], content)
        return paths


def draw(analysis: Analysis) -> tuple[Drawing, ...]:
    """The figures that the analysis has something for: none, or one of the two kinds, or both.

    Panels with three checkpoints or more go into "correlation_by_epoch", those with two into
    "correlation_before_after".
    """
    found = panels(analysis)
    drawn = [panel for panel in found if any(np.isfinite(s.rho).any() for s in panel.series)]
    by_key = {group.key: group for group in groups(analysis)}
    many = [panel for panel in drawn if len(panel.epochs) > 2]
    two = [(panel, by_key[panel.key]) for panel in drawn if len(panel.epochs) == 2 and panel.key in by_key]
    colours = looks(series.score for panel in found for series in panel.series)
    drawings = []
    with _style():
        if many:
            drawings.append(_by_epoch(many, by_key, colours))
        if two:
            series = {(*panel.key, s.score): s for panel, _ in two for s in panel.series}
            drawings.append(_before_after([group for _, group in two], series))
    return tuple(drawings)


@contextmanager
def _style() -> Iterator[None]:
    """Our look whatever the reader's matplotlibrc says; nothing stays changed."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def _render(figure: Figure, name: str, caption: str) -> Drawing:
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    return Drawing(name=name, caption=caption, svg=svg.getvalue(), png=png.getvalue())


def _figure(height: float) -> Figure:
    figure = Figure(figsize=(WIDTH, height), layout=None)
    FigureCanvasAgg(figure)
    return figure


def _text(name: str) -> str:
    """Names are text, never mathtext."""
    return name.replace("$", r"\$")


def _size(text: str, inches: float, size: float) -> float:
    """Font size at which the text fits, at most `size` and at least 4.5 points."""
    return max(4.5, min(size, inches * 72 / (0.62 * max(len(text), 1))))


# --- correlation by epoch ---


def _by_epoch(found: Sequence[Panel], by_key: Mapping[Key, Group], colours: Mapping[str, Look]) -> Drawing:
    direct = len(found) <= 2
    columns = 1 if direct else 2
    rows = -(-len(found) // columns)
    present = {series.score for panel in found for series in panel.series}
    scores = [*(name for name in LOOKS if name in present), *sorted(present - LOOKS.keys())]
    legend_rows = 0 if direct else -(-len(scores) // 4)
    panel_height = max(2.5, 0.145 * max(len(panel.series) for panel in found) + 0.85) if direct else 2.25
    foot = 0.15 + 0.17 * legend_rows
    height = rows * panel_height + foot + 0.1
    figure = _figure(height)
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.62 / WIDTH,
        right=(WIDTH - 1.78) / WIDTH if direct else 1 - 0.1 / WIDTH,
        top=1 - 0.3 / height,
        bottom=(foot + 0.42) / height,
        hspace=0.66 / (panel_height - 0.66),
        wspace=0.12,
    )
    low, high = _limits(found, by_key)
    for i, panel in enumerate(found):
        axes = figure.add_subplot(grid[i // columns, i % columns])
        strong = _highlights(by_key.get(panel.key))
        _panel(axes, panel, colours, strong)
        axes.set_ylim(low, high)
        if i % columns == 0:
            axes.set_ylabel("Spearman’s ρ with quality")
        else:
            axes.tick_params(labelleft=False)
        if i + columns >= len(found):
            axes.set_xlabel("epoch")
        if direct:
            _direct_labels(figure, axes, panel, colours, strong)
    if not direct:
        _legend(figure, scores, colours, foot / height)
    seeds = max(panel.n_seeds for panel in found)
    partly = any(len(chosen) < panel.n_seeds for panel in found for chosen in panel.selected.values())
    mean = "" if seeds == 1 else " Lines are means over the seeds that reached the epoch."
    caption = (
        f"Correlation of each score with quality, by epoch.{mean} Thick, with the 95 % interval over test items "
        "as a band: the score that fell most and the one that rose most, where the verdict is clear. Dotted "
        f"vertical: the checkpoint that early stopping selected{' (s1: in seed 1)' if partly else ''}."
    )
    return _render(figure, "correlation_by_epoch", caption)


def _limits(found: Sequence[Panel], by_key: Mapping[Key, Group]) -> tuple[float, float]:
    """Of all panels together, bands included."""
    drawn = [np.zeros(1)]
    for panel in found:
        strong = _highlights(by_key.get(panel.key))
        for series in panel.series:
            drawn += [series.rho, series.low, series.high] if series.score in strong else [series.rho]
    values = np.concatenate(drawn)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = 0.06 * max(high - low, 0.2)
    return max(low - pad, -1.05), min(high + pad, 1.05)


def _highlights(group: Group | None) -> set[str]:
    """The score that fell most and the one that rose most, if their verdicts say so."""
    if group is None:
        return set()
    fallen = [o for o in group.outcomes if o.verdict == "degraded"]
    risen = [o for o in group.outcomes if o.verdict == "improved"]
    return {o.score for o in (*fallen[:1], *risen[-1:])}


def _panel(axes: Axes, panel: Panel, colours: Mapping[str, Look], strong: set[str]) -> None:
    inches = axes.get_position().width * WIDTH
    axes.set_title(_text(panel.name), pad=5, fontsize=_size(panel.name, inches, 9))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.axhline(0, color="#555555", linewidth=0.9, zorder=1)
    for epoch in panel.selected:
        axes.axvline(epoch, color="#8A8A8A", linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        seeds = panel.selected[epoch]
        label = "selected" if len(seeds) == panel.n_seeds else "s" + ",".join(map(str, seeds))
        at_end = epoch == panel.epochs[-1]
        axes.annotate(
            label,
            (epoch, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-2 if at_end else 2, -1),
            textcoords="offset points",
            fontsize=6,
            color="#6A6A6A",
            ha="right" if at_end else "left",
            va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.5},
        )
    for series in sorted(panel.series, key=lambda s: s.score in strong):
        look, bold = colours[series.score], series.score in strong
        if bold:
            axes.fill_between(
                series.epoch, series.low, series.high, color=look.colour, alpha=0.13, linewidth=0, zorder=2
            )
        axes.plot(
            series.epoch,
            series.rho,
            color=look.colour,
            linestyle=look.dashes,
            linewidth=2.2 if bold else 1.1,
            alpha=1 if bold else 0.85,
            zorder=4 if bold else 3,
            **_marker(look, 4.4 if bold else 3.4),
        )
    epochs = panel.epochs
    axes.set_xlim(epochs[0] - 0.03 * (epochs[-1] - epochs[0]), epochs[-1] + 0.03 * (epochs[-1] - epochs[0]))
    ticks = [epoch for epoch in epochs if float(epoch).is_integer()] or epochs
    step = -(-len(ticks) // 12)
    axes.set_xticks(ticks[::step], ["before" if tick == 0 else f"{tick:g}" for tick in ticks[::step]])


def _marker(look: Look, size: float) -> dict:
    return {
        "marker": look.marker,
        "markersize": size,
        "markerfacecolor": look.colour if look.filled else "white",
        "markeredgecolor": look.colour,
        "markeredgewidth": 0.8,
    }


def _direct_labels(
    figure: Figure, axes: Axes, panel: Panel, colours: Mapping[str, Look], strong: set[str]
) -> None:
    """Names beside the ends of the lines, moved apart, each with a thin leader."""
    ends = []
    for series in panel.series:
        there = np.flatnonzero(np.isfinite(series.rho))
        if len(there):
            ends.append((series.score, float(series.epoch[there[-1]]), float(series.rho[there[-1]])))
    low, high = axes.get_ylim()
    to_axes = [(y - low) / (high - low) for _, _, y in ends]
    height = axes.bbox.height / figure.dpi
    spread = spread_out(to_axes, gap=0.135 / height)
    for (score, x, y), label_y in zip(ends, spread):
        colour = colours[score].colour
        start = axes.transLimits.transform((x, y))[0]
        axes.plot(
            [start + 0.012, 1.035],
            [(y - low) / (high - low), label_y],
            transform=axes.transAxes,
            color=colour,
            linewidth=0.5,
            alpha=0.7,
            clip_on=False,
        )
        axes.text(
            1.045,
            label_y,
            _text(score),
            transform=axes.transAxes,
            color=colour,
            fontsize=_size(score, 1.4, 7),
            fontweight="bold" if score in strong else "normal",
            va="center",
        )


def spread_out(positions: Sequence[float], gap: float) -> list[float]:
    """The nearest positions (least squares) in the same order that are at least `gap` apart.

    >>> spread_out([0.5, 0.5], 0.2)
    [0.4, 0.6]
    """
    order = np.argsort(positions, kind="stable")
    blocks: list[list[float]] = []  # [sum of (position − offset), members]
    for rank, i in enumerate(order):
        blocks.append([positions[i] - rank * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, members = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + members]
    flat = [total / members for total, members in blocks for _ in range(int(members))]
    placed = [0.0] * len(order)
    for rank, i in enumerate(order):
        placed[i] = round(flat[rank] + rank * gap, 12)
    return placed


def _legend(figure: Figure, scores: Sequence[str], colours: Mapping[str, Look], top: float) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=colours[name].colour,
            linestyle=colours[name].dashes,
            linewidth=1.2,
            label=_text(name),
            **_marker(colours[name], 3.8),
        )
        for name in scores
    ]
    figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, top),
        ncols=min(4, len(scores)),
        handlelength=2.6,
        columnspacing=1.2,
        labelspacing=0.35,
        borderaxespad=0,
    )


# --- before and after ---


def _before_after(found: Sequence[Group], series: Mapping[tuple[str, ...], Series]) -> Drawing:
    row, head = 0.235, 0.62
    heights = [head + row * len(group.outcomes) for group in found]
    height = sum(heights) + 0.15
    figure = _figure(height)
    ends = [v for s in series.values() for v in (*s.low, *s.high, *s.rho) if np.isfinite(v)]
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    pad = 0.04 * (high - low)
    top = height
    for group, tall in zip(found, heights):
        bottom = top - tall + 0.36
        axes = figure.add_axes((1.72 / WIDTH, bottom / height, 3.25 / WIDTH, (tall - head) / height))
        _dumbbells(axes, group, series, (low - pad, high + pad))
        top -= tall
    caption = (
        "Correlation of each score with quality: hollow before, filled after. Whiskers: 95 % interval over test "
        "items. On the right the change with its 95 % interval, and the verdict."
    )
    return _render(figure, "correlation_before_after", caption)


def _dumbbells(
    axes: Axes, group: Group, series: Mapping[tuple[str, ...], Series], limits: tuple[float, float]
) -> None:
    n = len(group.outcomes)
    title = f"{group.name}: {group.comparison}"
    axes.set_title(_text(title), pad=5, x=-1.55 / 3.25, fontsize=_size(title, WIDTH - 0.3, 9))
    axes.set_xlim(*limits)
    axes.set_ylim(n - 0.5, -0.5)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.axvline(0, color="#555555", linewidth=0.9, zorder=1)
    longest = max((o.score for o in group.outcomes), key=len)
    size = _size(longest, 1.62, 7.5)
    axes.set_yticks(range(n), [_text(o.score) for o in group.outcomes], fontsize=size)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Spearman’s ρ with quality", labelpad=1)
    for y, outcome in enumerate(group.outcomes):
        colour = _VERDICT_COLOURS[outcome.verdict]
        line = series[(*group.key, outcome.score)]
        for end, dy in ((0, -0.17), (-1, 0.17)):
            if np.isfinite(line.rho[end]):
                axes.plot(
                    [line.low[end], line.high[end]],
                    [y + dy] * 2,
                    color=colour,
                    linewidth=0.9,
                    alpha=0.55,
                    zorder=2,
                )
        if np.isfinite(line.rho).all():
            axes.plot(line.rho, [y - 0.17, y + 0.17], color=colour, linewidth=1.6, zorder=3)
        axes.plot(
            line.rho[0], y - 0.17, "o", markersize=4.6, markerfacecolor="white", markeredgecolor=colour, zorder=4
        )
        axes.plot(line.rho[-1], y + 0.17, "o", markersize=4.8, color=colour, zorder=5)
        change = outcome.change
        moved = f"{signed(change.mean, 2)} {interval(change.ci_low, change.ci_high, 2)}".strip()
        axes.text(1.03, y, moved, transform=axes.get_yaxis_transform(), fontsize=7.2, va="center", color="#333333")
        axes.text(
            1.03 + 1.33 / 3.25,
            y,
            outcome.verdict,
            transform=axes.get_yaxis_transform(),
            fontsize=7.2,
            va="center",
            color=colour,
            fontweight="bold" if outcome.verdict in ("degraded", "improved") else "normal",
        )
