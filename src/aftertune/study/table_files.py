"""The tables on disk: CSV, and beside it the same as Markdown and LaTeX (interface, "Tables")."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from aftertune.store.atomic import atomic_write_text
from aftertune.types import Analysis, ChangeRow, CorrelationRow

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "^": r"\textasciicircum{}",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "%": r"\%",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def write_tables(analysis: Analysis, out: Path) -> list[Path]:
    """Write correlation and change as .csv, .md and .tex into the folder `out`; returns the paths.

    A column is a field of `CorrelationRow` or `ChangeRow` (without the underscore of `from_`), in that order.
    Undefined values are empty cells, booleans true or false, real numbers have six significant digits. Each
    file is written whole or not at all.
    """
    written = []
    for name, kind, rows in (
        ("correlation", CorrelationRow, analysis.correlations),
        ("change", ChangeRow, analysis.changes),
    ):
        columns = [field.name for field in fields(kind)]
        header = [column.rstrip("_") for column in columns]
        cells = [[cell(getattr(row, column)) for column in columns] for row in rows]
        for suffix, layout in ((".csv", _csv), (".md", _markdown), (".tex", _latex)):
            path = Path(out) / f"{name}{suffix}"
            atomic_write_text(path, layout(header, cells))
            written.append(path)
    return written


def cell(value: object) -> str:
    """A value as it stands in a table.

    >>> [cell(value) for value in (float("nan"), None, True, 3.0, -0.0, 1 / 3, "x")]
    ['', '', 'true', '3', '0', '0.333333', 'x']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value + 0.0:.6g}"
    return str(value)


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        escaped = (c.replace("\\", "\\\\").replace("|", "\\|") for c in cells)
        return "| " + " | ".join(" ".join(c.split()) for c in escaped) + " |\n"

    return line(header) + "|" + " --- |" * len(header) + "\n" + "".join(map(line, rows))


def _latex(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        escaped = ("".join(_LATEX.get(letter, letter) for letter in " ".join(c.split())) for c in cells)
        return " & ".join(escaped) + r" \\" + "\n"

    body = line(header) + "\\hline\n" + "".join(map(line, rows))
    return f"\\begin{{tabular}}{{{'l' * len(header)}}}\n{body}\\end{{tabular}}\n"
