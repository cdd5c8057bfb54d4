"""The tables on disk: CSV and Markdown with a line for each row, LaTeX in the paper's layout, JSON Lines."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

from aftertune.analysis.schema import TABLES, Analysis, Row
from aftertune.files.atomic import atomic_path, atomic_write_text, remove
from aftertune.report.latex_tables import SPECS, tex


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
                atomic_write_text(path, (_csv if suffix == ".csv" else _markdown)(header, rows))
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
            file.write(encode(dict(zip(header, row))) + "\n")


def _csv(header: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *(map(cell, row) for row in rows)])
    return text.getvalue()


def _markdown(header: Sequence[str], rows: Sequence[Row]) -> str:
    def line(cells: Sequence[str]) -> str:
        escaped = (c.replace("\\", "\\\\").replace("|", "\\|") for c in cells)
        return "| " + " | ".join(" ".join(c.split()) for c in escaped) + " |\n"

    return line(header) + "|" + " --- |" * len(header) + "\n" + "".join(line(list(map(cell, row))) for row in rows)
