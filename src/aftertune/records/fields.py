"""The fields of a record, the rows of a file as columns, and what to say when a value is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from aftertune.errors import InputError, shortened
from aftertune.files.reading import Unreadable
from aftertune.types import Floats, Ints, Texts

Kind = Literal["text", "integer", "number", "boolean", "texts"]

SPLITS = ("test", "validation")
LARGEST, LAST_EPOCH = 1e150, 1e9
"""Numbers beyond these overflow in means and variances, or are none that a training run has."""
LONGEST_NAME, MOST_SCORES, MOST_UNKNOWN = 200, 1_000, 1_000
"""Characters of a name of a model, task, setting or score; scores; fields that we do not know."""
UNDEFINED_WORDS = frozenset({"", "nan", "null", "none", "na", "n/a", "inf", "-inf", "infinity", "-infinity"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a record.

    Attributes
    ----------
    required : the field must be there.
    nullable : null is a value; where it is not, null in an optional field counts as absent.
    default : what an absent optional field holds (a number that may be absent holds NaN).
    """

    name: str
    kind: Kind
    required: bool = False
    nullable: bool = False
    default: object = None


FIELDS: tuple[Field, ...] = (
    Field(name="model", kind="text", required=True),
    Field(name="task", kind="text", required=True),
    Field(name="setting", kind="text", default="default"),
    Field(name="seed", kind="integer", required=True),
    Field(name="epoch", kind="number", required=True),
    Field(name="selected", kind="boolean", default=False),
    Field(name="split", kind="text", default="test"),
    Field(name="item_id", kind="text", required=True),
    Field(name="output", kind="text", nullable=True),
    Field(name="references", kind="texts", nullable=True),
    Field(name="quality", kind="number", required=True, nullable=True, default=math.nan),
    Field(name="correct", kind="boolean", nullable=True),
    Field(name="train_similarity", kind="number", nullable=True, default=math.nan),
)
KEY = ("model", "task", "setting", "seed", "epoch", "split", "item_id")
KNOWN = frozenset({*(field.name for field in FIELDS), "scores"})

_WANTED = {
    "text": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "texts": 'a list of texts, such as ["Paris"]',
}


def score_field(name: str) -> Field:
    """The field of one score inside `scores`."""
    return Field(name=f"scores.{name}", kind="number", nullable=True, default=math.nan)


def missing(field: Field) -> str:
    """Message for a required field that is not there."""
    return f"the field {field.name!r} is missing: write {_wanted(field)}"


def wrong(field: Field, value: object) -> str:
    """Message for a value that the field cannot hold: what it is, and what to write instead."""
    if field.kind in ("number", "integer") and isinstance(value, str):
        return f"field {field.name!r} is the text {_short(value)}: {_instead_of_text(field, value)}"
    if field.kind == "text" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'field {field.name!r} is the number {_short(value)}: write text, "{_short(value)}"'
    return f"field {field.name!r} is {_what(value)}: write {_wanted(field)}"


def _wanted(field: Field) -> str:
    wanted = _WANTED[field.kind]
    return f"{wanted}, or null where it is undefined" if field.nullable else wanted


def _instead_of_text(field: Field, value: str) -> str:
    word = value.strip().lower()
    if word in UNDEFINED_WORDS and field.nullable:
        return "write null for an undefined value"
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return f"write the number without quotes, {shortened(value.strip(), 60)}"
    return f"write {_wanted(field)}"


def _what(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, float) and math.isinf(value):
        return "infinite"
    if isinstance(value, int) and abs(value) >= 10**20:
        return f"a number of {len(str(abs(value))):,} digits"
    if isinstance(value, (int, float)):
        return f"the number {_short(value)}"
    if isinstance(value, str):
        return "empty text" if not value else f"the text {_short(value)}"
    if isinstance(value, (list, tuple)):
        return f"the list {_short(list(value))}"
    if isinstance(value, dict):
        return "an object"
    return repr(value) if isinstance(value, Unreadable) else f"of type {type(value).__name__}"


