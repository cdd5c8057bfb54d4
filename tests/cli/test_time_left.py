"""How long is left, by a clock that is set by hand."""

from __future__ import annotations

import pytest

from aftertune.cli.time_left import TimeLeft


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
