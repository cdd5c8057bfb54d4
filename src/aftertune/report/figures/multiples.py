"""Small multiples of curves: a panel for each score, in colour before all others in grey."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aftertune.report.figures.figure import (
    COLUMN,
    GREY,
    PAGE,
    SMALLEST,
    WIDTH,
    bare_figure,
    fit,
    limits,
    mark_selected,
    mark_undefined,
    rho_axis,
    whiskers,
)
from aftertune.report.palette import Look
from aftertune.types import Floats

OTHERS = "#D2D2D2"
HEAD, NAME, AXES, FOOT = 0.22, 0.255, 0.52, 0.33  # inches: of a block's name, of two lines, of axes, below a block
LEFT, GAP = 0.36, 0.09  # inches left of a row, and between axes
TEXT = 6.0  # points
APART = "sel."
"""What stands below points that are joined to no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One score.

    Attributes
    ----------
    x, y, low, high : (C,) points and the ends of their intervals, NaN where undefined.
    apart : x, y, low and high of a point that is joined to no other.
    note : a few words inside the panel.
    """

    score: str
    x: Floats
    y: Floats
    low: Floats
    high: Floats
    apart: tuple[float, float, float, float] | None = None
    note: str = ""
    is_marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The panels of one setting.

    Attributes
    ----------
    ticks : x → what stands there.
    lines : x of dotted upright lines.
    """

    name: str
    curves: Sequence[Curve]
    ticks: Mapping[float, str]
    lines: Sequence[float] = field(default=())


def _columns(blocks: Sequence[Block]) -> int:
    """Three panels side by side in one column of a page; where that is more than half of it, more in both."""
    if _height(blocks, 3) <= PAGE / 2:
        return 3
    return min((5, 6, 7), key=lambda columns: (_height(blocks, columns), columns))


def most(blocks: Sequence[Block]) -> int:
    """How many blocks like the largest one a page takes, at least one."""
    largest = max(blocks, key=lambda block: len(block.curves))
    return max(1, int(PAGE / _height([largest], _columns([largest] * 9))))


