"""How long a training run goes on, and at which of its checkpoints something is to be done."""

from __future__ import annotations

from dataclasses import dataclass

from aftertune.errors import InputError
from aftertune.finetune.history import CheckpointEntry, History


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """Stop when the validation metric has not risen, strictly, for `patience` epochs, or after `epochs`.

    With `patience` None all epochs are trained, and the best of them is selected.
    """

    epochs: int = 200
    patience: int | None = 2

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError("early stopping: epochs must be at least 1")
        if self.patience is not None and self.patience < 1:
            raise InputError("early stopping: patience must be at least 1, or null for none")

    def follow(self, history: History) -> tuple[CheckpointEntry | None, bool]:
        """The best epoch so far, the first of equals; and whether it is final.

        Epochs after the one at which training would have stopped do not count, nor do checkpoints inside an
        epoch. An epoch whose validation metric was not measured leaves the rest open.
        """
        best: CheckpointEntry | None = None
        for entry in history.whole_epochs():
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
