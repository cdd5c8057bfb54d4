"""Answers that a judge was asked about and gave no verdict on: told apart, in records, from those never judged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aftertune.analysis.grouping import rows_by
from aftertune.types import Records

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
