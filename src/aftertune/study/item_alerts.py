"""Lines of alerts.jsonl: what a person is told about each answer after fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from aftertune.rows import Alert
from aftertune.stats.alerts import alert
from aftertune.study.grouping import Setting
from aftertune.study.moved_items import input_of
from aftertune.study.percentage_maps import fitted
from aftertune.study.stages import Run
from aftertune.types import Records

NO_SCORE = "the score is undefined for it"


def item_alerts(records: Records, setting: Setting, runs: Sequence[Run], name: str, kind: str) -> Iterator[Alert]:
    """Every test item at the last checkpoint of each run, by the map `kind` of the score; none without a map."""
    for run in runs:
        stage = run[-1]
        made = fitted(stage.at, name, kind)
        if made.reason:
            continue
        point, label = stage.at.point, stage.at.test.label
        confidence = point.scores[name]
        chance = made.map(confidence)
        for i in np.flatnonzero(point.row >= 0).tolist():
            row, known = int(point.row[i]), bool(np.isfinite(chance[i]))
            yield Alert(
                model=setting.model,
                task=setting.task,
                setting=setting.setting,
                seed=point.seed,
                epoch=point.epoch,
                checkpoint=stage.name,
                item_id=str(setting.item_ids[i]),
                score=name,
                confidence=float(confidence[i]) if known else None,
                chance=float(chance[i]) if known else None,
                alert=alert(float(chance[i]), "" if known else NO_SCORE),
                correct=bool(label[i]) if np.isfinite(label[i]) else None,
                input=input_of(records, [row]),
                references=tuple(records.references[row] or ()),
                output=point.output[i],
            )
