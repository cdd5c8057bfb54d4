"""Asking again what may be answered later: back-off between attempts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

ATTEMPTS = 6
FIRST_DELAY = 1.0
LONGEST_DELAY = 120.0


class Unavailable(Exception):
    """No usable answer now, perhaps later: a timeout, HTTP 429 or 5xx, a malformed reply.

    `retry_after` : seconds that the server asks to wait, or None.
    """

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Refused(Exception):
    """The request is wrong and asking again will not help: any other HTTP 4xx."""


class Stopped(Exception):
    """Another request failed for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays of 1, 2, 4, … seconds, or what the server asks for if that is longer, at most `longest`.

    Attributes
    ----------
    attempts : at most, the first one included.
    sleep : called with seconds; None waits for them, or until there is no point in waiting.
    """

    sleep: Callable[[float], object] | None = None
    attempts: int = ATTEMPTS
    first: float = FIRST_DELAY
    longest: float = LONGEST_DELAY

    def call(
        self,
        ask: Callable[[str], str],
        prompt: str,
        stop: Event,
        waits: Callable[[Unavailable, int], object] | None = None,
    ) -> str:
        """What `ask` says to `prompt`; `waits` is told why it is asked again, and how often at most.

        Raises
        ------
        Unavailable
            From the last attempt.
        Refused
            At once.
        Stopped
            When `stop` was set before an attempt.
        """
        for attempt in range(1, self.attempts + 1):
            if stop.is_set():
                raise Stopped
            try:
                return ask(prompt)
            except Unavailable as error:
                if attempt == self.attempts:
                    raise
                if waits is not None:
                    waits(error, self.attempts - attempt)
                delay = max(self.first * 2 ** (attempt - 1), error.retry_after or 0.0)
                (stop.wait if self.sleep is None else self.sleep)(min(delay, self.longest))
        raise ValueError("a back-off of no attempts")
