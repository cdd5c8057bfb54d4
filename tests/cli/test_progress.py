"""Bars on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from aftertune.cli.progress import ProgressBars


@pytest.mark.parametrize("name", ["m[/x]", "m[red]"])
def test_names_are_no_markup(name: str) -> None:
    file = io.StringIO()
    with ProgressBars(Console(file=file, force_terminal=True, color_system=None, width=100)) as bars:
        bars.stage(f"{name} · task: judging", 3)
        bars.advance(1)
    assert f"{name} · task: judging" in file.getvalue()
