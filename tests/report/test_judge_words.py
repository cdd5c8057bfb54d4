"""Signatures of judges in words."""

from __future__ import annotations

import pytest

from aftertune.judges import judge_from
from aftertune.quality import QUALITY
from aftertune.report.judge_words import judge_words
from aftertune.signature import signature


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("rule", "the rule (nearest answer, similarity of at least 0.5)"),
        (
            "rule:0",
            "the rule (nearest answer, however far: one word in common is enough, which is no measure of truth)",
        ),
        ("token_f1", "token F1 of at least 1"),
        ("token_f1:0.5", "token F1 of at least 0.5"),
        ("chrf_plus:25", "chrF+ of at least 25"),
        ("anthropic:some-model", "anthropic:some-model (the paper’s prompt)"),
        ("openai:org/model@http://host:1/v1", "openai:org/model (the paper’s prompt)"),
    ],
)
def test_our_judges(spec: str, words: str) -> None:
    text = judge_from(spec).signature()
    assert judge_words(text) == words


def test_every_quality_metric_has_words() -> None:
    for name, metric in QUALITY.items():
        text = judge_from(name).signature()
        assert judge_words(text).endswith(f" of at least {metric.range[1]:g}")
        assert "|" not in judge_words(text)


def test_a_local_model() -> None:
    text = signature("local", model="models/a and b", weights="abc", decoding="greedy")
    assert judge_words(text) == "local model models/a and b (the paper’s prompt)"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mine",
        "rule",
        "local|weights:1",
        "a|threshold:1 and b",
        "metric|threshold:1",
        "metric|quality:|threshold:1",
    ],
)
def test_others_stay_as_they_are(text: str) -> None:
    assert judge_words(text) == text


def test_several() -> None:
    rule, metric = (judge_from(spec).signature() for spec in ("rule", "token_f1"))
    both = "the rule (nearest answer, similarity of at least 0.5) and token F1 of at least 1"
    assert judge_words(f"{rule} and {metric}") == both
    older = rule.replace("version:", "version:0.0.")
    assert judge_words(f"{rule} and {older}") == judge_words(rule)
