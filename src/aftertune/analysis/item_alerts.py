"""Lines of alerts.jsonl: what a person is told about each answer, before fine-tuning and after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.analysis.grouping import Setting
from aftertune.analysis.moved_items import input_of
from aftertune.analysis.percentage_maps import fitted
from aftertune.analysis.schema import ALERTS, Row
from aftertune.analysis.stages import Run, Stage
from aftertune.stats.alerts import alert
from aftertune.types import Floats, Records

NO_SCORE = "the score is undefined for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """One stage of a run, on the axis of the setting's items.

    Attributes
    ----------
    chance : (n,) by the map fitted at this stage; NaN where it or the score is undefined.
    carried : (n,) by the map fitted at the stage before; NaN where there is none.
    reason : why this stage has no map, else "".
    """

    stage: Stage
    confidence: Floats
    chance: Floats
    carried: Floats
    reason: str


def item_alerts(records: Records, setting: Setting, runs: Sequence[Run], name: str, kind: str) -> Iterator[Row]:
    """Every test item at each stage of each run, by the map `kind` of the score fitted at that stage.

    By run and item, the earlier stage first. A stage without a map says why in each line; a run of which no stage
    has one is left out.
    """
    for run in runs:
        told = _told(run, name, kind)
        if all(one.reason for one in told):
            continue
        for i in range(len(setting.item_ids)):
            for one in told:
                if one.stage.at.point.row[i] >= 0:
                    yield _line(records, setting, one, i, name)


def _told(run: Run, name: str, kind: str) -> list[_Told]:
    found, old = [], None
    for stage in run:
        confidence, made = stage.at.point.scores[name], fitted(stage.at, name, kind)
        found.append(
            _Told(
                stage=stage,
                confidence=confidence,
                chance=made.map(confidence),
                carried=np.full(len(confidence), np.nan) if old is None else old.map(confidence),
                reason=made.reason,
            )
        )
        old = made
    return found


def _line(records: Records, setting: Setting, told: _Told, i: int, name: str) -> Row:
    point, label = told.stage.at.point, float(told.stage.at.test.label[i])
    row, confidence, chance = int(point.row[i]), _known(told.confidence[i]), _known(told.chance[i])
    return ALERTS.row(
        model=setting.model,
        task=setting.task,
        setting=setting.setting,
        seed=point.seed,
        epoch=point.epoch,
        checkpoint=told.stage.name,
        item_id=str(setting.item_ids[i]),
        score=name,
        confidence=confidence,
        chance=chance,
        alert=alert(float(told.chance[i]), NO_SCORE if confidence is None else told.reason),
        correct=bool(label) if np.isfinite(label) else None,
        input=input_of(records, [row]),
        references=tuple(records.references[row] or ()),
        output=point.output[i],
        chance_by_old_map=_known(told.carried[i]),
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
