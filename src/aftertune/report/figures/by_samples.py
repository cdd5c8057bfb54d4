"""Correlation by number of training items: every score (the paper's Figure 6), and one score before and after
controlling for training steps (Figure 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from aftertune.report.figures.figure import (
    COLUMN,
    GREY,
    RHO,
    WIDTH,
    Data,
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
from aftertune.report.figures.multiples import Block, Curve, draw
from aftertune.report.numbers import p_value
from aftertune.report.palette import Look, in_order
from aftertune.report.series import AtSize, Over, SizePanel, what_over

SIGNIFICANT = 0.05
PAPER_CHOICE = "mean_token_entropy"


def block(panel: SizePanel, over: Over, sizes: Sequence[int]) -> Block:
    """The panels of one model and task; numbers of items stand beside each other whatever lies between."""
    curves = []
    for score in in_order(panel.scores):
        points, test = panel.scores[score], panel.tests.get(score)
        low, high = zip(*(point.interval(over) for point in points))
        sure = test is not None and test.p_anova_holm < SIGNIFICANT
        curves.append(
            Curve(
                score=score,
                x=np.array([sizes.index(point.size) for point in points], dtype=np.float64),
                y=np.array([point.mean for point in points]),
                low=np.array(low),
                high=np.array(high),
                note=shown_p(test.p_anova_holm) if test is not None and sure else "",
            )
        )
    return Block(name=panel.name, curves=curves, ticks={i: size_label(size) for i, size in enumerate(sizes)})


def by_samples(name: str, found: Sequence[SizePanel], looks: Mapping[str, Look]) -> Drawing:
    """A block of panels for each model and task, of one family of settings."""
    sizes, over = sorted({size for panel in found for size in panel.sizes}), what_over(found)
    figure = draw([block(panel, over, sizes) for panel in found], looks, x="training items", y=RHO, bands=False)
    points = [point for panel in found for points in panel.scores.values() for point in points]
    tested = any(test.p_anova_holm < SIGNIFICANT for panel in found for test in panel.tests.values())
    mean = " (mean over training runs)" if over == "runs" else ""
    caption = (
        f"Correlation of each score with quality{mean} after {_trainings(found)} by number of training items; "
        f"{_whisker_text(points, over)}; grey: the other scores."
        + (" p: one-way ANOVA over the numbers of items, Holm-corrected, where below 0.05." if tested else "")
        + (" ×: undefined." if any(not point.runs for point in points) else "")
    )
    rows = [row for panel in found for score in in_order(panel.scores) for row in _data(panel, score, over)]
    return render(figure, name, caption, rows)


def _data(panel: SizePanel, score: str, over: Over) -> Iterator[Data]:
    test = panel.tests.get(score)
    for point in panel.scores.get(score, ()):
        low, high = point.interval(over)
        yield {
            "model": panel.model,
            "task": panel.task,
            "setting": panel.family,
            "score": score,
            "n": point.size,
            "spearman": point.mean,
            "ci_low": low,
            "ci_high": high,
            "ci_over": over,
            "p_anova": np.nan if test is None else test.p_anova,
            "p_anova_holm": np.nan if test is None else test.p_anova_holm,
        }


def _drawn(points: Iterable[AtSize], over: Over) -> list[float]:
    return [v for point in points for v in (point.mean, *point.interval(over))]


def _means(axes: Axes, x: Sequence[float], points: Sequence[AtSize], look: Look, over: Over, size: float) -> None:
    """Means, their intervals, and crosses for undefined ones; `size` of markers."""
    low, high = zip(*(point.interval(over) for point in points)) if points else ((), ())
    whiskers(axes, x, low, high, color=look.colour, linewidth=1.1 if size > 4 else 0.9, zorder=4)
    mean = [point.mean for point in points]
    axes.plot(x, mean, color=look.colour, linestyle=look.dashes, linewidth=0.8, zorder=5, **marker(look, size))
    mark_undefined(axes, [place for place, value in zip(x, mean) if np.isnan(value)])


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
    rows, width = -(-len(found) // per_row), COLUMN if len(found) == 1 else WIDTH
    height = rows * 2.1 + 0.25
    figure = new_figure(height, width)
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
        title(both[0], pair.epochs.name, width / per_row - 0.5, largest=8.5, pad=24)
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
    caption += " ×: undefined." if any(not point.runs for point in points) else ""
    data = [row for pair in found for panel in pair for row in _with_runs(panel, score, over)]
    return render(figure, name, caption, data)


def _with_runs(panel: SizePanel, score: str, over: Over) -> Iterator[Data]:
    """Means, and below each its training runs where these are drawn."""
    for point, row in zip(panel.scores.get(score, ()), _data(panel, score, over)):
        yield {"of": "mean"} | dict(row)
        for rho in point.runs if over == "runs" else ():
            names = {name: row[name] for name in ("model", "task", "setting", "score", "n")}
            yield {"of": "run", **names, "spearman": rho}


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
