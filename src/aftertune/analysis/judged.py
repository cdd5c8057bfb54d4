"""Test and validation items of a checkpoint that have a label and a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.analysis.grouping import Point, Setting
from aftertune.errors import InputError
from aftertune.stats.discrimination import auroc
from aftertune.types import Floats, Records

NO_VALIDATION = "no validation rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Labels (n,) and scores (n,) of one split at one checkpoint; NaN where not known."""

    label: Floats
    scores: Mapping[str, Floats]

    def having(self, score: str) -> np.ndarray:
        """Mask of the items that have a label and this score."""
        return np.isfinite(self.label) & np.isfinite(self.scores[score])

    def of(self, score: str) -> tuple[Floats, Floats]:
        """Confidence and label of those."""
        used = self.having(score)
        return self.scores[score][used], self.label[used]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPoint:
    """One checkpoint; `test` is on the axis of the setting's items, `validation` in the order of item ids."""

    point: Point
    test: Split
    validation: Split

    @property
    def why_no_validation(self) -> str:
        """Why nothing can be fitted; "" where there are labels."""
        if not len(self.validation.label):
            return NO_VALIDATION
        return "" if np.isfinite(self.validation.label).any() else "no validation answer is judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSetting:
    """All checkpoints of a setting with labels, by seed and epoch."""

    setting: Setting
    points: Mapping[tuple[int, float], JudgedPoint]

    def at(self, point: Point) -> JudgedPoint:
        return self.points[point.key]


Validation = Mapping[tuple[str, str, str, int, float], np.ndarray]
"""Model, task, setting, seed and epoch → rows of validation items, by item id."""


def validation_rows(records: Records) -> Validation:
    """
    Raises
    ------
    InputError
        If an item occurs twice at one checkpoint or has an infinite score.
    """
    found: dict[tuple[str, str, str, int, float], list[int]] = {}
    for row in np.flatnonzero(records.split == "validation").tolist():
        key = records.model[row], records.task[row], records.setting[row]
        found.setdefault((*key, int(records.seed[row]), float(records.epoch[row])), []).append(row)
    ordered = {key: np.array(sorted(rows, key=lambda row: records.item_id[row])) for key, rows in found.items()}
    for (model, task, setting, seed, epoch), rows in ordered.items():
        where = f"{model} / {task} / {setting}, seed {seed}, epoch {epoch:g}, validation"
        ids = records.item_id[rows]
        twice = np.flatnonzero(ids[1:] == ids[:-1])
        if len(twice):
            raise InputError(f"{where}: item {ids[twice[0]]!r} occurs twice; keep one record of it")
        for name, values in records.scores.items():
            if np.isinf(values[rows]).any():
                item = ids[int(np.argmax(np.isinf(values[rows])))]
                raise InputError(f"{where}: {name} of item {item!r} is infinite; leave it undefined (NaN)")
    return ordered


def judged_setting(records: Records, labels: Floats, setting: Setting, validation: Validation) -> JudgedSetting:
    """`labels` are those of the records (`correctness.labels_of`)."""
    points = {}
    for point in setting.points:
        key = setting.model, setting.task, setting.setting, *point.key
        rows = validation.get(key, np.array([], dtype=int))
        points[point.key] = JudgedPoint(
            point=point,
            test=Split(label=np.where(point.row >= 0, labels[point.row], np.nan), scores=point.scores),
            validation=Split(
                label=labels[rows], scores={name: values[rows] for name, values in records.scores.items()}
            ),
        )
    return JudgedSetting(setting=setting, points=points)


def by_validation(points: Sequence[JudgedPoint], names: Sequence[str]) -> list[str]:
    """Scores by their mean AUROC on the validation items of all `points`, best first, ties by name.

    Of few items one AUROC is noisy, and the best of many scores is the luckiest as well. So `points` are both ends
    of each training run: twice the labels, and a score that is reversed before fine-tuning is not taken for what
    it happens to show after it. Points at which no score has an AUROC (all answers are right, or wrong) do not
    count; a score that lacks it at one of the others is left out.
    """
    found = np.array([[auroc(*p.validation.of(name)) for name in names] for p in points])
    found = found.reshape(len(points), len(names))
    used = found[np.isfinite(found).any(axis=1)]
    means = dict(zip(names, used.mean(axis=0).tolist() if len(used) else ()))
    return sorted((name for name in means if np.isfinite(means[name])), key=lambda name: (-means[name], name))
