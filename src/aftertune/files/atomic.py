"""Files that are either there and whole, or not there: write beside the target, then rename over it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder and with the same suffix; it becomes `path` when the block ends well.

    The block must create a file there. When it raises, the temporary file is removed and whatever stood at
    `path` stays as it was. Missing parent folders are made.

    Raises
    ------
    FileNotFoundError
        If the block ended well without having written the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.tmp{path.suffix}")
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def atomic_write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8 with the line ends it has, whole or not at all."""
    atomic_write_bytes(path, text.encode("utf-8"))


def _flush_to_disk(path: Path) -> None:
    # Without this a crash of the machine just after the rename may leave an empty file under the final name.
    with path.open("rb+") as file:
        os.fsync(file.fileno())
