"""Progress on the terminal: checkpoints with the time left, and the work at hand. To stderr."""

from __future__ import annotations

from time import monotonic
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class ProgressBars:
    """Two bars on a terminal; one line per stage where stderr is a file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._total = self._progress.add_task("checkpoints", total=None, visible=False)
        self._stage = self._progress.add_task("", total=None, visible=False)
        self._planned = self._done = self._done_before = 0
        self._started = monotonic()

    def __enter__(self) -> ProgressBars:
        if self._live:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._progress.stop()

    def plan(self, checkpoints: int, done: int) -> None:
        self._planned, self._done, self._done_before = checkpoints, done, done
        self._started = monotonic()
        self._progress.update(self._total, total=checkpoints, completed=done, visible=True)
        if done == checkpoints:
            self.note(f"all {checkpoints} checkpoints are measured already")
        elif done:
            self.note(f"{done} of {checkpoints} checkpoints are measured already: going on from there")

    def stage(self, text: str, total: int) -> None:
        self._progress.reset(self._stage, total=total, description=text, visible=True)
        if not self._live and not text.endswith((": checking", ": scoring", ": validation")):
            line = f"[{self._done}/{self._planned}] {text}{self._time_left()}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def advance(self, units: int) -> None:
        self._progress.advance(self._stage, units)

    def checkpoint_done(self) -> None:
        self._done += 1
        self._progress.advance(self._total, 1)

    def note(self, text: str) -> None:
        self._console.print(f"note: {text}", style="dim", markup=False, highlight=False, soft_wrap=True)

    def _time_left(self) -> str:
        done, left = self._done - self._done_before, self._planned - self._done
        if done < 1 or left < 1:
            return ""
        seconds = round((monotonic() - self._started) / done * left)
        return f"  (about {seconds // 60}:{seconds % 60:02d} left)"
