"""Correlation at each checkpoint, its largest fall, and how it depends on the number of training items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from aftertune.analysis.checkpoints import (
    EffectsOfSetting,
    Point,
    Rhos,
    Setting,
    Steps,
    having_both,
    listed,
    of_scores,
    rows_by,
    whole_steps,
)
from aftertune.analysis.schema import CORRELATION, EPOCH_FALL, SAMPLE_SIZE, Row
from aftertune.analysis.setting_names import family
from aftertune.seeds import generator
from aftertune.stats.change import one_way_anova, spread_for_models
from aftertune.stats.correlation import partial_rank_correlation, rank_correlation, spearman_interval
from aftertune.stats.effect import concordance
from aftertune.stats.falls import largest_fall
from aftertune.stats.nulls import Null, largest_fall_null
from aftertune.stats.verdict import holm
from aftertune.types import Floats


def correlation_rows(setting: Setting, names: Sequence[str], of_setting: EffectsOfSetting) -> list[Row]:
    return [row for point in setting.points for row in _at_point(setting, point, names, of_setting)]


def _at_point(setting: Setting, point: Point, names: Sequence[str], of_setting: EffectsOfSetting) -> Iterator[Row]:
    adjusted, spearman = of_setting.at(point, names)
    for s, name in enumerate(names):
        used = point.having(name)
        x, y, (length, unit) = point.scores[name][used], point.quality[used], point.lengths.on(used)
        rho = rank_correlation(x, y)
        plain, half = (
            spread_for_models(one.deviation[s][None, None]).half_width(0) for one in (spearman, adjusted)
        )
        low, high, status = spearman_interval(x, y, rho, plain)
        if np.isnan(point.scores[name]).all():
            status = "no item has this score"
        elif np.isnan(point.quality).all():
            status = "no item has a quality"
        value = float(adjusted.value[s])
        yield CORRELATION.row(
            **setting.names,
            seed=point.seed,
            epoch=point.epoch,
            selected=point.selected,
            score=name,
            n=len(y),
            spearman=rho,
            ci_low=low,
            ci_high=high,
            status=status,
            spearman_given_length=partial_rank_correlation(x, y, length) if unit else float("nan"),
            length_unit=unit,
            adjusted=value,
            adjusted_low=max(value - half, -1.0),
            adjusted_high=min(value + half, 1.0),
            concordance=concordance(x, y),
        )


def epoch_fall_rows(
    setting: Setting, names: Sequence[str], rhos: Rhos, of_setting: EffectsOfSetting, *, seed: int
) -> tuple[list[Row], list[str]]:
    """One row for each score, and what was left out; no row where training runs have no step in common.

    A step joins two whole epochs t ≥ 1 and t + 1. Only steps that all training runs have count, so that a run
    that went on for longer has no more chances to fall than another; a step at which rho is undefined in some
    run is left out for all. Each rho is on the items that have quality and the score at both ends.
    """
    trained = [run for run in setting.runs() if run[-1].epoch > 0]
    runs = {run[0].seed: steps for run in trained if (steps := whole_steps(run))}
    if not runs:
        return [], []
    common = sorted(set.intersection(*(set(steps) for steps in runs.values())))
    notes = _left_out(setting, [run[0].seed for run in trained if run[0].seed not in runs], runs, common)
    rows: list[Row] = []
    undefined: dict[tuple[int, ...], list[str]] = {}
    for name in names if common else ():
        differences = np.array([[_step(*steps[t], name, rhos) for t in common] for steps in runs.values()])
        kept = np.isfinite(differences).all(axis=0)
        if kept.any() and not kept.all():
            undefined.setdefault(tuple(np.array(common)[~kept].tolist()), []).append(name)
        fall = largest_fall(differences[:, kept])
        at = None if fall.worst_step is None else float(np.array(common)[kept][fall.worst_step])
        null = _fall_null(
            setting,
            [[steps[t] for t in np.array(common)[kept]] for steps in runs.values()],
            name,
            of_setting,
            seed,
        )
        rows.append(
            EPOCH_FALL.row(
                **setting.names,
                score=name,
                n_seeds=len(runs),
                mean=fall.mean,
                sd=fall.sd,
                worst=fall.worst,
                worst_from_epoch=at,
                null=null.value,
                null_low=null.low,
                null_high=null.high,
                null_status=null.reason,
            )
        )
    for steps, scores in undefined.items():
        notes.append(
            f"{setting.label}: left out of the largest epoch-to-epoch fall of {of_scores(scores, names)}, because "
            f"a training run has no correlation at an end: epochs {_spans(steps)}"
        )
    return rows, notes


def _fall_null(
    setting: Setting, runs: list[list[tuple[Point, Point]]], name: str, of_setting: EffectsOfSetting, seed: int
) -> Null:
    """Of the steps of each run that the largest fall is taken of."""
    held = [[having_both(a, b, name) for a, b in steps] for steps in runs]

    def deviation(point: Point, items: np.ndarray) -> Floats:
        return of_setting.on(point, [name], items)[1].deviation[0]

    moved = [[deviation(b, i) - deviation(a, i) for (a, b), i in zip(*both)] for both in zip(runs, held)]
    return largest_fall_null(
        np.array(moved).reshape(len(runs), -1, of_setting.n_groups),
        n_items=min((setting.n_groups(items) for own in held for items in own), default=0),
        rng=generator(seed, "largest fall", *setting.names.values(), name),
    )


def _step(from_: Point, to: Point, name: str, rhos: Rhos) -> float:
    items = having_both(from_, to, name)
    return rhos.on(to, name, items) - rhos.on(from_, name, items)


def _left_out(
    setting: Setting, without: Sequence[int], runs: dict[int, Steps], common: Sequence[int]
) -> list[str]:
    notes = []
    if without:
        notes.append(
            f"{setting.label}: seed{'' if len(without) == 1 else 's'} {listed(map(str, without))} without two "
            "successive epochs: left out of the largest epoch-to-epoch fall"
        )
    others = sorted({t for steps in runs.values() for t in steps} - set(common))
    if others:
        notes.append(
            f"{setting.label}: left out of the largest epoch-to-epoch fall, because not every training run has "
            f"them: epochs {_spans(others)}"
        )
    return notes


def _spans(steps: Iterable[int]) -> str:
    """
    >>> _spans([1, 2, 3, 7])
    '1 → 4 and 7 → 8'
    """
    spans: list[list[int]] = []
    for t in steps:
        if spans and spans[-1][1] == t:
            spans[-1][1] = t + 1
        else:
            spans.append([t, t + 1])
    return listed(f"{first} → {last}" for first, last in spans)


Key = tuple[str, str, str]


def sample_size_rows(settings: Sequence[Setting], correlations: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """One row for each family of two settings or more and each score, and which sizes were left out.

    The values are each training run's rho at its last checkpoint. Holm's correction is over all rows of the
    same family: its model × task × score configurations.
    """
    known = {(r.model, r.task, r.setting, r.seed, r.epoch, r.score): r.spearman for r in correlations}
    names = list(dict.fromkeys(row.score for row in correlations))
    families: dict[Key, list[Setting]] = {}
    for setting in settings:
        name = family(setting.setting)
        if name is not None and setting.points[-1].epoch > 0:
            families.setdefault((setting.model, setting.task, name), []).append(setting)
    rows: list[Row] = []
    notes: list[str] = []
    for key, members in families.items():
        if len(members) < 2:
            continue
        left_out: dict[tuple[str, str], list[str]] = {}
        for name in names:
            compared: dict[str, Floats] = {}
            for member in members:
                rho = _last_rhos(member, name, known)
                if reason := _why_left_out(rho):
                    left_out.setdefault((member.setting, reason), []).append(name)
                else:
                    compared[member.setting] = rho
            rows.append(_row(key, name, compared))
        for (setting, reason), scores in left_out.items():
            notes.append(
                f"{' / '.join(key)}: {setting} is left out of the comparison of sample sizes for "
                f"{of_scores(scores, names)}: {reason}"
            )
    return _with_holm(rows), notes


def _last_rhos(setting: Setting, score: str, known: dict[tuple, float]) -> Floats:
    last = [run[-1] for run in setting.runs() if run[-1].epoch > 0]
    return np.array([known[setting.model, setting.task, setting.setting, *point.key, score] for point in last])


def _why_left_out(rho: Floats) -> str:
    if not np.isfinite(rho).all():
        return "no correlation at the last checkpoint of a training run"
    return "one training run" if len(rho) < 2 else ""


def _row(key: Key, score: str, compared: dict[str, Floats]) -> Row:
    model, task, setting = key
    test = one_way_anova(list(compared.values()))
    return SAMPLE_SIZE.row(
        model=model,
        task=task,
        setting=setting,
        score=score,
        settings="; ".join(compared),
        f=test.f,
        p_anova=test.p,
        p_anova_holm=float("nan"),
    )


def _with_holm(rows: Sequence[Row]) -> list[Row]:
    corrected = list(rows)
    for index in rows_by(row.setting for row in rows).values():
        for i, p in zip(index, holm([rows[i].p_anova for i in index])):
            corrected[i] = rows[i]._replace(p_anova_holm=float(p))
    return corrected
