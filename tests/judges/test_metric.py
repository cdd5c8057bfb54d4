"""A quality metric and a threshold as the judge."""

from __future__ import annotations

import numpy as np
import pytest

from aftertune.judges import Question, judge_from, judged
from aftertune.judges.metric import MetricJudge
from aftertune.quality import QualityMetric, compute

ANSWERS = ["the red cat", "a dog", "", "red", "one two three four"]
REFERENCES = [["red cat"], ["cat", "dog"], ["cat"], ["a red cat"], ["five"]]


def asked():
    return [
        Question(question="?", answer=answer, references=tuple(own), incorrect=("red",))
        for answer, own in zip(ANSWERS, REFERENCES)
    ]


@pytest.mark.parametrize(
    ("spec", "name", "threshold"),
    [
        ("token_f1:0.6", "token_f1", 0.6),
        ("token_f1:0.7", "token_f1", 0.7),
        ("token_f1", "token_f1", 1.0),
        ("chrf_plus:40", "chrf_plus", 40.0),
        ("exact_text", "exact_text", 1.0),
    ],
)
def test_correct_from_the_threshold_on(spec, name, threshold):
    judge = judge_from(spec)
    said = [one.correct for one in judged(judge, asked())]
    assert said == (compute(name, ANSWERS, REFERENCES) >= threshold).tolist()
    assert judge.name == f"{name}:{threshold:g}"
    assert judge.estimate(asked()).calls == 0


def test_the_border_is_correct():
    """F1 of "red" and "a red cat" is 2/3: one of one word, one of two."""
    exactly = judge_from(f"token_f1:{2 / 3!r}")
    assert [one.correct for one in judged(exactly, asked())] == [True, True, False, True, False]


def test_reasons():
    said = judged(judge_from("token_f1:0.7"), asked())
    assert [one.reason for one in said] == [
        "token_f1 1 ≥ 0.7",
        "token_f1 1 ≥ 0.7",
        "the answer is empty",
        "token_f1 0.666667 < 0.7",
        "token_f1 0 < 0.7",
    ]


def test_undefined_quality_is_an_abstention():
    metric = QualityMetric(
        name="half",
        title="Half",
        range=(0, 1),
        source="-",
        measure=lambda outputs, references: np.array([1.0, np.nan, 0.0, 0.5, 1.0]),
    )
    said = judged(MetricJudge(metric=metric, threshold=0.5), asked())
    assert [one.correct for one in said] == [True, None, False, True, True]
    assert said[1].reason == "half is undefined"


def test_signature_changes_with_metric_and_threshold():
    specs = ("token_f1:0.5", "token_f1:0.6", "exact_match", "chrf_plus:50")
    assert len({judge_from(spec).signature() for spec in specs}) == 4
