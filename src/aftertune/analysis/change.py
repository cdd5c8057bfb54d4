"""Change of the correlation between checkpoints: resamples, intervals, tests, verdicts (change.csv)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from aftertune.analysis.checkpoints import Comparison, Point, Rhos, Setting, listed, rows_by
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
from aftertune.stats.resampling import Checkpoint, resampled_spearman, swap_test
from aftertune.stats.verdict import holm, items_needed, verdict
from aftertune.types import Floats

_WHEN = {
    "before": "before fine-tuning",
    "epoch_1": "after epoch 1",
    "selected": "at the selected checkpoint",
    "last": "at the last checkpoint",
}

LARGEST_CHANGE = 2.0
"""Of a correlation."""

_NAN = float("nan")


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
    setting: Setting,
    comparisons: Sequence[Comparison],
    rhos: Rhos,
    *,
    margin: float,
    resamples: int,
    seed: int,
    permutation: bool,
) -> list[Row]:
    """Rows of each comparison: one for "models" and, with two training runs or more, one for "training".

    Without Holm's correction, which is over all settings (`change_with_holm`).
    """
    draws = resample(setting, comparisons, resamples=resamples, seed=seed)
    swapped = swap_p_values(comparisons, permutations=resamples, seed=seed) if permutation else {}
    return [
        row
        for c in comparisons
        for row in _rows(setting, c, rhos, draws, margin, swapped.get((c.score, c.from_, c.to), _NAN))
    ]


def _rows(
    setting: Setting, c: Comparison, rhos: Rhos, draws: Draws, margin: float, p_permutation: float
) -> Iterator[Row]:
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
    status = _why_undefined(c) if decisive is None else decisive.reason
    judged, needed = "undefined", None
    if decisive is not None and not decisive.reason:
        judged = verdict(mean, decisive.low, decisive.high, margin=margin)
        if judged == "inconclusive":
            needed = items_needed(mean, decisive.low, decisive.high, n=n, margin=margin, floor=decisive.floor)
    after = None if drawn[1] is None else _interval(scopes[-1], rho[:, 1], drawn[1], n)
    for scope in scopes:
        interval = change[scope].within(LARGEST_CHANGE) if scope in change else None
        yield CHANGE.row(
            **setting.names,
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
            spearman_from=float(rho[:, 0].mean()),
            spearman_to=float(rho[:, 1].mean()),
            status=status,
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


def change_with_holm(rows: Sequence[Row]) -> list[Row]:
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


PValues = dict[tuple[str, str, str], float]
"""(score, from, to) → p."""


def swap_p_values(comparisons: Sequence[Comparison], *, permutations: int, seed: int) -> PValues:
    """Of the comparisons of one setting; those of the same ends and items share their permutations."""
    together: dict[tuple[str, str, bytes], list[Comparison]] = {}
    for c in comparisons:
        if c.items.any():
            together.setdefault((c.from_, c.to, c.items.tobytes()), []).append(c)
    found: PValues = {}
    for (from_, to, _), members in together.items():
        items, names = members[0].items, [c.score for c in members]
        ends = [(_checkpoint(a, names, items), _checkpoint(b, names, items)) for a, b in members[0].ends]
        rng = generator(seed, "permutation", int(items.sum()))
        for name, p in zip(names, swap_test(ends, permutations=permutations, rng=rng)):
            found[name, from_, to] = float(p)
    return found


def _checkpoint(point: Point, names: Sequence[str], items: np.ndarray) -> Checkpoint:
    return Checkpoint(
        quality=point.quality[items], confidence=np.array([point.scores[name][items] for name in names])
    )
