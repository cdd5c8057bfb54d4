"""What settings and checkpoints are called, and rows of tables picked by them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from aftertune.analysis.checkpoints import is_at
from aftertune.analysis.schema import Row

Key = tuple[str, str, str]
"""Model, task and setting."""

K = TypeVar("K", bound=Hashable)

CHECKPOINT_NAMES = {
    "before": "before fine-tuning",
    "epoch_1": "epoch 1",
    "selected": "selected checkpoint",
    "last": "last checkpoint",
}


PARTIAL = "PARTIAL: "
"""How the note begins of a run that is not at its end."""


def group_name(model: str, task: str, setting: str) -> str:
    """
    >>> group_name("llama", "squad", "default"), group_name("llama", "squad", "n=500")
    ('llama on squad', 'llama on squad (n=500)')
    """
    return f"{model} on {task}" + ("" if setting == "default" else f" ({setting})")


def at(checkpoint: str) -> str:
    """
    >>> at("before"), at("epoch_1"), at("selected")
    ('before fine-tuning', 'at epoch 1', 'at the selected checkpoint')
    """
    name = CHECKPOINT_NAMES.get(checkpoint, checkpoint)
    if checkpoint == "before":
        return name
    return f"at the {name}" if checkpoint in ("selected", "last") else f"at {name}"


def key_of(row: Row) -> Key:
    """Model, task and setting of the row."""
    return row.model, row.task, row.setting


def grouped(rows: Iterable[Row], key: Callable[[Row], K]) -> dict[K, list[Row]]:
    """Key → its rows, both in order of appearance."""
    found: dict[K, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def at_checkpoint(rows: Sequence[Row], checkpoint: str) -> list[Row]:
    """The rows at the checkpoint of that name in their training run; `rows` are of one setting."""
    last = _last_epochs(rows)
    return [row for row in rows if is_at(row, checkpoint, last[row.seed])]


def at_the_end(rows: Sequence[Row]) -> list[Row]:
    """The rows at the last epoch of their training run, whichever it is; `rows` are of one setting."""
    last = _last_epochs(rows)
    return [row for row in rows if row.epoch == last[row.seed]]


def _last_epochs(rows: Sequence[Row]) -> dict[int, float]:
    return {seed: max(row.epoch for row in run) for seed, run in grouped(rows, lambda row: row.seed).items()}


def decisive(rows: Iterable[Row]) -> Row:
    """The row of one change that counts: over training runs where that is defined, else for these models.

    Of change.csv, `rows` are of one effect; the prediction of a new run is none of them.
    """
    rows = [row for row in rows if row.ci_scope != "new_run"]
    return min(rows, key=lambda row: (math.isnan(row.ci_low), row.ci_scope != "training"))
