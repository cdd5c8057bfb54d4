"""Correlation by number of training items: every score (the paper's Figure 6), and one score before and after
controlling for training steps (Figure 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from aftertune.report.figures.figure import (
    GREY,
    RHO,
    WIDTH,
    Drawing,
    above,
    fit,
    limits,
    mark_undefined,
    marker,
    new_figure,
    render,
    rho_axis,
    title,
    whiskers,
)
from aftertune.report.numbers import p_value
from aftertune.report.palette import Look, in_order
from aftertune.report.series import AtSize, Over, SizePanel, what_over

TALL = 2.07  # inches of a panel and its title
HEIGHT = TALL + 0.7  # of a panel, and its share of the names below
SIGNIFICANT = 0.05
PAPER_CHOICE = "mean_token_entropy"


def by_samples(name: str, found: Sequence[SizePanel], looks: Mapping[str, Look]) -> Drawing:
    """One panel below the other, of one family of settings; a column for each score, sizes left to right."""
    scores = in_order(score for panel in found for score in panel.scores)
    sizes = sorted({size for panel in found for size in panel.sizes})
    over = what_over(found)
    level = [fit(score, (WIDTH - 0.72) / len(scores) - 0.1, 7) for score in scores]
    turned = any(label.size < 7 for label in level)
    labels = [fit(score, 1.8, 7) for score in scores] if turned else level
    size = min(label.size for label in labels)
    foot = 0.12 + 0.43 * size * max(len(label.text) for label in labels) / 72 if turned else 0.22
    figure = new_figure(len(found) * TALL + foot + 0.05)
    panels = figure.subplots(len(found), squeeze=False, sharex=True)[:, 0]
    low, high = limits([v for panel in found for points in panel.scores.values() for v in _drawn(points, over)])
    for axes, panel in zip(panels, found):
        rho_axis(axes, low, high)
        axes.set_ylabel(RHO)
        title(axes, panel.name, 4.5, pad=13)
        for column, score in enumerate(scores):
            if column % 2 == 0:
                axes.axvspan(column - 0.5, column + 0.5, color="#F6F6F6", zorder=0, linewidth=0)
            if score in panel.scores:
                _column(axes, panel, score, column, sizes, looks[score], over)
        axes.tick_params(axis="x", length=0)
    panels[0].set_xlim(-0.5, len(scores) - 0.5)
    key = "n from left to right: " + ", ".join(f"{n:,}" for n in sizes)
    panels[0].set_title(key, loc="right", pad=13, fontsize=7, fontweight="normal", color=GREY)
    last = panels[-1]
    last.set_xticks(range(len(scores)), [label.text for label in labels], fontsize=size, color="#222222")
    last.tick_params(axis="x", pad=2)
    for label in last.get_xticklabels() if turned else []:
        label.set(rotation=45, ha="right", rotation_mode="anchor")
    points = [point for panel in found for points in panel.scores.values() for point in points]
    tested = any(test.p_anova_holm < SIGNIFICANT for panel in found for test in panel.tests.values())
    mean = " (mean over training runs)" if over == "runs" else ""
    caption = (
        f"Correlation of each score with quality{mean} after {_trainings(found)} on n items, in each column from "
        f"left to right n = {', '.join(f'{size:,}' for size in sizes)}; {_whisker_text(points, over)}."
        + (" Above a column: p of the one-way ANOVA over n, Holm-corrected, where below 0.05." if tested else "")
        + (" ×: undefined." if any(not point.runs for point in points) else "")
    )
    return render(figure, name, caption)


def _drawn(points: Iterable[AtSize], over: Over) -> list[float]:
    return [v for point in points for v in (point.mean, *point.interval(over))]


def _means(axes: Axes, x: Sequence[float], points: Sequence[AtSize], look: Look, over: Over, size: float) -> None:
    """Means, their intervals, and crosses for undefined ones; `size` of markers."""
    low, high = zip(*(point.interval(over) for point in points)) if points else ((), ())
    whiskers(axes, x, low, high, color=look.colour, linewidth=1.1 if size > 4 else 0.9, zorder=4)
    mean = [point.mean for point in points]
    axes.plot(x, mean, color=look.colour, linestyle=look.dashes, linewidth=0.8, zorder=5, **marker(look, size))
    mark_undefined(axes, [place for place, value in zip(x, mean) if np.isnan(value)])


def _column(
    axes: Axes, panel: SizePanel, score: str, column: int, sizes: Sequence[int], look: Look, over: Over
) -> None:
    points, step = panel.scores[score], min(0.2, 0.72 / max(len(sizes) - 1, 1))
    x = [column + (sizes.index(point.size) - (len(sizes) - 1) / 2) * step for point in points]
    _means(axes, x, points, look, over, 3.2)
    test = panel.tests.get(score)
    if test is not None and test.p_anova_holm < SIGNIFICANT:
        place, p = axes.get_xaxis_transform(), shown_p(test.p_anova_holm)
        axes.text(column, 1.015, p, transform=place, fontsize=6, ha="center", va="bottom", color="#222222")


def shown_p(p: float) -> str:
    """
    >>> shown_p(0.0123), shown_p(0.00001), shown_p(1)
    ('p = 0.012', 'p < 0.001', 'p = 1.000')
    """
    return f"p {'' if p < 0.001 else '= '}{p_value(p)}"


def _trainings(panels: Iterable[SizePanel]) -> str:
    return " or ".join(dict.fromkeys(panel.training for panel in panels))


def _whisker_text(points: Sequence[AtSize], over: Over) -> str:
    if over == "items":
        return "whiskers: 95 % interval over test items (a single training run each)"
    alone = " (none where only one run has a value)" if any(len(point.runs) == 1 for point in points) else ""
    return f"whiskers: 95 % t interval of the mean over training runs, same test items{alone}"


class Pair(NamedTuple):
    """One model and task: a fixed number of epochs, and the same with a fixed number of steps."""

    epochs: SizePanel
    steps: SizePanel

    def points(self, score: str) -> list[AtSize]:
        return [point for panel in self for point in panel.scores.get(score, ())]


def pairs(panels: Sequence[SizePanel]) -> list[Pair]:
    """Each panel with fixed steps beside the one that differs in nothing else."""
    plain = {(panel.model, panel.task, panel.family): panel for panel in panels if not panel.steps}
    found = [(plain.get((p.model, p.task, p.without_steps)), p) for p in panels if p.steps]
    return [Pair(epochs, steps) for epochs, steps in found if epochs is not None]


def chosen_score(found: Sequence[Pair]) -> tuple[str, str]:
    """The score to draw, and a remark for the caption: the paper's if it is there, else the smallest p."""
    panels = [panel for pair in found for panel in pair]
    scores = sorted({score for panel in panels for score in panel.scores})
    if PAPER_CHOICE in scores:
        return PAPER_CHOICE, ""
    least = {
        score: min((panel.tests[score].p_anova for panel in panels if _tested(panel, score)), default=np.inf)
        for score in scores
    }
    score = min(scores, key=lambda score: (least[score], score))
    return score, "" if np.isinf(least[score]) else " (the score with the smallest p, so that p flatters it)"


