"""Arguments that people give: checked against the annotations of what they are given to, and against limits."""

from __future__ import annotations

import functools
import inspect
import math
import sys
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from aftertune.errors import InputError, shortened, shown, unknown

P = ParamSpec("P")
R = TypeVar("R")

LIMITS: Mapping[str, tuple[float, float]] = {
    "beams": (0, 256),
    "dropout_samples": (0, 256),
    "max_new_tokens": (1, 131_072),
    "batch_size": (1, 65_536),
    "items": (1, 10**9),
    "judge_concurrency": (1, 256),
    "resamples": (200, 100_000),
    "margin": (0, 2),
    "correct_at": (-1e6, 1e6),
    "seed": (0, 2**32 - 1),
    "data_seed": (0, 2**32 - 1),
    "epochs": (1, 100_000),
    "steps": (1, 10**8),
    "samples": (1, 10**9),
    "r": (1, 65_536),
    "seeds": (1, 1000),
    "stability": (0, 1),
    "spread": (0, 1),
    "scores": (1, 100),
}
"""Setting → smallest and largest value, for the command line, Python and study files."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: refuse arguments that are unknown, missing, of another type than annotated, or beyond `LIMITS`.

    Annotations of `Any` and of classes of ours say nothing that is checked. `function` gets whole numbers as int.
    """
    name = function.__qualname__.removesuffix(".__init__")
    signature = inspect.signature(function)
    variadic = {parameter.kind: parameter.name for parameter in signature.parameters.values()}
    others = variadic.get(inspect.Parameter.VAR_KEYWORD)
    known = [one for one in signature.parameters if one not in ("self", "reporter", others)]

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        strange = [] if others else [one for one in kwargs if one not in signature.parameters]
        if strange:
            raise unknown(f"option of {name}", strange[0], known)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InputError(f"{name}: {error}: it takes {', '.join(known)}") from None
        hints = _hints(function)
        for key, value in bound.arguments.items():
            if key in hints and key != others:
                bound.arguments[key] = check(key, value, hints[key])
        return function(*bound.args, **bound.kwargs)

    return call


def check_fields(instance: object) -> None:
    """`check` of every field of a frozen dataclass; whole numbers become int."""
    for key, hint in _hints(type(instance)).items():
        object.__setattr__(instance, key, check(key, getattr(instance, key), hint))


def check_names(what: str, given: Collection[str], known: Collection[str]) -> None:
    """`InputError`, with the nearest names, for the first that is not among the known ones."""
    for name in given:
        if name not in known:
            raise unknown(what, name, known)


@functools.cache
def _hints(owner: Any) -> Mapping[str, Any]:
    """Name → annotation, without those that cannot be evaluated (names that only a type checker imports)."""
    owners = owner.__mro__[::-1] if isinstance(owner, type) else (owner,)
    found = {}
    for one in owners:
        names = vars(sys.modules[one.__module__])
        for key, hint in inspect.get_annotations(one).items():
            try:
                found[key] = eval(hint, names) if isinstance(hint, str) else hint
            except NameError:
                continue
    return found


def check(name: str, value: Any, hint: Any) -> Any:
    """The value, as an int or a float where it is a number of another library's.

    Raises
    ------
    InputError
        It is none of the kinds that `hint` allows, or beyond its limits.
    """
    kinds = _kinds(hint)
    if Any in kinds or not all(
        get_origin(one) is Literal or isinstance(get_origin(one) or one, type) for one in kinds
    ):
        return value
    kind: Any = next((kind for kind in kinds if _is(value, kind)), None)
    if kind is None and isinstance(value, str) and all(get_origin(kind) is Literal for kind in kinds):
        allowed = ", ".join(get_args(kinds[0]))
        raise InputError(f"{name.replace('_', ' ')} {shortened(repr(value), 60)} is not one of {allowed}")
    if kind is None:
        raise InputError(f"{name} is {shown(value)}: {_wanted(name, kinds)}")
    if get_origin(kind) in _LISTS:
        value = list(value) if get_origin(kind) is Iterable else value
        inner = (get_args(kind) or (Any,))[0]
        if not any(get_origin(one) in _LISTS for one in _kinds(inner)):
            for i, one in enumerate(value):
                check(f"{name}[{i}]", one, inner)
    if kind in (str, Path):
        _check_text(name, value, is_path=Path in kinds)
    if kind not in (int, float):
        return value
    low, high = LIMITS.get(name, (-math.inf, math.inf))
    number: Any = value
    if not low <= number <= high:
        raise InputError(f"{name} is {shown(value)}: {_wanted(name, kinds)}")
    return kind(value)


def _check_text(name: str, value: str | Path, *, is_path: bool) -> None:
    text = str(value)
    if "[" not in name and not text.strip():
        raise InputError(f"{name} is empty: write {'a path' if is_path else 'a text'}")
    if "\0" in text and "[" not in name:
        raise InputError(f"{name} is {shown(text)}: a null character is in it, take it out")
    if is_path and any(len(part.encode(errors="replace")) > LONGEST_NAME for part in text.split("/")):
        raise InputError(f"{name} is {shown(text)}: a name of more than {LONGEST_NAME} bytes, write a shorter one")


LONGEST_NAME = 255
"""Bytes of a file's name; no file system here has longer ones."""

_LISTS = (Iterable, Sequence, Collection, list, tuple)
_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "True or False", Path: "a path"}


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _is(value: Any, kind: Any) -> bool:
    if kind is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if kind is float:
        number: Any = value
        return isinstance(value, Real) and not isinstance(value, bool) and -math.inf < number < math.inf
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if get_origin(kind) is Iterable:
        return hasattr(value, "__iter__") and not isinstance(value, str | bytes)
    if get_origin(kind) in _LISTS:
        flat = len(getattr(value, "shape", (1,))) == 1  # no data frame
        ordered = not isinstance(value, str | bytes | Mapping | Set | type)
        return flat and ordered and hasattr(value, "__len__") and hasattr(value, "__iter__")
    return isinstance(value, get_origin(kind) or kind)


def _wanted(name: str, kinds: Sequence[Any]) -> str:
    """What to write instead."""
    low, high = LIMITS.get(name, (None, None))
    between = "" if low is None else f" from {low:g} to {high:.0f}"
    words = []
    for kind in kinds:
        if get_origin(kind) is Literal:
            words.append(", ".join(map(str, get_args(kind))))
        elif get_origin(kind) in _LISTS:
            inner = _kinds((get_args(kind) or (Any,))[0])[0]
            words.append({str: "a list of texts", int: "a list of whole numbers"}.get(inner, "a list"))
        elif kind in (int, float):
            words.append(_WORDS[kind] + between)
        elif get_origin(kind) is None:
            words.append("None" if kind is type(None) else _WORDS.get(kind, kind.__name__))
    return f"write {' or '.join(words)}"
