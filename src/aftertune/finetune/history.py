"""What happened in a training run, checkpoint by checkpoint; kept on disk so that a run can go on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aftertune.files.atomic import atomic_write_text


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


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Entries in order."""

    checkpoints: tuple[CheckpointEntry, ...] = ()

    @property
    def last_epoch(self) -> float:
        return self.checkpoints[-1].epoch if self.checkpoints else 0

    @property
    def last_step(self) -> int:
        return self.checkpoints[-1].steps if self.checkpoints else 0

    def whole_epochs(self) -> list[CheckpointEntry]:
        return [entry for entry in self.checkpoints if float(entry.epoch).is_integer()]

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
