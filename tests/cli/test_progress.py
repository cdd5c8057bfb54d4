"""Bars on a terminal, lines in a file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

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


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("terminal", [True, False])
def test_time_left(clock: Clock, terminal: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, color_system=None, width=100)
    with ProgressBars(console, clock) as bars:
        bars.plan(100, 0)
        bars.stage("a: decoding", 1)
        clock.now += 125
        bars.checkpoint_done()
        bars.stage("b: decoding", 1)
    # 99 of 125 s are 3 h 26 min 15 s
    expected = "left 3:26:15" if terminal else "[1/100] a: measured (about 3 h 27 min left)\n"
    assert expected in file.getvalue()


def test_lines_in_a_file(clock: Clock) -> None:
    """When work begins, with the first guess, for each checkpoint, and for each minute without a line."""
    file = io.StringIO()
    with ProgressBars(Console(file=file, width=100), clock) as bars:
        bars.plan(2, 0)
        bars.stage("a: checking", 1)
        bars.stage("a: decoding", 100)
        bars.advance(0)
        for _ in range(10):
            clock.now += 50
            bars.advance(10)
        bars.stage("a · validation: scoring", 1)
        bars.checkpoint_done()
        bars.stage("b: decoding", 100)
        bars.advance(0)
        clock.now += 50
        bars.advance(10)
        bars.checkpoint_done()
        bars.stage("statistics, tables, figures", 1)
    lines = file.getvalue().splitlines()
    assert lines == [
        "[0/2] a: decoding",
        "[0/2] a: decoding, 10 of 100 (about 16 min left, decoding alone)",  # 950 s
        *(f"[0/2] a: decoding, {n} of 100 (about {m} min left, decoding alone)" for n, m in
          ((30, 15), (50, 13), (70, 11), (90, 10))),
        "[1/2] a: measured (about 9 min left)",
        "[2/2] b: measured",
        "[2/2] statistics, tables, figures",
    ]  # fmt: skip


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


def test_before_a_checkpoint_is_done(left: TimeLeft, clock: Clock) -> None:
    """By the batches that are done, not by what was done before; every checkpoint like this one."""
    left.plan(4, 0)
    left.works()
    left.decodes(100)
    left.decoded(40)
    assert left.seconds() is None
    clock.now += 30
    left.decoded(20)  # the other 40 take 60 s
    assert left.seconds() == 60 + 3 * 90
    clock.now += 10
    assert left.seconds() == 50 + 3 * 90
    clock.now += 50
    left.decoded(40)
    assert left.seconds() == 3 * 90
    left.decodes(50)  # validation items
    left.decoded(0)
    clock.now += 10
    left.decoded(25)
    assert left.seconds() == 10 + 3 * (90 + 20)
    assert left.is_guess
    clock.now += 10
    left.decoded(25)
    left.checkpoint_done()
    assert left.seconds() == 3 * 110
    assert not left.is_guess


def test_when_nothing_is_left(left: TimeLeft, clock: Clock) -> None:
    left.plan(1, 0)
    left.works()
    clock.now += 5
    left.checkpoint_done()
    assert left.seconds() is None
    left.plan(3, 3)
    left.works()
    assert left.seconds() is None
