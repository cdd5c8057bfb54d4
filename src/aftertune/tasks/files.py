"""Rows of JSON Lines, CSV and Parquet files."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from aftertune.errors import InputError
from aftertune.store.jsonl import read_jsonl
from aftertune.tasks.fields import Row


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of a file, read by its suffix: .jsonl or .ndjson, .csv, .parquet.

    CSV: the first line names the columns; commas, double quotes, UTF-8 with or without a byte order mark;
    blank lines are skipped; every cell is a string.

    Raises
    ------
    InputError
        With file and line: no such file, unknown suffix, not UTF-8, malformed, and a file without rows.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError("a file is wanted, this is a folder", file=path)
    if not path.exists():
        raise InputError("no such file", file=path)
    if path.suffix.lower() not in _READERS:
        hint = "one object a line, and call it .jsonl" if path.suffix.lower() == ".json" else "as one of them"
        known = ", ".join(_READERS)
        wrong = f"unknown suffix {path.suffix!r}" if path.suffix else "the name has no suffix"
        raise InputError(f"{wrong} (known: {known}): write it {hint}", file=path)
    empty = True
    for row in _READERS[path.suffix.lower()](path):
        empty = False
        yield row
    if empty:
        raise InputError("no items: the file is empty", file=path)


def _jsonl(path: Path) -> Iterator[Row]:
    for index, (line, cells) in enumerate(read_jsonl(path)):
        yield Row(cells=cells, index=index, file=path, line=line)


def _csv(path: Path) -> Iterator[Row]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8: save the file as UTF-8", file=path, line=line) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    index, line = 0, 1
    try:
        for cells in reader:
            if not cells:
                pass
            elif header is None:
                header = _header(cells, path, line)
            elif len(cells) != len(header):
                many = f"{len(cells)} cells instead of {len(header)}"
                raise InputError(f"{many}: put cells with commas into double quotes", file=path, line=line)
            else:
                yield Row(cells=dict(zip(header, cells)), index=index, file=path, line=line)
                index += 1
            line = reader.line_num + 1
    except csv.Error as error:
        hint = ": a double quote is not closed" if "unexpected end" in str(error) else ""
        raise InputError(f"malformed CSV ({error}){hint}", file=path, line=line) from error


def _header(cells: list[str], path: Path, line: int) -> list[str]:
    twice = sorted({name for name in cells if cells.count(name) > 1})
    if twice:
        raise InputError(f"the column {twice[0]!r} stands twice in the header", file=path, line=line)
    return cells


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            index = 0
            for batch in file.iter_batches(batch_size=1024):
                for cells in batch.to_pylist():
                    yield Row(cells=cells, index=index, file=path)
                    index += 1
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"not a readable Parquet file ({error})", file=path) from error


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
