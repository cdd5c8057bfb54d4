"""Records → Analysis: the rows of correlation.csv and change.csv.

Only test items count; validation rows are for fitting maps.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aftertune.errors import InputError
from aftertune.seeds import generator
from aftertune.stats.bootstrap import Checkpoint, resampled_spearman
from aftertune.stats.change import (
    Interval,
    anova_p,
    interval_for_models,
    interval_for_training,
    spread_over_runs,
)
from aftertune.stats.correlation import rank_correlation, spearman_of_scores, why_undefined
from aftertune.stats.multiplicity import holm
from aftertune.stats.verdict import MARGIN, items_needed, verdict
from aftertune.study.grouping import Point, Setting, rows_by, settings_of
from aftertune.study.table_files import write_tables
from aftertune.types import Analysis, ChangeRow, CorrelationRow, Floats, Records

__all__ = ["PAIRS", "analyse", "write_tables"]

PAIRS = (("before", "selected"), ("epoch_1", "selected"), ("before", "last"), ("epoch_1", "last"))
"""Compared checkpoints, in the order of the rows."""

_WHEN = {
    "before": "before fine-tuning",
    "epoch_1": "after epoch 1",
    "selected": "at the selected checkpoint",
    "last": "at the last checkpoint",
}

_NAN = float("nan")


def analyse(records: Records, *, margin: float = MARGIN, resamples: int = 2000, seed: int = 0) -> Analysis:
    """Correlations, their changes and verdicts, and what the reader should know about them.

    Parameters
    ----------
    records
        Rows with split "test" are used.
    margin
        delta of the verdicts, in Spearman's rho.
    resamples
        B of the bootstrap over items.
    seed
        Seed of the bootstrap; the same records in any order give the same numbers.

    Returns
    -------
    Analysis
        Correlations ordered by model, task, setting, seed, epoch and score; changes by model, task, setting,
        score, pair and scope. Scores stand in the order of `records.scores`, names in natural order
        (n=500 before n=1000). A change has a row with ci_scope "models", and with at least two training runs
        one with "training"; Holm's correction is over all rows with the same from, to and scope.

    Raises
    ------
    InputError
        If no row is a test item, an item occurs twice at one checkpoint, or a training run has several
        selected checkpoints or one that is selected for some items only.
    """
    settings = settings_of(records)
    if not settings:
        raise InputError('no record has split "test": nothing to analyse')
    correlations: list[CorrelationRow] = []
    changes: list[ChangeRow] = []
    notes: list[str] = []
    for setting in settings:
        rows = _correlations(setting, list(records.scores), seed=seed)
        correlations += rows
        notes += _correlation_notes(setting, rows)
        comparisons, left_out = _comparisons(setting, list(records.scores))
        notes += [*left_out, *_left_out_items(setting, list(records.scores), comparisons)]
        draws = _resample(setting, comparisons, resamples=resamples, seed=seed)
        for comparison in comparisons:
            changes += _changes(setting, comparison, draws, margin=margin)
    changes = _with_holm(changes)
    return Analysis(
        correlations=tuple(correlations),
        changes=tuple(changes),
        notes=(*notes, *_resolution_note(changes, resamples)),
    )


# Correlations


def _correlations(setting: Setting, names: Sequence[str], *, seed: int) -> list[CorrelationRow]:
    rows = []
    for point in setting.points:
        estimates = spearman_of_scores([point.scores[name] for name in names], point.quality, seed=seed)
        for name, estimate in zip(names, estimates):
            status = estimate.status
            if np.isnan(point.scores[name]).all():
                status = "no item has this score"
            elif np.isnan(point.quality).all():
                status = "no item has a quality"
            rows.append(
                CorrelationRow(
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
                )
            )
    return rows


def _correlation_notes(setting: Setting, rows: Sequence[CorrelationRow]) -> Iterator[str]:
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
            f"{setting.label}: {_listed(names)} {'is' if len(names) == 1 else 'are'} constant {_at(epochs)}"
            f"{of_seeds}: no correlation can be computed there"
        )


def _at(epochs: Sequence[float]) -> str:
    return f"at epoch{'' if len(epochs) == 1 else 's'} {_listed(f'{epoch:g}' for epoch in epochs)}"


def _of_seeds(setting: Setting, seeds: Sequence[int], epoch: float) -> str:
    if set(seeds) == {point.seed for point in setting.points if point.epoch == epoch}:
        return ""
    return f" for seed{'' if len(seeds) == 1 else 's'} {_listed(map(str, seeds))}"


def _listed(names: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


# Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """One score between two named checkpoints of R training runs, on the items that all of them have."""

    score: str
    from_: str
    to: str
    ends: tuple[tuple[Point, Point], ...]
    items: np.ndarray
    n_before_dropping: int


def _named(run: Sequence[Point]) -> dict[str, Point]:
    """Named checkpoints of one training run."""
    names = {}
    for point in run:
        if point.epoch == 0:
            names["before"] = point
        if point.epoch == 1:
            names["epoch_1"] = point
        if point.selected:
            names["selected"] = point
    if run[-1].epoch > 0:
        names["last"] = run[-1]
    return names


def _pairs(named: Sequence[dict[str, Point]]) -> Iterator[tuple[str, str, list[int]]]:
    """Pairs to compare, and which runs have both ends."""
    last_is_selected = all("selected" in n and n.get("last") is n["selected"] for n in named)
    for from_, to in PAIRS:
        if to == "last" and last_is_selected:
            continue
        runs = [i for i, n in enumerate(named) if from_ in n and to in n]
        if any(named[i][from_] is not named[i][to] for i in runs):
            yield from_, to, runs


def _comparisons(setting: Setting, names: Sequence[str]) -> tuple[list[_Comparison], list[str]]:
    named = [_named(run) for run in setting.runs()]
    found: list[_Comparison] = []
    notes: list[str] = []
    pairs = list(_pairs(named))
    for from_, to, runs in pairs:
        ends = tuple((named[i][from_], named[i][to]) for i in runs)
        for i, run in enumerate(setting.runs()):
            if i not in runs:
                lacks = _listed(end for end in (from_, to) if end not in named[i])
                notes.append(
                    f"{setting.label}: seed {run[0].seed} has no {lacks} checkpoint: left out of {from_} → {to}"
                )
    for name in names:
        for from_, to, runs in pairs:
            ends = tuple((named[i][from_], named[i][to]) for i in runs)
            points = [point for pair in ends for point in pair]
            items = np.logical_and.reduce(
                [np.isfinite(point.quality) & np.isfinite(point.scores[name]) for point in points]
            )
            anywhere = np.logical_or.reduce([point.present for point in points])
            found.append(
                _Comparison(
                    score=name,
                    from_=from_,
                    to=to,
                    ends=ends,
                    items=items,
                    n_before_dropping=int(anywhere.sum()),
                )
            )
    return found, notes


def _left_out_items(setting: Setting, names: Sequence[str], comparisons: Sequence[_Comparison]) -> Iterator[str]:
    """One sentence: for each score the most items that any of its statistics lacks."""
    total = len(setting.points[0].present)
    most: dict[int, list[str]] = {}
    for name in names:
        at_points = [
            int((point.present & ~(np.isfinite(point.quality) & np.isfinite(point.scores[name]))).sum())
            for point in setting.points
        ]
        compared = [c.n_before_dropping - int(c.items.sum()) for c in comparisons if c.score == name]
        most.setdefault(max(at_points + compared), []).append(name)
    most.pop(0, None)
    if most:
        parts = [
            f"{'all' if count == total else 'up to'} {count}{'' if count == total else f' of {total}'} for "
            + ("every score" if len(most[count]) == len(names) else _listed(most[count]))
            for count in sorted(most, reverse=True)
        ]
        yield (
            f"{setting.label}: items that lack quality or the score at a checkpoint are left out of what is "
            f"computed there: {', '.join(parts)}"
        )


_Draws = dict[tuple[str, tuple[int, float], bytes], Floats]
"""(score, checkpoint, items) → (B,) rho on the resamples of those items."""


def _resample(setting: Setting, comparisons: Sequence[_Comparison], *, resamples: int, seed: int) -> _Draws:
    """Each score's rho at each checkpoint that some comparison needs, once, on resamples shared by all."""
    wanted: dict[bytes, dict[tuple[int, float], dict[str, None]]] = {}
    points = {point.key: point for point in setting.points}
    for c in comparisons:
        for point in (point for pair in c.ends for point in pair):
            x, y = point.scores[c.score][c.items], point.quality[c.items]
            if not why_undefined(x, y):
                by_point = wanted.setdefault(c.items.tobytes(), {})
                by_point.setdefault(point.key, {})[c.score] = None
    draws: _Draws = {}
    for mask, by_point in wanted.items():
        items = np.frombuffer(mask, dtype=bool)
        checkpoints = [
            Checkpoint(
                quality=points[key].quality[items],
                confidence=np.array([points[key].scores[name][items] for name in names]),
            )
            for key, names in by_point.items()
        ]
        rng = generator(seed, "change", setting.model, setting.task, setting.setting, int(items.sum()))
        results = resampled_spearman(checkpoints, resamples=resamples, rng=rng)
        for (key, names), result in zip(by_point.items(), results):
            for name, column in zip(names, result.T):
                draws[name, key, mask] = column
    return draws