def _height(blocks: Sequence[Block], columns: int) -> float:
    rows = sum(-(-len(block.curves) // columns) for block in blocks)
    return len(blocks) * (HEAD + FOOT) + rows * (NAME + AXES) + 0.04


def draw(blocks: Sequence[Block], looks: Mapping[str, Look], *, x: str, y: str, bands: bool) -> Figure:
    """One block below the other, on one scale.

    Parameters
    ----------
    x, y : what the axes are of.
    bands : intervals as bands, else as whiskers.
    """
    columns = _columns(blocks)
    width, height = COLUMN if columns == 3 else WIDTH, _height(blocks, columns)
    figure = bare_figure(height, width)
    wide = (width - LEFT - 0.06) / columns - GAP
    shown = [c for block in blocks for c in block.curves]
    ends = [v for c in shown for v in (c.y, c.low, c.high)]
    low, high = limits(np.concatenate([*ends, [v for c in shown for v in (c.apart or ())[1:]]]))
    ticks = [tick for tick in (-1, -0.5, 0, 0.5, 1) if low <= tick <= high]
    if len(ticks) < 3:
        ticks = [tick / 10 for tick in range(-10, 11, 2) if low <= tick / 10 <= high]
    top = height
    for block in blocks:
        name = fit(block.name, (width - 0.1) / 1.1, 8)
        figure.text(
            0.04 / width, (top - 0.05) / height, name.text, fontsize=name.size, fontweight="bold", va="top"
        )
        top -= HEAD
        rest = len(block.curves) % columns or columns
        for i, curve in enumerate(block.curves):
            row, column = divmod(i, columns)
            bottom = top - (row + 1) * (NAME + AXES)
            left = LEFT + column * (wide + GAP)
            axes = figure.add_axes((left / width, bottom / height, wide / width, AXES / height))
            rho_axis(axes, low, high, labelled=column == 0)
            axes.set_yticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks] if column == 0 else [])
            axes.tick_params(labelsize=TEXT, length=1.5, pad=1.5, width=0.5)
            axes.tick_params(axis="y", length=0)
            _panel(axes, block, curve, looks, bands=bands)
            is_last = i >= len(block.curves) - (rest if rest == columns else columns)
            _ticks(axes, block.ticks, wide, labelled=is_last)
            _name(axes, curve, wide)
        rows = -(-len(block.curves) // columns)
        middle = top - rows * (NAME + AXES) / 2
        figure.text(0.07 / width, middle / height, y, fontsize=6.5, rotation=90, ha="center", va="center")
        top -= rows * (NAME + AXES) + FOOT
        figure.text(LEFT / width, (top + 0.06) / height, x, fontsize=6.5, va="bottom")
    return figure


def _panel(axes: Axes, block: Block, curve: Curve, looks: Mapping[str, Look], *, bands: bool) -> None:
    look = looks[curve.score]
    others = [other for other in block.curves if other is not curve]
    if others:
        x = np.concatenate([[*other.x, np.nan] for other in others])
        y = np.concatenate([[*other.y, np.nan] for other in others])
        axes.plot(x, y, color=OTHERS, linewidth=0.5, zorder=1.5)
    for place in block.lines:
        mark_selected(axes, place)
    if bands:
        axes.fill_between(curve.x, curve.low, curve.high, color=look.colour, alpha=0.22, linewidth=0, zorder=2)
    else:
        whiskers(axes, curve.x, curve.low, curve.high, color=look.colour, linewidth=0.8, zorder=3)
    dot = {"color": look.colour, "marker": "o", "markersize": 2.0, "markeredgewidth": 0, "clip_on": False}
    axes.plot(curve.x, curve.y, linewidth=1.1, zorder=4, **dot)
    if curve.apart is not None:
        x, y, low, high = curve.apart
        whiskers(axes, [x], [low], [high], color=look.colour, linewidth=0.8, zorder=3)
        axes.plot([x], [y], zorder=4, **dot)
    mark_undefined(axes, [x for x, y in zip(curve.x, curve.y) if np.isnan(y)], at=0.08)
    if curve.note:  # where the curve is not
        right = curve.y[len(curve.y) // 2 :]
        place = int(np.isnan(right).all() or np.nanmean(right) < np.mean(axes.get_ylim()))
        axes.annotate(
            curve.note, (1, place), xycoords="axes fraction", xytext=(0, 1.5 - 2 * place),
            textcoords="offset points", fontsize=SMALLEST, ha="right", va="top" if place else "bottom",
            color="#222222", bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5}, zorder=6,
        )  # fmt: skip


def _ticks(axes: Axes, ticks: Mapping[float, str], wide: float, *, labelled: bool) -> None:
    places = sorted(ticks)
    pad = 0.04 * (places[-1] - places[0]) or 0.5
    axes.set_xlim(places[0] - pad, places[-1] + pad)
    longest = max(len(label) for label in ticks.values())
    room = max(int(wide / (longest * 0.055 + 0.07)), 2)  # labels side by side
    kept = places[:: -(-len(places) // room)]
    if places[-1] not in kept and ticks[places[-1]] == APART:
        near = (places[-1] - places[0]) * (len(APART) * 0.055 + 0.03) / wide
        kept = [*(place for place in kept if places[-1] - place > near), places[-1]]
    axes.set_xticks(kept, [ticks[place] for place in kept] if labelled else [])


def _name(axes: Axes, curve: Curve, wide: float) -> None:
    """On one line or, broken behind an underscore or another sign, on two."""
    weight = "bold" if curve.is_marked else "normal"
    room = wide / (1.1 if curve.is_marked else 1)
    lines = [curve.score]
    if fit(curve.score, room, TEXT).size < TEXT:
        breaks = [found.end() for found in re.finditer(r"[^0-9A-Za-z](?=[0-9A-Za-z])", curve.score)]
        at = min(breaks or [len(curve.score)], key=lambda place: abs(2 * place - len(curve.score)))
        lines = [curve.score[:at], curve.score[at:]]
    found = [fit(line, room, TEXT) for line in lines if line]
    axes.annotate(
        "\n".join(line.text for line in found), (0, 1), xycoords="axes fraction", xytext=(0, 2.5),
        textcoords="offset points", fontsize=min(line.size for line in found), fontweight=weight, va="bottom",
        linespacing=1.05, color="#222222" if curve.is_marked else GREY,
    )  # fmt: skip
