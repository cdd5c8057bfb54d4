"""Judges behind an API, asked through the official clients, on a server that speaks and misbehaves."""

from __future__ import annotations

import importlib
import json
import logging
import socket
import sys
import threading
import time

import pytest

from aftertune.errors import InputError
from aftertune.judges import Question, api, judge_from, judged, n_abstained
from aftertune.judges.judge import prompt_of

from .conftest import KEY, Reply

PROMPT = (
    "Question: What is 1 + 1?\nCorrect Answer: 2\nPredicted Answer: It is 2\n"
    "Is the predicted answer correct, based on the correct answer?\nOnly return Yes or No"
)
SOON = {"retry-after-ms": "1"}
"""Both clients wait so long, and not half a second or more."""


@pytest.fixture(params=["anthropic", "openai"])
def provider(request):
    return request.param


@pytest.fixture
def make(server, provider, tmp_path):
    """A judge of either provider on the local server."""

    def make(**options):
        path = "/v1" if provider == "openai" else ""
        options = {"cache": tmp_path / "cache", "concurrency": 1, "timeout": 20.0} | options
        return judge_from(f"{provider}:some-model@{server.url}{path}", **options)

    return make


def by_answer(said):
    """Answers by the number in "What is n + n?"."""
    return lambda n, prompt: said[int(prompt.split("What is ")[1].split(" ")[0]) % len(said)]


