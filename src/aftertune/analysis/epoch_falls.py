"""Rows of epoch_fall.csv: which epoch-to-epoch steps are compared, and the largest fall among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from aftertune.analysis.grouping import Point, Setting, listed, of_scores
from aftertune.analysis.rhos import Rhos
from aftertune.analysis.schema import EPOCH_FALL, Row
from aftertune.analysis.transitions import Steps, having_both, whole_steps
from aftertune.stats.falls import largest_fall


def epoch_fall_rows(setting: Setting, names: Sequence[str], rhos: Rhos) -> tuple[list[Row], list[str]]:
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
        rows.append(
            EPOCH_FALL.row(
                model=setting.model,
                task=setting.task,
                setting=setting.setting,
                score=name,
                n_seeds=len(runs),
                mean=fall.mean,
                sd=fall.sd,
                worst=fall.worst,
                worst_from_epoch=at,
            )
        )
    for steps, scores in undefined.items():
        notes.append(
            f"{setting.label}: left out of the largest epoch-to-epoch fall of {of_scores(scores, names)}, because "
            f"a training run has no correlation at an end: epochs {_spans(steps)}"
        )
    return rows, notes


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