def _short(value: object) -> str:
    return shortened(repr(value), 60)


def objects(values: Iterable[object], count: int) -> Texts:
    """Object array of `count` values, sequences among them kept whole."""
    return np.fromiter(values, dtype=object, count=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The m rows of one file.

    Attributes
    ----------
    number : (m,) the line (JSONL) or the row (Parquet), from 1.
    columns : one (m,) array for each of `FIELDS`.
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
        """The file and place of a row, from 0, for messages."""
        return f"{self.path}, {self.place} {self.number[row]}"

    def refuse(self, row: int, message: str) -> NoReturn:
        """Raise the `InputError` for a row, from 0."""
        refuse(self.path, self.place, int(self.number[row]), message)


def refuse(path: Path, place: str, number: int, message: str) -> NoReturn:
    """Raise the `InputError` for the line or row (`place`) of that number, from 1."""
    if place == "line":
        raise InputError(message, file=path, line=number)
    raise InputError(f"row {number}: {message}", file=path)


def check_values(part: Part) -> None:
    """Refuse values of the right type that cannot be.

    Infinities and numbers beyond `LARGEST`, empty and long names, epoch < 0, another split, too many scores or
    fields.
    """
    for kind, columns, most in (
        ("scores", part.scores, MOST_SCORES),
        ("fields that are not of the format", part.extra, MOST_UNKNOWN),
    ):
        if len(columns) > most:
            raise InputError(f"has {len(columns):,} {kind}, more than {most:,}: leave some out", file=part.path)
        if long := next((name for name in columns if len(name) > LONGEST_NAME), None):
            raise InputError(f"a name among its {kind} has {len(long):,} characters: shorten it", file=part.path)
    numbers = {field: part.columns[field.name] for field in FIELDS if field.kind == "number"}
    for field, column in (*numbers.items(), *((score_field(name), one) for name, one in part.scores.items())):
        _first(part, np.isinf(column), lambda row, f=field: wrong(f, float("inf")))
        most = LAST_EPOCH if field.name == "epoch" else LARGEST
        _first(
            part,
            np.abs(column) > most,
            lambda row, f=field, c=column, m=most: (
                f"field {f.name!r} is {c[row]:g}: write a number of at most {m:g}, with either sign"
            ),
        )
    for name in ("model", "task", "setting", "item_id"):
        column = part.columns[name]
        _first(part, column == "", lambda row, n=name: f"field {n!r} is empty: write a name")
        _first(
            part,
            [name != "item_id" and len(one) > LONGEST_NAME for one in column],
            lambda row, n=name, c=column: (
                f"field {n!r} has {len(c[row]):,} characters: shorten it to {LONGEST_NAME}"
            ),
        )
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


def _first(part: Part, bad: ArrayLike, message: Callable[[int], str]) -> None:
    bad = np.asarray(bad, dtype=bool)
    if bad.any():
        row = int(np.argmax(bad))
        part.refuse(row, message(row))


def is_number(value: object) -> bool:
    """Whether a value of JSON is a number that a float holds."""
    return type(value) is float or (type(value) is int and abs(value) < 10**308)


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
            if value is not None and not is_number(value):
                refuse(self._path, self._place, number, wrong(score_field(name), value))
            if name not in self._rows:
                if not name:
                    refuse(self._path, self._place, number, "a score in 'scores' has an empty name")
                self._rows[name], self._values[name] = [], []
            self._rows[name].append(row)
            self._values[name].append(value)

    def columns(self, m: int) -> dict[str, Floats]:
        """Name of a score → its (m,) values."""
        found = {}
        for name, rows in self._rows.items():
            column = np.full(m, np.nan)
            column[rows] = np.array(self._values[name], dtype=np.float64)
            found[name] = column
        return found


def join(parts: Sequence[Part]) -> dict[str, Any]:
    """Columns of all parts, one after the other; NaN or None where a part lacks the score or the field."""
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
