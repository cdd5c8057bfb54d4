"""The signature of a judge (`aftertune.judges`), for a reader."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aftertune.quality import QUALITY

_ENDS = re.compile(r"(?<=\|version:)([^|\s]+) and ")
_NUMBER = re.compile(r"\d+(\.\d*)?(e-?\d+)?")
_PROMPT = "the paper’s prompt"


def judge_words(signature: str) -> str:
    """Who says what is right; a signature that is none of ours stays as it is.

    Several that the store joined, each ending in its version, are joined again.

    >>> judge_words("rule|similarity:token_f1_beyond_question|threshold:0.5|version:0.1.0")
    'the rule (nearest answer, similarity of at least 0.5)'
    >>> judge_words("metric|quality:token_f1|refs:max|version:0.1.0|threshold:1|version:0.1.0")
    'token F1 of at least 1'
    >>> judge_words("anthropic|model:m|temperature:0|version:0.1.0 and mine")
    'anthropic:m (the paper’s prompt) and mine'
    """
    parts = _ENDS.sub(r"\1\n", signature).split("\n")
    return " and ".join(dict.fromkeys(map(_one, parts)))


def _one(signature: str) -> str:
    kind, *rest = signature.split("|")
    given = {key: value for key, _, value in (part.partition(":") for part in rest)}
    return _known(kind, given) or signature


def _known(kind: str, given: Mapping[str, str]) -> str:
    """Empty for what is not one of our judges'."""
    threshold, model = _number(given.get("threshold", "")), given.get("model")
    if kind == "rule" and threshold:
        near = f", similarity of at least {threshold}"
        if threshold == "0":
            near = ", however far: one word in common is enough, which is no measure of truth"
        return f"the rule (nearest answer{near})"
    if kind == "metric" and threshold and (metric := given.get("quality")):
        return f"{_title(metric)} of at least {threshold}"
    if kind in ("anthropic", "openai") and model:
        return f"{kind}:{model} ({_PROMPT})"
    return f"local model {model} ({_PROMPT})" if kind == "local" and model else ""


def _number(text: str) -> str:
    """As short as it can be; empty for what is no number."""
    return f"{float(text):g}" if _NUMBER.fullmatch(text) else ""


def _title(metric: str) -> str:
    """Without what stands in brackets, as it is written within a sentence."""
    title = QUALITY.get(metric).title.partition(" (")[0] if metric in QUALITY else metric
    return title[0].lower() + title[1:]
