"""The fields of a record, and what to say when one of them is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "number", "boolean", "texts"]

SPLITS = ("test", "validation")
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
        return f'field {field.name!r} is the number {value}: write text, "{value}"'
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
        return f"write the number without quotes, {value.strip()}"
    return f"write {_WANTED[field.kind]}" + (", or null where it is undefined" if field.nullable else "")


def _what(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, float) and math.isinf(value):
        return "infinite"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return "empty text" if not value else f"the text {_short(value)}"
    if isinstance(value, (list, tuple)):
        return f"the list {_short(list(value))}"
    if isinstance(value, dict):
        return "an object"
    return f"of type {type(value).__name__}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…" + text[-1]
