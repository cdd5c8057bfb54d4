"""A score's distribution over the items by epoch, its correlation beneath (the paper's Figures 7 and 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from aftertune.report.figures.by_samples import mark_undefined
from aftertune.report.figures.drawing import Drawing, render
from aftertune.report.figures.sheets import TOP, Sheet, named
from aftertune.report.figures.style import WIDTH, axes_at, limits, marker, new_figure, rho_axis
from aftertune.report.item_spread import ItemSpread
from aftertune.report.number_format import number_range
from aftertune.report.palette import Look

LEFT, GAP, HEAD, MIDDLE, FOOT = 0.2, 0.4, 0.42, 0.08, 0.24  # inches: y label, y ticks, titles, between, x ticks
BOTTOM = 0.17  # x label


def tall(columns: int) -> tuple[float, float]:
    """Inches of the upper and of the lower axes."""
    return {1: (1.6, 1.0), 2: (1.3, 0.8)}.get(columns, (0.95, 0.6))


def most_rows_of_distributions(page: float) -> int:
    """Of a figure of `page` inches at most."""
    return max(1, int((page - TOP - BOTTOM) / (HEAD + sum(tall(3)) + MIDDLE + FOOT)))


def distributions(sheet: Sheet[ItemSpread], looks: Mapping[str, Look], remarks: Mapping[str, str]) -> Drawing:
    """Panels of single settings and scores; correlations on one scale, scores each on its own."""
    upper, lower = tall(sheet.columns)
    each = HEAD + upper + MIDDLE + lower + FOOT
    height = sheet.top + sheet.rows * each + BOTTOM
    figure = new_figure(height)
    sheet.head(figure)
    wide = (WIDTH - LEFT - 0.06) / sheet.columns
    low, high = limits(np.concatenate([_drawn(spread) for spread in sheet.panels]))
    if any(_undefined(spread) for spread in sheet.panels):
        low -= 0.2 * (high - low)  # for crosses, which are below everything
    for i, spread in enumerate(sheet.cells):
        if spread is None:
            continue
        left, inches = LEFT + (i % sheet.columns) * wide + GAP, wide - GAP - 0.06
        bottom = height - sheet.top - (i // sheet.columns + 1) * each + FOOT
        beneath = axes_at(figure, left, bottom, inches, lower)
        above = axes_at(figure, left, bottom + lower + MIDDLE, inches, upper)
        look = looks[spread.score]
        rho_axis(beneath, low, high)
        _selected((above, beneath), spread)
        _bands(above, spread, look)
        _correlation(beneath, spread, look)
        _epochs((above, beneath), spread, inches)
        sheet.title(above, spread, _counts(spread))
        if i % sheet.columns == 0:
            for axes, words in ((above, "score"), (beneath, "ρ")):
                axes.annotate(
                    words,
                    (-(GAP + 0.06) / inches, 0.5),
                    xycoords="axes fraction",
                    rotation=90,
                    ha="center",
                    va="center",
                    fontsize=8,
                )
    figure.text(0.5, 0.03 / height, "epoch", ha="center", fontsize=8)
    return render(figure, sheet.name, _caption(sheet.panels, remarks), about="items")


def _caption(panels: Sequence[ItemSpread], remarks: Mapping[str, str]) -> str:
    of = named(panels, remarks)
    several = max(spread.panel.n_seeds for spread in panels) > 1
    parts = [
        f"Distribution of {of} over the test items by epoch: median, middle half (dark band) and 5th to 95th "
        f"percentile (light){', each the mean over the seeds' if several else ''}; each panel has its own scale.",
        f"Beneath, Spearman’s ρ with quality and its 95 % interval over test items"
        f"{' (means over the seeds)' if several else ''}.",
    ]
    if any(_inside(spread) for spread in panels):
        parts.append("Dotted: a checkpoint that early stopping selected.")
    if any(spread.panel.late for spread in panels):
        parts.append("Checkpoints that early stopping selected after these epochs are left out.")
    if any(len(_undefined(spread)) for spread in panels):
        parts.append("×: ρ is undefined.")
    if any(spread.epoch[0] == 0 for spread in panels):
        parts.append("Epoch 0 is before fine-tuning.")
    return " ".join(parts)


def _inside(spread: ItemSpread) -> list[float]:
    """Selected epochs among those that are drawn."""
    return [epoch for epoch in spread.panel.selected if epoch in spread.epoch]


def _rho(spread: ItemSpread) -> np.ndarray:
    """(C, 4) epoch, rho and the ends of its interval, at the epochs that are drawn."""
    series = spread.correlation
    kept = np.isin(series.epoch, spread.epoch)
    return np.stack([series.epoch, series.rho, series.low, series.high], axis=1)[kept]


def _undefined(spread: ItemSpread) -> list[float]:
    return [epoch for epoch, rho, _, _ in _rho(spread).tolist() if np.isnan(rho)]


def _drawn(spread: ItemSpread) -> np.ndarray:
    return _rho(spread)[:, 1:].ravel()


def _selected(both: tuple[Axes, Axes], spread: ItemSpread) -> None:
    for axes in both:
        for epoch in _inside(spread):
            axes.axvline(epoch, color="#8A8A8A", linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)


def _bands(axes: Axes, spread: ItemSpread, look: Look) -> None:
    x, q = spread.epoch, spread.quantiles
    axes.fill_between(x, q[:, 0], q[:, 4], color=look.colour, alpha=0.16, linewidth=0, zorder=2)
    axes.fill_between(x, q[:, 1], q[:, 3], color=look.colour, alpha=0.30, linewidth=0, zorder=2.1)
    axes.plot(x, q[:, 2], color=look.colour, linewidth=1.3, zorder=3, **marker(look, 2.8))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.margins(y=0.08)
    axes.locator_params(axis="y", nbins=5)


def _correlation(axes: Axes, spread: ItemSpread, look: Look) -> None:
    x, rho, low, high = _rho(spread).T
    axes.fill_between(x, low, high, color=look.colour, alpha=0.18, linewidth=0, zorder=2)
    axes.plot(x, rho, color=look.colour, linewidth=1.3, zorder=3, **marker(look, 2.8))
    mark_undefined(axes, _undefined(spread), at=0.08)


def _epochs(both: tuple[Axes, Axes], spread: ItemSpread, inches: float) -> None:
    first, last = float(spread.epoch[0]), float(spread.epoch[-1])
    pad = 0.03 * (last - first)
    whole = [epoch for epoch in spread.epoch.tolist() if epoch.is_integer()]
    step = -(-len(whole) // max(int(inches / 0.19), 2))
    shown = whole[::step]
    for axes in both:
        axes.set_xlim(first - pad, last + pad)
        axes.tick_params(labelsize=6.5, length=2, pad=1.5)
        axes.set_xticks(shown, [f"{epoch:g}" for epoch in shown])
    both[0].tick_params(axis="x", labelbottom=False)


def _counts(spread: ItemSpread) -> str:
    seeds = f" × {spread.panel.n_seeds} seeds" if spread.panel.n_seeds > 1 else ""
    return f"{number_range(list(spread.n_items))} items{seeds}"
