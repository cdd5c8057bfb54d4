"""Which answers count as right: labels of test and validation items at each checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aftertune.analysis.checkpoints import Point, Setting, rows_by
from aftertune.errors import InputError
from aftertune.stats.choosing import MIN_HALF, select_half
from aftertune.stats.discrimination import auroc
from aftertune.types import Floats, Records


def labels_of(records: Records, correct_at: float | None) -> tuple[Floats, list[str]]:
    """1 for a correct answer, 0 for a wrong one, NaN where it is not known; and what counts as correct, in words.

    The same for all records of a task. `correct` where one of them has it: records that lack it were not judged,
    or the judge abstained. Else quality ≥ `correct_at` if that is given. Else, unless a judge was asked and
    abstained, quality itself where it is 0 or 1 in every record that has one, and both occur, as with exact match.
    Else nothing is known.

    Returns
    -------
    labels : (m,).
    notes : one sentence for each task whose labels are not `correct`, or that does not use `correct_at`; and what
        judges abstained on.

    Raises
    ------
    InputError
        If `correct_at` is not finite.
    """
    if correct_at is not None and not np.isfinite(correct_at):
        raise InputError(f"correct_at is {correct_at}: write a quality, such as 0.5")
    labels = np.full(len(records), np.nan)
    notes: list[str] = []
    for task, rows in rows_by(records.task).items():
        found, note = _of_task(records, rows, correct_at)
        labels[rows] = found
        notes += [f"{task}: {note}"] if note else []
    return labels, [*sorted(notes), *abstention_notes(records)]


def _of_task(records: Records, rows: np.ndarray, correct_at: float | None) -> tuple[Floats, str]:
    correct, quality = records.correct[rows], records.quality[rows]
    known = np.isfinite(quality)
    if any(value is not None for value in correct):
        note = "" if correct_at is None else "the records say which answers are correct: correct_at is not used"
        return np.array([np.nan if value is None else float(value) for value in correct]), note
    if correct_at is not None:
        return np.where(known, quality >= correct_at, np.nan), f"correct means quality ≥ {correct_at:g}"
    if abstained(records.take(rows)).any():
        return np.full(len(rows), np.nan), (
            "no answer counts as correct or wrong: where the judge was asked, it abstained (--correct-at goes by "
            "quality instead)"
        )
    if np.array_equal(np.unique(quality[known]), [0.0, 1.0]):
        return quality, "correct means quality 1: no record says `correct`, and quality is 0 or 1 everywhere"
    return np.full(len(rows), np.nan), ""


def left_out_note(label: str, n: int, most: int) -> Iterator[str]:
    """One sentence on test items that have no label, `most` of `n` at some checkpoint."""
    if most:
        up_to = f"all {n}" if most == n else f"up to {most} of {n}"
        yield (
            f"{label}: at a checkpoint {up_to} answers are neither correct nor wrong (not judged, abstained on, "
            "or without quality): left out of AUROC, percentages and review"
        )


ABSTENTION = "abstention"
"""Field of records: why the judge gave no verdict; absent or null where it gave one, and where none was asked."""


def abstained(records: Records) -> np.ndarray:
    """(m,) whether a judge abstained: there is a text that says why, and no `correct`."""
    why = records.extra.get(ABSTENTION, np.full(len(records), None, dtype=object))
    return np.array([isinstance(w, str) and c is None for w, c in zip(why, records.correct)], dtype=bool)


def abstention_notes(records: Records) -> Iterator[str]:
    """One sentence for each model, task, setting and split in which a judge abstained, by these names.

    With how many answers at each checkpoint where it did, and why on the first item of the first of these.
    """
    silent = abstained(records)
    if not silent.any():
        return
    reasons = records.extra[ABSTENTION].tolist()
    groups = rows_by(zip(records.model, records.task, records.setting, records.split))
    for (model, task, setting, split), rows in sorted(groups.items()):
        rows = rows[np.lexsort((records.item_id[rows].astype(str), records.epoch[rows], records.seed[rows]))]
        where = rows[silent[rows]]
        if len(where):
            label = " / ".join([model, task] + ([setting] if setting != "default" else []))
            counts = "; ".join(_counts(records, silent, rows))
            why = " ".join(reasons[where[0]].split())
            yield f"{label}, {split} items: the judge abstained on {counts}; for example, {why}"


def _counts(records: Records, silent: np.ndarray, rows: np.ndarray) -> Iterator[str]:
    """ "3 of 40 answers at epoch 0, all 40 at epoch 1" for each seed, which is named where there are several."""
    several = len(np.unique(records.seed[rows])) > 1
    for seed, at_seed in rows_by(records.seed[rows].tolist()).items():
        found = []
        for epoch, at in rows_by(records.epoch[rows[at_seed]].tolist()).items():
            n, all_of_them = int(silent[rows[at_seed][at]].sum()), len(at)
            if n:
                noun = "" if found else f" answer{'s' * (all_of_them != 1)}"
                share = f"all {n:,}" if n == all_of_them else f"{n:,} of {all_of_them:,}"
                found.append(f"{share}{noun} at epoch {epoch:g}")
        if found:
            yield ", ".join(found) + (f" (seed {seed})" if several else "")


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
    """One checkpoint.

    Attributes
    ----------
    test : on the axis of the setting's items.
    select : validation items that choose a score, by item id; none where the setting's are not cut in two.
    calibrate : validation items that maps and thresholds are fitted on, by item id.
    """

    point: Point
    test: Split
    select: Split
    calibrate: Split

    @property
    def why_no_validation(self) -> str:
        """Why nothing can be fitted; "" where there are labels."""
        if not len(self.calibrate.label):
            return NO_VALIDATION
        return "" if np.isfinite(self.calibrate.label).any() else "no validation answer is judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSetting:
    """All checkpoints of a setting with labels, by seed and epoch.

    Attributes
    ----------
    cut : whether validation items are cut in two (`choosing.select_half`).
    """

    setting: Setting
    points: Mapping[tuple[int, float], JudgedPoint]
    cut: bool

    def at(self, point: Point) -> JudgedPoint:
        return self.points[point.key]

    def labelled(self, point: Point) -> Point:
        """The checkpoint with labels in the place of quality."""
        return replace(point, quality=self.at(point).test.label)


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
    """`labels` are those of the records (`labels_of`).

    Validation items are cut in two where there is a choice between scores and at least 2 · `MIN_HALF` of them have
    a label at some checkpoint of every run that has any. Items of one `group` are in the same half.
    """
    rows_of, labelled = {}, {}
    for point in setting.points:
        key = setting.model, setting.task, setting.setting, *point.key
        rows = rows_of[point.key] = validation.get(key, np.array([], dtype=int))
        known = records.item_id[rows[np.isfinite(labels[rows])]]
        labelled.setdefault(point.seed, set()).update(known.tolist())
    n = min((len(ids) for ids in labelled.values() if ids), default=0)
    cut = len(records.scores) > 1 and n >= 2 * MIN_HALF
    groups = records.extra.get("group", np.full(len(records), None, dtype=object))

    def split(rows: np.ndarray) -> Split:
        return Split(label=labels[rows], scores={name: values[rows] for name, values in records.scores.items()})

    points = {}
    for point in setting.points:
        rows = rows_of[point.key]
        units = [str(records.item_id[row] if groups[row] is None else groups[row]) for row in rows]
        chooses = select_half(units) if cut else np.zeros(len(rows), dtype=bool)
        points[point.key] = JudgedPoint(
            point=point,
            test=Split(label=np.where(point.row >= 0, labels[point.row], np.nan), scores=point.scores),
            select=split(rows[chooses]),
            calibrate=split(rows[~chooses]),
        )
    return JudgedSetting(setting=setting, points=points, cut=cut)


def by_auroc(splits: Sequence[Split], names: Sequence[str]) -> list[str]:
    """Scores by their mean AUROC over `splits`, best first, ties by name.

    Of few items one AUROC is noisy, and the best of many scores is the luckiest as well. So `splits` are of both
    ends of each training run: twice the labels, and a score that is reversed before fine-tuning is not taken for
    what it happens to show after it. Those in which no score has an AUROC (all answers are right, or wrong) do not
    count; a score that lacks it in one of the others is left out.
    """
    found = np.array([[auroc(*split.of(name)) for name in names] for split in splits])
    found = found.reshape(len(splits), len(names))
    used = found[np.isfinite(found).any(axis=1)]
    means = dict(zip(names, used.mean(axis=0).tolist() if len(used) else ()))
    return sorted((name for name in means if np.isfinite(means[name])), key=lambda name: (-means[name], name))
