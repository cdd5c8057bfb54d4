"""Rows of change.csv: which checkpoints are compared, on which items, and what came of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aftertune.analysis.grouping import Point, Setting, listed, rows_by
from aftertune.analysis.rhos import Rhos
from aftertune.analysis.schema import CHANGE, Row
from aftertune.seeds import generator
from aftertune.stats.change import (
    Interval,
    interval_for_models,
    interval_for_training,
    one_way_anova,
    spread_over_runs,
)
from aftertune.stats.correlation import why_undefined
from aftertune.stats.resampling import Checkpoint, resampled_spearman
from aftertune.stats.verdict import holm, items_needed, verdict
from aftertune.types import Floats

PAIRS = (("before", "selected"), ("epoch_1", "selected"), ("before", "last"), ("epoch_1", "last"))
"""Compared checkpoints, in the order of the rows."""

_WHEN = {
    "before": "before fine-tuning",
    "epoch_1": "after epoch 1",
    "selected": "at the selected checkpoint",
    "last": "at the last checkpoint",
}

LARGEST_CHANGE = 2.0
"""Of a correlation."""

_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One score between two named checkpoints of R training runs, on the items that all of them have."""

    score: str
    from_: str
    to: str
    ends: tuple[tuple[Point, Point], ...]
    items: np.ndarray


def named_points(run: Sequence[Point]) -> dict[str, Point]:
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


def comparisons_of(setting: Setting, names: Sequence[str]) -> tuple[list[Comparison], list[str]]:
    named = [named_points(run) for run in setting.runs()]
    found: list[Comparison] = []
    notes: list[str] = []
    pairs = list(_pairs(named))
    for from_, to, runs in pairs:
        ends = tuple((named[i][from_], named[i][to]) for i in runs)
        for i, run in enumerate(setting.runs()):
            if i not in runs:
                lacks = listed(end for end in (from_, to) if end not in named[i])
                notes.append(
                    f"{setting.label}: seed {run[0].seed} has no {lacks} checkpoint: left out of {from_} → {to}"
                )
    for name in names:
        for from_, to, runs in pairs:
            ends = tuple((named[i][from_], named[i][to]) for i in runs)
            points = [point for pair in ends for point in pair]
            items = np.logical_and.reduce([point.having(name) for point in points])
            found.append(
                Comparison(
                    score=name,
                    from_=from_,
                    to=to,
                    ends=ends,
                    items=items,
                )
            )
    return found, notes


def left_out_items(setting: Setting, names: Sequence[str], comparisons: Sequence[Comparison]) -> Iterator[str]:
    """One sentence: for each score the most items of the setting that any of its statistics lacks."""
    total = len(setting.points[0].quality)
    most: dict[int, list[str]] = {}
    for name in names:
        used = [point.having(name) for point in setting.points]
        used += [a.having(name) & b.having(name) for run in setting.runs() for a, b in pairwise(run)]
        used += [c.items for c in comparisons if c.score == name]
        most.setdefault(total - min(int(items.sum()) for items in used), []).append(name)
    most.pop(0, None)
    if most:
        parts = [
            f"{'all' if count == total else 'up to'} {count}{'' if count == total else f' of {total}'} for "
            + ("every score" if len(most[count]) == len(names) else listed(most[count]))
            for count in sorted(most, reverse=True)
        ]
        yield (
            f"{setting.label}: items that lack quality or the score at a checkpoint are left out of what is "
            f"computed there: {', '.join(parts)}"
        )


Draws = dict[tuple[str, tuple[int, float], bytes], Floats]
"""(score, checkpoint, items) → (B,) rho on the resamples of those items."""


def resample(setting: Setting, comparisons: Sequence[Comparison], *, resamples: int, seed: int) -> Draws:
    """Each score's rho at each checkpoint that some comparison needs, once, on resamples shared by all."""
    wanted: dict[bytes, dict[tuple[int, float], dict[str, None]]] = {}
    points = {point.key: point for point in setting.points}
    for c in comparisons:
        for point in (point for pair in c.ends for point in pair):
            x, y = point.scores[c.score][c.items], point.quality[c.items]
            if not why_undefined(x, y):
                by_point = wanted.setdefault(c.items.tobytes(), {})
                by_point.setdefault(point.key, {})[c.score] = None
    draws: Draws = {}
    for mask, by_point in wanted.items():
        items = np.frombuffer(mask, dtype=bool)
        checkpoints = [
            Checkpoint(
                quality=points[key].quality[items],
                confidence=np.array([points[key].scores[name][items] for name in names]),
            )
            for key, names in by_point.items()
        ]
        rng = generator(seed, "change", int(items.sum()))
        results = resampled_spearman(checkpoints, resamples=resamples, rng=rng)
        for (key, names), result in zip(by_point.items(), results):
            for name, column in zip(names, result.T):
                draws[name, key, mask] = column
    return draws


