"""Rows of JSON Lines, CSV, TSV and Parquet files."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aftertune.errors import InputError
from aftertune.files.jsonl import read_jsonl
from aftertune.tasks.fields import Row

LONGEST_CELL = 2**24  # characters
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_ROWS_TRIED = 20


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of a file, read by its suffix: .jsonl or .ndjson, .csv or .tsv, .parquet.

    CSV: the first line names the columns; commas, semicolons or tabs part cells, whichever the first line has;
    double quotes, UTF-8 with or without a byte order mark; blank lines are skipped; every cell is a string of no
    more than `LONGEST_CELL` characters. TSV: likewise with tabs.

    Raises
    ------
    InputError
        With file and line: no such file, unknown suffix, not UTF-8, malformed, a header that can be read in two
        ways, and a file without rows.
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
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text, path)
    reader = _reader(text, delimiter)
    header: list[str] | None = None
    index, line = 0, 1
    try:
        while (cells := _next(reader)) is not None:
            if not cells:
                pass
            elif header is None:
                header = _header(cells, path, line)
            elif len(cells) != len(header):
                many = f"{len(cells)} cells instead of {len(header)}"
                hint = f"put cells with {_DELIMITERS[delimiter]} into double quotes"
                raise InputError(f"{many}: {hint}", file=path, line=line)
            else:
                yield Row(cells=dict(zip(header, cells)), index=index, file=path, line=line)
                index += 1
            line = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            long = f"a cell has more than {LONGEST_CELL:,} characters: is a double quote not closed?"
            raise InputError(f"{long} Texts as long as that are read from .jsonl", file=path, line=line) from error
        hint = ": a double quote is not closed" if "unexpected end" in str(error) else ""
        raise InputError(f"malformed CSV ({error}){hint}", file=path, line=line) from error


def _reader(text: str, delimiter: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _next(reader: Any) -> list[str] | None:
    """The next row, None at the end. The limit on cells is the csv module's own, and is given back."""
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(before)


def _delimiter(text: str, path: Path) -> str:
    """What parts the names in the header; where several could, what parts the first rows into as many cells."""
    read = {delimiter: _beginning(text, delimiter) for delimiter in _DELIMITERS}
    # a quote that is left stood inside a cell, which was cut apart
    parting = {d: rows for d, rows in read.items() if rows and len(rows[0]) > 1 and '"' not in "".join(rows[0])}
    even = [d for d, rows in parting.items() if all(len(row) == len(rows[0]) for row in rows)]
    if len(parting) > 1 and len(even) != 1:
        ways = " or ".join(f"by {_DELIMITERS[d]} ({len(rows[0])} columns)" for d, rows in parting.items())
        raise InputError(
            f"cells may be parted {ways}: put names and cells that hold them into double quotes", file=path
        )
    return next(iter(even if len(parting) > 1 else parting), ",")


def _beginning(text: str, delimiter: str) -> list[list[str]]:
    """The first rows, as far as they can be read."""
    reader = _reader(text, delimiter)
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):
        while len(rows) < _ROWS_TRIED and (cells := _next(reader)) is not None:
            rows += [cells] if cells else []
    return rows


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
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: nanoseconds
        raise InputError(f"not a readable Parquet file ({error})", file=path) from error


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}
