"""What a reader types to make a run again; run.json and summary.json hold it as the setting "reproduce"."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from aftertune.options import DEFAULTS, AuditOptions


def command_line(command: str, *given: str | Path, **options: Any) -> str:
    """A command for a POSIX shell.

    Parameters
    ----------
    given : its arguments.
    options : by name; None, False and empty ones are left out, True is a flag, a list repeats its option.

    >>> command_line("audit", "base", "my model", score=["beam_sum"], chat="off", items=None)
    "aftertune audit base 'my model' --score beam_sum --chat off"
    """
    words = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            for one in map(str, value if isinstance(value, list | tuple) else [value]):
                words += [f"{option}={one}"] if one.startswith("-") else [option, one]
    first = list(map(str, given))
    if any(one.startswith("-") for one in first):
        return shlex.join(["aftertune", command, *words, "--", *first])
    return shlex.join(["aftertune", command, *first, *words])


def unusual(options: AuditOptions) -> dict[str, Any]:
    """The settings that differ from the defaults, by the name of their option."""
    pairs = ((field.name, getattr(options, field.name)) for field in fields(options))
    names = {"scores": "score"}
    return {names.get(name, name): value for name, value in pairs if value != getattr(DEFAULTS, name)}


def python_call(function: Callable[..., Any], name: str, given: Mapping[str, Any]) -> str:
    """The call with the arguments that are not the defaults; what Python cannot read again stands as "…".

    >>> def measure(data, out, *, beams=10, tokenizer=None): ...
    >>> python_call(measure, "measure", {"data": "a.jsonl", "out": "runs/a", "beams": 5, "tokenizer": object()})
    "measure(data='a.jsonl', out='runs/a', beams=5, tokenizer=…)"
    """
    defaults = {key: one.default for key, one in inspect.signature(function).parameters.items() if key in given}
    parts = [f"{key}={_readable(given[key])}" for key in defaults if key != "self" and given[key] != defaults[key]]
    return f"{name}({', '.join(parts)})"


def _readable(value: Any) -> str:
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, list | tuple | set) and all(isinstance(one, str | int) for one in value):
        return repr(list(value))
    return repr(value) if isinstance(value, str | int | float | None) else "…"
