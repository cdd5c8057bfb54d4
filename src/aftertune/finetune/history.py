"""What happened in a training run, epoch by epoch; kept on disk so that a run can go on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aftertune.store.atomic import atomic_write_text


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEntry:
    """One finished epoch: mean training loss (nats per target token), validation metric, wall time."""

    epoch: int
    steps: int
    loss: float | None
    learning_rate: float | None
    validation: float | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Entries of the finished epochs in order; `finished` says that no epoch will follow."""

    epochs: tuple[EpochEntry, ...] = ()
    finished: bool = False

    @property
    def last_epoch(self) -> int:
        return self.epochs[-1].epoch if self.epochs else 0

    @property
    def selected_epoch(self) -> int | None:
        """The first epoch with the highest validation metric; None where none was measured."""
        measured = [e for e in self.epochs if e.validation is not None]
        return max(measured, key=lambda e: (e.validation, -e.epoch)).epoch if measured else None

    def without_improvement(self) -> int:
        """Epochs since the validation metric last rose strictly above all before."""
        best = self.selected_epoch
        return 0 if best is None else self.last_epoch - best

    def with_epoch(self, entry: EpochEntry) -> History:
        return replace(self, epochs=(*self.epochs, entry))

    def ended(self) -> History:
        return replace(self, finished=True)


def write_history(path: Path, history: History) -> None:
    atomic_write_text(path, json.dumps(asdict(history), indent=1) + "\n")


def read_history(path: Path) -> History:
    """What `write_history` wrote; an empty history where there is no file."""
    if not path.exists():
        return History()
    content = json.loads(path.read_text(encoding="utf-8"))
    entries = tuple(EpochEntry(**entry) for entry in content["epochs"])
    return History(epochs=entries, finished=content["finished"])