def controlled(name: str, found: Sequence[Pair], score: str, remark: str, look: Look) -> Drawing:
    """Pairs of panels of one score, three pairs a row; the two of a pair share their ρ axis."""
    per_row = {1: 1, 2: 2, 4: 2}.get(len(found), 3)
    rows = -(-len(found) // per_row)
    height = rows * (2.75 if per_row == 1 else 2.1) + 0.25
    figure = new_figure(height)
    grid = figure.subplots(rows, 2 * per_row, squeeze=False).reshape(-1, 2)
    points = [point for pair in found for point in pair.points(score)]
    over = what_over(panel for pair in found for panel in pair)
    for both, pair in zip(grid, found):
        own = pair.points(score)
        low, high = limits([*(rho for point in own for rho in point.runs), *_drawn(own, over)])
        for axes, panel in zip(both, pair):
            rho_axis(axes, low, high, labelled=panel is pair.epochs)
            axes.tick_params(labelsize=6.5, length=0)
            _half(axes, panel, panel.scores.get(score, ()), look, over)
            words = panel.training
            if _tested(panel, score):
                words += f"\nHolm {shown_p(panel.tests[score].p_anova_holm)}"
            above(axes, words, 3, WIDTH, largest=6.5, color="#333333", linespacing=1.25)
        title(both[0], pair.epochs.name, WIDTH / per_row - 0.5, largest=8.5, pad=24)
    for axes in grid[len(found) :].ravel():
        axes.remove()
    what = fit(f"ρ of {score} with quality", height - 0.2, 8)
    figure.supylabel(what.text, fontsize=what.size)
    figure.supxlabel("training items")
    dots = "small points are training runs, large ones their mean; " if over == "runs" else ""
    caption = (
        f"Correlation of {score}{remark} with quality by number of training items: left in each pair "
        f"{_trainings(pair.epochs for pair in found)}, right {_trainings(pair.steps for pair in found)}; {dots}"
        f"{_whisker_text(points, over)}."
    )
    if any(_tested(panel, score) for pair in found for panel in pair):
        caption += " p: one-way ANOVA over the sizes, Holm-corrected."
    return render(figure, name, caption + (" ×: undefined." if any(not point.runs for point in points) else ""))


def _tested(panel: SizePanel, score: str) -> bool:
    return score in panel.tests and bool(np.isfinite(panel.tests[score].p_anova))


def _half(axes: Axes, panel: SizePanel, points: Sequence[AtSize], look: Look, over: Over) -> None:
    x = [panel.sizes.index(point.size) for point in points]
    if over == "runs":
        beside = [place + 0.22 for place, point in zip(x, points) for _ in point.runs]
        runs = [rho for point in points for rho in point.runs]
        axes.plot(beside, runs, linestyle="", marker="o", markersize=2.4, color=GREY, markeredgewidth=0, zorder=3)
    _means(axes, x, points, look, over, 4.2)
    axes.set_xlim(-0.45, len(panel.sizes) - 0.45)
    axes.set_xticks(range(len(panel.sizes)), [size_label(size) for size in panel.sizes])


def size_label(size: int) -> str:
    """
    >>> size_label(500), size_label(2000), size_label(1250)
    ('500', '2k', '1250')
    """
    return f"{size / 1000:g}k" if size >= 1000 and size % 100 == 0 else str(size)
