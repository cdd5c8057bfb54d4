"""Which files belong to a run: the size and SHA-256 of each, so that nothing is altered unnoticed.

The list stands in run.json. What was written since is in a journal beside it, one line a file, written before the
file takes its name: a process may be killed between any two steps. `atomic_path` fills the journal of every
folder that is open (`opened`).
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aftertune.files.hashes import remembered_sha256, sha256_of

JOURNAL = "files.jsonl"


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Content:
        return cls(path.stat().st_size, sha256_of(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A file that is not as it was written.

    Attributes
    ----------
    path : relative to the run folder, with "/".
    what : "missing", or how it differs.
    """

    path: str
    what: str


class Inventory:
    """The files of one run folder.

    A file is as it was written if it holds what any line says that was written since the file was last removed:
    the line of a file that was about to be replaced when the process was killed comes before the file itself. So
    a file of the last lines (several of one folder get their names at once) may never have been there.
    """

    def __init__(self, root: Path, listed: Mapping[str, Content]) -> None:
        self.root = root
        self._contents = {path: [content] for path, content in listed.items()}
        self._last: list[str] = []
        self._writing = threading.RLock()  # judges are asked by several threads
        self._read_journal()

    def paths(self) -> list[str]:
        return sorted(self._contents)

    def __contains__(self, path: str) -> bool:
        return path in self._contents

    def listed(self) -> dict[str, Content]:
        """Path → its last content."""
        return {path: self._contents[path][-1] for path in self.paths()}

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def add(self, name: str, content: Content) -> None:
        """Note that the file is about to hold this."""
        with self._writing:
            if self._contents.get(name, [None])[-1] != content:
                self._contents.setdefault(name, []).append(content)
                self._append({"path": name, "size": content.size, "sha256": content.sha256})

    def remove(self, name: str) -> None:
        """Note that the file is not the run's any more."""
        with self._writing:
            if self._contents.pop(name, None) is not None:
                self._append({"path": name, "removed": True})

    def remove_below(self, folder: str) -> None:
        """The same of all files in a folder."""
        for name in [name for name in self._contents if name.startswith(f"{folder}/")]:
            self.remove(name)

    def damaged(self, names: Iterable[str] | None = None, *, thorough: bool = False) -> Iterator[Damage]:
        """Files that are missing or not as they were written.

        Parameters
        ----------
        names : the files to look at; None for all.
        thorough : read large files whose times say that they did not change, too.
        """
        digest = sha256_of if thorough else remembered_sha256
        for name in self.paths() if names is None else names:
            path, contents = self.root / name, self._contents[name]
            try:
                size = path.stat().st_size
                if size not in {content.size for content in contents}:
                    yield Damage(path=name, what=f"has {size:,} bytes instead of {contents[-1].size:,}")
                elif digest(path) not in {content.sha256 for content in contents}:
                    yield Damage(path=name, what="is not what was written: its SHA-256 differs")
            except FileNotFoundError:
                if name not in self.never_there():
                    yield Damage(path=name, what="is missing")
            except OSError as error:
                yield Damage(path=name, what=f"cannot be read: {error.strerror}")

    def never_there(self) -> list[str]:
        """Files that a killed process was about to give their names."""
        once = (name for name in self._last if len(self._contents.get(name, ())) == 1)
        return [name for name in once if not (self.root / name).exists()]

    def fold(self) -> None:
        """Forget the journal: run.json has just been written with all of it."""
        (self.root / JOURNAL).unlink(missing_ok=True)

    def _append(self, line: Mapping[str, Any]) -> None:
        # The line feed before it ends a line that a killed process left half-written.
        with (self.root / JOURNAL).open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(line, ensure_ascii=False) + "\n")

    def _read_journal(self) -> None:
        try:
            lines = (self.root / JOURNAL).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        for line in lines:
            try:
                entry = json.loads(line)
                name = entry["path"]
                if entry.get("removed"):
                    self._contents.pop(name, None)
                else:
                    self._contents.setdefault(name, []).append(Content(entry["size"], entry["sha256"]))
                    room = name.partition("/")[0]
                    self._last = [*(one for one in self._last if one.partition("/")[0] == room), name]
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # half a line, by a process that was killed


_open: dict[Path, Inventory] = {}
_NOT_LISTED = re.compile(r"run\.json|run\.backup\.json|training/[^/]*/state/.*", re.DOTALL)
"""The lists themselves, and states of a training, which have lists of their own."""


@contextmanager
def opened(inventory: Inventory) -> Iterator[None]:
    """What is written below the folder until the end of the block goes into its inventory."""
    root = inventory.root.resolve()
    _open[root] = inventory
    try:
        yield
    finally:
        _open.pop(root, None)


def note_content(path: Path, written: Path) -> None:
    """Say to the open inventory, if any, that `path` is about to be what is written at `written`."""
    for root, inventory in _open.items():
        if path.resolve().is_relative_to(root):
            name = path.resolve().relative_to(root).as_posix()
            if not _NOT_LISTED.fullmatch(name):
                inventory.add(name, Content.of(written))


def check_is_there(path: Path) -> None:
    """Refuse to write into an open run folder that has vanished: what is written would lie there alone."""
    for root in _open:
        if not root.exists() and path.resolve().is_relative_to(root):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(root))


def note_removal(path: Path) -> None:
    """Say to the open inventory, if any, that a file, or a folder with all that is in it, is about to go."""
    for root, inventory in _open.items():
        if path.resolve().is_relative_to(root):
            name = path.resolve().relative_to(root).as_posix()
            inventory.remove(name)
            inventory.remove_below(name)
