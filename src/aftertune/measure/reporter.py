"""What long work tells while it runs."""

from __future__ import annotations

from collections.abc import Callable


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


class Logged(Reporter):
    """Tells another reporter, and keeps in a log what began when.

    Parameters
    ----------
    log : of an event and its details, such as `RunFolder.log`.
    """

    def __init__(self, reporter: Reporter, log: Callable[..., None]) -> None:
        self._to, self._log = reporter, log

    def plan(self, checkpoints: int, done: int) -> None:
        self._log("plan", checkpoints=checkpoints, done=done)
        self._to.plan(checkpoints, done)

    def stage(self, text: str, total: int) -> None:
        self._log("stage", text=text, total=total)
        self._to.stage(text, total)

    def advance(self, units: int) -> None:
        self._to.advance(units)

    def checkpoint_done(self) -> None:
        self._log("checkpoint done")
        self._to.checkpoint_done()

    def note(self, text: str) -> None:
        self._log("note", text=text)
        self._to.note(text)
