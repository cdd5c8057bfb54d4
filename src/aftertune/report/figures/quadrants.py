"""Change in confidence against change in quality, item by item (the paper's Figure 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aftertune.report.figures.drawing import Drawing, render
from aftertune.report.figures.regions import CONCORDANT, OVER, UNDER, tint
from aftertune.report.figures.sheets import TOP, Sheet, named
from aftertune.report.figures.style import GREY, WIDTH, axes_at, new_figure
from aftertune.report.item_changes import ItemChanges
from aftertune.report.number_format import count
from aftertune.report.outcome import CHECKPOINT_NAMES
from aftertune.types import Floats, Ints

LEFT, GAP, HEAD, FOOT = 0.22, 0.4, 0.42, 0.24  # inches: y label, y ticks, titles, x ticks
BOTTOM = 0.28  # x label and key
BAND = 0.16  # inches above and below the dots, for the shares
CELL = 0.055  # inches: dots closer than that are drawn as one
LOWER = (1, 2, 5, 17, 65)  # smallest number of items of each dot size
SIZES = (1.9, 2.6, 3.3, 4.1, 5.2)  # points
BEYOND = 0.02  # share of the items that an axis may leave outside


def tall(columns: int) -> float:
    """Inches of the axes."""
    return {1: 2.7, 2: 2.1}.get(columns, 1.5)


def most_rows_of_quadrants(page: float) -> int:
    """Of a figure of `page` inches at most."""
    return max(1, int((page - TOP - BOTTOM) / (HEAD + tall(3) + FOOT)))


def quadrant_scatter(sheet: Sheet[ItemChanges], from_: str, to: str, remarks: Mapping[str, str]) -> Drawing:
    """Panels of single settings and scores, each on its own scales."""
    each = HEAD + tall(sheet.columns) + FOOT
    height = sheet.top + sheet.rows * each + BOTTOM
    figure = new_figure(height)
    sheet.head(figure)
    wide = (WIDTH - LEFT - 0.06) / sheet.columns
    beyond = 0.0
    for i, changes in enumerate(sheet.cells):
        if changes is None:
            continue
        left = LEFT + (i % sheet.columns) * wide + GAP
        bottom = height - sheet.top - (i // sheet.columns + 1) * each + FOOT
        axes = axes_at(figure, left, bottom, wide - GAP - 0.06, tall(sheet.columns))
        beyond = max(beyond, _panel(axes, changes, wide - GAP - 0.06, tall(sheet.columns)))
        sheet.title(axes, changes, _counts(changes))
    figure.text(0.06 / WIDTH, 0.5, "change in confidence →", rotation=90, va="center", fontsize=8)
    figure.text((LEFT + GAP) / WIDTH, 0.13 / height, "change in quality →", fontsize=8, va="center")
    _key(figure, height)
    return render(figure, sheet.name, _caption(sheet.panels, from_, to, remarks, beyond), about="items")


def _caption(panels: Sequence[ItemChanges], from_: str, to: str, remarks: Mapping[str, str], beyond: float) -> str:
    of = named(panels, remarks)
    runs = ", all training runs together" if any(panel.n_seeds > 1 for panel in panels) else ""
    edge = f" At most {100 * beyond:.1f} % of a panel’s items lie beyond its axis: triangles." if beyond else ""
    return (
        f"Change of quality (across) and of confidence (up) by {of}, {CHECKPOINT_NAMES[from_]} → "
        f"{CHECKPOINT_NAMES[to]}, of the test items that have both at both checkpoints{runs}; items close "
        "together share a dot, and each panel has its own scales. Shares are of all these items; those tied, "
        f"whose quality or confidence did not change, are part of the concordant.{edge}"
    )


def _counts(changes: ItemChanges) -> str:
    return count(changes.n_items, "item") + (f" × {changes.n_seeds} seeds" if changes.n_seeds > 1 else "")


def _panel(axes: Axes, changes: ItemChanges, wide: float, high: float) -> float:
    """Draw one panel; the share of its items that lie beyond the axis of confidence."""
    right = float(np.abs(changes.dq).max()) or 1.0
    top = limit(changes.dc)
    axes.set_xlim(-1.08 * right, 1.08 * right)
    edge = top * high / (high - 2 * BAND)
    axes.set_ylim(-edge, edge)
    tint(axes)
    axes.tick_params(labelsize=6.5, length=2, pad=1.5)
    ticks = axes.yaxis.get_major_locator().tick_values(-top, top)
    axes.set_yticks([tick for tick in ticks if abs(tick) <= top])
    axes.locator_params(axis="x", nbins=5)
    outside = np.abs(changes.dc) > top
    steps = (right / max(int(wide / 2 / CELL), 1), top / max(int((high / 2 - BAND) / CELL), 1))
    found = dots(changes.dq[~outside], changes.dc[~outside], steps)
    order = ((_is_concordant, CONCORDANT), (_is_over, OVER), (_is_under, UNDER))
    for belongs, colour in order:
        own = belongs(found.dq, found.dc)
        for low, high_, size in zip(LOWER, (*LOWER[1:], np.inf), SIZES):
            drawn = own & (found.n >= low) & (found.n < high_)
            if drawn.any():
                axes.plot(
                    found.dq[drawn],
                    found.dc[drawn],
                    linestyle="",
                    marker="o",
                    markersize=size,
                    color=colour,
                    alpha=0.85,
                    markeredgewidth=0,
                    clip_on=False,
                    zorder=3,
                )
        for sign, marker in ((1, "^"), (-1, "v")):
            far = outside & belongs(changes.dq, changes.dc) & (sign * changes.dc > 0)
            columns = dots(changes.dq[far], np.full(int(far.sum()), sign * top), steps)
            if far.any():
                axes.plot(
                    columns.dq,
                    columns.dc,
                    linestyle="",
                    marker=marker,
                    markersize=2.8,
                    color=colour,
                    markeredgewidth=0,
                    clip_on=False,
                    zorder=3,
                )
    _shares(axes, changes, wide)
    return float(outside.mean())


def _is_over(dq: Floats, dc: Floats) -> np.ndarray:
    return (dc > 0) & (dq < 0)


def _is_under(dq: Floats, dc: Floats) -> np.ndarray:
    return (dc < 0) & (dq > 0)


def _is_concordant(dq: Floats, dc: Floats) -> np.ndarray:
    return ~_is_over(dq, dc) & ~_is_under(dq, dc)


def _shares(axes: Axes, changes: ItemChanges, wide: float) -> None:
    q = changes.quadrants
    room = wide / 2 - 0.04
    long = room > 1.2
    places = (
        (0.015, "top", "left", "over-confident" if long else "over", q.overconfident_share, OVER),
        (0.985, "top", "right", "concordant" if room > 0.8 else "conc.", q.concordant_share, CONCORDANT),
        (0.015, "bottom", "left", "tied", q.tied_share, CONCORDANT),
        (0.985, "bottom", "right", "under-confident" if long else "under", q.underconfident_share, UNDER),
    )
    for x, vertical, horizontal, word, share, colour in places:
        axes.text(
            x,
            0.985 if vertical == "top" else 0.015,
            f"{word} {100 * share:.1f} %",
            transform=axes.transAxes,
            ha=horizontal,
            va=vertical,
            fontsize=6.5,
            color=colour,
            fontweight="normal" if colour == CONCORDANT else "bold",
            zorder=5,
        )


def _key(figure: Figure, height: float) -> None:
    """Numbers of items that a dot stands for, at the bottom right."""
    axes = axes_at(figure, WIDTH - 2.75, 0.02, 2.7, 0.24)
    axes.set_xlim(0, 2.7)
    axes.set_ylim(0, 1)
    axes.axis("off")
    axes.text(0, 0.5, "items in a dot:", fontsize=6.5, color=GREY, va="center_baseline")
    words = ["1", *(f"{low}–{high - 1}" for low, high in pairwise(LOWER[1:])), f"{LOWER[-1]}+"]
    x = 0.78
    for size, word in zip(SIZES, words):
        axes.plot([x], [0.52], "o", markersize=size, color=CONCORDANT, markeredgewidth=0)
        axes.text(x + 0.055, 0.5, word, fontsize=6.5, color=GREY, va="center_baseline")
        x += 0.19 + 0.055 * len(word)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """Means of the items that share a cell, (cells,) each, and how many these are."""

    dq: Floats
    dc: Floats
    n: Ints


def dots(dq: Floats, dc: Floats, steps: tuple[float, float]) -> Dots:
    """Items in one cell of the plane become one dot; no cell holds changes of different sign, or 0 and another."""
    cells = np.stack([np.sign(v) * np.ceil(np.abs(v) / step) for v, step in zip((dq, dc), steps)], axis=1)
    _, cell, n = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    cell = cell.reshape(-1)
    return Dots(
        dq=np.bincount(cell, dq, len(n)) / np.maximum(n, 1),
        dc=np.bincount(cell, dc, len(n)) / np.maximum(n, 1),
        n=n.astype(np.int64),
    )


def limit(dc: Floats) -> float:
    """Where the axis of confidence ends: at the largest change, or, where few lie far out, before these.

    >>> limit(np.array([-1.0, 0.5])), limit(np.array([*[1.0] * 99, 50.0])), limit(np.zeros(3))
    (1.0, 1.25, 1.0)
    """
    size = np.abs(dc)
    usual = 1.25 * float(np.quantile(size, 1 - BEYOND, method="inverted_cdf"))
    most = float(size.max())
    return (min(most, usual) if usual > 0 else most) or 1.0
