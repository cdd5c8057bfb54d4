"""What a command shows: on stderr its progress and the time left, on stdout the verdicts."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Iterable
from pathlib import Path
from shlex import quote
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.text import Text

from aftertune.measure.reporter import Reporter
from aftertune.visible import visible

if TYPE_CHECKING:
    from aftertune.commands.analyze import Result


NARROWEST = 40
"""Columns; with fewer, names would be cut."""


class _TextConsole(Console):
    """Shows what a terminal would obey, in whatever is printed."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text, keep="\n")
            yield segment if text == segment.text else Segment(text, segment.style)


def text_console(*, stderr: bool = False) -> Console:
    """A console that prints text as it stands: colons and brackets in names are no emoji and no markup."""
    console = _TextConsole(stderr=stderr, markup=False, emoji=False, highlight=False)
    console.width = max(console.width, NARROWEST)
    return console


def with_progress(work: Callable[..., Result]) -> Result:
    """Call `work` with a `reporter` that shows progress on stderr; transformers' own bars and reports are off."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    with ProgressBars(text_console(stderr=True)) as bars:
        return work(reporter=bars)


class Printed(Reporter):
    """Prints notes on stderr: for commands that are quick, and must not import torch."""

    def note(self, text: str) -> None:
        text_console(stderr=True).print(f"note: {text}", soft_wrap=True, markup=False, highlight=False)


def show_result(result: Result, *, verbose: bool = False, open_page: bool = False) -> None:
    """On stdout a screen of what there is to know, or all of it, and where to look next; the page in a browser."""
    from aftertune.files.runfolder import RunFolder
    from aftertune.report.brief import print_brief
    from aftertune.report.terminal import print_verdicts

    console = text_console()
    paths = [f"report: {result.report}", f"tables: {RunFolder(result.out).tables}"]
    more = f"more: aftertune report {quote(str(result.out))} --verbose"
    if verbose:
        print_verdicts(console, result.summary)
        for path in paths:
            console.print(visible(path), soft_wrap=True)
    else:
        print_brief(console, result.summary, [*paths, more])
    if open_page:
        _open(result.report)


def _open(page: Path) -> None:
    """Show the page in the reader's browser, or say in one line that none could be opened."""
    try:
        done = webbrowser.open(page.resolve().as_uri())
    except (webbrowser.Error, OSError) as error:
        done, why = False, f" ({error})"
    else:
        why = ""
    if not done:
        text_console(stderr=True).print(f"note: no browser could be opened{why}: open {page}", soft_wrap=True)


DECODES = (": decoding", ": dropout samples")
"""How the names of stages end that decode: a stage of one says first how many of its items are done already."""
EVERY = 60.0
"""Seconds after which a line tells how far a long stage is, where stderr is a file."""


