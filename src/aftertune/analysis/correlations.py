"""Rows of correlation.csv, and what a reader should know about correlations that do not exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from aftertune.analysis.grouping import Setting, listed, rows_by
from aftertune.analysis.schema import CORRELATION, Row
from aftertune.stats.correlation import partial_rank_correlation, spearman_of_checkpoints


def correlation_rows(setting: Setting, names: Sequence[str], *, seed: int) -> list[Row]:
    rows = []
    checkpoints = [([point.scores[name] for name in names], point.quality) for point in setting.points]
    for point, estimates in zip(setting.points, spearman_of_checkpoints(checkpoints, seed=seed)):
        for name, estimate in zip(names, estimates):
            status = estimate.status
            if np.isnan(point.scores[name]).all():
                status = "no item has this score"
            elif np.isnan(point.quality).all():
                status = "no item has a quality"
            used = point.having(name)
            x, y, (length, unit) = point.scores[name][used], point.quality[used], point.lengths.on(used)
            rows.append(
                CORRELATION.row(
                    model=setting.model,
                    task=setting.task,
                    setting=setting.setting,
                    seed=point.seed,
                    epoch=point.epoch,
                    selected=point.selected,
                    score=name,
                    n=estimate.n,
                    spearman=estimate.value,
                    ci_low=estimate.low,
                    ci_high=estimate.high,
                    status=status,
                    spearman_given_length=partial_rank_correlation(x, y, length) if unit else float("nan"),
                    length_unit=unit,
                )
            )
    return rows


def correlation_notes(setting: Setting, rows: Sequence[Row]) -> Iterator[str]:
    constant: dict[tuple[float, float], list[int]] = {}
    for point in setting.points:
        values = point.quality[np.isfinite(point.quality)]
        if len(values) >= 3 and np.ptp(values) == 0:
            constant.setdefault((point.epoch, float(values[0])), []).append(point.seed)
    epochs_of: dict[tuple[float, str], list[float]] = {}
    for (epoch, value), seeds in constant.items():
        epochs_of.setdefault((value, _of_seeds(setting, seeds, epoch)), []).append(epoch)
    for (value, of_seeds), epochs in epochs_of.items():
        yield (
            f"{setting.label}: quality is constant {_at(epochs)}{of_seeds} (every item {value}): no correlation "
            "can be computed there"
        )
    flat: dict[tuple[float, tuple[int, ...]], list[str]] = {}
    for (epoch, name), members in rows_by((r.epoch, r.score) for r in rows).items():
        seeds = tuple(rows[i].seed for i in members if rows[i].status.startswith("confidence is constant"))
        if seeds:
            flat.setdefault((epoch, seeds), []).append(name)
    flat_at: dict[tuple[tuple[str, ...], str], list[float]] = {}
    for (epoch, seeds), names in flat.items():
        flat_at.setdefault((tuple(names), _of_seeds(setting, seeds, epoch)), []).append(epoch)
    for (names, of_seeds), epochs in flat_at.items():
        yield (
            f"{setting.label}: {listed(names)} {'is' if len(names) == 1 else 'are'} constant {_at(epochs)}"
            f"{of_seeds}: no correlation can be computed there"
        )


def _at(epochs: Sequence[float]) -> str:
    return f"at epoch{'' if len(epochs) == 1 else 's'} {listed(f'{epoch:g}' for epoch in epochs)}"


def _of_seeds(setting: Setting, seeds: Sequence[int], epoch: float) -> str:
    if set(seeds) == {point.seed for point in setting.points if point.epoch == epoch}:
        return ""
    return f" for seed{'' if len(seeds) == 1 else 's'} {listed(map(str, seeds))}"
