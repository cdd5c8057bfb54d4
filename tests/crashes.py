"""Commands in processes of their own, forked from one that has imported everything: a command costs no start.

A process can be killed before any of its file operations, stopped after some time, or run with less of a machine.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRELOADED = (
    "crashes",
    "aftertune.cli.progress",
    "aftertune.commands.audit",
    "aftertune.commands.run",
    "aftertune.report.figures",
    "aftertune.report.terminal",
    "httpx",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "openai",
    "peft",
    "pyarrow.parquet",
    "scipy.stats",
    "transformers.models.t5.modeling_t5",
)
LONGEST = 120.0
"""Seconds that a command may take."""

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(list(PRELOADED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a command: exit code (minus the signal that ended it), what it printed, operations."""

    code: int
    text: str
    operations: int

    @property
    def line(self) -> str:
        """The last line."""
        return self.text.strip().rpartition("\n")[2]


@dataclass(kw_only=True)
class Command:
    """A command that runs."""

    process: Any
    output: Path
    pid: int

    @property
    def runs(self) -> bool:
        return self.process.is_alive()

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.runs:
            os.kill(self.pid, number)

    def end(self) -> Done:
        """Wait for it."""
        self.process.join(LONGEST)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"still runs after {LONGEST} s: {self.output.read_text()}")
        count = self.output.with_suffix(".count")
        done = Done(
            code=self.process.exitcode,
            text=self.output.read_text(encoding="utf-8") if self.output.exists() else "",
            operations=int(count.read_text()) if count.exists() else 0,
        )
        self.process.close()
        self.output.unlink(missing_ok=True)
        count.unlink(missing_ok=True)
        return done


_numbers = iter(range(10**9))


def start(
    arguments: Sequence[object],
    logs: Path,
    *,
    root: Path | None = None,
    die_before: int | None = None,
    first: Callable[[], None] | None = None,
) -> Command:
    """Begin ``aftertune ARGUMENTS``.

    Parameters
    ----------
    logs : folder for what it prints.
    root : folder whose file operations count.
    die_before : number of the operation below `root`, from 1, before which the process kills itself.
    first : called in the process before the command.
    """
    output = logs / f"{os.getpid()}-{next(_numbers)}.txt"
    work = ([str(one) for one in arguments], output, root, die_before, first)
    process = _forks.Process(target=_child, args=work)
    process.start()
    return Command(process=process, output=output, pid=process.pid)


def command(arguments: Sequence[object], logs: Path, **how: Any) -> Done:
    """`start`, and wait for the end."""
    return start(arguments, logs, **how).end()


def _child(
    arguments: list[str], output: Path, root: Path | None, die_before: int | None, first: Callable[[], None] | None
) -> None:
    import torch

    torch.set_num_threads(1)
    target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for descriptor in (1, 2):
        os.dup2(target, descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["aftertune", *arguments]
    os.environ |= {"OPENAI_API_KEY": "none", "AFTERTUNE_JUDGE_KEY": "none"}
    count = [0]
    if root is not None:
        _count(root, count, die_before)
    if first is not None:
        first()
    from aftertune.cli.main import run

    try:
        run()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if root is not None:
            output.with_suffix(".count").write_text(str(count[0]))


_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def _count(root: Path, count: list[int], die_before: int | None) -> None:
    """Count what Python is about to do below `root`: it tells its hooks before it does."""
    begin, fsync = str(root), os.fsync

    def operation() -> None:
        count[0] += 1
        if count[0] == die_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES:
            changes = True
        elif event == "open":
            changes = bool(arguments[2] & _WRITES)
        else:
            return
        path = arguments[0]
        if changes and isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(begin):
            operation()

    def counted(descriptor: int) -> None:
        operation()
        fsync(descriptor)

    os.fsync = counted
    sys.addaudithook(hook)
