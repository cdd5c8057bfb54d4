"""Change in confidence against change in quality: the scheme of the quadrants (the paper's Figure 4), and item by
item (Figure 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from aftertune.report.figures.figure import (
    COLUMN,
    CONCORDANT,
    GREY,
    OVER,
    UNDER,
    Data,
    Drawing,
    Sheet,
    inches,
    named,
    new_figure,
    render,
    settle,
    sizes,
)
from aftertune.report.items import ItemChanges
from aftertune.report.names import CHECKPOINT_NAMES
from aftertune.types import Floats, Ints

HEAD = 0.78  # inches of a row for its title and ticks
HEIGHT = HEAD + 1.5  # of a row of three
BAND = 0.16  # inches above and below the dots, for the shares
CELL = 0.055  # inches: dots closer than that are drawn as one
LOWER = (1, 2, 5, 17, 65)  # smallest number of items of each dot size
SIZES = (1.9, 2.6, 3.3, 4.1, 5.2)  # points
BEYOND = 0.02  # share of the items that an axis may leave outside


def scheme() -> Drawing:
    """The four quadrants with their names and meanings; no numbers."""
    figure = new_figure(2.6, COLUMN)
    axes = figure.subplots()
    axes.set_xlim(-1, 1)
    axes.set_ylim(-1, 1)
    _tint(axes)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("change in quality  →", labelpad=4)
    axes.set_ylabel("change in confidence  →", labelpad=4)
    for x, y, number, name, meaning, colour in (
        (-1, 1, "II", "over-confident", "confidence rose,\nquality fell", OVER),
        (1, 1, "I", "concordant", "both rose", CONCORDANT),
        (-1, -1, "III", "concordant", "both fell", CONCORDANT),
        (1, -1, "IV", "under-confident", "confidence fell,\nquality rose", UNDER),
    ):
        h, v = "right" if x > 0 else "left", "top" if y > 0 else "bottom"
        axes.text(
            x / 2, y / 2 + 0.1, name, va="bottom", fontsize=8.5, fontweight="bold", color=colour, ha="center"
        )
        axes.text(
            x / 2, y / 2 + 0.04, meaning, va="top", fontsize=7, color="#333333", linespacing=1.3, ha="center"
        )
        axes.text(0.97 * x, 0.95 * y, number, fontsize=7, color=GREY, ha=h, va=v)
    box = {"facecolor": "white", "edgecolor": "#C8C8C8", "linewidth": 0.5, "boxstyle": "round,pad=0.3"}
    words = "no change in one: a tie, concordant"
    axes.text(0, 0, words, ha="center", va="center", fontsize=6.5, color=GREY, bbox=box)
    caption = (
        "The quadrants: what fine-tuning did to an item, by the signs of the changes of its confidence and its "
        "quality. An item whose confidence or quality did not change is counted as concordant."
    )
    return render(figure, "quadrant_scheme", caption)


def quadrant_scatter(sheet: Sheet[ItemChanges], from_: str, to: str, remarks: Mapping[str, str]) -> Drawing:
    """Panels of single settings and scores, each on its own scales."""
    height = {1: 2.2, 2: 1.25}.get(sheet.columns, 1.5)
    figure, found = sheet.draw([height], HEAD, lambda one: sizes([one.n_items], one.n_seeds))
    for changes, (axes,) in found:
        right, top = float(np.abs(changes.dq).max()) or 1.0, limit(changes.dc)
        axes.set_xlim(-1.08 * right, 1.08 * right)
        axes.tick_params(labelsize=6.5, length=2, pad=1.5)
        ticks = axes.yaxis.get_major_locator().tick_values(-top, top)
        axes.set_yticks([tick for tick in ticks if abs(tick) <= top])
        axes.locator_params(axis="x", nbins=5)
    figure.supylabel("change in confidence →", fontsize=7)
    for _, (axes,) in found[-sheet.columns :]:
        axes.set_xlabel("change in quality →", fontsize=7, labelpad=1)
    words = ["1", *(f"{low}–{high - 1}" for low, high in pairwise(LOWER[1:])), f"{LOWER[-1]}+"]
    dot = {"marker": "o", "linestyle": "", "color": CONCORDANT, "markeredgewidth": 0}
    key = [Line2D([], [], label="items in a dot:" if sheet.columns > 2 else "items:", linestyle="")]
    key += [Line2D([], [], label=word, markersize=size, **dot) for size, word in zip(SIZES, words)]
    figure.legend(handles=key, loc="outside lower right", ncols=len(key), fontsize=6.5 if sheet.columns > 2 else 6)
    settle(figure)
    drawn = [(changes, *_panel(axes, changes)) for changes, (axes,) in found]
    caption = _caption(sheet.panels, from_, to, remarks, max(beyond for _, _, beyond in drawn))
    return render(figure, sheet.name, caption, [row for changes, own, _ in drawn for row in _data(changes, own)])


def _data(changes: ItemChanges, drawn: Sequence[Dots]) -> Iterator[Data]:
    model, task, setting = changes.key
    for found in drawn:
        for dq, dc, n in zip(found.dq.tolist(), found.dc.tolist(), found.n.tolist()):
            names = {"model": model, "task": task, "setting": setting, "score": changes.score}
            yield {**names, "quality_change": dq, "confidence_change": dc, "n": n}


def _caption(panels: Sequence[ItemChanges], from_: str, to: str, remarks: Mapping[str, str], beyond: float) -> str:
    runs = ", all training runs together" if any(panel.n_seeds > 1 for panel in panels) else ""
    edge = f" At most {100 * beyond:.1f} % of a panel’s items lie beyond its axis: triangles." if beyond else ""
    return (
        f"Change of quality (across) and of confidence (up) by {named(panels, remarks)}, "
        f"{CHECKPOINT_NAMES[from_]} → {CHECKPOINT_NAMES[to]}, of the test items that have both at both "
        f"checkpoints{runs}; items close together share a dot, and each panel has its own scales. Shares "
        "are of all these items; those tied, "
        f"whose quality or confidence did not change, are part of the concordant.{edge}"
    )


def _tint(axes: Axes) -> None:
    """Colour the two discordant quadrants, and draw the lines of no change; the limits must be set."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    axes.add_patch(Rectangle((left, 0), -left, top, color=OVER, alpha=0.08, linewidth=0, zorder=0))
    axes.add_patch(Rectangle((0, bottom), right, -bottom, color=UNDER, alpha=0.08, linewidth=0, zorder=0))
    axes.axhline(0, color="#8A8A8A", linewidth=0.6, zorder=1)
    axes.axvline(0, color="#8A8A8A", linewidth=0.6, zorder=1)


