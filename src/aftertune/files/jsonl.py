"""Reading JSON Lines strictly: every refusal names the file and the line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from aftertune.errors import InputError
from aftertune.files.reading import check_file

LONGEST_LINE = 2**26  # bytes


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An `object_pairs_hook` of `json` that refuses (`ValueError`) a key that stands twice."""
    row: dict[str, Any] = {}
    for key, value in pairs:
        if key in row:
            raise ValueError(f"the key {key!r} stands twice in one object")
        row[key] = value
    return row


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON: write null for an undefined value")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text} is too large for a float")
    return value


def _int(text: str) -> int:
    if len(text) > 4000:
        raise ValueError(f"a number of {len(text):,} digits is too long")
    return int(text)


# refuses, with a ValueError, what the standard library accepts and JSON does not have
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_constant=_constant, parse_float=_float, parse_int=_int
)


def parse_json(text: str) -> Any:
    """The value that a text holds, read strictly.

    Raises
    ------
    ValueError
        Malformed or nested too deeply; a key that stands twice in an object; ``NaN`` or ``Infinity``; a number
        that overflows; a lone surrogate. A `json.JSONDecodeError` where it may have been cut short.
    """
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair in a \\u escape is not text") from error
    except RecursionError as error:
        raise ValueError("malformed JSON (nested too deeply)") from error
    return value


def _parse(text: str, *, last: bool) -> dict[str, Any]:
    """One object. `last`: the line has no newline, so that bad JSON there is taken for a cut file."""
    try:
        row = parse_json(text)
    except json.JSONDecodeError as error:
        if last:
            raise ValueError(
                "the last line is cut short (no newline, and not a whole JSON object): write the file again"
            ) from error
        raise ValueError(f"malformed JSON ({error.msg}, column {error.colno})") from error
    if not isinstance(row, dict):
        raise ValueError(f'a JSON object is wanted, such as {{"key": 1}}, not {_kind(row)}')
    return row


def _kind(value: object) -> str:
    kinds = {str: "a string", list: "a list", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def read_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON Lines file with their line numbers, which count from 1.

    UTF-8, with or without a byte order mark; one object a line; ``\\n`` or ``\\r\\n``. Blank lines are
    skipped (and counted). The file is read as it is iterated over, so that its size does not matter.

    Yields
    ------
    (line, object)
        A file without objects yields nothing; whether that is wrong is for the caller to say.

    Raises
    ------
    InputError
        With the file, and the line where there is one: what `check_file` refuses, not UTF-8, a line of more than
        `LONGEST_LINE` bytes, what `parse_json` refuses, not an object, a truncated last line.
    """
    path = Path(path)
    check_file(path, text=True)
    with path.open("rb") as stream:
        for line, raw in enumerate(iter(lambda: stream.readline(LONGEST_LINE + 1), b""), start=1):
            try:
                if len(raw) > LONGEST_LINE:
                    raise ValueError(f"the line has more than {LONGEST_LINE:,} bytes: write one object a line")
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8").strip()
                if text:
                    yield line, _parse(text, last=not raw.endswith(b"\n"))
            except UnicodeDecodeError as error:
                raise InputError(
                    f"not UTF-8 (byte {raw[error.start]:#04x} at column {error.start + 1}): "
                    "save the file as UTF-8",
                    file=path,
                    line=line,
                ) from error
            except ValueError as error:
                raise InputError(str(error), file=path, line=line) from error
