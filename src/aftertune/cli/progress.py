"""Progress on the terminal: checkpoints with the time left, and the work at hand. To stderr."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from aftertune.cli.time_left import TimeLeft


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
            _Left(self),
            console=console,
            transient=True,
        )
        self._total = self._progress.add_task("checkpoints", total=None, visible=False)
        self._stage = self._progress.add_task("", total=None, visible=False)
        self._planned = self._done = 0
        self._time_left = TimeLeft()

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
        self._planned, self._done = checkpoints, done
        self._time_left.plan(checkpoints, done)
        self._progress.update(self._total, total=checkpoints, completed=done, visible=True)
        if done == checkpoints:
            self.note(f"all {checkpoints} checkpoints are measured already")
        elif done:
            self.note(f"{done} of {checkpoints} checkpoints are measured already: going on from there")

    def stage(self, text: str, total: int) -> None:
        self._progress.reset(self._stage, total=total, description=text, visible=True)
        if text.endswith((": checking", ": scoring", ": validation")):
            return
        self._time_left.works()
        if not self._live:
            left = self.left()
            about = f"  (about {left} left)" if left else ""
            self._print(f"[{self._done}/{self._planned}] {text}{about}")

    def advance(self, units: int) -> None:
        self._progress.advance(self._stage, units)

    def checkpoint_done(self) -> None:
        self._done += 1
        self._time_left.checkpoint_done()
        self._progress.advance(self._total, 1)

    def note(self, text: str) -> None:
        self._print(f"note: {text}", style="dim")

    def left(self) -> str:
        """Time for the checkpoints that are left: 12:05, 3:12:05; "" where it is not known."""
        seconds = self._time_left.seconds()
        if seconds is None:
            return ""
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"

    def is_total(self, task: Task) -> bool:
        return task.id == self._total

    def _print(self, text: str, style: str = "") -> None:
        """As a Text: names are no markup and no emoji, whatever the console makes of strings."""
        self._console.print(Text(text, style=style), soft_wrap=True)


class _Left(TimeRemainingColumn):
    """For checkpoints the same as is printed; for the work at hand by its own speed."""

    def __init__(self, bars: ProgressBars) -> None:
        super().__init__()
        self._bars = bars

    def render(self, task: Task) -> Text:
        if self._bars.is_total(task):
            return Text(self._bars.left() or "-:--:--", style="progress.remaining")
        return super().render(task)
