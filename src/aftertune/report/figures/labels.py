"""Names beside the points that they belong to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation, Transform

from aftertune.report.figures.style import fit, marker
from aftertune.report.palette import Look

PITCH = 0.125  # inches from one name to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """`x`, `y` in data units: where the leader starts. `note` follows the name."""

    score: str
    x: float
    y: float
    strong: bool
    note: str = ""


def label_right(axes: Axes, labels: Sequence[Label], looks: Mapping[str, Look], *, inches: float) -> None:
    """Names to the right of the axes, moved apart, each with its marks and a thin leader; `inches` wide."""
    place, wide, tall = _inches(axes)
    low, high = axes.get_ylim()
    heights = [(label.y - low) / (high - low) * tall for label in labels]
    for label, y, label_y in zip(labels, heights, spread_out(heights, PITCH, 0, tall)):
        look, words = looks[label.score], label.score + label.note
        start = axes.transLimits.transform((label.x, label.y))[0] * wide
        axes.plot(
            [start, wide + 0.02, wide + 0.16],
            [y, y, label_y],
            transform=place,
            color=look.colour,
            linewidth=0.4,
            alpha=0.55,
            clip_on=False,
            zorder=1.5,
        )
        axes.plot(
            [wide + 0.18, wide + 0.31, wide + 0.44],
            [label_y] * 3,
            transform=place,
            color=look.colour,
            linestyle=look.dashes,
            linewidth=1.6 if label.strong else 1.1,
            markevery=[1],
            clip_on=False,
            **marker(look, 3.6),
        )
        name = fit(words, (inches - 0.49) / (1.15 if label.strong else 1), 7)
        axes.text(
            wide + 0.49,
            label_y,
            name.text,
            transform=place,
            color="#222222",
            fontsize=name.size,
            fontweight="bold" if label.strong else "normal",
            va="center_baseline",
        )


def _inches(axes: Axes) -> tuple[Transform, float, float]:
    """From inches, counted from the lower left corner of the axes; and the size of the axes."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    box, (wide, tall) = axes.get_position(), figure.get_size_inches()
    corner = ScaledTranslation(box.x0 * wide, box.y0 * tall, figure.dpi_scale_trans)
    return figure.dpi_scale_trans + corner, box.width * wide, box.height * tall


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
