"""Prompts with fields in braces: "Question: {question}\\nAnswer:"; they reach the model as they are filled."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from aftertune.errors import InputError
from aftertune.types import Check, Example


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt with names in braces, in the place of what is filled in; doubled braces stand for themselves.

    A backslash followed by n or t, as a shell or a YAML file passes it on, is a new line or a tab; a doubled
    backslash before them is a backslash.

    Raises
    ------
    InputError
        Unbalanced braces, anything but a name in them, no name at all.

    >>> Template("Question: {question}\\nAnswer:").filled({"question": "Who?"})
    'Question: Who?\\nAnswer:'
    """

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _unescaped(self.text))
        try:
            parsed = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise InputError(f"the template {self.text!r} cannot be read: {_unbalanced(self.text)}") from error
        if any(name == "" or form or conversion for _, name, form, conversion in parsed):
            raise InputError(f"the template {self.text!r} may hold columns only, such as {{question}}")
        if not self.names:
            raise InputError(
                f"the template {self.text!r} names no column: write one in braces, such as {{question}}"
            )

    @property
    def parts(self) -> list[tuple[str, str | None]]:
        """Pieces of literal text, each with the name that stands after it."""
        return [(literal, name) for literal, name, _, _ in string.Formatter().parse(self.text)]

    @property
    def names(self) -> list[str]:
        """The names, each once, in order."""
        return list(dict.fromkeys(name for _, name in self.parts if name is not None))

    def filled(self, values: Mapping[str, str]) -> str:
        """The prompt, white space at its end included."""
        return "".join(literal + ("" if name is None else values[name]) for literal, name in self.parts)

    def read(self, prompt: str) -> dict[str, str]:
        """The values that a prompt was filled with.

        Where a value holds the text between two of them, the last place counts.

        Raises
        ------
        ValueError
            The prompt is not made by this template.
        """
        pattern, names = "", []
        for literal, name in self.parts:
            pattern += re.escape(literal)
            if name in names:
                pattern += rf"(?P=value_{names.index(name)})"
            elif name is not None:
                pattern += f"(?P<value_{len(names)}>.*)"
                names.append(name)
        found = re.fullmatch(pattern, prompt, flags=re.DOTALL)
        if found is None:
            raise ValueError(f"{prompt[:80]!r} is not made by {self.text!r}")
        return dict(zip(names, found.groups()))


def escape_check(text: str) -> Check:
    """Does `Template` read a backslash and a letter as one character?"""
    checked = partial(Check, check="template")
    typed = {found[2] for found in _ESCAPE.finditer(text)}
    read = {r"\n": "a new line (↵)", r"\t": "a tab (⇥)"}
    found = [f"{escape} is read as {meant}" for escape, meant in read.items() if escape in typed]
    if not found:
        return checked(level="ok", value=0, message="the template is read as it stands")
    shown = _unescaped(text).replace("\n", "↵").replace("\t", "⇥")
    said = f"in the template {' and '.join(found)}; a doubled backslash stands for itself: {shown}"
    return checked(level="note", value=len(found), message=said)


# Braces and what is in them come first: a backslash in the name of a column is part of it.
_ESCAPE = re.compile(r"(\{\{|\}\}|\{[^{}]*\})|(\\\\(?=[nt])|\\[nt])")
_MEANT = {r"\n": "\n", r"\t": "\t", "\\\\": "\\"}


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: found[1] or _MEANT[found[2]], text)


def _unbalanced(text: str) -> str:
    """What to write instead of braces that do not match."""
    alone = re.sub(r"\{[^{}]*\}", "", text)
    if "{" not in alone and "}" not in alone:
        return "braces may hold the name of a column only, such as {question}"
    if "{" not in alone:
        return "an opening brace is missing; write {question}, or }} for a brace itself"
    found = re.search(r"\{\s*(\w+)", alone)
    name = found.group(1) if found else "question"
    return f"a closing brace is missing; write {{{name}}}, or {{{{ for a brace itself"


def reworded(example: Example, own: Template, other: Template) -> Example:
    """The same item, asked by another template; a judge is told the same question as before.

    Raises
    ------
    InputError
        The item's prompt is not made by its task's template.
    """
    try:
        prompt = other.filled(own.read(example.prompt))
    except ValueError as error:
        raise InputError(f"item {example.id!r} cannot be asked by another template: {error}") from error
    return replace(example, prompt=prompt, question=example.question or example.prompt)


def check_reworded(task: str, own: Template, other: Template) -> None:
    """`InputError` where another template names what the task's own does not."""
    unknown = [name for name in other.names if name not in own.names]
    if unknown:
        has = " and ".join(f"{{{name}}}" for name in own.names)
        raise InputError(
            f"the template {other.text!r} names {{{unknown[0]}}}, which task {task} lacks: it has {has}"
        )
