"""Bars on a terminal, lines in a file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from aftertune.cli import progress
from aftertune.cli.progress import ProgressBars, TimeLeft

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


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def left(clock: Clock) -> TimeLeft:
    return TimeLeft(clock)


def test_of_a_fresh_start(left: TimeLeft, clock: Clock) -> None:
    left.plan(5, 0)
    clock.now += 60  # checks
    left.works()
    clock.now += 10
    assert left.seconds() is None
    left.checkpoint_done()
    assert left.seconds() == 4 * 10
    left.works()
    clock.now += 4
    assert left.seconds() == 6 + 3 * 10
    clock.now += 16  # twice as long as the first
    assert left.seconds() == 3 * 10
    left.checkpoint_done()
    assert left.seconds() == 3 * 15


def test_of_a_restart(left: TimeLeft, clock: Clock) -> None:
    """What was done before does not count, nor what leads to the first new checkpoint."""
    left.plan(30, 12)
    clock.now += 8  # checks
    left.works()
    clock.now += 20  # training from the beginning up to the first that is missing
    left.checkpoint_done()
    left.works()
    assert left.seconds() is None
    clock.now += 2
    left.checkpoint_done()
    assert left.seconds() == 16 * 2
    clock.now += 4
    left.checkpoint_done()
    assert left.seconds() == 15 * 3


def test_when_nothing_is_left(left: TimeLeft, clock: Clock) -> None:
    left.plan(1, 0)
    left.works()
    clock.now += 5
    left.checkpoint_done()
    assert left.seconds() is None
    left.plan(3, 3)
    left.works()
    assert left.seconds() is None
