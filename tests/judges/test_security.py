"""What a judge's server can do to us, and what it is told."""

from __future__ import annotations

import gzip
import json
import resource
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import ClassVar

import pytest

from aftertune.errors import InputError
from aftertune.judges import judge_from
from aftertune.judges.api import OTHER_KEY, PROVIDERS, Endpoint
from aftertune.judges.http import MOST_BYTES

OTHERS = "word-for-other-servers-0123456789"
REPLIES = {
    "anthropic": {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": "Yes"}],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "openai": {
        "id": "c", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes"}}],
    },
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None: ...

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        state = self.server.state  # pyright: ignore[reportAttributeAccessIssue]
        state.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        with suppress(OSError):  # the client has had enough
            state.act(self)
        self.close_connection = True

    do_GET = do_POST

    def begin(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def whole(self, body: bytes, **headers: str) -> None:
        self.begin(content_length=str(len(body)), **headers)
        self.wfile.write(body)


def serving() -> SimpleNamespace:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state = SimpleNamespace(
        act=None, requests=[], url=f"http://127.0.0.1:{http.server_address[1]}", over=threading.Event()
    )
    http.state = state  # pyright: ignore[reportAttributeAccessIssue]
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    state.close = lambda: (state.over.set(), http.shutdown(), http.server_close())
    return state


@pytest.fixture
def evil() -> Iterator[SimpleNamespace]:
    state = serving()
    yield state
    state.close()


@pytest.fixture(params=["anthropic", "openai"])
def provider(request) -> str:
    return request.param


@pytest.fixture
def ask(evil, provider, questions, monkeypatch) -> Callable:
    """One question to the server, whatever it does: the verdict, or the message."""
    monkeypatch.setenv(OTHER_KEY, OTHERS)

    def ask(act: Callable, *, timeout: float = 5.0, retries: int = 0) -> str | bool | None:
        evil.act = act
        path = "/v1" if provider == "openai" else ""
        judge = judge_from(f"{provider}:m@{evil.url}{path}", timeout=timeout, retries=retries, concurrency=1)
        try:
            return judge.judge(questions[:1])[0].correct
        except InputError as error:
            return str(error)

    return ask


def reply(provider: str) -> bytes:
    return json.dumps(REPLIES[provider]).encode()


class TestSize:
    def test_a_reply_of_22_gb_takes_no_memory(self, ask, evil):
        sent = 0

        def flood(handler) -> None:
            nonlocal sent
            handler.begin(content_length=str(22 << 30))
            for _ in range(22 << 10):
                handler.wfile.write(b" " * (1 << 20))
                sent += 1 << 20

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert "gives no answer: the reply is longer than 1 MiB: check the address" in ask(flood, retries=1)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown * (1 if sys.platform == "darwin" else 1024) < 200e6  # the clients are imported meanwhile
        assert sent < 64 << 20
        assert len(evil.requests) == 1  # what was paid for is not asked again

    @pytest.mark.parametrize("kind", ["without a length", "in chunks", "text"])
    def test_however_it_is_sent(self, ask, kind):
        def flood(handler) -> None:
            chunked = {"transfer_encoding": "chunked"} if kind == "in chunks" else {}
            handler.begin(**chunked)
            piece = b"a" * (1 << 16)
            if chunked:
                piece = b"10000\r\n" + piece + b"\r\n"
            for _ in range(1 << 14):
                handler.wfile.write(piece)

        assert "longer than 1 MiB" in ask(flood)

    def test_headers_of_other_letters(self, ask, provider):
        assert ask(lambda handler: handler.whole(reply(provider), x_name="é\xff")) is True

    def test_headers_without_end(self, ask):
        def flood(handler) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for n in range(1 << 16):
                handler.wfile.write(b"x-%d: %s\r\n" % (n, b"a" * 1000))

        assert "gives no answer: " in ask(flood)

    def test_the_largest_that_is_read(self, ask, provider):
        body = reply(provider)
        assert ask(lambda handler: handler.whole(body + b" " * (MOST_BYTES - len(body)))) is True
        assert "longer than 1 MiB" in ask(lambda handler: handler.whole(body + b" " * MOST_BYTES))

    def test_an_error_of_that_size_is_its_status(self, ask):
        def flood(handler) -> None:
            handler.begin(status=400)
            for _ in range(1 << 14):
                handler.wfile.write(b"a" * (1 << 16))

        assert "gives no answer: HTTP 400" in ask(flood)

    @pytest.mark.parametrize("body", [b"[" * 500_000, b'{"a":' * 100_000, b"1" * 500_000, b"[" + b"1," * 300_000])
    def test_json_that_is_hard_to_read(self, ask, body):
        assert "the reply is not what this API sends" in ask(lambda handler: handler.whole(body))


@cache
def bomb(encoding: str) -> bytes:
    """200 MB that take less than a reply may have."""
    zeros = bytes(200 << 20)
    made = zlib.compress(zeros) if encoding == "deflate" else gzip.compress(zeros, 6)
    assert len(made) < MOST_BYTES
    return made


class TestCompressed:
    """Nothing compressed is asked for, and nothing is decompressed."""

    def test_identity_is_asked_for(self, ask, evil, provider):
        assert ask(lambda handler: handler.whole(reply(provider))) is True
        assert evil.requests[0][1]["accept-encoding"] == "identity"

    @pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"])
    def test_bombs(self, ask, evil, encoding):
        said = ask(
            lambda handler: handler.whole(
                bomb("deflate" if encoding == "deflate" else "gzip"), content_encoding=encoding
            ),
            retries=1,
        )
        assert "the reply is compressed, which was not asked for: check the address" in said
        assert len(evil.requests) == 1

    def test_an_error_that_is_compressed_is_its_status(self, ask):
        def act(handler) -> None:
            body = gzip.compress(b'{"error": {"message": "no"}}')
            handler.begin(status=404, content_encoding="gzip", content_length=str(len(body)))
            handler.wfile.write(body)

        assert "HTTP 404" in ask(act)


class TestTime:
    def _drip(self, evil, handler, start: bytes = b"", piece: bytes = b" ") -> None:
        handler.wfile.write(start)
        while not evil.over.wait(0.02):
            handler.wfile.write(piece)

    @pytest.mark.parametrize(
        ("start", "piece"),
        [
            (b"", b"H"),
            (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
            (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n", b" "),
            (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", b" "),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
            (b"HTTP/1.1 500 No\r\ncontent-length: 100000\r\n\r\n", b" "),
        ],
    )
    def test_a_reply_that_trickles_in(self, ask, evil, start, piece):
        begun = time.monotonic()
        said = ask(lambda handler: self._drip(evil, handler, start, piece), timeout=0.5)
        assert "gives no answer: " in said
        assert time.monotonic() - begun < 4
        if piece != b"H":
            assert "no reply within 0.5 s" in said

    def test_a_whole_answer_before_the_end_is_no_answer_after_it(self, ask, evil, provider):
        """Without a length, what came before the connection was shut looks like a whole reply."""
        start = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + reply(provider)
        assert "no reply within 0.5 s" in ask(lambda handler: self._drip(evil, handler, start), timeout=0.5)

    @pytest.mark.parametrize(
        "wait",
        [
            {"retry_after": "4000000"}, {"retry_after_ms": "4000000000"}, {"retry_after": "inf"},
            {"retry_after": "nan"}, {"retry_after": "Fri, 31 Dec 9999 23:59:59 GMT"}, {"Retry_After": "61"},
        ],
    )  # fmt: skip
    def test_a_wait_of_weeks_is_not_waited(self, ask, evil, provider, wait):
        def act(handler) -> None:
            if len(evil.requests) == 1:
                handler.begin(status=429, content_length="0", **wait)
            else:
                handler.whole(reply(provider))

        begun = time.monotonic()
        assert ask(act, retries=1) is True
        assert time.monotonic() - begun < 5

    def test_nothing_is_left_running(self, ask, evil, provider):
        ask(lambda handler: self._drip(evil, handler), timeout=0.2)
        ask(lambda handler: handler.whole(reply(provider)))
        deadline = time.monotonic() + 2
        while any("Timer" in type(thread).__name__ for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.01)


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_are_said_and_not_followed(self, ask, status):
        other = serving()
        try:
            target = f"{other.url}/v1?a=\x1b[31m"

            def act(handler) -> None:
                handler.begin(status=status, location=target, content_length="0")

            said = ask(act)
            assert f"HTTP {status}: it redirects to {other.url}/v1?a=" in said
            assert "which is not followed: check the address" in said
            assert "\x1b" not in said
            assert other.requests == []
        finally:
            other.close()

    def test_nor_to_the_same_server(self, ask, evil):
        said = ask(lambda handler: handler.begin(status=307, location="/elsewhere", content_length="0"))
        assert "redirects to /elsewhere" in said
        assert len(evil.requests) == 1

    def test_without_a_place(self, ask):
        assert "HTTP 304" in ask(lambda handler: handler.begin(status=304))


class TestWhatIsTold:
    SECRETS: ClassVar = {
        "OPENAI_API_KEY": "sk-own-0123456789",
        "ANTHROPIC_API_KEY": "sk-ant-own-0123456789",
        "OPENAI_ORG_ID": "org-secret",
        "OPENAI_PROJECT_ID": "proj-secret",
        "OPENAI_ADMIN_KEY": "sk-admin-secret",
        "OPENAI_WEBHOOK_SECRET": "whsec-secret",
        "OPENAI_CUSTOM_HEADERS": "X-Team: custom-secret\nAuthorization: Bearer custom-secret",
        "ANTHROPIC_AUTH_TOKEN": "token-secret",
        "ANTHROPIC_CUSTOM_HEADERS": "X-Team: custom-secret\nX-Api-Key: custom-secret",
    }

    @pytest.fixture(autouse=True)
    def secrets(self, monkeypatch):
        for name, value in self.SECRETS.items():
            monkeypatch.setenv(name, value)

    def test_another_server_gets_its_own_key_and_nothing_else(self, ask, evil, provider):
        assert ask(lambda handler: handler.whole(reply(provider))) is True
        ((path, headers),) = evil.requests
        told = f"{path} {headers}"
        assert not [value for value in self.SECRETS.values() if value in told]
        assert "secret" not in told
        assert "own-0123" not in told
        key = headers.get("authorization", headers.get("x-api-key"))
        assert key in (OTHERS, f"Bearer {OTHERS}")
        assert set(headers) <= {
            "host", "accept", "accept-encoding", "connection", "user-agent", "content-length", "content-type",
            "anthropic-version", "authorization", "x-api-key",
        }  # fmt: skip

    def test_nor_before_anything_is_decoded(self, evil, provider, monkeypatch):
        monkeypatch.setenv(OTHER_KEY, OTHERS)
        evil.act = lambda handler: handler.whole(b"{}")
        judge_from(f"{provider}:m@{evil.url}").ready()
        assert "secret" not in str(evil.requests)
        assert "own-0123" not in str(evil.requests)

    def test_without_a_key_of_its_own_nothing_is_sent(self, evil, provider, monkeypatch, questions):
        monkeypatch.delenv(OTHER_KEY)
        judge = judge_from(f"{provider}:m@{evil.url}")
        own = f"{provider.upper()}_API_KEY"
        for use in (judge.ready, lambda: judge.judge(questions)):
            with pytest.raises(InputError) as caught:
                use()
            assert str(caught.value) == (
                f"the judge {provider} needs a key: set the environment variable {OTHER_KEY} for 127.0.0.1 (any "
                f"word if it wants none): {own} goes to api.{provider}.com alone"
            )
        assert evil.requests == []

    def test_the_provider_gets_its_own_key(self, provider, monkeypatch):
        monkeypatch.setenv(OTHER_KEY, OTHERS)
        endpoint = Endpoint(provider=provider, model="m", address=PROVIDERS[provider])
        assert endpoint.variable == f"{provider.upper()}_API_KEY"
        assert endpoint._key() == self.SECRETS[endpoint.variable]

    def test_the_providers_own_server_gets_what_its_client_sends(self, ask, evil, provider, monkeypatch):
        monkeypatch.setattr(Endpoint, "is_own", True)
        monkeypatch.delenv("OPENAI_CUSTOM_HEADERS")
        monkeypatch.delenv("ANTHROPIC_CUSTOM_HEADERS")
        assert ask(lambda handler: handler.whole(reply(provider))) is True
        told = str(evil.requests)
        assert self.SECRETS[f"{provider.upper()}_API_KEY"] in told
        assert OTHERS not in told
        if provider == "openai":
            assert "org-secret" in told
            assert "proj-secret" in told

    @pytest.mark.parametrize(
        ("address", "own"),
        [
            ("https://api.openai.com/v1", True),
            ("https://api.openai.com:443/v1/", True),
            ("https://API.OpenAI.com/v1", True),
            ("https://eu.api.openai.com/v1", True),
            ("http://api.openai.com/v1", False),
            ("https://openai.com/v1", False),
            ("https://evil-api.openai.com/v1", False),
            ("https://evilapi.openai.com/v1", False),
            ("https://api.openai.com.evil.example/v1", False),
            ("https://evil.example/api.openai.com", False),
            ("https://evil.example\\.api.openai.com/v1", False),
            ("https://api.openai.com./v1", False),
            ("https://ａpi.openai.com/v1", False),
            ("https://api.openaı.com/v1", False),
            ("https://api.anthropic.com", False),
            ("https://127.0.0.1/v1", False),
        ],
    )
    def test_who_is_the_provider(self, address, own):
        assert Endpoint(provider="openai", model="m", address=address, plain=True).is_own is own

    def test_two_judges_at_once_each_tell_their_own_server(self, evil, monkeypatch, questions):
        monkeypatch.setenv(OTHER_KEY, OTHERS)
        evil.act = lambda handler: handler.whole(
            reply("anthropic" if handler.path.endswith("messages") else "openai")
        )
        for spec in (f"openai:m@{evil.url}/v1", f"anthropic:m@{evil.url}"):
            judge_from(spec).judge(questions)
        assert {one["authorization"] for _, one in evil.requests if "authorization" in one} == {f"Bearer {OTHERS}"}
        assert {one["x-api-key"] for _, one in evil.requests if "x-api-key" in one} == {OTHERS}


class TestPlainHttp:
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "[::1]"])
    def test_on_this_machine(self, host):
        assert judge_from(f"openai:m@http://{host}:8000/v1").name == "openai:m"

    @pytest.mark.parametrize(
        "host",
        [
            "10.0.0.5",
            "192.168.1.2",
            "0.0.0.0",
            "[::]",
            "host",
            "localhost.example",
            "127.0.0.1.example",
            "2130706433",
        ],
    )
    def test_elsewhere_only_where_it_is_asked_for(self, host):
        with pytest.raises(InputError, match=r"unencrypted: write https://, or plain\+http:// where you trust"):
            judge_from(f"openai:m@http://{host}:8000/v1")
        judge = judge_from(f"openai:m@plain+http://{host}:8000/v1")
        assert f"|address:http://{host}:8000/v1|" in judge.signature()


def test_a_proxy_of_the_environment_is_used(evil, monkeypatch, provider, questions):
    """It is the user's own; over plain http it sees what the server would."""
    monkeypatch.setenv("HTTP_PROXY", evil.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    evil.act = lambda handler: handler.whole(reply(provider))
    judge_from(f"{provider}:m@plain+http://judge.invalid/v1").judge(questions[:1])
    assert evil.requests[0][0].startswith("http://judge.invalid/v1")
