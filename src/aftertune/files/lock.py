"""One writer for each run folder: a lock that names its owner and ends with it.

On one machine the operating system's lock (`filelock`) decides: it ends with the process. Between machines that
share a file system such locks are not to be relied on everywhere. So the owner also touches `OWNER` every few
seconds, and an owner on another machine that has not done so for `DEAD_AFTER` seconds is taken for dead.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from aftertune.errors import InputError

LOCK = ".lock"
OWNER = ".owner.json"
HEARTBEAT = 10.0
"""Seconds."""
DEAD_AFTER = 60.0
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process that writes to a folder.

    Attributes
    ----------
    since : when it began to, with the time zone.
    """

    pid: int
    host: str
    since: str

    @classmethod
    def this_process(cls) -> Owner:
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        return cls(pid=os.getpid(), host=socket.gethostname(), since=now)

    @classmethod
    def of(cls, folder: Path) -> Owner | None:
        """The owner that a folder names, dead or alive."""
        try:
            return cls(**json.loads((folder / OWNER).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def lives(self, folder: Path) -> bool:
        """Whether the process is there: looked up on this machine, by its last sign of life on another."""
        import psutil

        if self.host != socket.gethostname():
            return _seconds_since_sign_of_life(folder) < DEAD_AFTER
        try:
            begun = psutil.Process(self.pid).create_time()
        except psutil.Error:
            return False
        return begun <= datetime.fromisoformat(self.since).timestamp() + 1  # else another one has the number now

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def writer_of(folder: Path) -> Owner | None:
    """Who writes to the folder now; None where nobody does."""
    owner = Owner.of(folder)
    return owner if owner is not None and owner.lives(folder) else None


@contextmanager
def locked(folder: Path, *, wait: float = 0.0) -> Iterator[Owner | None]:
    """The folder is this process' to write to; gives the owner that died before it could give the folder back.

    Parameters
    ----------
    wait : seconds to wait for another process on this machine that writes to the folder.

    Raises
    ------
    InputError
        Another process writes to the folder.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=wait, poll_interval=0.2)
    except Timeout:
        raise _busy(folder, Owner.of(folder)) from None
    except NotImplementedError:  # a file system without locks
        pass
    try:
        owner = writer_of(folder)
        if owner is not None and (owner.host, owner.pid) != (socket.gethostname(), os.getpid()):
            raise _busy(folder, owner)  # elsewhere, or by a lock that was removed since
        died = Owner.of(folder)
        (folder / OWNER).write_text(json.dumps(asdict(Owner.this_process())) + "\n", encoding="utf-8")
        ended = threading.Event()
        beat = threading.Thread(target=_beat, args=(folder / OWNER, ended), daemon=True)
        beat.start()
        try:
            yield died
        finally:
            ended.set()
            beat.join()
            (folder / OWNER).unlink(missing_ok=True)
    finally:
        lock.release()


def _busy(folder: Path, owner: Owner | None) -> InputError:
    who = "another process" if owner is None else str(owner)
    return InputError(
        f"{folder} is being written by {who}: wait for it, stop it, or give another folder with --out"
    )


def _seconds_since_sign_of_life(folder: Path) -> float:
    """By the clock of the file system."""
    try:
        clock = folder / f".clock.{secrets.token_hex(6)}.tmp"
        clock.touch()
        now = clock.stat().st_mtime
        clock.unlink()
        return now - (folder / OWNER).stat().st_mtime
    except OSError:
        return 0.0


def _beat(file: Path, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT):
        try:
            os.utime(file)
        except OSError:
            return
