"""Files that are either there and whole, or not there: write beside the target, then rename over it."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aftertune.files.inventory import check_is_there, note_content, note_removal

TEMPORARY = re.compile(r"\..*\.[0-9a-f]{12}\.tmp(\..*)?", re.DOTALL)
"""Names of what is being written; what a killed process left under such a name is litter."""


def readable(text: str, most: int = 80) -> str:
    """A name made fit for a part of a file's name: of `most` bytes, without what file systems may not take.

    >>> readable("my model/v2"), len(readable("字" * 40).encode())
    ('my_model_v2', 78)
    """
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in text).lstrip(".")
    return kept.encode()[:most].decode(errors="ignore")


def distinct(text: str) -> str:
    """As `readable`; what is not the name itself ends in a digest of it, so that two names stay two.

    >>> distinct("c_d"), distinct("c/d")
    ('c_d', 'c_d-e5fb6071')
    """
    kept = readable(text)
    return kept if kept == text else f"{kept}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder and with the same suffix; it becomes `path` when the block ends well.

    The block must create a file there. When it raises, the temporary file is removed and whatever stood at
    `path` stays as it was. Missing parent folders are made. A file that is replaced keeps its permissions; a new
    one has those that the umask gives.

    Raises
    ------
    FileNotFoundError
        If the block ended well without having written the file.
    """
    path = Path(path)
    check_is_there(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.tmp{path.suffix}")
    try:
        yield temporary
        flush(temporary)
        with suppress(FileNotFoundError, PermissionError):  # nothing there, or a disk without permissions
            shutil.copymode(path, temporary)
        note_content(path, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, which becomes it when the block ends well; what stood there goes."""
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}.tmp")
    check_is_there(folder)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        files = [path for path in sorted(temporary.rglob("*")) if path.is_file()]
        for path in files:
            flush(path)
        remove(folder)
        for path in files:
            note_content(folder / path.relative_to(temporary), path)
        temporary.rename(folder)
        flush_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def atomic_write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def atomic_write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8 with the line ends it has, whole or not at all."""
    atomic_write_bytes(path, text.encode("utf-8"))


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, of an open run folder or elsewhere; it may be absent."""
    note_removal(path)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Put the names in a folder on disk: a crash of the machine could else undo a rename."""
    if os.name == "nt":
        return  # folders cannot be opened there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush(path: Path) -> None:
    """Put the content of a file on disk."""
    # Without this a crash of the machine just after the rename may leave an empty file under the final name.
    with path.open("rb+") as file:
        os.fsync(file.fileno())
