"""Many panels on several figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def pages(name: str, panels: Sequence[T], model: Callable[[T], str], most: int) -> list[tuple[str, list[T]]]:
    """Names of figures and their panels: one if there are at most `most`, else one or more for each model.

    >>> pages("f", ["ax", "ay", "bx"], lambda panel: panel[0], most=2)
    [('f_a', ['ax', 'ay']), ('f_b', ['bx'])]
    >>> pages("f", ["a1", "a2", "a3"], lambda panel: panel[0], most=2)
    [('f_a', ['a1', 'a2']), ('f_a_2', ['a3'])]
    """
    if len(panels) <= most:
        return [(name, list(panels))] if panels else []
    found: dict[str, list[T]] = {}
    for of_model in dict.fromkeys(model(panel) for panel in panels):
        own = [panel for panel in panels if model(panel) == of_model]
        for start in range(0, len(own), most):
            found[_free(f"{name}_{slug(of_model)}", found)] = own[start : start + most]
    return list(found.items())


def slug(words: str) -> str:
    """The words as part of a file's name.

    >>> slug("meta-llama/Llama-3.1-8B")
    'meta-llama-Llama-3.1-8B'
    """
    return re.sub(r"[^0-9A-Za-z._-]+", "-", words).strip("-.") or "unnamed"


def _free(name: str, taken: object) -> str:
    number = 2
    found = name
    while found in taken:  # pyright: ignore[reportOperatorIssue]
        found, number = f"{name}_{number}", number + 1
    return found
