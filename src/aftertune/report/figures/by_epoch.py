"""Correlation by epoch (the paper's Figure 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from aftertune.report.figures.figure import RHO, Data, Drawing, render
from aftertune.report.figures.multiples import APART, Block, Curve, draw
from aftertune.report.names import Key
from aftertune.report.overview import Overview
from aftertune.report.palette import Look
from aftertune.report.series import Panel, Series


def block(panel: Panel, one: Overview | None) -> Block:
    """The panels of one setting, of use first where that is known."""
    epochs = [epoch for epoch in panel.epochs if epoch not in panel.late]
    step = max(1.0, 0.12 * (epochs[-1] - epochs[0]))
    apart = epochs[-1] + step if panel.late else None
    order = [] if one is None else [line.score for line in one.every]
    places = {score: i for i, score in enumerate(order)}
    series = sorted(panel.series, key=lambda own: places.get(own.score, len(order)))
    recommended = one.said.score if one is not None and one.said is not None else ""
    ticks = {epoch: f"{epoch:g}" for epoch in epochs if float(epoch).is_integer()} or {
        epoch: f"{epoch:g}" for epoch in epochs
    }
    return Block(
        name=panel.name,
        curves=[
            Curve(
                score=own.score,
                x=own.epoch[kept],
                y=own.rho[kept],
                low=own.low[kept],
                high=own.high[kept],
                apart=None if apart is None else (apart, own.chosen.rho, own.chosen.low, own.chosen.high),
                is_marked=own.score == recommended,
            )
            for own in series
            for kept in [np.isin(own.epoch, epochs)]
        ],
        ticks=ticks | ({} if apart is None else {apart: APART}),
        lines=[epoch for epoch in panel.selected if epoch not in panel.late],
    )


def by_epoch(
    name: str, found: Sequence[Panel], views: Mapping[Key, Overview], looks: Mapping[str, Look]
) -> Drawing:
    """A block of panels for each setting, one below the other."""
    blocks = [block(panel, views.get(panel.key)) for panel in found]
    figure = draw(blocks, looks, x="epoch (0: before fine-tuning)", y=RHO, bands=True)
    data = [row for panel in found for own in panel.series for row in _data(panel, own)]
    return render(figure, name, _caption(found, blocks), data)


def _data(panel: Panel, series: Series) -> Iterator[Data]:
    model, task, setting = panel.key
    names = {"model": model, "task": task, "setting": setting, "score": series.score}
    for epoch, rho, low, high in zip(*(v.tolist() for v in (series.epoch, series.rho, series.low, series.high))):
        if epoch not in panel.late:
            seeds = "; ".join(map(str, panel.selected.get(epoch, ())))
            ends = {"spearman": rho, "ci_low": low, "ci_high": high}
            yield {**names, "epoch": epoch, "selected_by_seeds": seeds, **ends}
    if panel.late:
        seeds = "; ".join(str(seed) for own in panel.selected.values() for seed in own)
        ends = {"spearman": series.chosen.rho, "ci_low": series.chosen.low, "ci_high": series.chosen.high}
        yield {**names, "epoch": np.nan, "selected_by_seeds": seeds, **ends}


def _caption(found: Sequence[Panel], blocks: Sequence[Block]) -> str:
    several = max(panel.n_seeds for panel in found) > 1
    over, of = (", mean over the seeds", " (mean of its ends)") if several else ("", "")
    said = (
        f"Correlation of each score with quality by epoch{over}; band: 95 % interval over test items{of}; grey: "
        "the other scores."
    )
    if any(curve.is_marked for one in blocks for curve in one.curves):
        said += " Bold: the recommended score, others by use."
    if any(one.lines for one in blocks):
        said += " Dotted: a checkpoint that early stopping selected."
    if any(panel.late for panel in found):
        said += f" {APART}: the later checkpoint that early stopping selected."
    return said + (" ×: undefined." if any(np.isnan(c.y).any() for one in blocks for c in one.curves) else "")