def change_rows(
    setting: Setting, c: Comparison, rhos: Rhos, draws: Draws, *, margin: float, p_permutation: float = _NAN
) -> Iterator[Row]:
    """A row for "models" and, with at least two training runs, one for "training", which decides the verdict."""
    n, mask = int(c.items.sum()), c.items.tobytes()
    rho = np.array([[rhos.on(point, c.score, c.items) for point in pair] for pair in c.ends])
    drawn = [
        None
        if np.isnan(rho[:, end]).any()
        else np.stack([draws[c.score, pair[end].key, mask] for pair in c.ends], axis=1)
        for end in (0, 1)
    ]
    difference = rho[:, 1] - rho[:, 0]
    mean = float(difference.mean())
    scopes = ("models", "training") if len(c.ends) > 1 else ("models",)
    change: dict[str, Interval] = {}
    if drawn[0] is not None and drawn[1] is not None:
        change = {scope: _interval(scope, difference, drawn[1] - drawn[0], n) for scope in scopes}
    decisive = change.get(scopes[-1])
    judged, needed = f"undefined: {_why_undefined(c)}", None
    if decisive is not None and decisive.reason:
        judged = f"undefined: {decisive.reason}"
    elif decisive is not None:
        judged = verdict(mean, decisive.low, decisive.high, margin)
        if judged == "inconclusive":
            needed = items_needed(mean, decisive.low, decisive.high, n=n, margin=margin, floor=decisive.floor)
    after = None if drawn[1] is None else _interval(scopes[-1], rho[:, 1], drawn[1], n)
    for scope in scopes:
        interval = change[scope].within(LARGEST_CHANGE) if scope in change else None
        yield CHANGE.row(
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
            ci_low=_NAN if interval is None else interval.low,
            ci_high=_NAN if interval is None else interval.high,
            ci_scope=scope,
            p_anova=one_way_anova([rho[:, 0], rho[:, 1]]).p,
            p_anova_holm=_NAN,
            p_bootstrap=_NAN if interval is None else interval.p,
            p_bootstrap_holm=_NAN,
            verdict=judged,
            useful=None if after is None or after.reason else after.low > 0,
            items_needed=needed,
            p_permutation=p_permutation,
        )


def _interval(scope: str, observed: Floats, resampled: Floats, n: int) -> Interval:
    if scope == "models":
        return interval_for_models(resampled)
    return interval_for_training(observed, resampled, n_items=n)


def _why_undefined(c: Comparison) -> str:
    """Why some correlation that the comparison needs is undefined; "" if none is."""
    if not c.items.any():
        return "no item_id has quality and this score at every checkpoint compared"
    for end, name in enumerate((c.from_, c.to)):
        reasons = [why_undefined(p[end].scores[c.score][c.items], p[end].quality[c.items]) for p in c.ends]
        affected = [pair[end].seed for pair, reason in zip(c.ends, reasons) if reason]
        reason = next(filter(None, reasons), "").removesuffix(": no correlation")
        if reason.startswith("fewer"):
            return f"{reason} have quality and this score at every checkpoint compared"
        if reason:
            some = "" if len(affected) == len(c.ends) else f" (seed {listed(map(str, affected))})"
            return f"{reason} {_WHEN[name]}{some}"
    return ""


def with_holm(rows: Sequence[Row]) -> list[Row]:
    """Corrected p-values: each configuration counts once among those with the same setting, from, to and scope.

    A setting is what one experiment trains, so a family is its model × task × score configurations.

    The ANOVA has no scope. Every configuration has a row for "models", so its family is those rows, and the
    rows for "training" repeat what stands there.
    """
    corrected = list(rows)
    anova: dict[tuple[str, ...], float] = {}
    for scope in ("models", "training"):
        for family, index in rows_by(_family(r) if r.ci_scope == scope else None for r in rows).items():
            if family is None:
                continue
            bootstrap = holm([rows[i].p_bootstrap for i in index])
            if scope == "models":
                for i, p in zip(index, holm([rows[i].p_anova for i in index])):
                    anova[_configuration(rows[i])] = float(p)
            for i, p in zip(index, bootstrap):
                corrected[i] = rows[i]._replace(
                    p_anova_holm=anova[_configuration(rows[i])], p_bootstrap_holm=float(p)
                )
    return corrected


def _family(row: Row) -> tuple[str, ...]:
    return row.setting, row.from_, row.to


def _configuration(row: Row) -> tuple[str, ...]:
    return row.model, row.task, row.setting, row.score, row.from_, row.to


def resolution_note(rows: Sequence[Row], resamples: int) -> Iterator[str]:
    tests = Counter(_family(r) for r in rows if r.ci_scope == "models" and math.isfinite(r.p_bootstrap))
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
