"""How our docstrings differ from what numpydoc's readers expect, undone for the site (mkdocs.yml)."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

SECTION = re.compile(r"^(Parameters|Attributes|Returns)\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", re.S | re.M)


class OneLine(griffe.Extension):
    """Puts what stands where a type is expected (the annotation has it) to where a description is."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = SECTION.sub(_apart, obj.docstring.value)


def _apart(section: re.Match[str]) -> str:
    if section[1] != "Returns":
        return re.sub(r"^(\w[^\n:]*?) : ", r"\1\n    ", section[0], flags=re.MULTILINE)
    if re.search(r"^ ", section[2], re.MULTILINE):
        return section[0]
    return f"Returns\n-------\n:\n{textwrap.indent(section[2], ' ' * 4)}"
