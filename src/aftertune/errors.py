"""Errors that a person can mend, told apart from errors of ours."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

LONGEST = 500
"""Characters of a message."""


class InputError(Exception):
    """The user's input is wrong. The message is one line: what, where, and what to write instead.

    A message of more than `LONGEST` characters is cut in the middle. The command line prints it without a
    traceback and exits with 2.
    """

    def __init__(self, message: str, *, file: str | Path | None = None, line: int | None = None) -> None:
        self.file, self.line = file, line
        where = "" if file is None else f"{file}: " if line is None else f"{file}, line {line}: "
        super().__init__(shortened(where + " ".join(message.split())))


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text with its middle left out where it is longer than that.

    >>> shortened("0123456789", 7)
    '012…789'
    """
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[: longest - 1 - half]}…{text[-half:]}"


def shown(value: object) -> str:
    """A value as a message shows it: numbers and texts as they are written, anything else by its type."""
    if isinstance(value, int | float | str | bytes | None):
        try:
            return shortened(repr(value), 60)
        except ValueError:  # a number of thousands of digits
            return "a number of thousands of digits"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}"


def first_line(error: Exception) -> str:
    """The first line of a message, or the name of the error where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def unknown(noun: str, name: str, known: Iterable[str]) -> InputError:
    """Error for a name that is not registered, with the nearest names that are."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return InputError(f"unknown {noun} {name!r}: {hint}")
