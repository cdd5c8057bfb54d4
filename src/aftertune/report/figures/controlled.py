"""One score by number of training items, before and after controlling for steps (the paper's Figure 3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from aftertune.report.figures.by_samples import mark_undefined, shown_p, training, whisker_text
from aftertune.report.figures.drawing import Drawing, render
from aftertune.report.figures.style import (
    GREY,
    WIDTH,
    axes_at,
    fit,
    limits,
    marker,
    new_figure,
    rho_axis,
    whiskers,
)
from aftertune.report.palette import Look
from aftertune.report.sample_sizes import AtSize, Over, SizePanel, what_over

PAPER_CHOICE = "mean_token_entropy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One model and task: a fixed number of epochs, and the same with a fixed number of steps."""

    epochs: SizePanel
    steps: SizePanel

    @property
    def both(self) -> tuple[SizePanel, SizePanel]:
        return self.epochs, self.steps

    def has(self, score: str) -> bool:
        """Whether some correlation of the score is defined in either panel."""
        return any(point.runs for panel in self.both for point in panel.scores.get(score, ()))


def pairs(panels: Sequence[SizePanel]) -> list[Pair]:
    """Each panel with fixed steps beside the one that differs in nothing else."""
    plain = {(panel.model, panel.task, panel.family): panel for panel in panels if not panel.steps}
    found = [(plain.get((p.model, p.task, p.without_steps)), p) for p in panels if p.steps]
    return [Pair(epochs=epochs, steps=steps) for epochs, steps in found if epochs is not None]


def chosen_score(found: Sequence[Pair]) -> tuple[str, str]:
    """The score to draw, and a remark for the caption: the paper's if it is there, else the smallest p."""
    panels = [panel for pair in found for panel in pair.both]
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
    tall, head, foot = (2.0 if per_row == 1 else 1.35), 0.52, 0.28
    height = rows * (tall + head + foot) + 0.22
    figure = new_figure(height)
    over = what_over(panel for pair in found for panel in pair.both)
    wide = (WIDTH - 0.2) / per_row
    for i, pair in enumerate(found):
        left = 0.2 + (i % per_row) * wide
        bottom = height - (i // per_row + 1) * (tall + head + foot) + foot
        shown = [point for panel in pair.both for point in panel.scores.get(score, ())]
        low, high = limits(np.array([v for p in shown for v in (*p.runs, *p.interval(over))]))
        half = (wide - 0.58) / 2
        for side, panel in enumerate(pair.both):
            axes = axes_at(figure, left + 0.42 + side * (half + 0.08), bottom, half, tall)
            rho_axis(axes, low, high, labelled=side == 0)
            axes.tick_params(labelsize=6.5, length=0)
            _half(axes, panel, panel.scores.get(score, ()), look, over)
            _heading(axes, panel, score)
        name_of = fit(pair.epochs.name, wide - 0.2, 8.5)
        figure.text(
            (left + 0.12) / WIDTH,
            (bottom + tall + 0.34) / height,
            name_of.text,
            fontsize=name_of.size,
            fontweight="bold",
        )
    what = fit(f"ρ of {score} with quality", height - 0.2, 8)
    figure.text(0.02 / WIDTH, 0.5, what.text, rotation=90, va="center", fontsize=what.size)
    figure.text(0.5, 0.05 / height, "training items", ha="center", fontsize=8)
    runs = [len(p.runs) for pair in found for panel in pair.both for p in panel.scores.get(score, ())]
    several = over == "runs"
    caption = (
        f"Correlation of {score}{remark} with quality by number of training items: left in each pair "
        f"{_trainings(pair.epochs for pair in found)}, right {_trainings(pair.steps for pair in found)}; "
        f"{'small points are training runs, large ones their mean; ' if several else ''}"
        f"{whisker_text(runs, over)}."
        + (
            " p: one-way ANOVA over the sizes, Holm-corrected."
            if any(_tested(panel, score) for pair in found for panel in pair.both)
            else ""
        )
        + (" ×: undefined." if 0 in runs else "")
    )
    return render(figure, name, caption)


def _tested(panel: SizePanel, score: str) -> bool:
    return score in panel.tests and bool(np.isfinite(panel.tests[score].p_anova))


def _trainings(panels: Iterable[SizePanel]) -> str:
    return " or ".join(dict.fromkeys(map(training, panels)))


def _heading(axes: Axes, panel: SizePanel, score: str) -> None:
    words = training(panel)
    if _tested(panel, score):
        words += f"\nHolm {shown_p(panel.tests[score].p_anova_holm)}"
    axes.text(
        0, 1.02, words, transform=axes.transAxes, fontsize=6.5, color="#333333", va="bottom", linespacing=1.25
    )


def _half(axes: Axes, panel: SizePanel, points: Sequence[AtSize], look: Look, over: Over) -> None:
    x = [panel.sizes.index(point.size) for point in points]
    mean = np.array([point.mean for point in points])
    intervals = [point.interval(over) for point in points]
    if over == "runs":
        axes.plot(
            [place + 0.22 for place, point in zip(x, points) for _ in point.runs],
            [rho for point in points for rho in point.runs],
            linestyle="",
            marker="o",
            markersize=2.4,
            color=GREY,
            markeredgewidth=0,
            zorder=3,
        )
    whiskers(
        axes,
        x,
        [low for low, _ in intervals],
        [high for _, high in intervals],
        color=look.colour,
        linewidth=1.1,
        zorder=4,
    )
    axes.plot(x, mean, color=look.colour, linestyle=look.dashes, linewidth=0.8, zorder=5, **marker(look, 4.2))
    mark_undefined(axes, [place for place, value in zip(x, mean) if np.isnan(value)])
    axes.set_xlim(-0.45, len(panel.sizes) - 0.45)
    axes.set_xticks(range(len(panel.sizes)), [short(size) for size in panel.sizes])


def short(size: int) -> str:
    """
    >>> short(500), short(2000), short(1250)
    ('500', '2k', '1250')
    """
    return f"{size / 1000:g}k" if size >= 1000 and size % 100 == 0 else str(size)
