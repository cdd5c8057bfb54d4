"""Specs of judges, right and wrong."""

from __future__ import annotations

import pytest

from aftertune.errors import InputError
from aftertune.judges import judge_from
from aftertune.judges.api import ApiJudge
from aftertune.judges.local import LocalJudge
from aftertune.judges.rule import RuleJudge


@pytest.mark.parametrize(
    ("spec", "model", "address"),
    [
        ("anthropic:claude-sonnet-4-5", "claude-sonnet-4-5", "https://api.anthropic.com"),
        ("openai:gpt-4o", "gpt-4o", "https://api.openai.com/v1"),
        ("openai:meta/llama:8b@http://127.0.0.1:8000/v1", "meta/llama:8b", "http://127.0.0.1:8000/v1"),
        ("openai:model@2024@https://host/v1", "model@2024", "https://host/v1"),
        (" anthropic:m@https://proxy:1 ", "m", "https://proxy:1"),
        ("openai:m@http://[::1]:8000/v1", "m", "http://[::1]:8000/v1"),
        ("openai:m@http://localhost/v1", "m", "http://localhost/v1"),
        ("openai:m@plain+http://10.0.0.5:8000/v1", "m", "http://10.0.0.5:8000/v1"),
    ],
)
def test_apis(spec, model, address):
    judge = judge_from(spec, concurrency=2)
    assert isinstance(judge, ApiJudge)
    assert (judge.endpoint.model, judge.endpoint.address) == (model, address)


@pytest.mark.parametrize(
    "spec",
    [
        "openai:m@me:secret@host:8000/v1",
        "openai:@http://me:secret@host/v1",
        "openai:m@http://me:secret@host:port/v1",
        "openai:m@http:/me:secret@host/v1",
        "openai:m@http://me:se[cret@host/v1",
        "openai:m http://me:secret@host/v1",
        "openai:m@ftp://me:secret@host/v1",
        "openai:m@http://me:secret@host/v1",
        "openai:m@http://me:p@secret@host:port/v1",
    ],
)
def test_no_message_repeats_a_password(spec):
    with pytest.raises(InputError) as caught:
        judge_from(spec)
    assert not any(part in str(caught.value) for part in ("secret", "cret", "me:"))


def test_the_others():
    assert isinstance(judge_from("rule"), RuleJudge)
    assert isinstance(judge_from("local:some/model"), LocalJudge)
    assert judge_from("local:embedded:tiny-llama-qa").name == "local:embedded:tiny-llama-qa"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "unknown judge ''"),
        ("ruel", "unknown judge 'ruel': did you mean rule"),
        ("antropic:m", "unknown judge 'antropic': did you mean anthropic:MODEL[@URL]?"),
        (
            "bleu:0.5",
            "unknown judge 'bleu': write rule; rule:T, with T a threshold from 0 to 1; METRIC:T, with METRIC "
            "among chrf_plus, exact_match, exact_text, token_f1; anthropic:MODEL[@URL]; openai:MODEL[@URL]; "
            "local:PATH",
        ),
        ("rule:half", "the judge 'rule:half' has no number after rule: write rule:0.5"),
        ("rule:2", "the threshold of the rule is 2: write a number from 0 to 1"),
        ("token_f1:", "the judge 'token_f1:' has no number after token_f1: write token_f1:0.5"),
        ("chrf_plus:0", "the judge chrf_plus is 0: write a number above 0 and at most 100, such as chrf_plus:50"),
        ("chrf_plus:0.5", "chrf_plus is 0.5, and its scale goes from 0 to 100: write chrf_plus:50, say"),
        ("token_f2:0.5", "unknown judge 'token_f2': did you mean token_f1:T"),
        ("local:", "names no model: write local:PATH"),
        ("openai", "names no model: write openai:MODEL or openai:MODEL@http://host:port/v1"),
        ("openai:", "names no model"),
        ("openai:@http://host/v1", "names no model"),
        ("openai:http://host/v1", "names no model"),
        ("openai:two words", "names no model"),
        ("openai:m@http://", "is no URL"),
        ("openai:m@http://host\u200b/v1", "'http://host\\u200b/v1' is no URL"),
        (
            "openai:x@ftp://user:hunter2@h",
            "the address of the judge openai:x starts with ftp://: it must start with http:// or https://, as in "
            "openai:MODEL@http://host:port/v1",
        ),
        ("openai:x@localhost:8000/v1", "openai:x has no http:// before it: it must start with http:// or https:/"),
        ("openai:m@http://host:port/v1", "is no URL"),
        (
            "openai:m@http://10.0.0.5:8000/v1",
            "the judge's address http://10.0.0.5:8000/v1 would send the key and the answers unencrypted: write "
            "https://, or plain+http:// where you trust the network",
        ),
        ("openai:m@http://localhost.evil.example/v1", "unencrypted"),
        ("openai:m@http://127.0.0.1.evil.example/v1", "unencrypted"),
        ("openai:m@http://0.0.0.0:8000/v1", "unencrypted"),
        ("openai:m@http://api.openai.com/v1", "unencrypted"),
        ("openai:m@plain+https://host/v1", "starts with plain+https://"),
        ("openai:m@plain+http://me:secret@host/v1", "user name, a password or a query"),
        ("openai:m@http://user:hunter2@host/v1", "user name, a password or a query"),
        ("openai:m@http://host/v1?key=hunter2", "user name, a password or a query"),
    ],
)
def test_wrong_specs(spec, message):
    with pytest.raises(InputError) as caught:
        judge_from(spec)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_wrong_concurrency():
    with pytest.raises(InputError, match="concurrency is 0: write 1 or more"):
        judge_from("openai:m", concurrency=0)
