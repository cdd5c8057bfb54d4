"""The tables on disk: CSV and Markdown with a line for each row, LaTeX in the paper's layout."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from aftertune.analysis.rows import (
    Alert,
    Analysis,
    Case1Row,
    ChangeRow,
    CorrelationRow,
    DirectionRow,
    DownstreamChangeRow,
    DownstreamRow,
    EpochFallRow,
    MovedItem,
    PairRow,
    PercentageRow,
    QuadrantRow,
    ReviewRow,
    SampleSizeRow,
    SimilarityRow,
)
from aftertune.files.atomic import atomic_path, atomic_write_text
from aftertune.report.latex_tables import tex


def write_tables(analysis: Analysis, out: Path) -> list[Path]:
    """Write each table as .csv, .md and .tex into the folder `out`, and moved_items.jsonl and alerts.jsonl.

    In .csv and .md a column is a field of the table's row (without the underscore of `from_`), in that order;
    undefined values are empty cells, booleans true or false, real numbers have six significant digits. Each
    file is written whole or not at all. A table without rows has no files, and those that an earlier analysis
    left are removed. percentages and review have no .tex.

    Returns
    -------
    The paths of the files that are there now.
    """
    out = Path(out)
    correlations, changes = analysis.correlations, analysis.changes
    falls, sizes = analysis.epoch_falls, analysis.sample_sizes
    quadrants, directions = analysis.quadrants, analysis.directions
    pairs, case1, similarities = analysis.pairs, analysis.case1, analysis.similarities
    acts, acted = analysis.downstream, analysis.downstream_changes
    return [
        *_write(out, "correlation", CorrelationRow, correlations, tex("correlation", correlations)),
        *_write(out, "change", ChangeRow, changes, tex("change", changes)),
        *_write(out, "epoch_fall", EpochFallRow, falls, tex("epoch_fall", falls)),
        *_write(out, "sample_size", SampleSizeRow, sizes, tex("sample_size", sizes)),
        *_write(out, "quadrants", QuadrantRow, quadrants, tex("quadrants", quadrants)),
        *_write(out, "direction", DirectionRow, directions, tex("direction", directions)),
        *_write(out, "pairs", PairRow, pairs, tex("pairs", pairs)),
        *_write(out, "case1_unchanged", Case1Row, case1, tex("case1_unchanged", case1)),
        *_write(out, "similarity", SimilarityRow, similarities, tex("similarity", similarities)),
        *_write(out, "downstream", DownstreamRow, acts, tex("downstream", acts)),
        *_write(out, "downstream_change", DownstreamChangeRow, acted, tex("downstream_change", acted)),
        *_write(out, "percentages", PercentageRow, analysis.percentages),
        *_write(out, "review", ReviewRow, analysis.reviews),
        *_write_lines(out / "moved_items.jsonl", analysis.moved_items),
        *_write_lines(out / "alerts.jsonl", analysis.alerts),
    ]


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


def _write(out: Path, name: str, kind: type, rows: Sequence[object], latex: str | None = None) -> list[Path]:
    columns = [field.name for field in fields(kind)]
    header = [column.rstrip("_") for column in columns]
    cells = [[cell(getattr(row, column)) for column in columns] for row in rows]
    texts = {".csv": _csv(header, cells), ".md": _markdown(header, cells)}
    texts |= {} if latex is None else {".tex": latex}
    paths = [out / f"{name}{suffix}" for suffix in texts]
    for path, text in zip(paths, texts.values()):
        if rows:
            atomic_write_text(path, text)
        else:
            path.unlink(missing_ok=True)
    return paths if rows else []


def _write_lines(path: Path, items: Sequence[MovedItem | Alert]) -> list[Path]:
    """One JSON object a line, UTF-8; written line by line, for there can be many."""
    if not items:
        path.unlink(missing_ok=True)
        return []
    names = [field.name for field in fields(items[0])]
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for item in items:
            file.write(encode({name.rstrip("_"): getattr(item, name) for name in names}) + "\n")
    return [path]


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        escaped = (c.replace("\\", "\\\\").replace("|", "\\|") for c in cells)
        return "| " + " | ".join(" ".join(c.split()) for c in escaped) + " |\n"

    return line(header) + "|" + " --- |" * len(header) + "\n" + "".join(map(line, rows))
