"""The scheme of the quadrants (the paper's Figure 4)."""

from __future__ import annotations

from aftertune.report.figures.drawing import Drawing, render
from aftertune.report.figures.regions import CONCORDANT, OVER, UNDER, tint
from aftertune.report.figures.style import GREY, axes_at, new_figure

WIDE, TALL = 3.5, 2.75  # inches: a column of a printed page
_QUADRANTS = (
    (-0.5, 0.5, "II", "over-confident", "confidence rose,\nquality fell", OVER),
    (0.5, 0.5, "I", "concordant", "both rose", CONCORDANT),
    (-0.5, -0.5, "III", "concordant", "both fell", CONCORDANT),
    (0.5, -0.5, "IV", "under-confident", "confidence fell,\nquality rose", UNDER),
)


def scheme() -> Drawing:
    figure = new_figure(TALL, WIDE)
    axes = axes_at(figure, 0.3, 0.32, WIDE - 0.42, TALL - 0.42)
    axes.set_xlim(-1, 1)
    axes.set_ylim(-1, 1)
    tint(axes)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("change in quality  →", labelpad=4)
    axes.set_ylabel("change in confidence  →", labelpad=4)
    for x, y, number, name, meaning, colour in _QUADRANTS:
        axes.text(x, y + 0.1, name, ha="center", va="bottom", fontsize=8.5, fontweight="bold", color=colour)
        axes.text(x, y + 0.04, meaning, ha="center", va="top", fontsize=7, color="#333333", linespacing=1.3)
        axes.text(
            0.97 if x > 0 else -0.97,
            0.95 if y > 0 else -0.95,
            number,
            ha="right" if x > 0 else "left",
            va="top" if y > 0 else "bottom",
            fontsize=7,
            color=GREY,
        )
    axes.text(
        0,
        0,
        "no change in one: a tie, concordant",
        ha="center",
        va="center",
        fontsize=6.5,
        color=GREY,
        bbox={"facecolor": "white", "edgecolor": "#C8C8C8", "linewidth": 0.5, "boxstyle": "round,pad=0.3"},
    )
    caption = (
        "The quadrants: what fine-tuning did to an item, by the signs of the changes of its confidence and its "
        "quality. An item whose confidence or quality did not change is counted as concordant."
    )
    return render(figure, "quadrant_scheme", caption, about="items")
