"""Rows of sample_size.csv: settings that differ in the number of training items alone, compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aftertune.analysis.grouping import Setting, of_scores, rows_by
from aftertune.analysis.schema import SAMPLE_SIZE, Row
from aftertune.setting_names import family
from aftertune.stats.change import one_way_anova
from aftertune.stats.verdict import holm
from aftertune.types import Floats

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