class TimeLeft:
    """How long the checkpoints that are left will take, judged by those measured since the start, without checks.

    The first checkpoint after a restart tells nothing, since the training that leads to it may be short or long.
    From the second on, the time since the first counts. Before a checkpoint is done, each is taken to decode as
    long as this one will, by the batches that are done.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._left = self._counted = 0
        self._resumed = False
        self._since: float | None = None
        self._last = 0.0
        self._end: float | None = None
        self._before = self._began = 0.0
        self._done: int | None = None
        self._total = self._already = 0

    def plan(self, checkpoints: int, done: int) -> None:
        """So many checkpoints will be measured, `done` of them already are."""
        self._left, self._counted, self._resumed = checkpoints - done, 0, done > 0
        self._since = self._end = None
        self._before = 0.0

    def works(self) -> None:
        """Decoding or training begins or goes on."""
        if self._since is None and not self._resumed:
            self._since = self._clock()

    def decodes(self, total: int) -> None:
        """A stage begins that decodes so many items."""
        if self._done is not None:
            self._before += self._clock() - self._began
        self._began, self._done, self._total, self._already = self._clock(), None, total, 0

    def decoded(self, items: int) -> None:
        """So many more are done; the first time, so many were."""
        if self._done is None:
            self._done, self._already = 0, items
            return
        self._done += items
        if self._done:
            passed = self._clock() - self._began
            whole = passed / self._done * (self._total - self._already)
            self._end = self._clock() - passed + whole + (self._before + whole) * (self._left - 1)

    def checkpoint_done(self) -> None:
        self._left, self._last = self._left - 1, self._clock()
        self._done, self._before = None, 0.0
        if self._since is None:
            self._since = self._last
        else:
            self._counted += 1

    @property
    def is_guess(self) -> bool:
        """Whether no checkpoint is measured yet, so that only decoding is counted."""
        return not self._counted

    def seconds(self) -> int | None:
        """None where it cannot be said yet, or nothing is left."""
        if self._left < 1:
            return None
        if not self._counted or self._since is None:
            return None if self._end is None else round(max(self._end - self._clock(), 0.0))
        each = (self._last - self._since) / self._counted
        of_this = max(0.0, each - (self._clock() - self._last))
        return round(of_this + each * (self._left - 1))


def in_words(seconds: float) -> str:
    """
    >>> in_words(8), in_words(610), in_words(12365)
    ('1 min', '11 min', '3 h 27 min')
    """
    hours, minutes = divmod(int(seconds) // 60 + 1, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


class ProgressBars(Reporter):
    """Two bars on a terminal; in a file a line for each checkpoint, and for each minute without one."""

    def __init__(self, console: Console, clock: Callable[[], float] = monotonic) -> None:
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
        self.total = self._progress.add_task("checkpoints", total=None, visible=False)
        self._stage = self._progress.add_task("", total=None, visible=False)
        self._planned = self._done = 0
        self._clock = clock
        self._time_left = TimeLeft(clock)
        self._decodes = self._guessed = False
        self._told: float | None = None

    def __enter__(self) -> ProgressBars:
        if self._live:
            self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._progress.stop()

    def plan(self, checkpoints: int, done: int) -> None:
        self._planned, self._done = checkpoints, done
        self._time_left.plan(checkpoints, done)
        self._progress.update(self.total, total=checkpoints, completed=done, visible=True)
        if done == checkpoints:
            self.note(f"all {checkpoints} checkpoints are measured already")
        elif done:
            self.note(f"{done} of {checkpoints} checkpoints are measured already: going on from there")

    def stage(self, text: str, total: int) -> None:
        text = visible(text)
        self._progress.reset(self._stage, total=total, description=text, visible=True)
        self._decodes = text.endswith(DECODES)
        if text.endswith((": checking", ": scoring", ": validation")):
            return
        self._time_left.works()
        if self._decodes:
            self._time_left.decodes(total)
        if self._done == self._planned or self._is_time():
            self._tell(text)

    def advance(self, units: int) -> None:
        self._progress.advance(self._stage, units)
        if self._decodes:
            self._time_left.decoded(units)
        first = not self._guessed and self._time_left.seconds() is not None
        if first or (self._told is not None and self._is_time()):
            self._guessed = True
            stage = self._progress.tasks[self._stage]
            self._tell(f"{stage.description}, {stage.completed:g} of {stage.total or 0:g}")

    def checkpoint_done(self) -> None:
        self._done += 1
        self._time_left.checkpoint_done()
        self._progress.advance(self.total, 1)
        label = self._progress.tasks[self._stage].description.rpartition(": ")[0].removesuffix(" · validation")
        self._tell(f"{label}: measured" if label else "measured")

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

    def _is_time(self) -> bool:
        """Whether nothing was told for a while, or ever."""
        return self._told is None or self._clock() - self._told >= EVERY

    def _tell(self, text: str) -> None:
        """A line in a file; a terminal has bars."""
        if self._live:
            return
        self._told, seconds = self._clock(), self._time_left.seconds()
        guess = ", decoding alone" if self._time_left.is_guess else ""
        about = "" if seconds is None else f" (about {in_words(seconds)} left{guess})"
        self._print(f"[{self._done}/{self._planned}] {text}{about}")

    def _print(self, text: str, style: str = "") -> None:
        """Print a `Text`, in which names are no markup and no emoji, whatever console was given."""
        self._console.print(Text(visible(text), style=style), soft_wrap=True)


class _Left(TimeRemainingColumn):
    """Time left: of the checkpoints as `ProgressBars.left`, of the stage by its own speed."""

    def __init__(self, bars: ProgressBars) -> None:
        super().__init__()
        self._bars = bars

    def render(self, task: Task) -> Text:
        if task.id == self._bars.total:
            return Text(self._bars.left() or "-:--:--", style="progress.remaining")
        return super().render(task)