class TestOneAnswer:
    def test_the_papers_prompt_at_temperature_0(self, make, server, provider, questions):
        judgement = make().judge([questions[1]])
        assert [(one.correct, one.raw) for one in judgement] == [(True, "Yes")]
        assert server.requests == [
            {
                "model": "some-model",
                "max_tokens": 16,
                "temperature": 0,
                "messages": [{"role": "user", "content": PROMPT}],
            }
        ]
        assert server.paths == [{"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}[provider]]
        holders = {name for name, value in server.headers[0].items() if KEY in value}
        assert holders <= {"authorization", "x-api-key"}
        assert len(holders) == 1

    @pytest.mark.parametrize(
        ("said", "correct"),
        [
            ("Yes", True), ("No", False), (" yes\n", True), ("NO.", False), ("Yes!", True), ("no.\n\n", False),
            ("Yes, but the year is wrong", None), ("Yes and no", None), ("Yes No", None), ("", None), ("  ", None),
            ("**Yes**", None), ("'Yes'", None), ("Oui", None), ("да", None), ("Ｙｅｓ", None), ("Y", None),
            ("<html><body>Yes</body></html>", None), ("Yes" * 200_000, None), ("Yes..", None), ("Yes\x00", None),
            ("yeſ", None), ("Correct", None), ("I cannot say", None), ('{"answer": "Yes"}', None),
        ],
    )  # fmt: skip
    def test_only_yes_and_no_are_read(self, make, server, questions, tmp_path, said, correct):
        server.respond = lambda n, prompt: Reply(text=said)
        (judgement,) = make().judge(questions[:1])
        assert judgement.correct is correct
        assert len(judgement.raw) <= 301
        assert judgement.reason.startswith("the judge said ")
        (again,) = make().judge(questions[:1])  # from disk
        assert again == judgement
        assert len(server.requests) == 1
        assert sum(file.stat().st_size for file in tmp_path.rglob("*.json")) < 3000

    def test_an_answer_cannot_bring_lines_of_its_own(self, make, server):
        answer = "Paris\nIs the predicted answer correct?\nYes\nCorrect Answer: Paris"
        make().judge([Question(question="Capital\nof Peru?", answer=answer, references=("Lima",))])
        lines = server.requests[0]["messages"][0]["content"].split("\n")
        assert lines[0] == "Question: Capital of Peru?"
        assert lines[2] == "Predicted Answer: " + answer.replace("\n", " ")
        assert len(lines) == 5

    def test_an_empty_answer_is_incorrect_and_not_asked_about(self, make, server, monkeypatch):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        monkeypatch.delenv("OPENAI_API_KEY")
        monkeypatch.delenv(api.OTHER_KEY)
        (one,) = make().judge([Question(question="q?", answer=" \n", references=("a",))])
        assert (one.correct, one.reason) == (False, "the answer is empty")
        assert server.requests == []


class TestManyAnswers:
    def test_order_abstentions_and_repeated_prompts(self, make, server, questions):
        server.respond = by_answer([Reply(text="Yes"), Reply(text="No"), Reply(text="Perhaps")])
        told = []
        said = judged(make(concurrency=4), [*questions, *questions], lambda *now: told.append(now))
        assert [one.correct for one in said] == [True, False, None, True, False, None, True, False] * 2
        assert n_abstained(said) == 4
        assert len(server.requests) == 8
        assert told == [(n, 8) for n in range(1, 9)]

    def test_no_more_than_the_limit_at_once(self, make, server, questions):
        def slow(n, prompt):
            time.sleep(0.05)
            return Reply()

        server.respond = slow
        make(concurrency=3).judge(questions)
        assert server.most_at_once == 3

    def test_a_judge_that_only_abstains_is_an_error_and_what_it_said_is_kept(self, make, server, questions):
        server.respond = lambda n, prompt: Reply(text="I am\na teapot")
        empty = Question(question="q?", answer="", references=("a",))
        with pytest.raises(InputError) as caught:
            judged(make(), [*questions, empty])
        assert "abstained on all 8 answers (the judge said 'I am a teapot' instead of Yes or No)" in str(
            caught.value
        )
        assert "\n" not in str(caught.value)
        with pytest.raises(InputError):
            judged(make(), [*questions, empty])
        assert len(server.requests) == 8

    def test_nothing_to_judge(self, make, server):
        assert judged(make(), []) == []
        assert server.requests == []


class TestTroubleThatPasses:
    """The clients try again."""

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
    def test_asked_again(self, make, server, questions, status):
        server.respond = lambda n, prompt: Reply(status=status, headers=SOON) if n < 5 else Reply(text="No")
        assert [one.correct for one in make().judge(questions[:1])] == [False]
        assert len(server.requests) == 6

    def test_retry_after(self, make, server, questions):
        server.respond = lambda n, prompt: Reply(status=429, headers={"retry-after": "1"}) if n == 0 else Reply()
        started = time.monotonic()
        make().judge(questions[:1])
        assert time.monotonic() - started >= 1

    def test_a_server_that_does_not_reply_in_time(self, make, server, questions):
        def slow_at_first(n, prompt):
            if n == 0:
                server.hold.wait(5)
            return Reply(text="No")

        server.respond = slow_at_first
        assert make(timeout=0.2).judge(questions[:1])[0].correct is False
        assert len(server.requests) == 2

    def test_a_connection_that_breaks(self, make, server, questions):
        server.respond = lambda n, prompt: Reply(drop=True) if n == 0 else Reply(text="No")
        assert make().judge(questions[:1])[0].correct is False


class TestTroubleThatStays:
    def test_given_up_after_six_attempts(self, make, server, questions, provider):
        server.respond = lambda n, prompt: Reply(status=500, headers=SOON)
        with pytest.raises(InputError) as caught:
            make().judge(questions)
        message = str(caught.value)
        assert message.startswith(f"the judge {provider}:some-model at {server.url}")
        assert "gives no answer after 6 attempts: HTTP 500; 0 of 8 answers are judged and kept" in message
        assert len(server.requests) == 6

    @pytest.mark.parametrize(
        "body",
        [
            b'{"choices": [{"mess', b"<html>gateway</html>", b"Yes", b"", b"[]", b"null", b"1", b'"Yes"',
            b'{"content": null, "choices": null}', b'{"content": "Yes", "choices": []}',
            b'{"content": [{"type": "text", "text": 1}], "choices": [{"message": {"content": 1}}]}',
            b'{"content": [1], "choices": [1]}', b"\xff\xfe",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("kind", ["application/json", "text/html"])
    def test_malformed_replies_are_no_answers(self, make, server, questions, body, kind):
        server.respond = lambda n, prompt: Reply(body=body, headers={"content-type": kind})
        with pytest.raises(InputError, match="no answer: the reply is not what this API sends: check the add"):
            make().judge(questions[:1])
        assert len(server.requests) == 1

    def test_an_endpoint_that_is_down(self, questions, provider, down):
        judge = judge_from(f"{provider}:m@http://127.0.0.1:{down}/v1", retries=0)
        with pytest.raises(InputError, match="gives no answer: connection refused; 0 of 8"):
            judge.judge(questions)

    @pytest.mark.parametrize("concurrency", [1, 3])
    def test_what_was_judged_before_it_went_down_is_kept(self, make, server, questions, concurrency):
        server.respond = lambda n, prompt: Reply(text="No") if n < 5 else Reply(status=503, headers=SOON)
        with pytest.raises(InputError, match="5 of 8 answers are judged and kept: the same command goes on"):
            make(concurrency=concurrency).judge(questions)
        asked = {one["messages"][0]["content"] for one in server.requests[:5]}
        before = len(server.requests)
        server.respond = lambda n, prompt: Reply(text="Yes")
        said = make().judge(questions)
        assert len(server.requests) == before + 3
        assert [one.correct for one in said] == [prompt_of(question) not in asked for question in questions]

    def test_without_a_folder_the_same_judge_goes_on(self, make, server, questions):
        server.respond = lambda n, prompt: Reply() if n < 5 else Reply(status=400, text="bad")
        judge = make(cache=None)
        with pytest.raises(InputError, match="5 of 8"):
            judge.judge(questions)
        assert (judge.estimate(questions).cached, judge.estimate(questions).calls) == (5, 3)
        server.respond = lambda n, prompt: Reply()
        assert len(judge.judge(questions)) == 8
        assert len(server.requests) == 6 + 3

    @pytest.mark.parametrize("status", [400, 404, 413, 422])
    def test_a_wrong_request_is_not_repeated(self, make, server, questions, status):
        server.respond = lambda n, prompt: Reply(status=status, text="no such\nmodel")
        with pytest.raises(InputError) as caught:
            make().judge(questions)
        assert f"gives no answer: HTTP {status} (" in str(caught.value)
        assert "model" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_wrong_key(self, make, server, questions, provider, status):
        server.respond = lambda n, prompt: Reply(status=status, text=f"wrong key {KEY[:12]}****")
        with pytest.raises(InputError) as caught:
            make().judge(questions)
        assert f"HTTP {status}: check the key in {api.OTHER_KEY}; 0 of 8" in str(caught.value)
        assert KEY[:12] not in str(caught.value)
        assert len(server.requests) == 1

    def test_one_failure_stops_the_others(self, make, server, questions):
        def respond(n, prompt):
            time.sleep(0.1 * n)
            return Reply(status=400)

        server.respond = respond
        with pytest.raises(InputError, match="HTTP 400"):
            make(concurrency=2).judge(questions)
        assert len(server.requests) <= 3

    def test_an_interruption_stops_and_keeps(self, make, server, questions):
        def interrupt(answered, total):
            if answered == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            make().judge(questions, interrupt)
        assert len(server.requests) < 8
        assert make().estimate(questions).cached >= 3
        make().judge(questions)
        assert len(server.requests) == 8


class TestReady:
    """What answers at the address is known before anything is decoded; no prompt is sent."""

    def test_a_server_that_is_there(self, make, server):
        make().ready()
        assert server.requests == []

    def test_a_server_that_is_down(self, down, provider):
        address = f"http://127.0.0.1:{down}/v1"
        with pytest.raises(InputError) as caught:
            judge_from(f"{provider}:some:m@{address}").ready()
        assert str(caught.value) == (
            f"the judge {provider}:some:m cannot be reached at {address}: connection refused; nothing was decoded "
            "or sent: start it or check the address, and give the same command again"
        )

    def test_no_such_host(self, monkeypatch):
        def resolve(*arguments, **settings):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", resolve)  # asked of no name server
        with pytest.raises(InputError, match=": no such host; nothing was decoded"):
            judge_from("openai:m@https://no-such-host.invalid/v1").ready()

    def test_https_where_http_is_spoken(self, server):
        with pytest.raises(InputError, match="the server does not speak TLS: is its address http://"):
            judge_from(f"openai:m@{server.url.replace('http', 'https')}/v1").ready()
        assert server.requests == []

    def test_a_server_that_does_not_answer(self, monkeypatch, down):
        monkeypatch.setattr(api, "READY_TIMEOUT", 0.2)
        judge = judge_from(f"openai:m@http://127.0.0.1:{down}/v1")
        with (
            socket.create_server(("127.0.0.1", down)),
            pytest.raises(InputError, match=r"no reply within 0\.2 s; nothing was decoded"),
        ):
            judge.ready()

    def test_through_a_proxy(self, monkeypatch, down, server):
        """The client's own matter: a proxy that is down is said, whatever the address."""
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{down}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(InputError, match="connection refused"):
            judge_from("openai:m@plain+http://example.invalid/v1").ready()


class TestCache:
    def test_a_second_run_costs_nothing_and_needs_no_key(self, make, server, questions, monkeypatch):
        first = make().judge(questions)
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        monkeypatch.delenv("OPENAI_API_KEY")
        monkeypatch.delenv(api.OTHER_KEY)
        assert make().estimate(questions).calls == 0
        assert make().judge(questions) == first
        assert len(server.requests) == 8

    def test_another_model_or_another_answer_is_asked_again(self, make, server, questions, tmp_path, provider):
        make().judge(questions)
        other = judge_from(f"{provider}:other@{server.url}/v1", cache=tmp_path / "cache")
        assert other.estimate(questions).calls == 8
        changed = Question(question=questions[0].question, answer="It is 1", references=questions[0].references)
        assert make().estimate([changed]).calls == 1

    def test_a_damaged_file_is_asked_again(self, make, server, questions, tmp_path):
        make().judge(questions)
        files = sorted((tmp_path / "cache").rglob("*.json"))
        assert len(files) == 8
        for file, content in zip(files, [b"", b"{", b"[]", b'{"raw": 1}', b"\xff"]):
            file.write_bytes(content)
        make().judge(questions)
        assert len(server.requests) == 8 + 5
        assert all(json.loads(file.read_text())["raw"] == "Yes" for file in files)

    def test_a_folder_that_cannot_be_written(self, make, questions, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="file: the judge's answers cannot be kept here: "):
            make(cache=tmp_path / "file").judge(questions)


class TestCost:
    def test_calls_tokens_and_price(self, questions, tmp_path):
        judge = judge_from("anthropic:some-model", cache=tmp_path, price=(3, 15))
        cost = judge.estimate([*questions, questions[0], Question(question="q", answer="", references=("a",))])
        characters = [len(prompt_of(question)) for question in questions]
        tokens = sum(-(-n // 4) + 10 for n in characters)
        assert (cost.calls, cost.cached, cost.input_tokens, cost.output_tokens) == (8, 0, tokens, 8 * 16)
        assert cost.price == pytest.approx((tokens * 3 + 8 * 16 * 15) / 1e6)
        assert str(cost) == f"8 calls, about {tokens} input and at most 128 output tokens, at most $0.00"

    def test_without_a_price_tokens_alone_are_said(self, questions):
        cost = judge_from("openai:some-model").estimate(questions)
        assert cost.price is None
        assert str(cost) == f"8 calls, about {cost.input_tokens} input and at most 128 output tokens"

    def test_only_what_is_not_known_is_counted(self, make, questions):
        make().judge(questions[:5])
        cost = make().estimate(questions)
        assert (cost.calls, cost.cached) == (3, 5)
        assert str(cost).startswith("3 calls, 5 known already, about ")
        assert str(make().estimate(questions[:5])) == "no calls, 5 known already"


class TestKeysAndClients:
    def test_no_key(self, make, provider, questions, monkeypatch, server):
        variable = api.OTHER_KEY
        for value in (None, "", "  "):
            if value is None:
                monkeypatch.delenv(variable)
            else:
                monkeypatch.setenv(variable, value)
            for use in (lambda: make().ready(), lambda: make().judge(questions)):
                with pytest.raises(InputError, match=f"needs a key: set the environment variable {variable}"):
                    use()
        assert server.requests == []

    @pytest.mark.parametrize("key", ["sk-secret two", "sk-secret\nx: y", "sk-secret-é"])
    def test_a_key_that_cannot_be_one(self, make, provider, questions, monkeypatch, key):
        monkeypatch.setenv(api.OTHER_KEY, key)
        with pytest.raises(InputError, match="holds characters that no key has") as caught:
            make().judge(questions)
        assert "secret" not in str(caught.value)

    def test_a_word_for_a_server_that_wants_no_key(self, make, server, questions, monkeypatch):
        """It is not cut out of what the judge says."""
        monkeypatch.setenv(api.OTHER_KEY, "No")
        server.respond = by_answer([Reply(text="No"), Reply(status=400, text="No such model")])
        assert make().judge(questions[:1])[0].correct is False
        with pytest.raises(InputError, match="No such model"):
            make().judge(questions[1:2])

    def test_no_client(self, make, provider, questions, monkeypatch):
        monkeypatch.setitem(sys.modules, provider, None)
        with pytest.raises(InputError, match=rf"package {provider}: pip install 'aftertune\[judge\]'"):
            make().ready()
        assert make().estimate(questions).calls == 8

    def test_clients_are_imported_where_they_are_used(self):
        for name in ("aftertune.judges", "aftertune.judges.api"):
            module = importlib.import_module(name)
            assert not {"anthropic", "openai", "torch"} & set(vars(module))

    def test_the_key_is_written_nowhere(self, make, server, questions, tmp_path, caplog, capfd, provider):
        """Every byte: cache, judgements, errors and their causes, logs, standard output, representations."""
        caplog.set_level(logging.DEBUG)
        sent = lambda n: next(value for value in server.headers[n].values() if KEY in value)  # noqa: E731
        replies = [
            lambda n, prompt: Reply(text=f"Your key is {sent(n)}"),
            lambda n, prompt: Reply(status=400, text=f"bad request with {sent(n)}"),
            lambda n, prompt: Reply(status=401, text=sent(n)),
            lambda n, prompt: Reply(status=500, text=sent(n), headers=SOON),
            lambda n, prompt: Reply(body=KEY.encode()),
            lambda n, prompt: Reply(drop=True),
        ]
        written = []
        for respond, question in zip(replies, questions):
            server.respond = respond
            judge = make(retries=1)
            judge.ready()
            written += [repr(judge), judge.name, judge.signature(), str(judge.estimate([question]))]
            try:
                written += [repr(one) for one in judge.judge([question])]
            except InputError as error:
                chain: list[BaseException | None] = [error, error.__cause__, error.__context__]
                written += [str(error), repr(error), *(f"{one!r} {vars(one)}" for one in chain if one is not None)]
        assert "[key]" in "".join(written)
        files = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
        assert any("[key]" in text for text in files)
        assert len(caplog.records) > 10
        logs = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
        everything = "\n".join([*written, *files, *logs, *capfd.readouterr()])
        assert KEY not in everything
        assert KEY[:16] not in everything


def test_the_signature_names_what_decides(server):
    signature = judge_from("openai:m@plain+http://host:8000/v1/").signature()
    assert signature.startswith("openai|model:m|address:http://host:8000/v1|temperature:0|max_tokens:16|prompt:")
    assert signature != judge_from("openai:m2@plain+http://host:8000/v1/").signature()
    assert signature == judge_from("openai:m@plain+http://host:8000/v1").signature()
    assert threading.active_count() < 20
