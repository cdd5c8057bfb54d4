"""A model behind an API as the judge, asked with the paper's prompt through its provider's own client.

The client tries again what may pass (timeouts, HTTP 408, 409, 429 and 5xx). Keys are read from the environment
when a client is opened, stay inside it, and are cut out of everything that a server says. A provider's key goes to
its own servers alone; others get `OTHER_KEY`.
"""

from __future__ import annotations

import importlib
import ipaddress
import json
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from aftertune.errors import InputError
from aftertune.files.atomic import atomic_write_text
from aftertune.judges.cost import tokens_of
from aftertune.judges.http import Refused, http_client
from aftertune.judges.judge import (
    EMPTY,
    MAX_NEW_TOKENS,
    PROMPT,
    Cost,
    Judgement,
    Progress,
    Question,
    prompt_of,
    prompts_of,
    read_verdict,
)
from aftertune.options import DEFAULTS
from aftertune.signature import digest, signature

CONCURRENCY = DEFAULTS.judge_concurrency
RETRIES = 5
TIMEOUT = 60.0
READY_TIMEOUT = 10.0
"""Seconds within which a server must answer before anything is decoded."""
PROVIDERS = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
"""Provider (the name of its client's package too) → its address."""
OTHER_KEY = "AFTERTUNE_JUDGE_KEY"
"""Environment variable: the key for servers that are not a provider's own."""
PLAIN = "plain+"
"""Stands before http:// where the user allows that a key and answers travel unencrypted."""
SHORTEST_SECRET = 8
"""Characters. A shorter key is a word for a server that wants none, and may stand in an answer ("No")."""


