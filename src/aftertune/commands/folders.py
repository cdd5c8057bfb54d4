"""What can be asked of a run folder: how far it is, whether its files are what was written, what nobody needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aftertune.errors import InputError
from aftertune.files.inventory import Damage
from aftertune.files.lock import Owner, writer_of
from aftertune.files.runfolder import LOG, Manifest, RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far a run is.

    Attributes
    ----------
    writer : the process that writes to it now, if any.
    measured : checkpoints that are measured; None where that is not known.
    doing : the piece of work that was begun last, while it is written to.
    left : estimate of the time until the last checkpoint is measured; None where there is nothing to estimate by.
    damaged : files that are missing or not as they were written (large files that look unchanged are not read).
    """

    manifest: Manifest
    state: str
    writer: Owner | None
    measured: int | None
    doing: str
    left: timedelta | None
    damaged: tuple[Damage, ...]


def status(run: str | Path) -> Status:
    """How far the run in a folder is; also while it runs.

    Raises
    ------
    InputError
        This is no run folder.
    """
    folder = RunFolder(Path(run))
    manifest, writer = folder.read(), writer_of(folder.root)
    events = list(_events(folder.root / LOG))
    measured, left = _progress(manifest, events)
    stages = [event["text"] for event in events if event["event"] == "stage"]
    return Status(
        manifest=manifest,
        state=folder.state(),
        writer=writer,
        measured=measured,
        doing=stages[-1] if stages and writer is not None else "",
        left=left if writer is not None else None,
        damaged=tuple(folder.damaged(thorough=False)),
    )


def _events(log: Path) -> Iterator[Mapping[str, Any]]:
    """Events since the run was begun last; a line that a killed process left half-written is passed over."""
    found: list[Mapping[str, Any]] = []
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
            at = datetime.fromisoformat(event["time"])
            found.append({**event, "time": at})
        except (ValueError, TypeError, KeyError):
            continue
    starts = [i for i, event in enumerate(found) if event["event"] == "plan"]
    yield from found[starts[-1] if starts else 0 :]


def _progress(manifest: Manifest, events: list[Mapping[str, Any]]) -> tuple[int | None, timedelta | None]:
    """Checkpoints that are measured, and the time left at the pace of those since the run was begun last."""
    plan = next((event for event in events if event["event"] == "plan"), None)
    if plan is None:
        return None, None
    done = [event["time"] for event in events if event["event"] == "checkpoint done"]
    measured = plan["done"] + len(done)
    missing = plan["checkpoints"] - measured
    if not done or missing <= 0:
        return measured, None
    each = (done[-1] - plan["time"]) / len(done)
    passed = datetime.now().astimezone() - done[-1]
    return measured, max(each * missing - passed, timedelta(0))


def verify(run: str | Path) -> list[Damage]:
    """Files of a run that are missing or not as they were written; every one is read.

    Raises
    ------
    InputError
        This is no run folder, or it was written before files were listed.
    """
    folder = RunFolder(Path(run))
    if folder.read().records is None:
        raise InputError(f"{folder.root} was written by an older aftertune, which did not list its files")
    links = [Damage(path=str(path.relative_to(folder.root)), what="is a link") for path in folder.links()]
    return [*links, *folder.damaged()]


def collect_garbage(run: str | Path, *, remove: bool = False) -> list[tuple[Path, int]]:
    """Files of a finished run that nothing needs, with their sizes in bytes: set aside, or of other settings.

    Parameters
    ----------
    remove : else they are only listed.

    Raises
    ------
    InputError
        This is no run folder, its run is not finished, or another process writes to it.
    """
    folder = RunFolder(Path(run))
    found = [(path, path.stat().st_size) for path in folder.orphans()]
    if remove and found:
        with folder.writing(folder.read().command):
            folder.remove_orphans()
    return found
