"""What a file of the user's must be before it is read."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from aftertune.errors import InputError

MOST_BYTES = 2**32
"""Of a file, and of what a Parquet file holds once unpacked: all of it is in memory at once."""
MOST_COLUMNS = 10_000

_BEGINNINGS = {
    b"\x1f\x8b": "packed with gzip: unpack it",
    b"PK\x03\x04": "a zip file or a spreadsheet (.xlsx), not text: save it as text",
    b"PAR1": "a Parquet file: call it .parquet",
    b"%PDF": "a PDF file: save it as text",
    b"\x28\xb5\x2f\xfd": "packed with zstd: unpack it",
    b"BZh": "packed with bzip2: unpack it",
    b"\xfd7zXZ": "packed with xz: unpack it",
    b"\xff\xfe": "UTF-16, not UTF-8: save it as UTF-8",
    b"\xfe\xff": "UTF-16, not UTF-8: save it as UTF-8",
    b"\x00\x00\xfe\xff": "UTF-32, not UTF-8: save it as UTF-8",
}
"""How files begin that hold something else than UTF-8 text, and what to do with them."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands for a value that Python does not have."""

    why: str

    def __repr__(self) -> str:
        return f"not readable ({self.why})"


def check_file(path: Path, *, text: bool) -> bytes:
    """The first 8 bytes of a file, once it is certain that it can be read as a whole.

    Parameters
    ----------
    text : whether UTF-8 text is wanted.

    Raises
    ------
    InputError
        No such file, a folder, a pipe or a device, not to be read, larger than `MOST_BYTES`; where text is wanted,
        a packed file, a spreadsheet, or text of another encoding.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError("a file is wanted, this is a folder", file=path)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("is a pipe or a device: write what it gives into a file", file=path)
        if status.st_size > MOST_BYTES:
            raise InputError(f"has {status.st_size:,} bytes, more than {MOST_BYTES:,}: divide it", file=path)
        with path.open("rb") as stream:
            beginning = stream.read(8)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        raise InputError("no such file", file=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    for start, what in _BEGINNINGS.items():
        if text and beginning.startswith(start):
            raise InputError(f"is {what}", file=path)
    return beginning
