"""Rows of tables with what a test says of them, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from math import nan

from aftertune.analysis.schema import Row, Table

_NAMES = {"model": "m", "task": "t", "setting": "default", "score": "s"}
_EMPTY = {"text": "", "int": 0, "bool": False, "float": nan, "list": (), "object": None}


def row(table: Table, **values: object) -> Row:
    """A row of "m" on "t" by "s"; what else is not given is undefined, empty or 0, as its kind has it."""
    base = {
        column.name + "_" * (column.name == "from"): _NAMES.get(column.name, _EMPTY.get(column.kind))
        for column in table.columns
        if column.default is ...
    }
    return table.row(**base | values)


def both(changes: Iterable[Row]) -> list[Row]:
    """Rows of change.csv about the tie-adjusted rho, each with its twin about plain rho."""
    return [row._replace(effect=effect) for row in changes for effect in ("adjusted", "spearman")]
