"""A server on this machine that speaks both APIs well enough for the official clients, and can misbehave."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aftertune.judges import Question
from aftertune.judges.api import OTHER_KEY
from aftertune.judges.cost import PRICE

KEY = "sk-test-0123456789-SECRET-abcdef"


@dataclass
class Reply:
    """What the server sends: a text in the form of the API, or a body as it is."""

    text: str = "Yes"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    drop: bool = False


@dataclass
class Server:
    """`respond` is given (number of the request from 0, prompt) and decides; `requests` is what came in."""

    url: str
    http: ThreadingHTTPServer
    respond: Callable[[int, str], Reply] = lambda n, prompt: Reply()
    requests: list[dict] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    hold: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ThreadingHTTPServer

    def log_message(self, *args) -> None: ...

    def do_POST(self) -> None:
        state: Server = self.server.state
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with state.lock:
            n = len(state.requests)
            state.requests.append(request)
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            state.paths.append(self.path)
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
        try:
            self._send(state.respond(n, request["messages"][0]["content"]))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client did not wait
        finally:
            with state.lock:
                state.at_once -= 1

    def _send(self, reply: Reply) -> None:
        if reply.drop:
            self.close_connection = True
            return
        body = reply.body if reply.body is not None else json.dumps(self._form(reply)).encode()
        self.send_response(reply.status)
        headers = {"content-type": "application/json", "content-length": str(len(body)), **reply.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _form(self, reply: Reply) -> dict:
        if reply.status != 200:
            return {"type": "error", "error": {"type": "some_error", "message": reply.text}}
        if self.path.endswith("/messages"):
            return {
                "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
                "stop_sequence": None, "content": [{"type": "text", "text": reply.text}],
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }  # fmt: skip
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": reply.text},
        }
        return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


@pytest.fixture
def server():
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.state = Server(url=f"http://127.0.0.1:{http.server_address[1]}", http=http)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield http.state
    http.state.hold.set()
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def down() -> int:
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Keys that are no keys, and no proxies."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv(OTHER_KEY, KEY)
    monkeypatch.delenv(PRICE, raising=False)


@pytest.fixture
def questions():
    return [
        Question(
            question=f"What is {n} + {n}?",
            answer=f"It is {2 * n}",
            references=(f"{2 * n}", f"{n} and {n} is {2 * n}"),
            incorrect=("22",),
        )
        for n in range(8)
    ]
