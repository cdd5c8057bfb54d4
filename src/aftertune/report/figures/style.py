"""What all figures share: sizes, type, and how a score's marks look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aftertune.report.palette import Look
from aftertune.types import Floats

WIDTH = 7.2  # inches: the text width of a printed page, so that fonts keep their size
DPI = 200
RHO = "Spearman’s ρ with quality"
GREY = "#666666"
SMALLEST = 5.5  # points
_LETTER = 0.62  # width of a letter, in font sizes
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


_LARGER = {"*": 1.4, "P": 1.2, "X": 1.2, "8": 1.2}  # markers that would look small or blurred


@contextmanager
def style() -> Iterator[None]:
    """Our look whatever the reader's matplotlibrc says; nothing stays changed."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Empty, `width` × `height` inches."""
    figure = Figure(figsize=(width, height), layout=None)
    FigureCanvasAgg(figure)
    return figure


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes whose place is given in inches."""
    wide, tall = figure.get_size_inches()
    return figure.add_axes((left / wide, bottom / tall, width / wide, height / tall))


class Fitted(NamedTuple):
    """Words as they are drawn, and their font size."""

    text: str
    size: float


def fit(words: str, inches: float, largest: float) -> Fitted:
    """In a smaller font, down to `SMALLEST`, and without their middle where even that does not fit."""
    size = max(SMALLEST, min(largest, inches * 72 / (_LETTER * max(len(words), 1))))
    room = max(3, int(inches * 72 / (_LETTER * size) + 1e-6))
    if len(words) > room:
        words = f"{words[: room // 2]}…{words[len(words) - (room - room // 2 - 1) :]}"
    return Fitted(text(words), size)


def text(name: str) -> str:
    """Names are text, never mathtext."""
    return name.replace("$", r"\$")


def marker(look: Look, size: float) -> dict:
    """What `plot` takes for the score's marker."""
    return {
        "marker": look.marker,
        "markersize": size * _LARGER.get(look.marker, 1),
        "markerfacecolor": look.colour if look.filled else "white",
        "markeredgecolor": look.colour,
        "markeredgewidth": 0.8,
    }


def whiskers(axes: Axes, x: Sequence[float], low: Sequence[float], high: Sequence[float], **line: object) -> None:
    """Vertical intervals as one path; undefined ones are left out."""
    kept = [(a, b, c) for a, b, c in zip(x, low, high) if np.isfinite(b) and np.isfinite(c)]
    if kept:
        xs = [value for a, _, _ in kept for value in (a, a, np.nan)]
        ys = [value for _, b, c in kept for value in (b, c, np.nan)]
        axes.plot(xs, ys, solid_capstyle="butt", **line)  # pyright: ignore[reportArgumentType]


def limits(values: Floats) -> tuple[float, float]:
    """Of a rho axis: all finite values and 0, with some room."""
    low, high = float(np.nanmin([0.0, *values])), float(np.nanmax([0.0, *values]))
    pad = 0.06 * max(high - low, 0.2)
    return max(low - pad, -1.05), min(high + pad, 1.05)


def rho_axis(axes: Axes, low: float, high: float, *, labelled: bool = True) -> None:
    axes.set_ylim(low, high)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.axhline(0, color="#555555", linewidth=0.9, zorder=1)
    if not labelled:
        axes.tick_params(axis="y", labelleft=False, length=0)
        axes.spines["left"].set_visible(False)
