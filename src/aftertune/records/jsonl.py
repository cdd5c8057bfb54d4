"""Records as JSON Lines: one object a line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from aftertune.files.atomic import atomic_write_text
from aftertune.files.jsonl import read_jsonl
from aftertune.records.fields import (
    FIELDS,
    KNOWN,
    Field,
    Part,
    ScoreCollector,
    is_number,
    missing,
    objects,
    refuse,
    wrong,
)
from aftertune.types import Records

_ABSENT = object()
_NUMBERS = {"integer": np.int64, "number": np.float64}
_INT64 = 2**63


def _holds(field: Field, value: object) -> bool:
    kind = type(value)
    if field.kind == "number":
        return is_number(value)
    if field.kind == "text":
        return kind is str
    if field.kind == "integer":
        return kind is int and -_INT64 <= value < _INT64  # pyright: ignore[reportOperatorIssue]
    if field.kind == "boolean":
        return kind is bool
    return kind is list and all(type(text) is str for text in value)  # pyright: ignore[reportGeneralTypeIssues]


def read_part(path: Path) -> Part:
    """The rows of a JSONL file; `InputError` with file and line for whatever a record cannot hold."""
    values: dict[str, list[Any]] = {field.name: [] for field in FIELDS}
    extra: dict[str, dict[int, object]] = {}
    scores = ScoreCollector(path, "line")
    lines: list[int] = []
    for line, row in read_jsonl(path):
        for field in FIELDS:
            value = row.get(field.name, _ABSENT)
            if value is _ABSENT or value is None:
                if field.required and (value is _ABSENT or not field.nullable):
                    message = missing(field) if value is _ABSENT else wrong(field, None)
                    refuse(path, "line", line, message)
                value = field.default
            elif not _holds(field, value):
                refuse(path, "line", line, wrong(field, value))
            elif field.kind == "texts":
                value = tuple(value)
            values[field.name].append(value)
        if "scores" not in row:
            message = "the field 'scores' is missing: write an object of numbers, {} where there is none"
            refuse(path, "line", line, message)
        scores.add(len(lines), line, row["scores"])
        for name in row.keys() - KNOWN:
            extra.setdefault(name, {})[len(lines)] = row[name]
        lines.append(line)
    m = len(lines)
    columns = {}
    for field in FIELDS:
        column, dtype = values[field.name], _NUMBERS.get(field.kind)
        columns[field.name] = objects(column, m) if dtype is None else np.array(column, dtype=dtype)
    return Part(
        path=path,
        place="line",
        number=np.array(lines, dtype=np.int64),
        columns=columns,
        scores=scores.columns(m),
        extra={name: objects((found.get(i) for i in range(m)), m) for name, found in sorted(extra.items())},
    )


def write(records: Records, path: Path) -> None:
    """Write one object a line, keys in the order of the format; atomic.

    Numbers that are undefined are written as null; optional fields without a value are left out.
    """
    lines = []
    for i in range(len(records)):
        row: dict[str, object] = {}
        for field in FIELDS:
            value = _plain(getattr(records, field.name)[i])
            if value is not None or field.required:
                row[field.name] = value
        row["scores"] = {name: _plain(column[i]) for name, column in records.scores.items()}
        row |= {name: column[i] for name, column in records.extra.items() if column[i] is not None}
        lines.append(json.dumps(row, ensure_ascii=False, allow_nan=False, default=str) + "\n")
    atomic_write_text(path, "".join(lines))


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() and abs(value) < 1e15 else value
    return list(value) if isinstance(value, tuple) else value
