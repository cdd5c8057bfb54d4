"""Judges by name: "rule", "anthropic:MODEL", "openai:MODEL@http://host:port/v1", "local:PATH"."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from aftertune.errors import InputError, unknown
from aftertune.judges.api import ApiJudge, settings_of
from aftertune.judges.cache import AnswerCache
from aftertune.judges.clients import PROVIDERS, Endpoint
from aftertune.judges.judge import Judge
from aftertune.judges.local import LocalJudge
from aftertune.judges.retry import Backoff
from aftertune.judges.rule import RuleJudge

TIMEOUT = 60.0
KINDS = ("rule", "local", *PROVIDERS)
_ADDRESS = re.compile(r"@(?=https?:)")


def judge_from(
    spec: str,
    *,
    cache: str | Path | None = None,
    concurrency: int = 4,
    timeout: float = TIMEOUT,
    sleep: Callable[[float], object] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Judge:
    """The judge that a spec stands for.

    Nothing is loaded, sent or read from the environment yet: see `Judge.ready`.

    Parameters
    ----------
    spec : "rule"; "anthropic:MODEL" or "openai:MODEL", with "@URL" for another server that speaks the same API;
        "local:PATH" for a folder, a hub id or an embedded model.
    cache : folder that keeps an API's answers; None keeps them in memory.
    concurrency : requests to an API under way at once, at most.
    timeout : seconds to wait for a reply of an API.
    sleep : waits between attempts, called with seconds; None waits.
    progress : told (answered, to be asked) after each answer of an API.

    Raises
    ------
    InputError
        A spec that is none of these, with what to write instead.
    """
    kind, colon, rest = spec.strip().partition(":")
    if kind not in KINDS:
        raise unknown("judge", kind, KINDS)
    if kind == "rule":
        if colon:
            raise InputError(f"the judge {spec!r} has something after rule: write rule")
        return RuleJudge()
    if kind == "local":
        if not rest.strip():
            raise InputError(f"the judge {spec!r} names no model: write local:PATH")
        return LocalJudge(rest.strip())
    model, *address = _ADDRESS.split(rest.strip(), maxsplit=1)
    if not model or re.search(r"\s|://", model) or model.endswith("@"):
        raise InputError(
            f"the judge {spec!r} names no model: write {kind}:MODEL or {kind}:MODEL@http://host:port/v1"
        )
    endpoint = Endpoint(
        provider=kind,
        model=model,
        address=address[0] if address else PROVIDERS[kind].address,
        timeout=timeout,
    )
    return ApiJudge(
        name=f"{kind}:{model}",
        endpoint=endpoint,
        cache=AnswerCache(folder=None if cache is None else Path(cache), settings=settings_of(endpoint)),
        backoff=Backoff(sleep=sleep),
        concurrency=concurrency,
        progress=progress,
    )
