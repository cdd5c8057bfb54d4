"""Do percentages mean what they say, before and after fine-tuning? Reliability diagrams side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from aftertune.report.figures.drawing import Drawing, render
from aftertune.report.figures.regions import OVER, UNDER
from aftertune.report.figures.style import GREY, WIDTH, axes_at, fit, new_figure, whiskers
from aftertune.report.number_format import number_range, plain
from aftertune.report.palette import Look
from aftertune.stats.calibration import BINS, calibration
from aftertune.types import Floats

TOP, LEFT, GAP = 0.44, 0.54, 0.26  # inches: column titles, y label and ticks, between panels
HEAD, STRIP, FOOT = 0.39, 0.27, 0.26  # inches of a row: its name, counts, x ticks
BETWEEN, BOTTOM = 0.06, 0.2  # inches: diagram and counts, x label
SIDE = (WIDTH - LEFT - 2 * GAP - 0.14) / 3
ROW = HEAD + SIDE + BETWEEN + STRIP + FOOT
COUNTED = 20  # bars of the counts
RIGHT, WRONG = "#4D4D4D", "#C4C4C4"
_TICKS = (0, 0.25, 0.5, 0.75, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Percentages of one checkpoint's answers, and whether these are right.

    Attributes
    ----------
    chance, correct : (n,) in [0, 1], and (n,) 0 or 1; items without either left out.
    reason : why there are none; "" where there are.
    """

    chance: Floats
    correct: Floats
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityRow:
    """One score of one model.

    Attributes
    ----------
    name : of the row, such as model and task.
    before : answers at the earlier checkpoint, by a map fitted there.
    carried : answers at the later one, by the same map.
    renewed : answers at the later one, by a map fitted there.
    """

    name: str
    score: str
    before: Judged
    carried: Judged
    renewed: Judged

    @property
    def panels(self) -> tuple[Judged, Judged, Judged]:
        return self.before, self.carried, self.renewed


def most_rows_of_reliability(page: float) -> int:
    """Of a figure of `page` inches at most."""
    return max(1, int((page - TOP - BOTTOM) / ROW))


def reliability(
    name: str, rows: Sequence[ReliabilityRow], looks: dict[str, Look], kind: str, *, stages: tuple[str, str]
) -> Drawing:
    """A row for each score and model; the matplotlib style must be set.

    Parameters
    ----------
    kind
        Name of the map, for the caption: "isotonic", "logistic" or "min–max".
    stages
        What the two checkpoints of all rows are called, such as "before fine-tuning" and "selected checkpoint".
    """
    height = TOP + len(rows) * ROW + BOTTOM
    figure = new_figure(height)
    for column, (title, below) in enumerate(_columns(*stages)):
        x = (LEFT + column * (SIDE + GAP)) / WIDTH
        figure.text(x, 1 - 0.06 / height, title, va="top", fontsize=9, fontweight="bold")
        figure.text(x, 1 - 0.24 / height, below, va="top", fontsize=7, color=GREY)
    for i, row in enumerate(rows):
        _row(figure, row, looks[row.score], height - TOP - i * ROW, column_titles=i == 0)
    figure.text(LEFT / WIDTH, 0.05 / height, "stated chance that the answer is right  →", fontsize=8)
    _key(figure, height)
    return render(figure, name, _caption(rows, kind, stages), about="answers")


def _columns(earlier: str, later: str) -> tuple[tuple[str, str], ...]:
    """Title of each column, and what stands below it."""
    fitted = "before" if earlier.startswith("before") else f"at {earlier}"
    return (
        (earlier, "map fitted there, on validation"),
        ("after, with the old map", f"{later}, map fitted {fitted}"),
        ("after, with a new map", f"{later}, map fitted there"),
    )


def _row(figure: Figure, row: ReliabilityRow, look: Look, top: float, *, column_titles: bool) -> None:
    """`top` in inches from the bottom of the figure."""
    height = float(figure.get_size_inches()[1])
    title = fit(f"{row.score}, {row.name}", WIDTH - LEFT - 0.1, 8.5)
    figure.text(LEFT / WIDTH, (top - 0.1) / height, title.text, va="top", fontsize=title.size, color=GREY)
    for column, judged in enumerate(row.panels):
        left = LEFT + column * (SIDE + GAP)
        beneath = axes_at(figure, left, top - ROW + FOOT, SIDE, STRIP)
        above = axes_at(figure, left, top - ROW + FOOT + STRIP + BETWEEN, SIDE, SIDE)
        _diagram(above, judged, look, labelled=column == 0, words=column_titles and column == 0)
        _counts(beneath, judged)


