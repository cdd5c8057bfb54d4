"""Checks of the measurement for a reader: what was found, the worst first, and how many were made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from aftertune.analysis.schema import Row
from aftertune.report.names import CHECKPOINT_NAMES, group_name, grouped, key_of
from aftertune.report.numbers import count

MARKS = {"refused": "⛔", "warning": "⚠", "note": "·", "ok": "✓"}
"""Level → its sign, the worst first."""


class Finding(NamedTuple):
    """One check as it is shown: `where` it was made, and `line`, all of it in one."""

    mark: str
    level: str
    check: str
    where: str
    message: str
    line: str


def findings(rows: Sequence[Row]) -> list[Finding]:
    """All checks, the worst first; the same of several settings once."""
    several = len({key_of(row) for row in rows if row.setting}) > 1
    levels = list(MARKS)
    same = grouped(
        sorted(rows, key=lambda row: levels.index(row.level)),
        lambda row: (row.level, row.check, row.checkpoint, row.message),
    )
    return [_finding(some, several) for some in same.values()]


def is_known(row: Row) -> bool:
    """Whether the check could be made."""
    return row.level != "note" or not math.isnan(row.value)


def _finding(rows: Sequence[Row], several: bool) -> Finding:
    row = rows[0]
    groups = dict.fromkeys(group_name(one.model, one.task, one.setting or "default") for one in rows if one.model)
    group = list(groups)[:1] if several else []
    if several and len(groups) > 1:
        group = [f"{group[0]} and {count(len(groups) - 1, 'more setting')}"]
    named = CHECKPOINT_NAMES.get(row.checkpoint)
    at = [named or row.checkpoint] if row.checkpoint else []
    said = named is not None or row.checkpoint in row.message  # by the message itself
    before = ", ".join([*group, *([] if said else at)])
    mark = MARKS[row.level]
    line = f"{mark} {before}: {row.message}" if before else f"{mark} {row.message}"
    return Finding(mark, row.level, row.check, ", ".join([*group, *at]), row.message, line)


def told(rows: Sequence[Row]) -> list[Finding]:
    """What a reader must see first: all that is not as it should be."""
    return [one for one in findings([row for row in rows if is_known(row)]) if one.level != "ok"]


def summary_of(rows: Sequence[Row]) -> str:
    """
    >>> from types import SimpleNamespace as row
    >>> nan = float("nan")
    >>> summary_of([row(level="ok", value=0), row(level="warning", value=1), row(level="note", value=nan)])
    'Checks: 2 made, 1 warning; 1 could not be made.'
    """
    made = [row for row in rows if is_known(row)]
    bad, noted = ([row for row in made if row.level in some] for some in (("warning", "refused"), ("note",)))
    parts = [count(len(bad), "warning")] * bool(bad) + [count(len(noted), "note")] * bool(noted)
    said = f"Checks: {len(made)} made, {', '.join(parts)}" if parts else f"Checks: all {len(made)} passed"
    unknown = len(rows) - len(made)
    return f"{said}; {unknown} could not be made." if unknown else f"{said}."
