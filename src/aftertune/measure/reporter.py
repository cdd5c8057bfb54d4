"""What long work tells while it runs."""

from __future__ import annotations


class Reporter:
    """Tells nothing: the Python API is silent by default. The command line draws progress (`ProgressBars`)."""

    def plan(self, checkpoints: int, done: int) -> None:
        """So many checkpoints will be measured, `done` of them already are."""

    def stage(self, text: str, total: int) -> None:
        """A piece of work with `total` units starts."""

    def advance(self, units: int) -> None:
        """So many units of it are done."""

    def checkpoint_done(self) -> None:
        """One more checkpoint is measured."""

    def note(self, text: str) -> None:
        """One sentence for the reader, worth keeping on the screen."""