class NoAnswer(Exception):
    """A request failed for good.

    Attributes
    ----------
    may_pass : whether the client tried again, and an answer may come later.
    connected : whether the server was reached.
    """

    def __init__(self, why: str, *, may_pass: bool = False, connected: bool = True) -> None:
        super().__init__(why)
        self.may_pass, self.connected = may_pass, connected


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model behind an address, asked at temperature 0.

    Attributes
    ----------
    timeout : seconds from a request to the end of its reply.
    retries : how often a request that may pass is sent again.
    plain : whether http:// may lead to another machine.
    """

    provider: str
    model: str
    address: str
    timeout: float = TIMEOUT
    retries: int = RETRIES
    plain: bool = False

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.address)
            whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            parts, whole = None, False
        if parts is None or not whole or not self.address.isprintable():
            shown = without_login(self.address)
            raise InputError(f"the judge's address {shown!r} is no URL: write http://host:port/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InputError(
                "the judge's address holds a user name, a password or a query: write only http://host:port/v1, "
                f"and set a key in the environment variable {self.variable}"
            )

        if parts.scheme == "http" and not self.plain and not _is_here(parts.hostname or ""):
            raise InputError(
                f"the judge's address {self.address} would send the key and the answers unencrypted: write "
                f"https://, or {PLAIN}http:// where you trust the network"
            )

    @property
    def is_own(self) -> bool:
        """Whether the address is one of the provider's, such as a regional one."""
        own, parts = urlsplit(PROVIDERS[self.provider]).hostname or "", urlsplit(self.address)
        names = rf"([a-z0-9-]+\.)*{re.escape(own)}"
        return parts.scheme == "https" and re.fullmatch(names, parts.hostname or "", re.ASCII) is not None

    @property
    def own_variable(self) -> str:
        """Environment variable that holds the provider's key."""
        return f"{self.provider.upper()}_API_KEY"

    @property
    def variable(self) -> str:
        """Environment variable that holds the key for the address."""
        return self.own_variable if self.is_own else OTHER_KEY

    def settings(self) -> str:
        """What decides an answer, for the signature and for the cache."""
        return (
            f"{self.provider}|model:{self.model}|address:{self.address.rstrip('/')}|temperature:0|"
            f"max_tokens:{MAX_NEW_TOKENS}|prompt:{digest(PROMPT, 8)}"
        )

    def check(self) -> None:
        """Ask for the list of models, which costs nothing; only that something answers matters.

        Raises
        ------
        InputError
            The client is not installed; no key is set.
        NoAnswer
            With `connected` false: nothing answers at the address.
        """
        with self._client(timeout=READY_TIMEOUT, max_retries=0) as (client, guarded):
            guarded(client.models.list)

    @contextmanager
    def open(self) -> Iterator[Callable[[str], str]]:
        """A function that sends one prompt, for the length of the block; any thread may call it.

        It raises `NoAnswer`, whose message has no key in it.
        """
        with self._client(timeout=self.timeout, max_retries=self.retries) as (client, guarded):
            send = _anthropic if self.provider == "anthropic" else _openai
            yield lambda prompt: guarded(lambda: send(client, self.model, prompt))

    @contextmanager
    def _client(self, **settings: Any) -> Iterator[tuple[Any, Callable[..., Any]]]:
        """The provider's client, and what calls it: its errors hold the request and the key, ours do not."""
        try:
            sdk: Any = importlib.import_module(self.provider)
        except ImportError:
            raise InputError(
                f"the judge {self.provider} is asked through the package {self.provider}: "
                "pip install 'aftertune[judge]'"
            ) from None
        key = self._key()

        def without_key(text: str) -> str:
            return text.replace(key, "[key]") if len(key) >= SHORTEST_SECRET else text

        def guarded(call: Callable[[], Any]) -> Any:
            try:
                said = call()
            except sdk.APITimeoutError:
                why = f"no reply within {settings['timeout']:g} s"
                raise NoAnswer(why, may_pass=True, connected=False) from None
            except sdk.APIConnectionError as error:
                raise NoAnswer(_unreached(error), may_pass=True, connected=False) from None
            except sdk.APIStatusError as error:
                said = str(error.response.headers.get("location") or error.message)
                raise self._refused(error.status_code, without_key(said)) from None
            except Refused as refused:
                raise NoAnswer(str(refused)) from None
            except (sdk.APIError, ValueError, TypeError, AttributeError, IndexError, RecursionError):
                raise NoAnswer("the reply is not what this API sends: check the address") from None
            return without_key(said) if isinstance(said, str) else said

        make = sdk.Anthropic if self.provider == "anthropic" else sdk.OpenAI
        only = {"x-api-key": key} if self.provider == "anthropic" else {"authorization": f"Bearer {key}"}
        http = http_client(sdk, seconds=settings["timeout"], only=None if self.is_own else only)
        with make(api_key=key, base_url=self.address, http_client=http, **settings) as client:
            yield client, guarded

    def _key(self) -> str:
        key = os.environ.get(self.variable, "").strip()
        if not key:
            host, own = (urlsplit(address).hostname for address in (self.address, PROVIDERS[self.provider]))
            hint = f" for {host} (any word if it wants none): {self.own_variable} goes to {own} alone"
            raise InputError(
                f"the judge {self.provider} needs a key: set the environment variable {self.variable}"
                f"{'' if self.is_own else hint}"
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise InputError(
                f"the environment variable {self.variable} holds characters that no key has: set it again"
            )
        return key

    def _refused(self, status: int, said: str) -> NoAnswer:
        if status in (408, 409, 429) or status >= 500:
            return NoAnswer(f"HTTP {status}", may_pass=True)
        if status in (401, 403):  # servers repeat parts of the key here
            return NoAnswer(f"HTTP {status}: check the key in {self.variable}")
        said = without_login(" ".join(said.split()))[:200]
        if 300 <= status < 400:
            return NoAnswer(f"HTTP {status}: it redirects to {said}, which is not followed: check the address")
        return NoAnswer(f"HTTP {status} ({said}): check the model's name and the address")


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _anthropic(client: Any, model: str, prompt: str) -> str:
    reply = client.messages.create(
        model=model,
        max_tokens=MAX_NEW_TOKENS,
        messages=[{"role": "user", "content": prompt}],
        extra_body={"temperature": 0},  # no parameter of its own in newer clients
    )
    return "".join([block.text for block in reply.content if block.type == "text"])


def _openai(client: Any, model: str, prompt: str) -> str:
    reply = client.chat.completions.create(
        model=model,
        max_tokens=MAX_NEW_TOKENS,
        temperature=0,
        messages=[{"role": "user", "content": prompt}],
    )
    return "".join([reply.choices[0].message.content or ""])  # a TypeError where it is no text


def _unreached(error: BaseException) -> str:
    """The error of the operating system that it comes from, where there is one, in words."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError | UnicodeError):
        cause = cause.__cause__ or cause.__context__
    match cause:
        case socket.gaierror() | UnicodeError():
            return "no such host"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {cause.verify_message}"
        case ssl.SSLError():
            return "the server does not speak TLS: is its address http://, without the s?"
        case OSError() if cause.strerror:
            return cause.strerror.lower()
    return "no connection"


def without_login(text: str) -> str:
    """A text that may hold an address, without the user name and the password in it.

    >>> without_login("openai:m@http://user:secret@host:8000/v1")
    'openai:m@http://[login]@host:8000/v1'
    """
    return re.sub(r"(:/+)[^/\s]*@", r"\1[login]@", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCache:
    """(settings of the judge, prompt) → what the judge wrote, so that a question is paid for once.

    Files lie in ``<folder>/<first two digits>/<digest>.json``, each written whole or not at all; several threads
    and processes may use one folder. A file that cannot be read counts as absent and is written anew. The
    package's version is no part of the digest: what was paid for stays valid.

    Attributes
    ----------
    folder : None keeps answers in memory only.
    settings : what decides an answer (`Endpoint.settings`); never a key.
    """

    folder: Path | None
    settings: str
    _memory: dict[str, str] = field(default_factory=dict, repr=False)

    def get(self, prompt: str) -> str | None:
        """What the judge wrote, or None."""
        if prompt not in self._memory and self.folder is not None:
            try:
                raw = json.loads(self._file(self.folder, prompt).read_text(encoding="utf-8"))["raw"]
            except (OSError, ValueError, TypeError, KeyError, RecursionError):
                raw = None
            if isinstance(raw, str):
                self._memory[prompt] = raw
        return self._memory.get(prompt)

    def put(self, prompt: str, raw: str) -> None:
        """Keep what the judge wrote; `InputError` where the folder cannot be written to."""
        self._memory[prompt] = raw
        if self.folder is None:
            return
        entry = {"judge": self.settings, "prompt": prompt, "raw": raw}
        try:
            atomic_write_text(self._file(self.folder, prompt), json.dumps(entry, ensure_ascii=True) + "\n")
        except OSError as error:
            raise InputError(
                f"the judge's answers cannot be kept here: {error.strerror}", file=self.folder
            ) from None

    def _file(self, folder: Path, prompt: str) -> Path:
        key = digest([self.settings, prompt], 32)
        return folder / key[:2] / f"{key}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiJudge:
    """Asks a model, each distinct prompt once, and keeps what it says.

    Attributes
    ----------
    concurrency : requests under way at once, at most.
    price : US dollars per million input and output tokens; None where it is not known.
    """

    endpoint: Endpoint
    cache: AnswerCache
    concurrency: int = CONCURRENCY
    price: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise InputError(f"the judge's concurrency is {self.concurrency}: write 1 or more requests at once")

    @property
    def name(self) -> str:
        return f"{self.endpoint.provider}:{self.endpoint.model}"

    def signature(self) -> str:
        return signature(self.endpoint.settings())

    def ready(self) -> None:
        """`InputError` where the client is not installed, no key is set, or nothing answers at the address.

        No answer is sent, and nothing is spent.
        """
        try:
            self.endpoint.check()
        except NoAnswer as error:
            if not error.connected:  # what else a server says to this question does not matter
                raise InputError(
                    f"the judge {self.name} cannot be reached at {self.endpoint.address}: {error}; nothing was "
                    "decoded or sent: start it or check the address, and give the same command again"
                ) from None

    def estimate(self, questions: Sequence[Question]) -> Cost:
        prompts, todo = self._prompts(questions)
        tokens, most = sum(map(tokens_of, todo)), MAX_NEW_TOKENS * len(todo)
        price = None if self.price is None else (tokens * self.price[0] + most * self.price[1]) / 1e6
        return Cost(
            calls=len(todo),
            cached=len(prompts) - len(todo),
            input_tokens=tokens,
            output_tokens=most,
            price=price if todo else 0.0,
        )

    def judge(self, questions: Sequence[Question], progress: Progress | None = None) -> list[Judgement]:
        """A judgement for each question, in order; an empty answer is incorrect without being asked about.

        Raises
        ------
        InputError
            No client, no key, an endpoint that is down or refuses. What was judged by then is in the cache, and
            the same call goes on from there.
        """
        prompts, todo = self._prompts(questions)
        if todo:
            self._ask(todo, known=len(prompts) - len(todo), progress=progress)
        return [EMPTY if question.empty else self._read(prompt_of(question)) for question in questions]

    def _prompts(self, questions: Sequence[Question]) -> tuple[list[str], list[str]]:
        """The distinct prompts, and those of them that are not in the cache."""
        prompts = prompts_of(questions)
        return prompts, [prompt for prompt in prompts if self.cache.get(prompt) is None]

    def _read(self, prompt: str) -> Judgement:
        raw = self.cache.get(prompt)
        if raw is None:
            raise ValueError("a prompt was not asked")
        return read_verdict(raw)

    def _ask(self, prompts: Sequence[str], *, known: int, progress: Progress | None) -> None:
        stop, answered = Event(), 0
        failure: BaseException | None = None
        with self.endpoint.open() as ask, ThreadPoolExecutor(self.concurrency, "judge") as pool:

            def one(prompt: str) -> bool:
                if stop.is_set():
                    return False
                try:
                    self.cache.put(prompt, read_verdict(ask(prompt)).raw)
                except BaseException:
                    stop.set()  # before this thread takes up the next prompt
                    raise
                return True

            try:
                for future in as_completed([pool.submit(one, prompt) for prompt in prompts]):
                    if (error := future.exception()) is not None:
                        failure = failure or error
                    elif future.result():
                        answered += 1
                        if progress is not None:
                            progress(answered, len(prompts))
            finally:
                stop.set()  # after an interruption too, nothing more is sent
        if isinstance(failure, NoAnswer):
            retries = self.endpoint.retries
            tried = f" after {retries + 1} attempts" if failure.may_pass and retries else ""
            raise InputError(
                f"the judge {self.name} at {self.endpoint.address} gives no answer{tried}: {failure}; "
                f"{known + answered:,} of {known + len(prompts):,} answers are judged and kept: "
                "the same command goes on from there"
            ) from None
        if failure is not None:
            raise failure
