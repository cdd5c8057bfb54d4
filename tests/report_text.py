"""What a reader sees of a page, in a figure and on a terminal, as text."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from rich.console import Console

from aftertune.analysis.schema import Analysis
from aftertune.report.brief import print_brief
from aftertune.report.summary import Summary, summarise
from aftertune.report.terminal import print_verdicts

if TYPE_CHECKING:
    from aftertune.report.figures import Drawing

VOID = frozenset({"meta", "img", "line", "circle", "br", "input"})
INLINE = frozenset({"code", "span", "strong", "a", "svg", "line", "circle", "text", "label"})
CELLS = frozenset({"td", "th", "dt"})


class Reader(HTMLParser):
    """Tags, attributes and text; void tags aside, every tag must be closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in INLINE | CELLS:
            self.text.append(" " if tag == "br" else "\n")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag not in INLINE:
            self.text.append(" | " if tag in CELLS else "\n")

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["title"], ["script"]):
            self.text.append(data.replace("\n", " "))


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def visible(page: str) -> str:
    """The page's text without its pictures: a line for each paragraph and row, cells apart by bars."""
    lines = (" ".join(line.split()).removesuffix(" |") for line in "".join(read(page).text).split("\n"))
    return "".join(f"{line}\n" for line in lines if line)


def words(drawing: Drawing) -> list[str]:
    """The texts of a figure, which matplotlib leaves as comments beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", drawing.svg.decode(), re.DOTALL)


def printed(analysis: Analysis, width: int = 120, encoding: str = "utf-8") -> str:
    """All that is printed of the analysis (--verbose), by a console as rich makes it."""
    return _printed(print_verdicts, summarise(analysis), width, encoding)


def briefly(
    summary: Summary,
    width: int = 80,
    encoding: str = "utf-8",
    *,
    paths: Sequence[str] = (),
    terminal: bool = False,
) -> str:
    """What is printed of it without --verbose."""
    return _printed(print_brief, summary, width, encoding, paths, terminal=terminal)


def _printed(
    show: Callable[..., None], summary: Summary, width: int, encoding: str, *more: object, terminal: bool = False
) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(
        file=file, width=width, force_terminal=terminal, color_system="standard" if terminal else None
    )
    show(console, summary, *more)
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # pyright: ignore[reportAttributeAccessIssue]
