"""Change of the correlation between checkpoints: intervals, tests, verdicts (change.csv)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from aftertune.analysis.checkpoints import (
    Comparison,
    EffectsOfSetting,
    Point,
    Rhos,
    Setting,
    listed,
    named_points,
    number,
    rows_by,
)
from aftertune.analysis.schema import CHANGE, Row
from aftertune.seeds import generator
from aftertune.stats.change import (
    FEWEST_FOR_NEW_RUN,
    NOTHING_VARIES,
    Simultaneous,
    Spread,
    one_way_anova,
    spread_for_models,
    spread_for_new_run,
    spread_for_training,
    spread_over_runs,
)
from aftertune.stats.correlation import why_undefined
from aftertune.stats.permutation import Checkpoint, swap_test
from aftertune.stats.runs import constant_group, paired_p, welch_p
from aftertune.stats.verdict import FEWEST_DIFFERENT, FEWEST_ITEMS, Needed, holm, items_needed, verdict
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """One effect of S scores at both ends of R runs, on the groups of items of a setting.

    Attributes
    ----------
    values : (2, R, S), `from` and `to`.
    deviation : (2, R, S, G) (`stats.effect.Effect`), 0 for items that are left out.
    """

    values: Floats
    deviation: Floats

    @property
    def change(self) -> tuple[Floats, Floats]:
        """(R, S) to − from, and its deviations (R, S, G)."""
        return self.values[1] - self.values[0], self.deviation[1] - self.deviation[0]

    @property
    def after(self) -> tuple[Floats, Floats]:
        return self.values[1], self.deviation[1]


def _ends(of_setting: EffectsOfSetting, members: Sequence[Comparison], effect: int) -> _Ends:
    """One effect of comparisons of the same checkpoints, one a score."""
    by_items: dict[bytes, list[int]] = {}
    for s, c in enumerate(members):
        by_items.setdefault(c.items.tobytes(), []).append(s)
    n_runs, n_scores = len(members[0].ends), len(members)
    values = np.full((2, n_runs, n_scores), _NAN)
    deviation = np.zeros((2, n_runs, n_scores, of_setting.n_groups))
    for index in by_items.values():
        c = members[index[0]]
        for r, pair in enumerate(c.ends):
            for end, point in enumerate(pair):
                found = of_setting.on(point, [members[s].score for s in index], c.items)[effect]
                values[end, r, index], deviation[end, r, index] = found
    return _Ends(values=values, deviation=deviation)


EFFECTS = ("adjusted", "spearman")
"""Tie-adjusted rho, which verdicts are about, and the paper's plain rho."""