def _changes(setting: Setting, c: _Comparison, draws: _Draws, *, margin: float) -> Iterator[ChangeRow]:
    n, mask = int(c.items.sum()), c.items.tobytes()
    rho = np.array(
        [[rank_correlation(p.scores[c.score][c.items], p.quality[c.items]) for p in pair] for pair in c.ends]
    )
    undefined = _why_undefined(c)
    drawn = [
        None
        if np.isnan(rho[:, end]).any()
        else np.stack([draws[c.score, pair[end].key, mask] for pair in c.ends], axis=1)
        for end in (0, 1)
    ]
    difference = rho[:, 1] - rho[:, 0]
    for scope in ("models", "training"):
        if scope == "training" and len(c.ends) < 2:
            continue
        change = after = None
        if drawn[1] is not None:
            after = _interval(scope, rho[:, 1], drawn[1], n)
            if drawn[0] is not None:
                change = _interval(scope, difference, drawn[1] - drawn[0], n)
        mean = float(difference.mean())
        judged, needed = f"undefined: {undefined}", None
        if change is not None and change.reason:
            judged = f"undefined: {change.reason}"
        elif change is not None:
            judged = verdict(mean, change.low, change.high, margin)
            if judged == "inconclusive":
                needed = items_needed(mean, change.low, change.high, n=n, margin=margin, floor=change.floor)
        yield ChangeRow(
            model=setting.model,
            task=setting.task,
            setting=setting.setting,
            score=c.score,
            from_=c.from_,
            to=c.to,
            n_items=n,
            n_seeds=len(c.ends),
            mean=mean,
            sd=spread_over_runs(difference),
            ci_low=_NAN if change is None else change.low,
            ci_high=_NAN if change is None else change.high,
            ci_scope=scope,
            p_anova=anova_p(rho[:, 0], rho[:, 1]),
            p_anova_holm=_NAN,
            p_bootstrap=_NAN if change is None else change.p,
            p_bootstrap_holm=_NAN,
            verdict=judged,
            useful=None if after is None or after.reason else after.low > 0,
            items_needed=needed,
        )


