"""Rows of review.csv: which answers need no review, and how that holds on test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from aftertune.analysis.grouping import Setting
from aftertune.analysis.schema import REVIEW, Row
from aftertune.analysis.stages import Run, Stage, combinations
from aftertune.stats.alerts import Threshold, candidate_thresholds, review, review_threshold

WANTED = (0.9, 0.8)

_NAN = float("nan")


def review_rows(setting: Setting, runs: Sequence[Run], names: Sequence[str]) -> Iterator[Row]:
    """For each score, run and wanted share: chosen and applied before, carried over, chosen anew."""
    for name in names:
        for run in runs:
            for wanted in WANTED:
                found = {stage.name: _threshold(stage, name, wanted) for stage in run}
                for made, used in combinations(run):
                    yield _row(setting, name, wanted, made.name, used, *found[made.name])


def _threshold(stage: Stage, name: str, wanted: float) -> tuple[Threshold | None, str]:
    """Candidates are confidences of the test items at the checkpoint, whose labels are not looked at."""
    at = stage.at
    if at.why_no_validation:
        return None, at.why_no_validation
    confidence, correct = at.validation.of(name)
    elsewhere = at.test.scores[name]
    candidates = candidate_thresholds(elsewhere[np.isfinite(elsewhere)], len(correct), precision=wanted)
    found = review_threshold(confidence, correct, candidates, precision=wanted)
    return found, found.reason


def _row(
    setting: Setting, name: str, wanted: float, chosen: str, used: Stage, found: Threshold | None, reason: str
) -> Row:
    confidence, correct = used.at.test.of(name)
    threshold = _NAN if found is None else found.value
    held = review(confidence, correct, threshold)
    return REVIEW.row(
        model=setting.model,
        task=setting.task,
        setting=setting.setting,
        score=name,
        seed=used.at.point.seed,
        wanted=wanted,
        chosen=chosen,
        applied=used.name,
        threshold=threshold,
        n_validation=0 if found is None else found.n,
        bound=_NAN if found is None else found.bound,
        n=held.n,
        kept=held.kept,
        coverage=_NAN if reason else held.coverage,
        precision=held.precision,
        ci_low=held.low,
        ci_high=held.high,
        without=held.without,
        status=reason or held.reason,
    )
