"""Bars on a terminal, lines in a file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from aftertune.cli import progress
from aftertune.cli.progress import ProgressBars
from aftertune.cli.time_left import TimeLeft

NAMES = ["m[/x]", "m[red]", "openai:x:m", ":heart:"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("terminal", [True, False])
def test_names_are_no_markup_and_no_emoji(name: str, terminal: bool) -> None:
    file = io.StringIO()
    with ProgressBars(Console(file=file, force_terminal=terminal, color_system=None, width=100)) as bars:
        bars.stage(f"{name} · task: judging", 3)
        bars.advance(1)
        bars.note(f"judge {name}: 2 checkpoints")
    assert f"{name} · task: judging" in file.getvalue()
    assert f"note: judge {name}: 2 checkpoints" in file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_time_left(monkeypatch, terminal: bool) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "TimeLeft", lambda: TimeLeft(lambda: now[0]))
    file = io.StringIO()
    with ProgressBars(Console(file=file, force_terminal=terminal, color_system=None, width=100)) as bars:
        bars.plan(100, 0)
        bars.stage("a: decoding", 1)
        now[0] = 125.0
        bars.checkpoint_done()
        bars.stage("b: decoding", 1)
    # 99 of 125 s are 3 h 26 min 15 s
    expected = "left 3:26:15" if terminal else "[1/100] b: decoding  (about 3:26:15 left)\n"
    assert expected in file.getvalue()