def _interval(scope: str, observed: Floats, resampled: Floats, n: int) -> Interval:
    if scope == "models":
        return interval_for_models(resampled)
    return interval_for_training(observed, resampled, n_items=n)


def _why_undefined(c: _Comparison) -> str:
    """Why some correlation that the comparison needs is undefined; "" if none is."""
    if not c.items.any():
        return "no item has quality and this score at every checkpoint compared"
    for end, name in enumerate((c.from_, c.to)):
        reasons = [why_undefined(p[end].scores[c.score][c.items], p[end].quality[c.items]) for p in c.ends]
        affected = [pair[end].seed for pair, reason in zip(c.ends, reasons) if reason]
        reason = next(filter(None, reasons), "").removesuffix(": no correlation")
        if reason.startswith("fewer"):
            return f"{reason} have quality and this score at every checkpoint compared"
        if reason:
            some = "" if len(affected) == len(c.ends) else f" (seed {_listed(map(str, affected))})"
            return f"{reason} {_WHEN[name]}{some}"
    return ""


def _with_holm(rows: Sequence[ChangeRow]) -> list[ChangeRow]:
    """Corrected p-values: each configuration counts once among those with the same from, to and scope.

    The ANOVA has no scope. Every configuration has a row for "models", so its family is those rows, and the
    rows for "training" repeat what stands there.
    """
    corrected = list(rows)
    anova: dict[tuple[str, ...], float] = {}
    for scope in ("models", "training"):
        for pair, index in rows_by((r.from_, r.to) if r.ci_scope == scope else None for r in rows).items():
            if pair is None:
                continue
            bootstrap = holm([rows[i].p_bootstrap for i in index])
            if scope == "models":
                for i, p in zip(index, holm([rows[i].p_anova for i in index])):
                    anova[_configuration(rows[i])] = float(p)
            for i, p in zip(index, bootstrap):
                corrected[i] = replace(
                    rows[i], p_anova_holm=anova[_configuration(rows[i])], p_bootstrap_holm=float(p)
                )
    return corrected


def _configuration(row: ChangeRow) -> tuple[str, ...]:
    return row.model, row.task, row.setting, row.score, row.from_, row.to


def _resolution_note(rows: Sequence[ChangeRow], resamples: int) -> Iterator[str]:
    tests = Counter((r.from_, r.to) for r in rows if r.ci_scope == "models" and math.isfinite(r.p_bootstrap))
    if not tests:
        return
    largest = max(tests.values())
    smallest = 2 / (resamples + 1)
    if smallest * largest > 0.05:
        yield (
            f"With {resamples} resamples no p_bootstrap of scope models can be below {smallest:.2g}; over "
            f"{largest} configurations Holm's correction makes that {min(1.0, smallest * largest):.2g}: for "
            f"p_bootstrap_holm to reach 0.05 at all, {math.ceil(40 * largest)} resamples are needed"
        )
