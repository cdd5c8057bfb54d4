"""Which answers count as correct: the label of each record."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aftertune.analysis.abstentions import abstained, abstention_notes
from aftertune.analysis.grouping import rows_by
from aftertune.errors import InputError
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
