"""The tables on disk: CSV and Markdown with a line for each row, LaTeX in the paper's layout, JSON Lines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from aftertune.analysis.schema import TABLES, Analysis, Row
from aftertune.files.atomic import atomic_path, atomic_write_text, remove
from aftertune.report.latex_tables import SPECS, tex
from aftertune.visible import in_json, visible

_FORMULA = re.compile(r"(\A|[;\t\r\n])(?=['=+\-@＝＋－＠\t\r\n])")
"""Where a spreadsheet takes what follows for a formula; some part cells at semicolons and tabs."""
_QUOTED = re.compile(r'[,;\t"\r\n]')
_MARKDOWN = re.compile(r"[\\|<&\[`]")
"""What ends a cell, or begins HTML, an entity, a link, a picture or code."""


def write_tables(analysis: Analysis, out: Path) -> list[Path]:
    """Write each table as .csv, .md and .tex, or as .jsonl, into the folder `out`.

    Undefined values are empty cells (null in JSON), booleans true or false, real numbers in cells have six
    significant digits. Each file is written whole or not at all. A table without rows has no files, and those that
    an earlier analysis left are removed.

    Returns
    -------
    The paths of the files that are there now.
    """
    written = []
    for name, table in TABLES.items():
        rows, header = analysis.rows(name), [column.name for column in table.columns]
        suffixes = {"csv": [".csv", ".md", *([".tex"] if name in SPECS else [])], "jsonl": [".jsonl"]}
        for suffix in suffixes.get(table.file, []):
            path = Path(out) / f"{name}{suffix}"
            if not rows:
                remove(path)
                continue
            if suffix == ".jsonl":
                _write_lines(path, header, rows)
            elif suffix == ".tex":
                atomic_write_text(path, tex(name, rows))
            else:
                atomic_write_text(path, (csv_text if suffix == ".csv" else _markdown)(header, rows))
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


def _write_lines(path: Path, header: Sequence[str], rows: Sequence[Row]) -> None:
    """One JSON object a line, UTF-8; written line by line, for there can be many."""
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(in_json(encode(dict(zip(header, row)))) + "\n")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A CSV file, UTF-8, with a line for each row."""
    # Before Python 3.13, csv.writer leaves a carriage return without quotes, which then ends the row.
    return "".join(",".join(map(_csv_cell, row)) + "\n" for row in [header, *rows])


def _csv_cell(value: object) -> str:
    """A cell of a CSV file: spreadsheets run a text that looks like a formula, so an apostrophe is put before it.

    One more goes before an apostrophe in such a place, so that without its first one each is what it was.

    >>> print(*map(_csv_cell, ("=1+1", "'s", "a=b", -0.5, "1,2", "a;=b")))
    '=1+1 ''s a=b -0.5 "1,2" "a;'=b"
    """
    text = _FORMULA.sub(r"\1'", value) if isinstance(value, str) else cell(value)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def markdown(text: str) -> str:
    """Text on one line of Markdown, in which nothing is obeyed."""
    return _MARKDOWN.sub(r"\\\g<0>", visible(" ".join(text.split())))


def _markdown(header: Sequence[str], rows: Sequence[Row]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(markdown, cells)) + " |\n"

    return line(header) + "|" + " --- |" * len(header) + "\n" + "".join(line(list(map(cell, row))) for row in rows)
