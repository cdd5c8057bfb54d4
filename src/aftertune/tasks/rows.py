"""Rows of files and of datasets on the Hugging Face hub, their fields as text; errors name file and line."""

from __future__ import annotations

import contextlib
import csv
import difflib
import io
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NoReturn

from aftertune.errors import InputError
from aftertune.files.jsonl import read_jsonl
from aftertune.files.reading import MOST_COLUMNS, Unreadable, check_file
from aftertune.tasks.task import Origin, Split

LONGEST_TEXT = 1_000_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a file or of a dataset on the hub.

    Attributes
    ----------
    cells : column → value.
    index : position among the rows, from 0.
    file : path, or the dataset's id.
    line : of the file, from 1; None where there are no lines (Parquet, hub).
    """

    cells: Mapping[str, Any]
    index: int
    file: str | Path
    line: int | None = None

    def refuse(self, message: str) -> NoReturn:
        """Raise an `InputError` that says where the row is."""
        if self.line is None:
            message = f"row {self.index + 1}: {message}"
        raise InputError(message, file=self.file, line=self.line)

    def cell(self, column: str, *, why: str = "") -> Any:
        """The value in `column`; `InputError` with the nearest column if there is none, or if it is null."""
        if column not in self.cells:
            near = difflib.get_close_matches(column, list(self.cells), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            self.refuse(f"no column {column!r}{why}: {hint}columns are {', '.join(map(repr, self.cells))}")
        if self.cells[column] is None:
            self.refuse(f"{column!r} is null{why}: a text is wanted")
        return self.cells[column]

    def text(self, column: str, *, why: str = "") -> str:
        """The value in `column` as text; it may be empty."""
        value = self.cell(column, why=why)
        text = as_text(value)
        if text is None:
            self.refuse(f"{column!r} is {_kind(value)}{why}: a string or a number is wanted")
        return self.of_length(text, column)

    def of_length(self, text: str, column: str) -> str:
        """The text; `InputError` where it is longer than what any model reads."""
        if len(text) > LONGEST_TEXT:
            self.refuse(f"{column!r} has {len(text):,} characters, more than {LONGEST_TEXT:,}: shorten it")
        return text

    def filled(self, column: str) -> str:
        """The value in `column` as text without white space around it; `InputError` if it is empty."""
        text = self.text(column).strip()
        if not text:
            self.refuse(f"{column!r} is empty")
        return text

    def texts(self, column: str) -> tuple[str, ...]:
        """The text in `column`, or the texts of a list, without white space around them; none is empty."""
        value = self.cell(column)
        if not isinstance(value, list):
            return (self.filled(column),)
        if not value:
            self.refuse(f"{column!r} is an empty list: at least one text is wanted")
        texts = []
        for position, item in enumerate(value, start=1):
            text = as_text(item)
            if text is None:
                self.refuse(f"{column!r} holds {_kind(item)} (item {position} of the list): a string is wanted")
            if not text.strip():
                self.refuse(f"{column!r} holds an empty text (item {position} of the list)")
            texts.append(self.of_length(text, column).strip())
        return tuple(texts)


def as_text(value: object) -> str | None:
    """A value as text; None for what is neither a string, a finite number, a boolean nor a date.

    A string with half of a surrogate pair is none either.

    Numbers are written as Python writes them, booleans as true and false, dates as 1998-05-01 or, with a time, as
    1998-05-01 14:30:00.
    """
    if isinstance(value, str):
        return value if _is_text(value) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real) and math.isfinite(value):
        return str(float(value))
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    return None


def _is_text(value: str) -> bool:
    """Whether a string has no half of a surrogate pair, which cannot be written to any file."""
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def without_zeros(rows: Sequence[Row], columns: Sequence[str]) -> tuple[list[Row], list[str]]:
    """The rows with whole numbers written as such (1998 for 1998.0), and days without a time; with a note on each.

    Programs write a column of whole numbers with empty cells as 1998.0, and days as midnights. That is undone in
    columns in which *all* numbers are whole, or all times midnights, in lists too.
    """
    notes = []
    for column in columns:
        values = [value for row in rows for value in _each(row.cells.get(column))]
        for is_kind, is_bare, bare in (_NUMBERS, _TIMES):
            of_kind = [value for value in values if is_kind(value)]
            if not of_kind or not all(map(is_bare, of_kind)):
                continue
            example = next((value for value in of_kind if as_text(bare(value)) != as_text(value)), None)
            if example is None:
                continue
            rows = [_changed(row, column, is_kind, bare) for row in rows]
            notes.append(f"{as_text(example)} is read as {as_text(bare(example))} in {column!r}, and all its like")
    return list(rows), notes


_Test = Callable[[Any], bool]
_NUMBERS: tuple[_Test, _Test, Callable[[Any], Any]] = (
    lambda value: (
        isinstance(value, Real | Decimal)
        and not isinstance(value, bool)
        and (isinstance(value, Integral) or math.isfinite(value))
    ),
    lambda value: isinstance(value, Integral) or (value == int(value) and abs(value) < 2**53),
    int,
)
_TIMES: tuple[_Test, _Test, Callable[[Any], Any]] = (
    lambda value: isinstance(value, datetime),
    lambda value: value.tzinfo is None and value == datetime(value.year, value.month, value.day),
    lambda value: value.date(),
)


def _each(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else [value]


def _changed(row: Row, column: str, is_kind: _Test, bare: Callable[[Any], Any]) -> Row:
    if column not in row.cells:
        return row
    value = row.cells[column]
    changed = [bare(item) if is_kind(item) else item for item in _each(value)]
    return replace(row, cells={**row.cells, column: changed if isinstance(value, list) else changed[0]})


def _kind(value: object) -> str:
    if isinstance(value, float | Decimal):
        return f"{value}"
    if isinstance(value, str):
        return "text with half of a surrogate pair"
    if isinstance(value, Unreadable):
        return repr(value)
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value), f"a {type(value).__name__}")


LONGEST_CELL = 2**24  # characters
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_ROWS_TRIED = 20


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of a file, read by its suffix: .jsonl or .ndjson, .csv or .tsv, .parquet.

    CSV: the first line names the columns; commas, semicolons or tabs separate cells, whichever the first line has;
    double quotes, UTF-8 with or without a byte order mark; blank lines are skipped; every cell is a string of no
    more than `LONGEST_CELL` characters. TSV: likewise with tabs.

    Raises
    ------
    InputError
        With file and line: no such file, unknown suffix, not UTF-8, malformed, a header that can be read in two
        ways, and a file without rows.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    check_file(path, text=suffix in (".jsonl", ".ndjson", ".csv", ".tsv"))
    if suffix not in _READERS:
        hints = {".json": "write it one object a line, and call it .jsonl", ".gz": "unpack it"}
        known = ", ".join(_READERS)
        wrong = f"unknown suffix {path.suffix!r}" if path.suffix else "the name has no suffix"
        raise InputError(f"{wrong} (known: {known}): {hints.get(suffix, 'write it as one of them')}", file=path)
    empty = True
    for row in _READERS[suffix](path):
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
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError("a NUL byte is no text: save the file as UTF-8, without it", file=path, line=line)
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
                many = f"{len(cells)} cell{'s' * (len(cells) != 1)} instead of {len(header)}"
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
    """What separates the names in the header; where several could, what gives the first rows as many cells."""
    read = {delimiter: _beginning(text, delimiter) for delimiter in _DELIMITERS}
    # a quote that is left stood inside a cell, which was cut apart
    able = {d: rows for d, rows in read.items() if rows and len(rows[0]) > 1 and '"' not in "".join(rows[0])}
    even = [d for d, rows in able.items() if all(len(row) == len(rows[0]) for row in rows)]
    if len(able) > 1 and len(even) != 1:
        ways = " or ".join(f"by {_DELIMITERS[d]} ({len(rows[0])} columns)" for d, rows in able.items())
        raise InputError(
            f"cells may be separated {ways}: put names and cells that hold them into double quotes", file=path
        )
    return next(iter(even if len(able) > 1 else able), ",")


def _beginning(text: str, delimiter: str) -> list[list[str]]:
    """The first rows, as far as they can be read."""
    reader = _reader(text, delimiter)
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):
        while len(rows) < _ROWS_TRIED and (cells := _next(reader)) is not None:
            rows += [cells] if cells else []
    return rows


def _header(cells: list[str], path: Path, line: int) -> list[str]:
    if len(cells) > MOST_COLUMNS:
        raise InputError(
            f"has {len(cells):,} columns, more than {MOST_COLUMNS:,}: leave some out", file=path, line=line
        )
    twice = next((name for name, n in Counter(cells).items() if n > 1), None)
    if twice is not None:
        what = f"the column {twice!r} stands twice" if twice else "two columns have no name"
        raise InputError(f"{what} in the header", file=path, line=line)
    return cells


def _parquet(path: Path) -> Iterator[Row]:
    from aftertune.files.parquet import batches, open_parquet, python_values

    with open_parquet(path) as file:
        index = 0
        for batch in batches(path, file):
            columns = [python_values(column) for column in batch.columns]
            for values in zip(*columns):
                yield Row(cells=dict(zip(batch.schema.names, values)), index=index, file=path)
                index += 1


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}


def local_rows(data_dir: Path, task: str, split: Split) -> Iterator[Row]:
    """The rows of ``<data_dir>/<task>/<split>.jsonl``; `InputError` where there is no such file."""
    path = data_dir / task / f"{split}.jsonl"
    if not path.is_file():
        raise InputError(
            f"no such file: --data-dir is a folder that holds {task}/train.jsonl, {task}/test.jsonl, …", file=path
        )
    return read_rows(path)


def hub_rows(origin: Origin, dataset: str, split: str, *, config: str | None = None) -> Iterator[Row]:
    """The rows of one split of a dataset, or of what `origin.hub` puts in its place.

    Raises
    ------
    InputError
        The package `datasets` is not installed; the dataset cannot be reached, is gated, or has no such
        configuration or split.
    """
    name = origin.hub.get(dataset, dataset)
    try:
        from datasets import load_dataset
        from datasets.exceptions import DatasetsError
    except ImportError as error:
        raise InputError(
            f"{name} is read with the package datasets: pip install 'aftertune[hub]', "
            "or give local files with --data-dir"
        ) from error
    try:
        rows: Any = load_dataset(name, config, split=split)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise unreachable(name, error) from error
    for index, cells in enumerate(rows):
        yield Row(cells=cells, index=index, file=name)


def unreachable(name: str, error: Exception) -> InputError:
    """The error for a dataset that cannot be loaded, in one line."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(
        f"the dataset {name} cannot be loaded ({reason[:200]}): "
        "check the network and the name, or give local files with --data-dir"
    )
