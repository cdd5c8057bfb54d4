"""Contents of summary.json by hand, for tests of what reads it."""

from __future__ import annotations

from typing import Any

from aftertune.report.summary_file import SummaryFile

PLACE = {"model": "llama", "task": "squad", "setting": "default"}


def effect(
    before: float | None, after: float | None, low: float | None, high: float | None, **scopes: Any
) -> dict:
    """An effect whose change over these models has this interval; the ends' own are 0.1 to each side."""

    def end(value: float | None) -> dict:
        spread = [None, None] if value is None else [round(value - 0.1, 6), round(value + 0.1, 6)]
        return {"value": value, "low": spread[0], "high": spread[1]}

    moved = None if before is None or after is None else round(after - before, 6)
    change = {"models": {"value": moved, "low": low, "high": high, "simultaneous": True}}
    return {"before": end(before), "after": end(after), "change": change | scopes}


def score(verdict: str = "holds", usable: str | None = "yes", **others: Any) -> dict:
    return {
        "verdict": verdict,
        "usable": usable,
        "status": "",
        "scope": "models",
        "items": 150,
        "seeds": 1,
        "adjusted": effect(0.5, 0.48, -0.08, 0.04),
        "spearman": effect(0.4, 0.36, -0.1, 0.02),
        "auroc": effect(0.75, 0.74, -0.04, 0.02),
        "new_run_falls": None,
        "concordance": {"before": 0.75, "after": 0.74},
        "items_needed": None,
    } | others


def comparison(scores: dict[str, dict] | None = None, **others: Any) -> dict:
    return {
        **PLACE,
        "from": "before",
        "to": "selected",
        "shown": True,
        "items": 150,
        "seeds": 1,
        "quality": {"before": 0.61, "after": 0.85, "items": 150},
        "scores": {"mean_token_logprob": score(), "beam_sum": score("degraded")} if scores is None else scores,
    } | others


def recommended(score: str | None = "mean_token_logprob", role: str = "recommended", **others: Any) -> dict:
    return PLACE | {"role": role, "score": score, "sentences": ["Use it."]} | others


def check(level: str = "note", name: str = "one prompt", **others: Any) -> dict:
    return {
        **PLACE,
        "check": name,
        "checkpoint": "before",
        "value": 0.5,
        "level": level,
        "message": "as it was sent",
    } | others


def content(*comparisons: dict, **others: Any) -> dict:
    return {
        "schema": 1,
        "aftertune": "0.0",
        "title": "test",
        "partial": False,
        "settings": {"command": "audit", "margin": 0.1},
        "comparisons": list(comparisons) or [comparison()],
        "recommendation": [recommended()],
        "checks": [check()],
        "notes": [],
    } | others


def summary(*comparisons: dict, **others: Any) -> SummaryFile:
    return SummaryFile.model_validate(content(*comparisons, **others))
