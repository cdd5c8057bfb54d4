"""Do percentages mean what they say, before and after fine-tuning? Reliability diagrams side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Polygon

from aftertune.analysis.schema import JudgedItems, Row
from aftertune.report.figures.figure import (
    GREY,
    OVER,
    PAGE,
    UNDER,
    WIDTH,
    Data,
    Drawing,
    above,
    new_figure,
    render,
    title,
    whiskers,
)
from aftertune.report.names import group_name
from aftertune.report.numbers import number_range, plain
from aftertune.report.palette import Look
from aftertune.stats.calibration import BINS, calibration

DIAGRAM, STRIP = 2.1, 0.27  # inches of a diagram and of the counts beneath it, without space around them
HEIGHT = 3.0  # of a row
FRAME = 0.6  # inches for the titles of the columns and the x label
MOST_ROWS = int((PAGE - FRAME) / HEIGHT)  # on a page
COUNTED = 20  # bars of the counts
RIGHT, WRONG = "#4D4D4D", "#C4C4C4"
_TICKS, _PERCENT = (0, 0.25, 0.5, 0.75, 1), ["0 %", "25", "50", "75", "100"]


def reliability(name: str, rows: Sequence[Row], looks: Mapping[str, Look], *, stages: tuple[str, str]) -> Drawing:
    """A row for each score and setting.

    Parameters
    ----------
    stages : what the two checkpoints of all rows are called, such as "epoch 1" and "last checkpoint".
    """
    figure = new_figure(len(rows) * HEIGHT + FRAME, gap=0.05)
    heights = [DIAGRAM, STRIP] * len(rows)
    grid = figure.subplots(2 * len(rows), 3, squeeze=False, sharex=True, height_ratios=heights)
    earlier, later = stages
    fitted = "before" if earlier.startswith("before") else f"at {earlier}"
    heads = (
        (earlier, "map fitted there, on validation"),
        ("after, with the old map", f"{later}, map fitted {fitted}"),
        ("after, with a new map", f"{later}, map fitted there"),
    )
    for i, row in enumerate(rows):
        seed = f", seed {row.seed}" if row.n_seeds > 1 else ""
        words = f"{row.score}, {group_name(row.model, row.task, row.setting)}{seed}"
        above(grid[2 * i, 0], words, 15, WIDTH - 0.7, largest=8.5)
        for column, judged in enumerate(columns(row)):
            diagram, counts = grid[2 * i : 2 * i + 2, column]
            head, below = heads[column]
            if i == 0:
                title(diagram, head, WIDTH / 3 - 0.2, pad=45)
                above(diagram, below, 34, WIDTH / 3 - 0.2, largest=7)
            elif column == 0:
                diagram.set_title(" ", fontsize=8.5, pad=15)
            _diagram(diagram, judged, looks[row.score], words=i == column == 0)
            _counts(counts, judged)
        grid[2 * i, 0].set_ylabel("share that is right", labelpad=1)
        grid[2 * i, 0].tick_params(axis="y", labelleft=True)
    figure.supxlabel("stated chance that the answer is right  →", x=0.06, ha="left")
    key = [Patch(color=RIGHT, label="right answers"), Patch(color=WRONG, label="wrong answers")]
    figure.legend(handles=key, loc="outside lower right", ncols=2, fontsize=7)
    return render(figure, name, _caption(rows, stages), [line for row in rows for line in _data(row)])


def _data(row: Row) -> Iterator[Data]:
    """The dots with their intervals, a row each."""
    for (fitted, applied), judged in zip(((0, 0), (0, 1), (1, 1)), columns(row)):
        stages = row.from_, row.to
        names = {
            "model": row.model,
            "task": row.task,
            "setting": row.setting,
            "seed": row.seed,
            "score": row.score,
        }
        names |= {"map_fitted": stages[fitted], "answers": stages[applied]}
        if len(judged.correct):
            for b in calibration(judged.chance, judged.correct).bins:
                yield {
                    **names,
                    "stated": b.stated,
                    "right": b.correct,
                    "ci_low": b.low,
                    "ci_high": b.high,
                    "n": b.n,
                }


def columns(row: Row) -> tuple[JudgedItems, JudgedItems, JudgedItems]:
    """Before, after with the old map, and after with a new one."""
    return row.before, row.carried, row.renewed


def _diagram(axes: Axes, judged: JudgedItems, look: Look, *, words: bool) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_yticks(_TICKS, _PERCENT)
    axes.tick_params(length=2, labelsize=7, labelleft=False, labelbottom=False)
    if not len(judged.correct):
        reason = "\n".join(textwrap.wrap(judged.reason, 30))
        axes.text(0.5, 0.5, reason, ha="center", va="center", color=GREY, size=7)
        return
    for corner, colour in (((1, 0), OVER), ((0, 1), UNDER)):
        axes.add_patch(Polygon([(0, 0), corner, (1, 1)], color=colour, alpha=0.07, linewidth=0, zorder=0))
    axes.plot([0, 1], [0, 1], color="#8A8A8A", linewidth=0.7, zorder=1)
    if words:
        axes.text(0.97, 0.03, "over-confident", ha="right", va="bottom", fontsize=6.5, color=OVER)
        axes.text(0.03, 0.97, "under-confident", ha="left", va="top", fontsize=6.5, color=UNDER)
    found = calibration(judged.chance, judged.correct)
    x, low, high = zip(*((b.stated, b.low, b.high) for b in found.bins))
    whiskers(axes, x, low, high, color=look.colour, linewidth=0.8, alpha=0.7, zorder=2, clip_on=False)
    largest = max(b.n for b in found.bins)
    for b in found.bins:
        axes.plot(
            [b.stated], [b.correct], marker="o", markersize=max(2.8, 5.2 * (b.n / largest) ** 0.5), zorder=3,
            markerfacecolor=look.colour, markeredgecolor="white", markeredgewidth=0.5, clip_on=False,
        )  # fmt: skip
    ece = f"ECE {plain(found.ece, 2)} (by chance {plain(found.ece_if_calibrated, 2)})"
    above(axes, f"{ece},  Brier {plain(found.brier)}", 4, WIDTH, color="#222222")


def _counts(axes: Axes, judged: JudgedItems) -> None:
    """How many answers are told which percentage, right ones below wrong ones."""
    labels = axes.set_xticks(_TICKS, _PERCENT)
    labels[0].label1.set_horizontalalignment("left")  # clear of the neighbour's 100
    labels[-1].label1.set_horizontalalignment("right")
    axes.tick_params(length=2, labelsize=7, labelbottom=True)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if not len(judged.correct):
        return
    correct = np.array(judged.correct, dtype=bool)
    place = np.minimum((np.array(judged.chance) * COUNTED).astype(int), COUNTED - 1)
    right, wrong = (np.bincount(place[own], minlength=COUNTED) for own in (correct, ~correct))
    middle = (np.arange(COUNTED) + 0.5) / COUNTED
    axes.bar(middle, right, 0.9 / COUNTED, color=RIGHT, linewidth=0)
    axes.bar(middle, wrong, 0.9 / COUNTED, bottom=right, color=WRONG, linewidth=0)
    most, highest = int((right + wrong).max()), int((right + wrong).argmax())
    axes.set_ylim(0, 1.05 * most)
    side, gap = ("left", 1.25) if highest < COUNTED / 2 else ("right", -0.25)
    axes.text((highest + gap) / COUNTED, most, f"{most:,}", fontsize=6, ha=side, va="top", color=GREY, zorder=4)


def _caption(rows: Sequence[Row], stages: tuple[str, str]) -> str:
    sizes = [len(judged.correct) for row in rows for judged in columns(row)]
    items = f" ({number_range([n for n in sizes if n])})" if any(sizes) else ""
    return (
        f"Estimated chance that an answer is right against the share that is right, {stages[0]} → "
        f"{stages[1]}, of the test items{items} in up to {BINS} groups of equal size, equal percentages together; "
        "whiskers are Wilson’s 95 % intervals, the area of a dot goes with its number of answers. Below the "
        "diagonal the percentages promise too much. ECE: mean distance from the diagonal, in brackets what chance "
        "alone would show if the percentages were right. Brier: mean squared error, lower is better. Bars: how "
        "many answers are told which percentage, with the number of the highest bar."
    )