def change_rows(
    setting: Setting,
    comparisons: Sequence[Comparison],
    of_setting: EffectsOfSetting,
    *,
    margin: float,
    resamples: int,
    seed: int,
    permutation: bool,
    rely_on: str | None = None,
) -> list[Row]:
    """Rows of each comparison: by effect, and for "models", "training" (2 runs or more), "new_run" (3 or more).

    Without Holm's correction of the ANOVA, which is over all settings (`change_with_holm`).

    Parameters
    ----------
    rely_on
        The score that was named in advance: it is judged by itself, and the others together.
    """
    swapped = swap_p_values(comparisons, permutations=resamples, seed=seed) if permutation else {}
    by_ends: dict[tuple[str, str], list[Comparison]] = {}
    for c in comparisons:
        by_ends.setdefault((c.from_, c.to), []).append(c)
    rows: dict[tuple[str, str, str], list[Row]] = {}
    for members in by_ends.values():
        ends = {name: _ends(of_setting, members, e) for e, name in enumerate(EFFECTS)}
        judged = _judged(setting, members, ends["adjusted"], margin, resamples, seed, rely_on)
        families = {name: _families(members, ends[name], resamples, seed, rely_on) for name in EFFECTS}
        for s, c in enumerate(members):
            p_permutation = swapped.get((c.score, c.from_, c.to), _NAN)
            rows[c.score, c.from_, c.to] = [
                row
                for name in EFFECTS
                for row in _rows(setting, c, name, s, ends[name], families[name], judged[s], margin, p_permutation)
            ]
    return [row for c in comparisons for row in rows[c.score, c.from_, c.to]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """The spread of the scores of one comparison over one question, and the bounds for those judged together."""

    spread: Spread
    bounds: Sequence[Simultaneous]

    def interval(self, s: int, mean: float) -> tuple[float, float]:
        half = self.spread.half_width(s, self.bounds[s].level)
        return max(mean - half, -LARGEST_CHANGE), min(mean + half, LARGEST_CHANGE)

    def p_value(self, s: int, distance: float) -> float:
        return self.bounds[s].corrected(self.spread.p_value(s, distance))


def _families(
    members: Sequence[Comparison], ends: _Ends, resamples: int, seed: int, rely_on: str | None
) -> dict[str, _Family]:
    """Question → its family; the last one is not for verdicts but a prediction, each score's by itself."""
    observed, deviation = ends.change
    found = {}
    n_runs = len(observed)
    found["models"] = spread_for_models(deviation)
    if n_runs >= 2:
        found["training"] = spread_for_training(observed, deviation)
    if n_runs >= FEWEST_FOR_NEW_RUN:
        found["new_run"] = spread_for_new_run(observed)
    return {
        scope: _Family(
            spread=spread,
            bounds=[_ALONE] * len(members)
            if scope == "new_run"
            else _bounds(members, spread, observed.mean(axis=0), resamples, seed, rely_on),
        )
        for scope, spread in found.items()
    }


_ALONE = Simultaneous(np.eye(1))


def _bounds(
    members: Sequence[Comparison], spread: Spread, mean: Floats, resamples: int, seed: int, rely_on: str | None
) -> list[Simultaneous]:
    """For each score those of its family: all that have an interval, but the one that was named in advance."""
    together = [
        s
        for s, c in enumerate(members)
        if c.score != rely_on and math.isfinite(mean[s]) and spread.variance[:, s].any()
    ]
    family = Simultaneous(
        spread.correlation[np.ix_(together, together)],
        draws=resamples,
        rng=generator(seed, "change", members[0].from_, members[0].to),
    )
    return [family if s in together else _ALONE for s in range(len(members))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What is said of one score in one comparison, the same in all its rows."""

    verdict: str
    usable: str
    needed: Needed
    status: str


def _judged(
    setting: Setting,
    members: Sequence[Comparison],
    ends: _Ends,
    margin: float,
    resamples: int,
    seed: int,
    rely_on: str | None,
) -> list[_Judged]:
    """About the adjusted effect: for the mean over training runs where there are several, else these models."""
    scope = "training" if len(ends.values[0]) > 1 else "models"
    change = _families(members, ends, resamples, seed, rely_on)[scope]
    after, deviation = ends.after
    spread = spread_for_training(after, deviation) if scope == "training" else spread_for_models(deviation)
    level = _Family(spread=spread, bounds=_bounds(members, spread, after.mean(axis=0), resamples, seed, rely_on))
    return [_judge(setting, c, s, ends, change, level, margin) for s, c in enumerate(members)]


def _judge(
    setting: Setting, c: Comparison, s: int, ends: _Ends, change: _Family, level: _Family, margin: float
) -> _Judged:
    n = setting.n_groups(c.items)
    nothing = Needed(None, None, None)
    if n < FEWEST_ITEMS:
        what = "items" if setting.groups is None else "groups of items"
        reason = _why_undefined(c) or f"too few {what} for a verdict ({n}; {FEWEST_ITEMS} are needed)"
        return _Judged(verdict="undefined", usable="", needed=nothing, status=reason)
    different = min(_different(point.quality[c.items]) for pair in c.ends for point in pair)
    if 0 < different < FEWEST_DIFFERENT:
        reason = f"quality differs in {different} items at a checkpoint: too few for a verdict"
        return _Judged(verdict="undefined", usable="", needed=nothing, status=reason)
    usable = ""
    if np.isfinite(ends.values[1, :, s]).all():
        low, high = level.interval(s, float(ends.values[1, :, s].mean()))
        usable = "yes" if low > 0 else "reversed" if high < 0 else "not shown"
        if math.isnan(low):  # the order is perfect, or all of its influence is zero
            usable = "yes" if ends.values[1, :, s].min() > 0 else "not shown"
    mean = float((ends.values[1, :, s] - ends.values[0, :, s]).mean())
    if math.isnan(mean):
        return _Judged(verdict="undefined", usable=usable, needed=nothing, status=_why_undefined(c))
    low, high = change.interval(s, mean)
    if math.isnan(low):
        return _Judged(verdict="undefined", usable=usable, needed=nothing, status=NOTHING_VARIES)
    found = verdict(low, high, margin=margin)
    needed = nothing
    if found == "inconclusive":
        half = change.spread.half_width(s, change.bounds[s].level)
        variance = float(change.spread.variance[:, s].max())
        floor = min(float(change.spread.floor[s]), variance)
        needed = items_needed(
            mean, variance=variance, floor=floor, quantile=half / math.sqrt(variance), n=n, margin=margin
        )
    return _Judged(verdict=found, usable=usable, needed=needed, status="")


def _different(quality: Floats) -> int:
    """How many items have another quality than the most common one."""
    return len(quality) - int(np.unique(quality, return_counts=True)[1].max())


def _rows(
    setting: Setting,
    c: Comparison,
    effect: str,
    s: int,
    ends: _Ends,
    families: Mapping[str, _Family],
    judged: _Judged,
    margin: float,
    p_permutation: float,
) -> Iterator[Row]:
    from_, to = ends.values[:, :, s]
    difference = to - from_
    mean = float(difference.mean())
    for scope, family in families.items():
        low, high = family.interval(s, mean) if math.isfinite(mean) else (_NAN, _NAN)
        p_change = family.p_value(s, mean) if math.isfinite(mean) else _NAN
        p_beyond = family.p_value(s, mean + margin) if math.isfinite(mean) else _NAN
        if scope == "new_run" and math.isfinite(p_change):
            error = math.sqrt(family.spread.variance[0, s])
            p_change, p_beyond = _NAN, float(stats.t.cdf((-margin - mean) / error, family.spread.df[0, s]))
        yield CHANGE.row(
            **setting.names,
            score=c.score,
            from_=c.from_,
            to=c.to,
            effect=effect,
            n_items=int(c.items.sum()),
            n_seeds=len(c.ends),
            value_from=float(from_.mean()),
            value_to=float(to.mean()),
            mean=mean,
            sd=spread_over_runs(difference),
            ci_low=low,
            ci_high=high,
            ci_scope=scope,
            simultaneous=family.bounds[s].several,
            p_anova=one_way_anova([from_, to]).p,
            p_anova_holm=_NAN,
            p_welch=welch_p(from_, to),
            p_paired=paired_p(difference),
            p_change=p_change,
            p_beyond_margin=p_beyond,
            verdict=judged.verdict,
            usable=judged.usable,
            items_needed=judged.needed.items,
            items_needed_low=judged.needed.low,
            items_needed_high=judged.needed.high,
            p_permutation=p_permutation if effect == "spearman" else _NAN,
            status=judged.status,
        )


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
    """The ANOVA corrected: each configuration counts once among those with the same setting, from, to and effect.

    A setting is what one experiment trains, so a family is its model × task × score configurations. The ANOVA has
    no scope: its family are the rows for "models", which each configuration has, and the others repeat them.
    """
    corrected: dict[tuple[str, ...], float] = {}
    models = [row for row in rows if row.ci_scope == "models"]
    for index in rows_by((r.setting, r.from_, r.to, r.effect) for r in models).values():
        for i, p in zip(index, holm([models[i].p_anova for i in index])):
            corrected[_configuration(models[i])] = float(p)
    return [row._replace(p_anova_holm=corrected[_configuration(row)]) for row in rows]


def _configuration(row: Row) -> tuple[str, ...]:
    return row.model, row.task, row.setting, row.score, row.from_, row.to, row.effect


def disagreement_notes(setting: Setting, rows: Sequence[Row], margin: float) -> Iterator[str]:
    """One sentence on each comparison where plain and adjusted rho tell different stories.

    They move apart by more than the margin, and are not both beyond it on the same side of 0.
    """
    both = {(r.score, r.from_, r.to, r.effect): r for r in rows if r.ci_scope == "models"}
    apart: dict[tuple[str, str], list[tuple[Row, Row]]] = {}
    for (score, from_, to, effect), plain in both.items():
        adjusted = both[score, from_, to, "adjusted"]
        nearer_to_0 = min(plain.mean, adjusted.mean, key=abs)
        one_story = abs(nearer_to_0) > margin and plain.mean * adjusted.mean > 0
        if effect == "spearman" and abs(plain.mean - adjusted.mean) > margin and not one_story:
            apart.setdefault((from_, to), []).append((plain, adjusted))
    for (from_, to), found in apart.items():
        plain, adjusted = max(found, key=lambda pair: abs(pair[0].mean - pair[1].mean))
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        means = " and ".join(number(row.mean, "+.2f") for row in (plain, adjusted))
        yield (
            f"{setting.label}, {from_} → {to}: of {plain.score}{others} plain and tie-adjusted rho go apart "
            f"({means}), because {_tied(setting, from_, to)}; verdicts "
            "are about the adjusted one, which ties in quality do not move"
        )


def _tied(setting: Setting, from_: str, to: str) -> str:
    """How quality moved, as the reason why plain rho did."""
    named = [named_points(run) for run in setting.runs()]
    means = [
        float(np.mean([np.nanmean(points[name].quality) for points in named if name in points]))
        for name in (from_, to)
    ]
    start, end = map(number, means)
    return f"mean quality went from {start} to {end}, and with it how many answers are equally good"


def constant_ends(comparisons: Sequence[Comparison], rhos: Rhos) -> bool:
    """Whether the paper's ANOVA compares with training runs whose rho is one and the same, in any comparison."""
    return any(
        constant_group(*np.array([[rhos.on(point, c.score, c.items) for point in pair] for pair in c.ends]).T)
        for c in comparisons
    )


CONSTANT_ENDS = (
    "p_anova, the paper’s test, compares with training runs whose rho is one and the same (before fine-tuning, "
    "where a score does not depend on the seed): at 0.05 with three seeds it then errs in 11 of 100 cases, not 5; "
    "p_welch and p_paired do not"
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
