"""The tables of README.md, made from the results' JSON files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.row import Row, row_from_json

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
SECTIONS = {
    "evidence": "Evidence beside bare generation",
    "floor": "Evidence beside its arithmetic floor",
    "peer": "Evidence beside LM-Polygraph 0.7.0",
    "memory": "Peak memory",
    "texts": "Scoring texts",
    "training": "Fine-tuning",
    "analyze": "Analysing records",
    "pairs": "Counting pairs of items",
    "gpu": "On a GPU",
}
NOT_YET = "not yet measured"
_HEAD = ("model", "case", "figure", "target", "verdict", "ours / other", "wall", "note")


def write_results(
    folder: Path,
    name: str,
    machine: dict[str, str],
    plan: dict[str, Any],
    rows: Sequence[Row],
    raw: dict[str, Any],
) -> Path:
    """One section of one model: `NAME.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    content = {"machine": machine, "plan": plan, "rows": [row.as_json() for row in rows], "raw": raw}
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def read_results(folder: Path) -> tuple[list[Row], list[dict[str, str]]]:
    """All rows of a folder in the order of the files' names, and the machines that they were measured on."""
    rows: list[Row] = []
    machines: list[dict[str, str]] = []
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        rows += [row_from_json(fields) for fields in content["rows"]]
        if content["machine"] not in machines:
            machines.append(content["machine"])
    return rows, machines


def render(rows: Iterable[Row], machines: Sequence[dict[str, str]]) -> str:
    """Markdown: the verdicts counted, a table for each section, the machines."""
    rows = list(rows)
    with_target = [row for row in rows if row.target is not None or row.value is None]
    verdicts = [row.verdict() for row in with_target]
    parts = []
    if rows:
        counted = ", ".join(
            f"{verdicts.count(verdict)} {verdict}"
            for verdict in ("met", "not met", "not measured")
            if verdict in verdicts
        )
        parts.append(f"Targets: {counted or 'none among these rows'}.")
    for section, title in SECTIONS.items():
        own = [row for row in rows if row.section == section]
        parts.append(f"### {title}\n\n{_table(own) if own else f'*{NOT_YET}*'}")
    parts.append("### Measured on\n\n" + ("\n\n".join(map(_machine, machines)) or f"*{NOT_YET}*"))
    return "\n\n".join(parts)


def into_readme(file: Path, tables: str) -> None:
    """Replace what stands between the two markers."""
    text = file.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file} lacks {BEGIN} or {END}")
    file.write_text(f"{head}{begin}\n\n{tables}\n\n{end}{tail}", encoding="utf-8")


def _table(rows: Sequence[Row]) -> str:
    lines = [_HEAD, tuple("---" for _ in _HEAD), *(_cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    figure = "" if row.value is None else _number(row.value, row.unit)
    if row.spread is not None and row.value is not None:
        figure += f" ({_number(row.spread[0], '')}–{_number(row.spread[1], '')})"
    sign = "≤" if row.sense == "at most" else "≥"
    verdict = row.verdict()
    return (
        row.model,
        row.case,
        figure or "–",
        "–" if row.target is None else f"{sign} {_number(row.target, row.unit)}",
        f"**{verdict}**" if verdict == "not met" else verdict,
        "–" if row.ours is None or row.other is None else f"{_amount(row.ours)} / {_amount(row.other)}",
        "–" if row.wall is None else _number(row.wall, row.unit),
        row.note or "–",
    )


def _number(value: float, unit: str) -> str:
    digits = 2 if unit in ("×", "") and abs(value) < 10 else 1
    return f"{value:.{digits}f}{' ' if unit not in ('×', '') else ''}{unit}"


def _amount(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _machine(machine: dict[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in machine.items())
