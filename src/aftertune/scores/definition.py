"""What a confidence score is: a function whose annotations say which evidence it needs.

>>> from aftertune.scores.definition import get
>>> get("beam_ratio[k=5]").needs
('beams',)
>>> get("beam_ratio[k=5]").signature().rsplit("|", 1)[0]
'beam_ratio|k:5'
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from aftertune.errors import InputError, unknown
from aftertune.registry import Registry
from aftertune.scores.text_pairs import TextPairs
from aftertune.signature import signature
from aftertune.types import Evidence, ItemScores

Function = typing.TypeVar("Function", bound=Callable[..., ItemScores])


def _without_none(hint: Any) -> Any:
    """`X` for the hint `X | None`, other hints as they are."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    return parts[0] if len(parts) == 1 else hint


# annotation → field of Evidence, for every part that may be present or absent
_PARTS = {
    _without_none(hint): name
    for name, hint in typing.get_type_hints(Evidence).items()
    if type(None) in typing.get_args(hint)
}
_TEXT_PAIRS = "text_pairs"

# how the text of a parameter of each type is read
_PARSERS: dict[Any, Callable[[str], object]] = {
    int: int,
    float: float,
    bool: lambda text: {"true": True, "false": False}[text.lower()],
    str: str,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """A confidence score with its parameters.

    Attributes
    ----------
    base_name : without parameters; `name` has those that are not the default.
    paper_name, formula, source, when : for people; `when` says in a sentence when to use it.
    sign_in_paper : +1 or −1, what our value is multiplied by to be compared with the paper's Tables 1 and 6 to 8;
        None for a score that is not in the paper. A fact of that comparison only.
    defaults, parameters : name → value.
    function : the function that was decorated.
    arguments : what its positional parameters are given: fields of `Evidence`, or "text_pairs".
    settings : parameters → what the signature says of them.
    """

    base_name: str
    paper_name: str
    formula: str
    source: str
    when: str
    sign_in_paper: int | None
    defaults: Mapping[str, object]
    parameters: Mapping[str, object]
    function: Callable[..., ItemScores]
    arguments: tuple[str, ...]
    settings: Callable[..., Mapping[str, object]]

    @property
    def name(self) -> str:
        """``base_name``, or ``base_name[key=value,…]`` with the parameters that are not the default."""
        changed = [f"{key}={value}" for key, value in self.parameters.items() if value != self.defaults[key]]
        return f"{self.base_name}[{','.join(changed)}]" if changed else self.base_name

    @property
    def needs(self) -> tuple[str, ...]:
        """Fields of `Evidence` that must be present."""
        return tuple(part for part in self.arguments if part != _TEXT_PAIRS)

    def signature(self) -> str:
        """How the numbers are made: the name, every parameter, and the versions that they depend on."""
        return signature(self.base_name, **self.settings(**self.parameters))

    def with_parameters(self, **parameters: object) -> Score:
        """The same score with other parameters; `InputError` for an unknown name or a value it refuses."""
        hints = typing.get_type_hints(self.function, include_extras=True)
        for key, value in parameters.items():
            if key not in self.defaults:
                raise self._unknown_parameter(key)
            for check in getattr(hints[key], "__metadata__", ()):
                check(value)
        return replace(self, parameters=MappingProxyType({**self.parameters, **parameters}))

    def parse(self, text: str) -> Score:
        """The same score with parameters written as ``key=value,key=value``."""
        hints = typing.get_type_hints(self.function)
        parameters: dict[str, object] = {}
        for part in re.split(r",(?=\w+=)", text):
            key, equals, value = part.partition("=")
            if not equals:
                raise InputError(f"score {self.base_name!r}: {part!r} is not a parameter; write name=value")
            if key not in self.defaults:
                raise self._unknown_parameter(key)
            kind = _without_none(hints[key])
            try:
                parameters[key] = None if kind is not hints[key] and value == "None" else _PARSERS[kind](value)
            except (ValueError, KeyError):
                raise InputError(
                    f"score {self.base_name!r}: {key}={value} is not of type {kind.__name__}; "
                    f"write {self.base_name}[{key}=…]"
                ) from None
        return self.with_parameters(**parameters)

    def _unknown_parameter(self, key: str) -> InputError:
        if not self.defaults:
            return InputError(f"score {self.base_name!r} has no parameters: write {self.base_name}")
        return unknown(f"parameter of score {self.base_name!r}", key, self.defaults)

    def __call__(self, evidence: Evidence, text_pairs: TextPairs | None = None) -> ItemScores:
        """The score of every item of `evidence`, in its order.

        Parameters
        ----------
        text_pairs
            Similarities of texts known already, to be shared between scores; a fresh store if None, which
            starts no other process.

        Raises
        ------
        InputError
            A part of the evidence that the score needs was not collected.
        """
        missing = [part for part in self.needs if getattr(evidence, part) is None]
        if missing:
            raise InputError(
                f"score {self.name!r} needs {' and '.join(missing)}, which this evidence does not hold: "
                f"collect {'them' if len(missing) > 1 else 'it'}, or leave the score out"
            )
        pairs = TextPairs(workers=1) if text_pairs is None else text_pairs
        given = [pairs if name == _TEXT_PAIRS else getattr(evidence, name) for name in self.arguments]
        result = self.function(*given, **self.parameters)
        if not isinstance(result, ItemScores) or len(result.value) != len(evidence):
            raise TypeError(f"score {self.name!r} must return ItemScores with {len(evidence)} items")
        return result


SCORES: Registry[Score] = Registry("score", "scores", "aftertune.scores")


def score(
    *,
    formula: str,
    source: str,
    when: str = "",
    paper_name: str = "",
    sign_in_paper: int | None = None,
    settings: Callable[..., Mapping[str, object]] = dict,
) -> Callable[[Function], Function]:
    """Decorator that registers a function as the confidence score of the same name.

    The function's positional parameters are annotated with the evidence they need: `Greedy`, `Beams`,
    `DropoutSamples`, `Floats` (the embedding); `TextPairs` is the store of text similarities that all scores of
    one call share. Keyword-only parameters, each with a default, are the score's parameters: `int`, `float`,
    `bool` or `str`, or one of them or None; in ``Annotated[type, check]`` `check(value)` raises `InputError` for
    a value that makes no sense. The function returns `ItemScores`, higher meaning more confident.

    Parameters
    ----------
    formula, source, when, paper_name, sign_in_paper
        See `Score`.
    settings
        Called with the parameters as keywords; what the signature says of them and of the libraries used.

    Returns
    -------
    The function, unchanged.
    """
    if sign_in_paper not in (None, 1, -1):
        raise ValueError(f"a sign is +1, -1 or None, not {sign_in_paper!r}")

    def register(function: Function) -> Function:
        name = function.__name__
        arguments, defaults = _read_signature(function)
        SCORES.add(
            name,
            Score(
                base_name=name,
                paper_name=paper_name or name,
                formula=formula,
                source=source,
                when=when,
                sign_in_paper=sign_in_paper,
                defaults=MappingProxyType(defaults),
                parameters=MappingProxyType(defaults),
                function=function,
                arguments=arguments,
                settings=settings,
            ),
        )
        return function

    return register


def get(name: str) -> Score:
    """The score called `name`: ``beam_ratio``, or with parameters ``cocoa_msp[similarity=meteor]``.

    Raises
    ------
    InputError
        Unknown score or parameter (with the nearest names), or a value that the parameter refuses.
    """
    match = re.fullmatch(r"(?P<base>[^\[\]]*)\[(?P<parameters>.+)\]", name)
    if match is None:
        return SCORES.get(name)
    return SCORES.get(match["base"]).parse(match["parameters"])


def _read_signature(function: Callable[..., ItemScores]) -> tuple[tuple[str, ...], dict[str, object]]:
    """What the positional parameters ask for, and the keyword-only parameters with their defaults."""
    hints = typing.get_type_hints(function)
    arguments: list[str] = []
    defaults: dict[str, object] = {}
    for key, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            if parameter.default is parameter.empty or _without_none(hints[key]) not in _PARSERS:
                raise TypeError(
                    f"score {function.__name__!r}: parameter {key!r} must have a default and be int, float, "
                    "bool or str"
                )
            defaults[key] = parameter.default
        elif hints.get(key) is TextPairs:
            arguments.append(_TEXT_PAIRS)
        else:
            part = _PARTS.get(hints.get(key))
            if part is None:
                raise TypeError(
                    f"score {function.__name__!r}: annotate {key!r} with the evidence it needs, one of "
                    f"{', '.join(_PARTS.values())}"
                )
            arguments.append(part)
    return tuple(arguments), defaults
