"""What all figures share: style, small multiples, marks of scores, and saving (same numbers, same bytes)."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from aftertune.files.atomic import atomic_write_bytes
from aftertune.report.names import Key
from aftertune.report.numbers import number_range
from aftertune.report.palette import Look
from aftertune.report.tables import csv_text
from aftertune.types import Floats
from aftertune.visible import visible

COLUMN, WIDTH = 3.3, 7.0  # inches: a column of a printed page, and both, so that fonts keep their size
PAGE = 9.6  # inches: the height of the longest figure
DPI = 200
RHO = "Spearman’s ρ"
GREY = "#666666"
OVER, UNDER, CONCORDANT = "#C65200", "#0067A8", "#555555"  # vermilion and blue stay apart for all eyes
SMALLEST = 5.5  # points
_LETTER = 0.62  # width of a letter, in font sizes
_BOLD = 1.1  # width of bold letters
_LARGER = {"*": 1.4, "P": 1.2, "X": 1.2, "8": 1.2}  # markers that would look small or blurred
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titley": 1.0,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.labelcolor": GREY,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0.3,
    "legend.handlelength": 0.9,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.2,
    "figure.labelsize": 8,
    "figure.titlesize": 9,
    "figure.facecolor": "white",
    "svg.hashsalt": "aftertune",
    "svg.fonttype": "path",
}

T = TypeVar("T")


@contextmanager
def style() -> Iterator[None]:
    """Our look whatever the reader's matplotlibrc says; nothing stays changed.

    A letter that our font lacks, as of a Chinese name, is an empty box without a warning; the CSV file has it.
    """
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        yield


def new_figure(height: float, width: float = WIDTH, *, gap: float = 0.1, right: float = 0.0) -> Figure:
    """Empty, `width` × `height` inches, laid out by matplotlib so that nothing overlaps or is cut.

    `gap` is between axes above each other; `right` is kept free at the right; both in inches.
    """
    rect = (0, 0, 1 - right / width, 1)
    layout = ConstrainedLayoutEngine(h_pad=gap / 2, w_pad=0.05, hspace=0, wspace=0, rect=rect)
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def bare_figure(height: float, width: float) -> Figure:
    """Empty, `width` × `height` inches; axes and words stay where they are put."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def settle(figure: Figure) -> None:
    """Lay the figure out now. What is drawn later moves nothing, and can be fitted to sizes in inches."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")


def inches(axes: Axes) -> tuple[float, float]:
    """Width and height of settled axes."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    box, (wide, tall) = axes.get_position(), figure.get_size_inches()
    return float(box.width * wide), float(box.height * tall)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure ready for paper and screen.

    Attributes
    ----------
    name : stem of its files.
    caption : what is drawn, a few sentences.
    csv : the numbers that are drawn, in the form of tables/*.csv; "" for a figure without any.
    """

    name: str
    caption: str
    svg: bytes
    png: bytes
    csv: str

    def save(self, folder: Path) -> list[Path]:
        """Write `<name>.png`, `<name>.svg` and `<name>.csv`; the paths."""
        contents = {".png": self.png, ".svg": self.svg, ".csv": self.csv.encode()}
        paths = []
        for suffix, content in contents.items():
            if content:
                paths.append(Path(folder) / f"{self.name}{suffix}")
                atomic_write_bytes(paths[-1], content)
        return paths


Data = Mapping[str, object]
"""A row of the numbers that a figure draws: column → value; NaN for what is undefined."""


def render(figure: Figure, name: str, caption: str, data: Iterable[Data] = ()) -> Drawing:
    """The figure, laid out and drawn; the same figure gives the same bytes."""
    rows = list(data)
    header = list(dict.fromkeys(column for row in rows for column in row))
    table = csv_text(header, [[row.get(column) for column in header] for row in rows]) if rows else ""
    svg, png = io.BytesIO(), io.BytesIO()
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(visible(text.get_text(), keep="\n"))  # an SVG with a control character is none
    settle(figure)
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    return Drawing(
        name=name,
        caption=caption,
        svg=_with_short_ids(svg.getvalue().decode()).encode(),
        png=png.getvalue(),
        csv=table,
    )


_REFERENCE = re.compile(r'(href="|url\()#([^")]+)')


def _with_short_ids(svg: str) -> str:
    """Ids numbered in the order of their use, only those in use: matplotlib takes some from places in memory."""
    names = {name: f"i{i}" for i, name in enumerate(dict.fromkeys(name for _, name in _REFERENCE.findall(svg)))}
    svg = _REFERENCE.sub(lambda found: f"{found[1]}#{names[found[2]]}", svg)
    return re.sub(r' id="([^"]*)"', lambda found: f' id="{names[found[1]]}"' if found[1] in names else "", svg)


# Words.


class Fitted(NamedTuple):
    """Words as they are drawn, and their font size."""

    text: str
    size: float


def fit(words: str, inches: float, largest: float) -> Fitted:
    """The words in a smaller font, down to `SMALLEST`, and without their middle where even that does not fit."""
    words = visible(words, keep="\n")
    size = max(SMALLEST, min(largest, inches * 72 / (_LETTER * max(len(words), 1))))
    room = max(3, int(inches * 72 / (_LETTER * size) + 1e-6))
    if len(words) > room:
        words = f"{words[: room // 2]}…{words[len(words) - (room - room // 2 - 1) :]}"
    return Fitted(words.replace("$", r"\$"), size)  # names are text, never mathtext


def title(axes: Axes, words: str, inches: float, *, largest: float = 9, pad: float = 5) -> Text:
    """Bold words that fit into `inches`, `pad` points above the axes."""
    shown = fit(words, inches / _BOLD, largest)
    return axes.set_title(shown.text, fontsize=shown.size, pad=pad)


def above(axes: Axes, words: str, points: float, inches: float, *, largest: float = 6.8, **look: Any) -> Text:
    """Words that fit into `inches`, `points` above the axes; a title above them makes room for them."""
    shown = fit(words, inches, largest)
    found = axes.annotate(
        shown.text, (0, 1), xycoords="axes fraction", xytext=(0, points), textcoords="offset points",
        **{"fontsize": shown.size, "color": GREY, **look},
    )  # fmt: skip
    found.set_in_layout(False)
    return found


# Marks of scores, and axes of rho.


def marker(look: Look, size: float) -> dict:
    """What `plot` takes for the score's marker."""
    return {
        "marker": look.marker,
        "markersize": size * _LARGER.get(look.marker, 1),
        "markerfacecolor": look.colour if look.filled else "white",
        "markeredgecolor": look.colour,
        "markeredgewidth": 0.8,
    }


Values = Sequence[float] | Floats


def whiskers(axes: Axes, x: Values, low: Values, high: Values, **line: object) -> None:
    """Vertical intervals as one path; undefined ones are left out."""
    kept = [(a, b, c) for a, b, c in zip(x, low, high) if np.isfinite(b) and np.isfinite(c)]
    if kept:
        xs = [value for a, _, _ in kept for value in (a, a, np.nan)]
        ys = [value for _, b, c in kept for value in (b, c, np.nan)]
        axes.plot(xs, ys, solid_capstyle="butt", **line)  # pyright: ignore[reportArgumentType]


def mark_undefined(axes: Axes, x: Sequence[float], *, at: float = 0.03) -> None:
    """Crosses near the bottom (`at` of the height), where a value would stand if there were one."""
    if len(x):
        place = axes.get_xaxis_transform()
        axes.plot(x, [at] * len(x), linestyle="", marker="x", markersize=3, color=GREY, transform=place)


def mark_selected(axes: Axes, epoch: float) -> None:
    """A dotted upright line where early stopping selected a checkpoint."""
    axes.axvline(epoch, color="#8A8A8A", linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)


def limits(values: Values) -> tuple[float, float]:
    """The ends of a rho axis: around all finite values and 0, with some room."""
    low, high = float(np.nanmin([0.0, *values])), float(np.nanmax([0.0, *values]))
    pad = 0.06 * max(high - low, 0.2)
    return max(low - pad, -1.05), min(high + pad, 1.05)


def rho_axis(axes: Axes, low: float, high: float, *, labelled: bool = True) -> None:
    """An upright axis of rho with its line at 0, with or without numbers."""
    axes.set_ylim(low, high)
    axes.grid(axis="y")
    axes.axhline(0, color="#555555", linewidth=0.9, zorder=1)
    if not labelled:
        axes.tick_params(axis="y", labelleft=False, length=0)
        axes.spines["left"].set_visible(False)


# Small multiples: which panels share a figure, and where each of them stands.


class Panel(Protocol):
    """One setting and one score."""

    @property
    def key(self) -> Key: ...
    @property
    def name(self) -> str: ...
    @property
    def score(self) -> str: ...


P = TypeVar("P", bound=Panel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet(Generic[P]):
    """One figure; `cells` row by row from the top left, None where a place stays empty."""

    name: str
    cells: tuple[P | None, ...]
    columns: int

    @property
    def panels(self) -> list[P]:
        return [cell for cell in self.cells if cell is not None]

    @property
    def is_of_one_score(self) -> bool:
        """Whether several settings are shown by one score."""
        return len({panel.score for panel in self.panels}) == 1 and len(self.panels) > 1

    @property
    def width(self) -> float:
        """Inches."""
        return WIDTH if self.columns > 2 or self.is_of_one_score else COLUMN

    def draw(
        self, heights: Sequence[float], head: float, counts: Callable[[P], str]
    ) -> tuple[Figure, list[tuple[P, list[Axes]]]]:
        """A figure, and each panel with its axes, one for each of `heights` (inches) from top to bottom.

        Above a panel stands what it is of, and `counts`; what all panels of a row or of the figure share stands
        once above them.
        `head` is what titles and ticks of a row take, in inches.
        """
        rows, n = -(-len(self.cells) // self.columns), len(heights)
        is_one = self.is_of_one_score
        wide = self.width / self.columns - 0.5
        figure = new_figure(rows * (sum(heights) + head) + 0.3 + 0.2 * is_one, self.width)
        if is_one:
            name = fit(self.panels[0].score, self.width - 0.2, 8)
            figure.suptitle(name.text, x=0.01, ha="left", fontsize=name.size, fontweight="bold", color=GREY)
        grid = figure.subplots(rows * n, self.columns, squeeze=False, height_ratios=[*heights] * rows)
        found = []
        places = grid.reshape(rows, n, self.columns).swapaxes(1, 2).reshape(-1, n)
        for i, (own, cell) in enumerate(zip_longest(places, self.cells)):
            if cell is None:
                for axes in own:
                    axes.remove()
                continue
            found.append((cell, list(own)))
            if is_one:
                title(own[0], cell.name, wide, largest=8, pad=14)
                above(own[0], counts(cell), 4, wide)
            else:  # a row is of one setting, whose name stands above all of it
                own[0].set_title(" ", fontsize=8, pad=24)
                if i % self.columns == 0 or self.cells[i - 1] is None:
                    whole = (self.width - 0.5) / _BOLD
                    above(own[0], cell.name, 25, whole, largest=8, color="black", fontweight="bold")
                above(own[0], cell.score, 13, wide, color="#222222")
                above(own[0], counts(cell), 4, wide)
        return figure, found


def sheets(name: str, panels: Sequence[P], scores: Sequence[str], row: float) -> list[Sheet[P]]:
    """Few settings: one figure, a row for each and a column for each score. Many: a figure for each score.

    The panels of a figure for one score stand three in a row (tasks below each other where all models have the
    same two or three), as many rows of `row` inches as a page has; where there are more, each model has its own
    figure.
    """
    most_rows = max(1, int((PAGE - 0.5) / row))
    by = {(panel.key, panel.score): panel for panel in panels}
    keys = list(dict.fromkeys(panel.key for panel in panels))
    scores = [score for score in scores if any(panel.score == score for panel in panels)]
    if len(scores) > 1 and len(keys) <= min(3, most_rows):
        cells = tuple(by.get((key, score)) for key in keys for score in scores)
        return [Sheet(name=name, cells=cells, columns=len(scores))]
    found = []
    for score in scores:
        own = [by[key, score] for key in keys if (key, score) in by]
        stem = name if len(scores) == 1 else f"{name}_{slug(score)}"
        for sheet, cells in pages(stem, own, lambda panel: panel.key[0], 3 * most_rows):
            found.append(Sheet(name=sheet, cells=tuple(cells), columns=_columns(cells)))
    return found


def _columns(cells: Sequence[Panel]) -> int:
    columns = dict.fromkeys((cell.key[1], cell.key[2]) for cell in cells)
    models = dict.fromkeys(cell.key[0] for cell in cells)
    is_grid = len(cells) == len(columns) * len(models) and len(columns) in (2, 3)
    return len(columns) if is_grid and len(models) > 1 else {1: 1, 2: 2, 4: 2}.get(len(cells), 3)


def sizes(n_items: Sequence[int], n_seeds: int) -> str:
    """How many items a panel is of, and how many seeds where there are several.

    >>> sizes([21, 30], 2), sizes([1], 1)
    ('21–30 items × 2 seeds', '1 item')
    """
    n = number_range(n_items)
    return f"{n} item{'' if n == '1' else 's'}" + (f" × {n_seeds} seeds" if n_seeds > 1 else "")


def named(panels: Sequence[Panel], remarks: Mapping[str, str]) -> str:
    """The scores of the panels, for a caption."""
    scores = dict.fromkeys(panel.score for panel in panels)
    return " and ".join(f"{score} ({remarks[score]})" if score in remarks else score for score in scores)


def pages(name: str, panels: Sequence[T], model: Callable[[T], str], most: int) -> list[tuple[str, list[T]]]:
    """Names of figures and their panels: one if there are at most `most`, else one or more for each model.

    Models with a panel each share figures.

    >>> pages("f", ["ax", "ay", "bx"], lambda panel: panel[0], most=2)
    [('f_a', ['ax', 'ay']), ('f_b', ['bx'])]
    >>> pages("f", ["a1", "a2", "a3"], lambda panel: panel[0], most=2)
    [('f_a', ['a1', 'a2']), ('f_a_2', ['a3'])]
    >>> pages("f", ["a1", "b1", "c1"], lambda panel: panel[0], most=2)
    [('f_1', ['a1', 'b1']), ('f_2', ['c1'])]
    """
    if len(panels) <= most:
        return [(name, list(panels))] if panels else []
    if len(set(map(model, panels))) == len(panels) and most > 1:
        starts = range(0, len(panels), most)
        return [(f"{name}_{i}", list(panels[start : start + most])) for i, start in enumerate(starts, 1)]
    found: dict[str, list[T]] = {}
    for of_model in dict.fromkeys(map(model, panels)):
        own = [panel for panel in panels if model(panel) == of_model]
        for start in range(0, len(own), most):
            stem = free = f"{name}_{slug(of_model)}"
            number = 2
            while free in found:
                free, number = f"{stem}_{number}", number + 1
            found[free] = own[start : start + most]
    return list(found.items())


def slug(words: str) -> str:
    """The words as part of a file's name.

    >>> slug("meta-llama/Llama-3.1-8B")
    'meta-llama-Llama-3.1-8B'
    """
    return re.sub(r"[^0-9A-Za-z._-]+", "-", words).strip("-.")[:80] or "unnamed"
