"""The rows of one records file as columns, each row with its place, and the checks of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np

from aftertune.errors import InputError
from aftertune.records.fields import FIELDS, SPLITS, Field, score_field, wrong
from aftertune.types import Floats, Ints, Texts

DTYPES: Mapping[str, type] = {
    "text": object,
    "integer": np.int64,
    "number": np.float64,
    "boolean": object,
    "texts": object,
}


def objects(values: Iterable[object], count: int) -> Texts:
    """Object array of `count` values, sequences among them kept whole."""
    return np.fromiter(values, dtype=object, count=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The m rows of one file.

    Attributes
    ----------
    number : (m,) the line (JSONL) or the row (Parquet), from 1.
    columns : one (m,) array for each of `record_fields.FIELDS`.
    """

    path: Path
    place: Literal["line", "row"]
    number: Ints
    columns: Mapping[str, np.ndarray]
    scores: Mapping[str, Floats]
    extra: Mapping[str, Texts]

    def __len__(self) -> int:
        return len(self.number)

    def where(self, row: int) -> str:
        return f"{self.path}, {self.place} {self.number[row]}"

    def refuse(self, row: int, message: str) -> NoReturn:
        refuse(self.path, self.place, int(self.number[row]), message)


def refuse(path: Path, place: str, number: int, message: str) -> NoReturn:
    """Raise the `InputError` for one row."""
    if place == "line":
        raise InputError(message, file=path, line=number)
    raise InputError(f"row {number}: {message}", file=path)


def check_values(part: Part) -> None:
    """Refuse what has the right type and still cannot be: infinities, no name, epoch < 0, another split."""
    for field in FIELDS:
        if field.kind == "number":
            _first(part, np.isinf(part.columns[field.name]), lambda row, f=field: wrong(f, float("inf")))
    for name, column in part.scores.items():
        _first(part, np.isinf(column), lambda row, n=name: wrong(score_field(n), float("inf")))
    for name in ("model", "task", "setting", "item_id"):
        _first(part, part.columns[name] == "", lambda row, n=name: f"field {n!r} is empty: write a name")
    epoch = part.columns["epoch"]
    _first(part, np.isnan(epoch), lambda row: "field 'epoch' is NaN: write a number")
    _first(
        part,
        epoch < 0,
        lambda row: f"field 'epoch' is {epoch[row]:g}: write 0 for before fine-tuning, then 1, 2, …",
    )
    split = part.columns["split"]
    _first(
        part,
        ~np.isin(split, SPLITS),
        lambda row: f"field 'split' is {split[row]!r}: write 'test' or 'validation'",
    )


def _first(part: Part, bad: np.ndarray, message: Callable[[int], str]) -> None:
    bad = np.asarray(bad, dtype=bool)
    if bad.any():
        row = int(np.argmax(bad))
        part.refuse(row, message(row))


class ScoreCollector:
    """Columns of scores out of one object a row; a score that a row does not have is NaN there."""

    def __init__(self, path: Path, place: Literal["line", "row"]) -> None:
        self._path, self._place = path, place
        self._rows: dict[str, list[int]] = {}
        self._values: dict[str, list[float | None]] = {}

    def add(self, row: int, number: int, scores: object) -> None:
        """Take the `scores` of a row; `number` is its place in the file."""
        if not isinstance(scores, dict):
            what = wrong(Field(name="scores", kind="text"), scores).split(": write")[0]
            refuse(
                self._path,
                self._place,
                number,
                f'{what}: write an object of numbers, such as {{"mean_token_logprob": -0.41}}',
            )
        for name, value in scores.items():
            kind = type(value)
            if kind is not float and kind is not int and value is not None:
                refuse(self._path, self._place, number, wrong(score_field(name), value))
            if name not in self._rows:
                if not name:
                    refuse(self._path, self._place, number, "a score in 'scores' has an empty name")
                self._rows[name], self._values[name] = [], []
            self._rows[name].append(row)
            self._values[name].append(value)

    def columns(self, m: int) -> dict[str, Floats]:
        found = {}
        for name, rows in self._rows.items():
            column = np.full(m, np.nan)
            column[rows] = np.array(self._values[name], dtype=np.float64)
            found[name] = column
        return found


def join(parts: Sequence[Part]) -> dict[str, Any]:
    """Columns of all parts, one after the other; NaN or None where a part has not that score or field."""
    columns: dict[str, Any] = {f.name: np.concatenate([p.columns[f.name] for p in parts]) for f in FIELDS}
    for kind, fill, dtype in (("scores", np.nan, np.float64), ("extra", None, object)):
        names = dict.fromkeys(name for part in parts for name in getattr(part, kind))
        columns[kind] = {
            name: np.concatenate(
                [getattr(part, kind).get(name, np.full(len(part), fill, dtype=dtype)) for part in parts]
            )
            for name in names
        }
    return columns
