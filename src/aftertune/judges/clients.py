"""The official clients of Anthropic and OpenAI, reduced to: a prompt in, a text out.

Keys are read from the environment when a client is opened, stay inside the client, and are cut out of everything
that a server says. Retries are ours (`retry`), the clients' own are off.
"""

from __future__ import annotations

import email.utils
import importlib
import math
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from aftertune.errors import InputError
from aftertune.judges.prompt import MAX_NEW_TOKENS
from aftertune.judges.retry import Refused, Unavailable

Ask = Callable[[str], str]
CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One kind of API.

    Attributes
    ----------
    package : the official client.
    variable : environment variable that holds the key.
    address : base URL unless another is given.
    """

    package: str
    variable: str
    address: str


PROVIDERS = {
    "anthropic": Provider(package="anthropic", variable="ANTHROPIC_API_KEY", address="https://api.anthropic.com"),
    "openai": Provider(package="openai", variable="OPENAI_API_KEY", address="https://api.openai.com/v1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model behind an address, asked at temperature 0."""

    provider: str
    model: str
    address: str
    timeout: float

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.address)
            whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            parts, whole = None, False
        if parts is None or not whole:
            shown = without_login(self.address)
            raise InputError(f"the judge's address {shown!r} is no URL: write http://host:port/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            variable = PROVIDERS[self.provider].variable
            raise InputError(
                "the judge's address holds a user name, a password or a query: write only http://host:port/v1, "
                f"and set a key in the environment variable {variable}"
            )

    @property
    def of_provider(self) -> bool:
        """Whether this is the provider's own server, which asks the provider's prices."""
        return self.address.rstrip("/") == PROVIDERS[self.provider].address

    def check(self) -> None:
        """`InputError` where the client is not installed or no key is set."""
        _sdk(self.provider)
        _key(self.provider)

    def connect(self) -> None:
        """Open a connection to the address (with TLS where it is https) and close it; no request is sent.

        Certificates are left to the client, which knows whom to trust; nothing is tried where it goes through a
        proxy.

        Raises
        ------
        Unavailable
            Why there is no connection.
        """
        parts = urlsplit(self.address)
        host, secure = parts.hostname or "", parts.scheme == "https"
        proxies = getproxies()
        if (parts.scheme in proxies or "all" in proxies) and not proxy_bypass(host):
            return
        try:
            port = parts.port or (443 if secure else 80)
            with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT) as connection:
                if secure:
                    _unverified().wrap_socket(connection, server_hostname=host).close()
        except (OSError, UnicodeError) as error:
            raise Unavailable(_why(error)) from None

    @contextmanager
    def open(self) -> Iterator[Ask]:
        """A function that sends one prompt, for the length of the block; any thread may call it.

        It raises `Unavailable` or `Refused`, whose messages have no key in them.
        """
        sdk, key = _sdk(self.provider), _key(self.provider)
        opened = {"api_key": key, "base_url": self.address, "timeout": self.timeout, "max_retries": 0}
        make, speak = (sdk.Anthropic, _anthropic) if self.provider == "anthropic" else (sdk.OpenAI, _openai)
        with make(**opened) as client:
            send = speak(client, self.model)
            yield lambda prompt: _without(key, _guarded(sdk, lambda: send(prompt), key, self))


def without_login(text: str) -> str:
    """A text that may hold an address, without the user name and the password in it.

    >>> without_login("openai:m@http://user:secret@host:8000/v1")
    'openai:m@http://[login]@host:8000/v1'
    """
    return re.sub(r"(:/+)[^/\s]*@", r"\1[login]@", text)


def _unverified() -> ssl.SSLContext:
    """For a handshake after which nothing is said."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _why(error: BaseException) -> str:
    """Of an error of the operating system, in words."""
    if isinstance(error, TimeoutError):
        return f"no connection within {CONNECT_TIMEOUT:g} s"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "no such host"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the server does not speak TLS: is its address http://, without the s?"
    known = isinstance(error, OSError) and error.strerror
    return known.lower() if known else type(error).__name__


def _sdk(provider: str) -> Any:
    package = PROVIDERS[provider].package
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(
            f"the judge {provider} is asked through the package {package}: pip install 'aftertune[judge]'"
        ) from None


def _key(provider: str) -> str:
    variable = PROVIDERS[provider].variable
    key = os.environ.get(variable, "").strip()
    if not key:
        hint = "" if provider == "anthropic" else " (any word where your own server wants none)"
        raise InputError(f"the judge {provider} needs a key: set the environment variable {variable}{hint}")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise InputError(f"the environment variable {variable} holds characters that no key has: set it again")
    return key


def _anthropic(client: Any, model: str) -> Ask:
    def send(prompt: str) -> str:
        reply = client.messages.create(
            model=model,
            max_tokens=MAX_NEW_TOKENS,
            messages=[{"role": "user", "content": prompt}],
            extra_body={"temperature": 0},  # no parameter of its own in newer clients
        )
        content = getattr(reply, "content", None)
        if not isinstance(content, list):
            raise _malformed()
        texts = [getattr(block, "text", None) for block in content if getattr(block, "type", None) == "text"]
        if not all(isinstance(text, str) for text in texts):
            raise _malformed()
        return "".join(text for text in texts if text)

    return send


def _openai(client: Any, model: str) -> Ask:
    def send(prompt: str) -> str:
        reply = client.chat.completions.create(
            model=model,
            max_tokens=MAX_NEW_TOKENS,
            temperature=0,
            messages=[{"role": "user", "content": prompt}],
        )
        choices = getattr(reply, "choices", None)
        message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
        content = getattr(message, "content", None)
        if message is None or not isinstance(content, str | None):
            raise _malformed()
        return content or ""

    return send


def _malformed() -> Unavailable:
    return Unavailable("the reply is not what this API sends: check the address")


def _guarded(sdk: Any, send: Callable[[], str], key: str, endpoint: Endpoint) -> str:
    """Errors of the clients, which carry the request with its headers, as ours, which do not."""
    try:
        return send()
    except sdk.APITimeoutError:
        raise Unavailable(f"no reply within {endpoint.timeout:g} s") from None
    except sdk.APIConnectionError as error:
        raise Unavailable(_unreached(error)) from None
    except sdk.APIStatusError as error:
        failed = _of_status(error.status_code, str(error.message), error.response.headers, key, endpoint)
        raise failed from None
    except (sdk.APIError, ValueError):  # a reply that is no JSON, or does not fit
        raise _malformed() from None


def _unreached(error: BaseException) -> str:
    """The error of the operating system that it comes from, where there is one."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return "cannot be reached" if cause is None else _why(cause)


def _of_status(status: int, said: str, headers: Any, key: str, endpoint: Endpoint) -> Unavailable | Refused:
    if status in (408, 429) or status >= 500:
        return Unavailable(f"HTTP {status}", _seconds(headers.get("retry-after")))
    if status in (401, 403):  # servers repeat parts of the key here
        return Refused(f"HTTP {status}: check the key in {PROVIDERS[endpoint.provider].variable}")
    said = " ".join(_without(key, said).split())[:200]
    return Refused(f"HTTP {status} ({said}): check the model's name and the address")


def _without(key: str, text: str) -> str:
    return text.replace(key, "[key]")


def _seconds(header: str | None) -> float | None:
    """Retry-After: seconds, or a date; None where it is neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
