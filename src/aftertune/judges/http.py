"""The HTTP client inside a provider's client: bounds what a server can do, and what it is told.

A reply is read up to `MOST_BYTES` and for so many seconds. Compressed ones are not read, redirects not followed. A
server that is not the provider's own gets no header but those that a question needs.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Mapping
from contextlib import suppress
from threading import Timer
from types import ModuleType
from typing import Any

MOST_BYTES = 1 << 20
LONGEST_WAIT = 60.0
"""Seconds that a server may ask for before a request is sent again; some clients would wait for weeks."""
_WAITS = {b"retry-after": 1.0, b"retry-after-ms": 0.001}
"""Header → its unit in seconds."""
_NEEDED = {
    "accept", "anthropic-version", "connection", "content-length", "content-type", "host", "transfer-encoding",
    "user-agent",
}  # fmt: skip


class Refused(BaseException):
    """A reply that is not read. No `Exception`: the provider's client would ask again."""


def http_client(sdk: ModuleType, *, seconds: float, only: Mapping[str, str] | None) -> Any:
    """What a provider's client takes as its ``http_client``.

    Proxies and certificates of the environment are used, as by the provider's own. Connections are not kept open.

    Parameters
    ----------
    sdk : the provider's package.
    seconds : from the beginning of a request to the end of its reply, however steadily that trickles in.
    only : headers that a request has besides those that it needs; None for all that the provider's client sends,
        such as the organisation of the user.

    Raises
    ------
    Refused
        From requests: the reply is too long, or compressed.
    """
    base = sdk.DefaultHttpxClient.__mro__[-2]  # of httpx, or of its successor
    http: Any = importlib.import_module(base.__module__.partition(".")[0])

    class Client(sdk.DefaultHttpxClient):
        def send(self, request: Any, **settings: Any) -> Any:
            if only is not None:
                needed = {name: value for name, value in request.headers.items() if name.lower() in _NEEDED}
                request.headers = http.Headers({**needed, **only})
            request.headers["accept-encoding"] = "identity"
            deadline = _Deadline(seconds)
            request.extensions = {**request.extensions, "trace": deadline.watch}
            try:
                response = super().send(request, **{**settings, "stream": True, "follow_redirects": False})
                try:
                    content = _content(response)
                finally:
                    response.close()
            except Exception:
                if not deadline.is_over:
                    raise
            finally:
                deadline.cancel()
            if deadline.is_over:  # a reply without a length then only seems to have ended
                raise http.ReadTimeout("the reply did not end in time", request=request)
            headers = [pair for pair in response.headers.raw if _is_short(*pair)]
            return http.Response(response.status_code, headers=headers, content=content, request=request)

    return Client(follow_redirects=False, limits=http.Limits(max_keepalive_connections=0))


def _is_short(name: bytes, value: bytes) -> bool:
    """Whether a header does not ask for a longer wait than `LONGEST_WAIT`."""
    unit = _WAITS.get(name.lower())
    try:
        return unit is None or float(value) * unit <= LONGEST_WAIT
    except ValueError:  # a date
        return False


def _content(response: Any) -> bytes:
    """The body of a reply; b"" for a refused one of an error, whose status says enough."""
    try:
        if response.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
            raise Refused("the reply is compressed, which was not asked for: check the address")
        content = bytearray()
        for piece in response.iter_raw():
            content += piece
            if len(content) > MOST_BYTES:
                raise Refused(f"the reply is longer than {MOST_BYTES >> 20} MiB: check the address")
        return bytes(content)
    except Refused:
        if response.is_success:
            raise
        return b""


class _Deadline:
    """Shuts a connection after so many seconds, which ends whatever waits for it.

    The timeouts of HTTP clients are of single reads: a byte a second keeps them waiting for ever.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._stream: Any = None
        self._timer = Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, _: str, info: Mapping[str, Any]) -> None:
        """Told by the HTTP client what it does: a connection is a result that has a socket."""
        stream = info.get("return_value")
        if hasattr(stream, "get_extra_info"):
            self._stream = stream
            if self.is_over:
                self._shut()

    def cancel(self) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        self.is_over = True
        self._shut()

    def _shut(self) -> None:
        if self._stream is not None:
            with suppress(OSError):  # closed already
                socket.socket.shutdown(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)
