"""Judges: is an answer correct, given what is known to be correct and incorrect?

A judge answers correct, incorrect, or not at all (an abstention, which is counted and never guessed at). `rule`
needs nothing and is the default; an API model with the paper's prompt, or a local model, is asked for by a spec:

>>> from aftertune.judges import Question, judge_from, judged
>>> question = Question(question="Who wrote Hamlet?", answer="Shakespeare", references=("Shakespeare wrote it",))
>>> judged(judge_from("rule"), [question])[0].correct
True
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from aftertune.errors import InputError
from aftertune.judges.api import (
    CONCURRENCY,
    PLAIN,
    PROVIDERS,
    RETRIES,
    TIMEOUT,
    AnswerCache,
    ApiJudge,
    Endpoint,
    without_login,
)
from aftertune.judges.cost import price_set
from aftertune.judges.judge import (
    Cost,
    Judge,
    Judgement,
    OnlyAbstained,
    Progress,
    Question,
    judged,
    n_abstained,
    questions_of,
)
from aftertune.judges.local import LocalJudge
from aftertune.judges.metric import MetricJudge
from aftertune.judges.rule import RuleJudge
from aftertune.quality import QUALITY

__all__ = [
    "Cost",
    "Judge",
    "Judgement",
    "OnlyAbstained",
    "Progress",
    "Question",
    "judge_from",
    "judged",
    "n_abstained",
    "questions_of",
]

_OF_MODELS = {**{name: f"{name}:MODEL[@URL]" for name in PROVIDERS}, "local": "local:PATH"}
"""Kind → how it is written."""
_ADDRESS = re.compile(rf"@(?={re.escape(PLAIN)}http:|https?:)")
_OTHER_ADDRESS = re.compile(r"@([a-z][a-z0-9+.-]*://|(?=[\w.-]+:\d+(/|$)))", re.IGNORECASE)


def judge_from(
    spec: str,
    *,
    cache: str | Path | None = None,
    concurrency: int = CONCURRENCY,
    timeout: float = TIMEOUT,
    retries: int = RETRIES,
    price: tuple[float, float] | None = None,
) -> Judge:
    """The judge that a spec stands for.

    Nothing is loaded or sent, and no key is read yet: see `Judge.ready`.

    Parameters
    ----------
    spec : "rule", or "rule:T" with another threshold; "METRIC:T", a quality metric and a threshold ("METRIC"
        alone: the best value that it has); "anthropic:MODEL" or "openai:MODEL", with "@URL" for another server
        that speaks the same API (https://; http:// on this machine, elsewhere as plain+http://); "local:PATH" for
        a folder, a hub id or an embedded model.
    cache : folder that keeps an API's answers; None keeps them in memory.
    concurrency : requests to an API under way at once, at most.
    timeout : seconds from a request to an API to the end of its reply.
    retries : how often the provider's client sends a request again that may pass.
    price : US dollars per million input and output tokens of an API, for its cost; None for what the environment
        variable ``AFTERTUNE_JUDGE_PRICE`` says ("3/15").

    Raises
    ------
    InputError
        The spec, the concurrency or the price in the environment is wrong; with what to write instead.
    """
    kind, colon, rest = spec.strip().partition(":")
    rest = rest.strip()
    if kind in QUALITY:
        metric = QUALITY.get(kind)
        return MetricJudge(metric=metric, threshold=_threshold(spec, kind, rest) if colon else metric.range[1])
    if kind == "rule":
        return RuleJudge(threshold=_threshold(spec, kind, rest)) if colon else RuleJudge()
    if kind not in _OF_MODELS:
        raise _unknown(kind)
    if kind == "local":
        if not rest:
            raise InputError(f"the judge {spec!r} names no model: write local:PATH")
        return LocalJudge(rest)
    model, *address = _ADDRESS.split(rest, maxsplit=1)
    if other := _OTHER_ADDRESS.search(model):
        wrong = f"starts with {other[1]}" if other[1] else "has no http:// before it"
        raise InputError(
            f"the address of the judge {kind}:{model.partition('@')[0]} {wrong}: it must start with http:// or "
            f"https://, as in {kind}:MODEL@http://host:port/v1"
        )
    if not model or re.search(r"\s|://", model) or model.endswith("@"):
        raise InputError(
            f"the judge {without_login(spec)!r} names no model: write {kind}:MODEL or "
            f"{kind}:MODEL@http://host:port/v1"
        )
    url = address[0] if address else PROVIDERS[kind]
    endpoint = Endpoint(
        provider=kind,
        model=model,
        address=url.removeprefix(PLAIN),
        timeout=timeout,
        retries=retries,
        plain=url.startswith(PLAIN),
    )
    return ApiJudge(
        endpoint=endpoint,
        cache=AnswerCache(folder=None if cache is None else Path(cache), settings=endpoint.settings()),
        concurrency=concurrency,
        price=price_set() if price is None else price,
    )


def _unknown(kind: str) -> InputError:
    metrics = sorted(QUALITY.names())
    syntax = {"rule": "rule", **{name: f"{name}:T" for name in metrics}, **_OF_MODELS}
    near = [syntax[name] for name in difflib.get_close_matches(kind, syntax, n=2, cutoff=0.6)]
    if near:
        return InputError(f"unknown judge {kind!r}: did you mean {' or '.join(near)}?")
    return InputError(
        f"unknown judge {kind!r}: write rule; rule:T, with T a threshold from 0 to 1; METRIC:T, with METRIC among "
        f"{', '.join(metrics)}; {'; '.join(_OF_MODELS.values())}"
    )


def _threshold(spec: str, kind: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"the judge {spec!r} has no number after {kind}: write {kind}:0.5") from None
