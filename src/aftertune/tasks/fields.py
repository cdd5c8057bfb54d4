"""Fields of a row as text, with errors that name the file and the line."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
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
    """Strings as they are, numbers as Python writes them, booleans as true/false; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    return None


def _kind(value: object) -> str:
    if isinstance(value, float):
        return f"{value}"
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value), f"a {type(value).__name__}")