def _diagram(axes: Axes, judged: Judged, look: Look, *, labelled: bool, words: bool) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks(_TICKS, [])
    axes.set_yticks(_TICKS, ["0 %", "25", "50", "75", "100"] if labelled else [])
    axes.tick_params(length=2, labelsize=7)
    if labelled:
        axes.set_ylabel("share that is right", labelpad=1)
    if not len(judged.correct):
        axes.text(
            0.5, 0.5, "\n".join(textwrap.wrap(judged.reason, 30)), ha="center", va="center", color=GREY, size=7
        )
        return
    for corner, colour in (((1, 0), OVER), ((0, 1), UNDER)):
        axes.add_patch(
            Polygon([(0, 0), corner, (1, 1)], closed=True, color=colour, alpha=0.07, linewidth=0, zorder=0)
        )
    axes.plot([0, 1], [0, 1], color="#8A8A8A", linewidth=0.7, zorder=1)
    if words:
        axes.text(0.97, 0.03, "over-confident", ha="right", va="bottom", fontsize=6.5, color=OVER)
        axes.text(0.03, 0.97, "under-confident", ha="left", va="top", fontsize=6.5, color=UNDER)
    found = calibration(judged.chance, judged.correct)
    x, low, high = [b.stated for b in found.bins], [b.low for b in found.bins], [b.high for b in found.bins]
    whiskers(axes, x, low, high, color=look.colour, linewidth=0.8, alpha=0.7, zorder=2, clip_on=False)
    largest = max(b.n for b in found.bins)
    for b in found.bins:
        axes.plot(
            [b.stated],
            [b.correct],
            marker="o",
            markersize=max(2.8, 5.2 * (b.n / largest) ** 0.5),
            markerfacecolor=look.colour,
            markeredgecolor="white",
            markeredgewidth=0.5,
            zorder=3,
            clip_on=False,
        )
    axes.annotate(
        f"ECE {plain(found.ece, 2)} (by chance {plain(found.ece_if_calibrated, 2)}),  Brier {plain(found.brier)}",
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 4),
        textcoords="offset points",
        fontsize=6.8,
        color="#222222",
    )


def _counts(axes: Axes, judged: Judged) -> None:
    """How many answers are told which percentage, right ones below wrong ones."""
    axes.set_xlim(0, 1)
    labels = axes.set_xticks(_TICKS, ["0 %", "25", "50", "75", "100"])
    labels[0].label1.set_horizontalalignment("left")  # clear of the neighbour's 100
    labels[-1].label1.set_horizontalalignment("right")
    axes.tick_params(length=2, labelsize=7)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if not len(judged.correct):
        return
    place = np.minimum((judged.chance * COUNTED).astype(int), COUNTED - 1)
    right = np.bincount(place[judged.correct == 1], minlength=COUNTED)
    wrong = np.bincount(place[judged.correct == 0], minlength=COUNTED)
    middle = (np.arange(COUNTED) + 0.5) / COUNTED
    axes.bar(middle, right, 0.9 / COUNTED, color=RIGHT, linewidth=0)
    axes.bar(middle, wrong, 0.9 / COUNTED, bottom=right, color=WRONG, linewidth=0)
    most = int((right + wrong).max())
    axes.set_ylim(0, 1.05 * most)
    highest = int((right + wrong).argmax())
    side = "left" if highest < COUNTED / 2 else "right"
    beside = (highest + (1.25 if side == "left" else -0.25)) / COUNTED
    axes.text(beside, most, f"{most:,}", fontsize=6, ha=side, va="top", color=GREY, zorder=4)


def _key(figure: Figure, height: float) -> None:
    """What the bars are, at the bottom right."""
    axes = axes_at(figure, WIDTH - 2.3, 0.02, 2.2, 0.16)
    axes.set_xlim(0, 2.2)
    axes.set_ylim(0, 0.16)
    axes.axis("off")
    for x, colour, words in ((0.45, RIGHT, "right answers"), (1.4, WRONG, "wrong answers")):
        axes.add_patch(Rectangle((x, 0.045), 0.09, 0.09, color=colour, linewidth=0))
        axes.text(x + 0.13, 0.085, words, fontsize=7, color=GREY, va="center_baseline")


def _caption(rows: Sequence[ReliabilityRow], kind: str, stages: tuple[str, str]) -> str:
    n = [len(judged.correct) for row in rows for judged in row.panels if len(judged.correct)]
    items = f" ({number_range(n)})" if n else ""
    return (
        f"Estimated chance that an answer is right ({kind} map) against the share that is right, {stages[0]} → "
        f"{stages[1]}, of the test items{items} in up to {BINS} groups of equal size, equal percentages together; "
        "whiskers are Wilson’s 95 % intervals, the area of a dot goes with its number of answers. Below the "
        "diagonal the percentages promise too much. ECE: mean distance from the diagonal, in brackets what chance "
        "alone would show if the percentages were right. Brier: mean squared error, lower is better. Bars: how "
        "many answers are told which percentage, with the number of the highest bar."
    )
