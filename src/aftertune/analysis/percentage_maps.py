"""Maps from confidence to a chance, fitted on the validation items of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aftertune.analysis.judged import NO_VALIDATION, JudgedPoint
from aftertune.stats.calibration import FITS, NoMap, PercentageMap, fit_min_max

MIN_MAX = "min-max"
MAPS = (*FITS, MIN_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A map, and the validation items that it was fitted on; `reason` says why it has none."""

    map: PercentageMap
    n: int

    @property
    def reason(self) -> str:
        return self.map.reason if isinstance(self.map, NoMap) else ""


def fitted(at: JudgedPoint, score: str, kind: str) -> Fitted:
    """The map of the name `kind` (`MAPS`) at a checkpoint; "min-max" needs no labels."""
    confidence = at.validation.scores[score]
    if not len(confidence):
        return Fitted(map=NoMap(reason=NO_VALIDATION), n=0)
    if kind == MIN_MAX:
        known = confidence[np.isfinite(confidence)]
        return Fitted(map=fit_min_max(known), n=len(known))
    if at.why_no_validation:
        return Fitted(map=NoMap(reason=at.why_no_validation), n=0)
    confidence, correct = at.validation.of(score)
    return Fitted(map=FITS[kind](confidence, correct), n=len(correct))
