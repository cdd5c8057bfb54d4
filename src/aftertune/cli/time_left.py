"""How long the checkpoints that are left will take."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class TimeLeft:
    """From what was measured since this start, checks left out.

    The first checkpoint after a restart tells nothing: training goes on from where it stood, or begins again on
    the way to it. From the second on, the time since the first counts.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._left = self._counted = 0
        self._resumed = False
        self._since: float | None = None
        self._last = 0.0

    def plan(self, checkpoints: int, done: int) -> None:
        """So many checkpoints will be measured, `done` of them already are."""
        self._left, self._counted, self._resumed = checkpoints - done, 0, done > 0
        self._since = None

    def works(self) -> None:
        """Decoding or training begins or goes on."""
        if self._since is None and not self._resumed:
            self._since = self._clock()

    def checkpoint_done(self) -> None:
        self._left, self._last = self._left - 1, self._clock()
        if self._since is None:
            self._since = self._last
        else:
            self._counted += 1

    def seconds(self) -> int | None:
        """None where it cannot be said yet, or nothing is left."""
        if not self._counted or self._since is None or self._left < 1:
            return None
        each = (self._last - self._since) / self._counted
        of_this = max(0.0, each - (self._clock() - self._last))
        return round(of_this + each * (self._left - 1))