def _panel(axes: Axes, changes: ItemChanges) -> tuple[Sequence[Dots], float]:
    """Draw into settled axes; what is drawn, and the share of the items that lie beyond the axis of confidence."""
    (wide, high), dq, dc = inches(axes), changes.dq, changes.dc
    right, top = float(np.abs(dq).max()) or 1.0, limit(dc)
    room = wide / 2 - 0.04
    band = BAND if room > 0.8 else 2 * BAND  # for words on two lines
    edge = top * high / (high - 2 * band)
    axes.set_ylim(-edge, edge)
    _tint(axes)
    outside = np.abs(dc) > top
    steps = (right / max(int(wide / 2 / CELL), 1), top / max(int((high / 2 - band) / CELL), 1))
    inside, above, below = (
        dots(dq[~outside], dc[~outside], steps),
        *(dots(dq[far], np.full(int(far.sum()), end), steps) for far, end in ((dc > top, top), (dc < -top, -top))),
    )
    sizes = [
        ("o", size, inside, (inside.n >= low) & (inside.n < more))
        for size, low, more in zip(SIZES, LOWER, (*LOWER[1:], np.inf))
    ]
    for shape, size, found, drawn in (*sizes, ("^", 2.8, above, above.n > 0), ("v", 2.8, below, below.n > 0)):
        over, under = (found.dc > 0) & (found.dq < 0), (found.dc < 0) & (found.dq > 0)
        for own, colour in ((~over & ~under, CONCORDANT), (over, OVER), (under, UNDER)):
            if (own & drawn).any():
                axes.plot(
                    found.dq[own & drawn], found.dc[own & drawn], linestyle="", marker=shape, markersize=size,
                    color=colour, alpha=0.85, markeredgewidth=0, clip_on=False, zorder=3,
                )  # fmt: skip
    q = changes.quadrants
    long = "-confident" if room > 1.2 else ""
    for x, y, word, share, colour in (
        (0, 1, f"over{long}", q.overconfident_share, OVER),
        (1, 1, "concordant", q.concordant_share, CONCORDANT),
        (0, 0, "tied", q.tied_share, CONCORDANT),
        (1, 0, f"under{long}", q.underconfident_share, UNDER),
    ):
        axes.text(
            0.015 + 0.97 * x, 0.015 + 0.97 * y, f"{word}{' ' if room > 0.8 else chr(10)}{100 * share:.1f} %",
            transform=axes.transAxes, linespacing=1.0,
            ha="right" if x else "left", va="top" if y else "bottom", fontsize=6.5, color=colour, zorder=5,
            fontweight="normal" if colour == CONCORDANT else "bold",
        )  # fmt: skip
    return (inside, above, below), float(outside.mean())


class Dots(NamedTuple):
    """Means of the items that share a cell, (cells,) each, and how many these are."""

    dq: Floats
    dc: Floats
    n: Ints


def dots(dq: Floats, dc: Floats, steps: tuple[float, float]) -> Dots:
    """Items in one cell of the plane become one dot; no cell holds changes of different sign, or 0 and another."""
    cells = np.stack([np.sign(v) * np.ceil(np.abs(v) / step) for v, step in zip((dq, dc), steps)], axis=1)
    _, cell, n = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    cell = cell.reshape(-1)
    dq, dc = (np.bincount(cell, values, len(n)) / np.maximum(n, 1) for values in (dq, dc))
    return Dots(dq, dc, n.astype(np.int64))


def limit(dc: Floats) -> float:
    """Where the axis of confidence ends: at the largest change, or, where few lie far out, before these.

    >>> limit(np.array([-1.0, 0.5])), limit(np.array([*[1.0] * 99, 50.0])), limit(np.zeros(3))
    (1.0, 1.25, 1.0)
    """
    size = np.abs(dc)
    usual = 1.25 * float(np.quantile(size, 1 - BEYOND, method="inverted_cdf"))
    most = float(size.max())
    return (min(most, usual) if usual > 0 else most) or 1.0
