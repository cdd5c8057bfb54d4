"""What long work tells while it runs; the command line draws it, the Python API is silent by default."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    def plan(self, checkpoints: int, done: int) -> None:
        """So many checkpoints will be measured, `done` of them already are."""
        ...

    def stage(self, text: str, total: int) -> None:
        """A piece of work with `total` units starts."""
        ...

    def advance(self, units: int) -> None: ...

    def checkpoint_done(self) -> None: ...

    def note(self, text: str) -> None:
        """One sentence for the reader, worth keeping on the screen."""
        ...


class Silent:
    """Tells nothing."""

    def plan(self, checkpoints: int, done: int) -> None:
        return

    def stage(self, text: str, total: int) -> None:
        return

    def advance(self, units: int) -> None:
        return

    def checkpoint_done(self) -> None:
        return

    def note(self, text: str) -> None:
        return
