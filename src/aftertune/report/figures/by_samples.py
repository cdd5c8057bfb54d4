"""Correlation of every score by number of training items (the paper's Figure 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from aftertune.report.figures.drawing import Drawing, render
from aftertune.report.figures.style import (
    GREY,
    RHO,
    WIDTH,
    axes_at,
    fit,
    limits,
    marker,
    new_figure,
    rho_axis,
    whiskers,
)
from aftertune.report.palette import Look, in_order
from aftertune.report.sample_sizes import Over, SizePanel, what_over

LEFT, HEAD, TALL = 0.64, 0.42, 1.65  # inches
HEIGHT = HEAD + TALL + 0.7  # of a panel, and its share of the names below
SIGNIFICANT = 0.05


def by_samples(name: str, found: Sequence[SizePanel], looks: Mapping[str, Look]) -> Drawing:
    """One panel below the other, of one family of settings; a column for each score, sizes left to right."""
    scores = in_order(score for panel in found for score in panel.scores)
    sizes = sorted({size for panel in found for size in panel.sizes})
    over = what_over(found)
    names, size, turned, foot = _names_below(scores)
    height = len(found) * (HEAD + TALL) + foot + 0.05
    figure = new_figure(height)
    low, high = limits(np.array([v for panel in found for v in _drawn(panel, over)]))
    for i, panel in enumerate(found):
        axes = axes_at(figure, LEFT, height - (i + 1) * (HEAD + TALL), WIDTH - LEFT - 0.08, TALL)
        rho_axis(axes, low, high)
        axes.set_ylabel(RHO)
        title = fit(panel.name, 4.5, 9)
        axes.set_title(title.text, pad=13, fontsize=title.size)
        for column, score in enumerate(scores):
            if column % 2 == 0:
                axes.axvspan(column - 0.5, column + 0.5, color="#F6F6F6", zorder=0, linewidth=0)
            if score in panel.scores:
                _column(axes, panel, score, column, sizes, looks[score], over)
        axes.set_xlim(-0.5, len(scores) - 0.5)
        if i == 0:
            key = "n from left to right: " + ", ".join(f"{n:,}" for n in sizes)
            axes.set_title(key, loc="right", pad=13, fontsize=7, fontweight="normal", color=GREY)
        if i < len(found) - 1:
            axes.set_xticks([])
        else:
            axes.set_xticks(range(len(scores)), names)
            axes.tick_params(axis="x", length=0, labelsize=size, labelcolor="#222222", pad=2)
            if turned:
                for label in axes.get_xticklabels():
                    label.set(rotation=45, ha="right", rotation_mode="anchor")
    return render(figure, name, _caption(found, sizes, over))


def _names_below(scores: Sequence[str]) -> tuple[list[str], float, bool, float]:
    """Names of scores, their font size, whether they are turned by 45 degrees, and the inches they take."""
    column = (WIDTH - LEFT - 0.08) / len(scores)
    level = [fit(score, column - 0.1, 7) for score in scores]
    if all(name.size == 7 for name in level):
        return [name.text for name in level], 7, False, 0.22
    to_edge = [(LEFT + (i + 0.5) * column) / 0.71 for i in range(len(scores))]
    turned = [fit(score, min(inches, 1.8), 7) for score, inches in zip(scores, to_edge)]
    size = min(name.size for name in turned)
    names = [name.text for name in turned]
    return names, size, True, 0.12 + 0.71 * 0.6 * size * max(map(len, names)) / 72


def _drawn(panel: SizePanel, over: Over) -> list[float]:
    return [v for points in panel.scores.values() for point in points for v in (point.mean, *point.interval(over))]


def _column(
    axes: Axes, panel: SizePanel, score: str, column: int, sizes: Sequence[int], look: Look, over: Over
) -> None:
    points = panel.scores[score]
    x = [column + offset(sizes.index(point.size), len(sizes)) for point in points]
    mean = np.array([point.mean for point in points])
    intervals = [point.interval(over) for point in points]
    low, high = [end for end, _ in intervals], [end for _, end in intervals]
    whiskers(axes, x, low, high, color=look.colour, linewidth=0.9, zorder=3)
    axes.plot(x, mean, color=look.colour, linestyle=look.dashes, linewidth=0.8, zorder=4, **marker(look, 3.2))
    missing = [place for place, value in zip(x, mean) if np.isnan(value)]
    mark_undefined(axes, missing)
    test = panel.tests.get(score)
    if test is not None and test.p_anova_holm < SIGNIFICANT:
        axes.text(
            column,
            1.015,
            shown_p(test.p_anova_holm),
            transform=axes.get_xaxis_transform(),
            fontsize=6,
            ha="center",
            va="bottom",
            color="#222222",
        )


def offset(i: int, n: int) -> float:
    """Where the i-th of n sizes stands in a column of width 1, from −0.5 to 0.5."""
    return (i - (n - 1) / 2) * min(0.2, 0.72 / max(n - 1, 1))


def mark_undefined(axes: Axes, x: Sequence[float], *, at: float = 0.03) -> None:
    """Crosses near the bottom (`at` of the height), where a value would stand if there were one."""
    if not x:
        return
    axes.plot(
        x,
        [at] * len(x),
        linestyle="",
        marker="x",
        markersize=3,
        color=GREY,
        transform=axes.get_xaxis_transform(),
    )


def shown_p(p: float) -> str:
    """
    >>> shown_p(0.0123), shown_p(0.00001), shown_p(1)
    ('p = 0.012', 'p < 0.001', 'p = 1.000')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def training(panel: SizePanel) -> str:
    """How long the runs of the panel's family trained.

    "2,500 steps", "10 epochs", or "training" where the last epoch is not the same in all runs.
    """
    if panel.steps:
        return f"{int(panel.steps):,} steps" if panel.steps.isdecimal() else f"{panel.steps} steps"
    return "training" if panel.epoch is None else count_epochs(panel.epoch)


def count_epochs(epoch: float) -> str:
    return "1 epoch" if epoch == 1 else f"{epoch:g} epochs"


def whisker_text(points: Sequence[int], over: Over) -> str:
    """What whiskers are; `points` are the numbers of runs behind each drawn mean."""
    if over == "items":
        return "whiskers: 95 % interval over test items (a single training run each)"
    alone = " (none where only one run has a value)" if 1 in points else ""
    return f"whiskers: 95 % t interval of the mean over training runs, same test items{alone}"


def _caption(found: Sequence[SizePanel], sizes: Sequence[int], over: Over) -> str:
    points = [point for panel in found for points in panel.scores.values() for point in points]
    runs = [len(point.runs) for point in points]
    trained = " or ".join(dict.fromkeys(map(training, found)))
    shown = ", ".join(f"{size:,}" for size in sizes)
    mean = " (mean over training runs)" if over == "runs" else ""
    tested = any(test.p_anova_holm < SIGNIFICANT for panel in found for test in panel.tests.values())
    return (
        f"Correlation of each score with quality{mean} after {trained} on n items, in each column from left to "
        f"right n = {shown}; {whisker_text(runs, over)}."
        + (" Above a column: p of the one-way ANOVA over n, Holm-corrected, where below 0.05." if tested else "")
        + (" ×: undefined." if 0 in runs else "")
    )
