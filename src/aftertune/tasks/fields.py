"""Fields of a row as text, with errors that name the file and the line."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NoReturn

from aftertune.errors import InputError


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
        return text

    def filled(self, column: str) -> str:
        """The value in `column` as text without white space around it; not empty."""
        text = self.text(column).strip()
        if not text:
            self.refuse(f"{column!r} is empty")
        return text

    def texts(self, column: str) -> tuple[str, ...]:
        """One text, or a list of texts, none of them empty, stripped."""
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
            texts.append(text.strip())
        return tuple(texts)


def as_text(value: object) -> str | None:
    """Strings as they are, numbers as Python writes them, booleans as true/false, dates as 1998-05-01 (with a time
    as 1998-05-01 14:30:00); None for anything else."""
    if isinstance(value, str):
        return value
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
    lambda value: isinstance(value, Real | Decimal) and not isinstance(value, bool) and math.isfinite(value),
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
    if isinstance(value, float):
        return f"{value}"
    if isinstance(value, Decimal):
        return f"{value}"
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value), f"a {type(value).__name__}")
