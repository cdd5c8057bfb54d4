"""The judge that is a quality metric and a threshold, for tasks without known wrong answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aftertune.errors import InputError
from aftertune.judges.judge import EMPTY, FREE, Cost, Judgement, Progress, Question
from aftertune.quality import QualityMetric
from aftertune.signature import signature


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricJudge:
    """Correct where quality ≥ `threshold`, on the metric's own scale; known wrong answers are not read.

    It abstains where the metric is undefined.
    """

    metric: QualityMetric
    threshold: float

    def __post_init__(self) -> None:
        low, high = self.metric.range
        if not low < self.threshold <= high:
            raise InputError(
                f"the threshold of the judge {self.metric.name} is {self.threshold:g}: write a number above "
                f"{low:g} and at most {high:g}, such as {self.metric.name}:{(low + high) / 2:g}"
            )
        if high > 1 >= self.threshold:
            raise InputError(
                f"the threshold of the judge {self.metric.name} is {self.threshold:g}, and its scale goes from "
                f"{low:g} to {high:g}: write {self.metric.name}:{self.threshold * high:g}, say"
            )

    @property
    def name(self) -> str:
        return f"{self.metric.name}:{self.threshold:g}"

    def signature(self) -> str:
        return signature("metric", quality=self.metric.signature(), threshold=self.threshold)

    def ready(self) -> None:
        """Nothing is needed."""

    def estimate(self, questions: Sequence[Question]) -> Cost:
        return FREE

    def judge(self, questions: Sequence[Question], progress: Progress | None = None) -> list[Judgement]:
        values = self.metric([q.answer for q in questions], [q.references for q in questions])
        return [EMPTY if q.empty else self._said(float(value)) for q, value in zip(questions, values)]

    def _said(self, value: float) -> Judgement:
        if math.isnan(value):
            return Judgement(correct=None, raw="", reason=f"{self.metric.name} is undefined")
        correct = value >= self.threshold
        reason = f"{self.metric.name} {value:.6g} {'≥' if correct else '<'} {self.threshold:g}"
        return Judgement(correct=correct, raw="", reason=reason)
