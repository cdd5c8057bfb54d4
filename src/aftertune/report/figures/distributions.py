"""A score's distribution over the items by epoch, its correlation beneath (the paper's Figures 7 and 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from aftertune.report.figures.figure import (
    Data,
    Drawing,
    Sheet,
    limits,
    mark_selected,
    mark_undefined,
    marker,
    named,
    render,
    rho_axis,
    sizes,
)
from aftertune.report.items import ItemSpread
from aftertune.report.palette import Look

HEAD = 0.86  # inches of a row for its title and ticks
_QUANTILES = ("q05", "q25", "median", "q75", "q95")
HEIGHT = HEAD + 1.55  # of a row of three


def distributions(sheet: Sheet[ItemSpread], looks: Mapping[str, Look], remarks: Mapping[str, str]) -> Drawing:
    """Panels of single settings and scores; correlations on one scale, scores each on its own."""
    heights = {1: (1.2, 0.8)}.get(sheet.columns, (0.95, 0.6))
    figure, found = sheet.draw(heights, HEAD, lambda one: sizes(one.n_items, one.panel.n_seeds))
    low, high = limits(np.concatenate([_rho(spread)[1:].ravel() for spread in sheet.panels]))
    if any(map(_undefined, sheet.panels)):
        low -= 0.2 * (high - low)  # for crosses, which are below everything
    for i, (spread, (above, beneath)) in enumerate(found):
        look, x, q = looks[spread.score], spread.epoch, spread.quantiles
        line = {"color": look.colour, "linewidth": 1.3, "zorder": 3, **marker(look, 2.8)}
        band = {"color": look.colour, "linewidth": 0, "zorder": 2}
        above.fill_between(x, q[:, 0], q[:, 4], alpha=0.16, **band)
        above.fill_between(x, q[:, 1], q[:, 3], alpha=0.30, **band)
        above.plot(x, q[:, 2], **line)
        above.grid(axis="y")
        above.margins(y=0.08)
        above.locator_params(axis="y", nbins=5)
        rho_axis(beneath, low, high)
        epoch, rho, *ends = _rho(spread)
        beneath.fill_between(epoch, *ends, alpha=0.18, **band)
        beneath.plot(epoch, rho, **line)
        mark_undefined(beneath, _undefined(spread), at=0.08)
        first, last = float(x[0]), float(x[-1])
        whole = [epoch for epoch in x.tolist() if epoch.is_integer()]
        shown = whole[:: -(-len(whole) // max(int((sheet.width / sheet.columns - 0.6) / 0.19), 2))]
        for axes in (above, beneath):
            for selected in _inside(spread):
                mark_selected(axes, selected)
            axes.set_xlim(first - 0.03 * (last - first), last + 0.03 * (last - first))
            axes.tick_params(labelsize=6.5, length=2, pad=1.5)
            axes.set_xticks(shown, [f"{epoch:g}" for epoch in shown])
        above.tick_params(axis="x", labelbottom=False)
        if i % sheet.columns == 0:
            above.set_ylabel("score")
            beneath.set_ylabel("ρ")
    figure.align_ylabels()
    figure.supxlabel("epoch")
    return render(figure, sheet.name, _caption(sheet.panels, remarks), _data(sheet.panels))


def _data(panels: Sequence[ItemSpread]) -> Iterator[Data]:
    for spread in panels:
        model, task, setting = spread.key
        names = {"model": model, "task": task, "setting": setting, "score": spread.score}
        drawn = {epoch: ends for epoch, *ends in _rho(spread).T.tolist()}
        for epoch, quantiles in zip(spread.epoch.tolist(), spread.quantiles.tolist()):
            rho = dict(zip(("spearman", "ci_low", "ci_high"), drawn.get(epoch, [np.nan] * 3)))
            yield {**names, "epoch": epoch, **dict(zip(_QUANTILES, quantiles)), **rho}


def _caption(panels: Sequence[ItemSpread], remarks: Mapping[str, str]) -> str:
    several = max(spread.panel.n_seeds for spread in panels) > 1
    parts = [
        f"Distribution of {named(panels, remarks)} over the test items by epoch: median, middle half (dark band) "
        f"and 5th to 95th percentile (light){', each the mean over the seeds' if several else ''}; each panel has "
        "its own scale.",
        f"Beneath, Spearman’s ρ with quality and its 95 % interval over test items"
        f"{' (means over the seeds)' if several else ''}.",
    ]
    if any(map(_inside, panels)):
        parts.append("Dotted: a checkpoint that early stopping selected.")
    if any(spread.panel.late for spread in panels):
        parts.append("Checkpoints that early stopping selected after these epochs are left out.")
    if any(map(_undefined, panels)):
        parts.append("×: ρ is undefined.")
    if any(spread.epoch[0] == 0 for spread in panels):
        parts.append("Epoch 0 is before fine-tuning.")
    return " ".join(parts)


def _inside(spread: ItemSpread) -> list[float]:
    """Selected epochs among those that are drawn."""
    return [epoch for epoch in spread.panel.selected if epoch in spread.epoch]


def _rho(spread: ItemSpread) -> np.ndarray:
    """(4, C) epoch, rho and the ends of its interval, at the epochs that are drawn."""
    series = spread.correlation
    kept = np.isin(series.epoch, spread.epoch)
    return np.stack([series.epoch, series.rho, series.low, series.high])[:, kept]


def _undefined(spread: ItemSpread) -> list[float]:
    epoch, rho, *_ = _rho(spread)
    return epoch[np.isnan(rho)].tolist()
