"""The fine-tuning protocol: how a model is trained, how long, and what happened.

A run's history is kept on disk, so that it can go on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aftertune.errors import InputError
from aftertune.files.atomic import atomic_write_text


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraOptions:
    """Low-rank adapters (Hu et al. 2022) through peft; the base weights stay as they are."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.05
    target_modules: Sequence[str] = "all-linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneOptions:
    """How a model is fine-tuned; the defaults are the paper's. How long it goes on is a `Schedule`.

    Attributes
    ----------
    learning_rate : constant, without warm-up.
    lora : adapters instead of all weights, or None.
    too_long : training items that do not fit the context: "error", "truncate" (the prompt), or "drop".
    """

    batch_size: int = 8
    learning_rate: float = 5e-5
    lora: LoraOptions | None = None
    too_long: str = "error"
    chat: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointEntry:
    """The end of an epoch, or a step inside one at which something was measured.

    Attributes
    ----------
    epoch : passes over the training items; a fraction inside an epoch.
    steps : optimiser steps from the beginning.
    loss : mean training loss (nats per target token) since the entry before.
    validation : metric on the validation items; None where it was not measured.
    seconds : wall time of training since the entry before, measuring not counted.
    """

    epoch: float
    steps: int
    loss: float | None
    learning_rate: float | None
    validation: float | None
    seconds: float

    @property
    def ends_epoch(self) -> bool:
        return float(self.epoch).is_integer()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The entries of a training, in order."""

    checkpoints: tuple[CheckpointEntry, ...] = ()

    @property
    def last_epoch(self) -> float:
        return self.checkpoints[-1].epoch if self.checkpoints else 0

    @property
    def last_step(self) -> int:
        return self.checkpoints[-1].steps if self.checkpoints else 0

    def at_step(self, steps: int) -> CheckpointEntry | None:
        return next((entry for entry in self.checkpoints if entry.steps == steps), None)

    def with_entry(self, entry: CheckpointEntry) -> History:
        return replace(self, checkpoints=(*self.checkpoints, entry))

    def until_step(self, steps: int) -> History:
        return replace(self, checkpoints=tuple(entry for entry in self.checkpoints if entry.steps <= steps))


def write_history(path: Path, history: History) -> None:
    atomic_write_text(path, json.dumps(asdict(history), indent=1) + "\n")


def read_history(path: Path) -> History:
    """What `write_history` wrote; an empty history where there is no file."""
    if not path.exists():
        return History()
    content = json.loads(path.read_text(encoding="utf-8"))
    return History(checkpoints=tuple(CheckpointEntry(**entry) for entry in content["checkpoints"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """Stop when the validation metric has not risen, strictly, for `patience` epochs, or after `epochs`.

    With `patience` None all epochs are trained, and the best of them is selected.
    """

    epochs: int = 200
    patience: int | None = 2

    def follow(self, history: History) -> tuple[CheckpointEntry | None, bool]:
        """The best epoch so far, the first of equals; and whether it is final.

        Epochs after the one at which training would have stopped do not count, nor do checkpoints inside an
        epoch. An epoch whose validation metric was not measured leaves the rest open.
        """
        best: CheckpointEntry | None = None
        for entry in (entry for entry in history.checkpoints if entry.ends_epoch):
            if entry.validation is None:
                return best, False
            if best is None or best.validation is None or entry.validation > best.validation:
                best = entry
            waited = self.patience is not None and entry.epoch - best.epoch >= self.patience
            if waited or entry.epoch >= self.epochs:
                return best, True
        return best, False

    @property
    def fewest_epochs(self) -> int:
        """Epochs that are trained at least."""
        return self.epochs if self.patience is None else min(self.epochs, self.patience + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Checkpoints to visit: every epoch until early stopping has decided, these epochs, and these steps.

    Training goes on until all of them are reached.
    """

    early: EarlyStopping | None = None
    epochs: frozenset[int] = frozenset()
    steps: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.early is None and not self.epochs and not self.steps:
            raise InputError("nothing to train for: no early stopping, no epochs and no steps")
        if min((1, *self.epochs, *self.steps)) < 1:
            raise InputError("checkpoints to visit are counted from epoch 1 and step 1")

    def selected(self, history: History) -> CheckpointEntry | None:
        """The epoch that early stopping chose; None without early stopping, or while it is undecided."""
        if self.early is None:
            return None
        best, decided = self.early.follow(history)
        return best if decided else None

    def is_undecided(self, history: History) -> bool:
        return self.early is not None and not self.early.follow(history)[1]

    def is_over(self, history: History) -> bool:
        return (
            not self.is_undecided(history)
            and history.last_epoch >= max(self.epochs, default=0)
            and history.last_step >= max(self.steps, default=0)
        )

    def visits_epoch(self, history: History, epoch: int, step: int) -> bool:
        """Whether the checkpoint at the end of an epoch, the one after those of `history`, is visited."""
        return epoch in self.epochs or step in self.steps or self.is_undecided(history)

    def most_epochs(self, steps_per_epoch: int) -> int:
        """Epochs that are begun at most."""
        by_steps = -(-max(self.steps, default=0) // steps_per_epoch)
        return max(0 if self.early is None else self.early.epochs, by_steps, *self.epochs, 0)
