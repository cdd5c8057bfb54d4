"""SHA-256 of files, remembered so that a second look at large weights is free."""

from __future__ import annotations

import hashlib
import json
import os
import time
from functools import cache
from pathlib import Path

SETTLED = 2.0
"""Seconds after its last change from which a file's times tell whether it was changed again."""

LARGE = 1 << 26
"""Bytes (64 MiB) from which a hash is worth remembering."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str:
    """As `sha256_of`; that of a large file is remembered between commands.

    A memory holds for the same inode with the same size, time of modification and time of change, in nanoseconds.
    The last one cannot be set back by a program, so that an edit which restores the others is seen.
    """
    at = path.stat()
    if at.st_size < LARGE:
        return sha256_of(path)
    key, memory = _key(at), _memory()
    if key not in memory:
        found = sha256_of(path)
        if path.stat().st_ctime_ns == at.st_ctime_ns and time.time() - at.st_ctime > SETTLED:
            _remember(key, found)
        return found
    return memory[key]


def is_remembered(path: Path) -> bool:
    """Whether `remembered_sha256` answers without reading the file."""
    at = path.stat()
    return at.st_size < LARGE or _key(at) in _memory()


def _key(at: os.stat_result) -> str:
    return f"{at.st_dev}:{at.st_ino}:{at.st_size}:{at.st_mtime_ns}:{at.st_ctime_ns}"


def _file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aftertune" / "sha256.jsonl"


@cache
def _memory() -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        lines = _file().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return found
    for line in lines:
        try:
            key, value = json.loads(line)
        except (ValueError, TypeError):
            continue  # half a line, by a process that was killed
        if isinstance(key, str) and isinstance(value, str) and len(value) == 64:
            found[key] = value
    return found


def _remember(key: str, value: str) -> None:
    _memory()[key] = value
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        with _file().open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps([key, value]) + "\n")
    except OSError:
        return  # a memory that cannot be kept is made again
