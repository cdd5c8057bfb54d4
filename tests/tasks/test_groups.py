"""Items that belong together: a column of the user's data, or the task's own groups, as the records have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aftertune.commands.audit import audit
from aftertune.records.records import read_records
from aftertune.tasks import Sizes
from aftertune.tasks.own import own_task


def written(path: Path, **more: object) -> Path:
    rows = [
        {"id": f"i{i}", "input": f"{i} + 1 =", "target": str(i + 1), "group": f"page {i // 4}"} for i in range(40)
    ]
    path.write_text("\n".join(json.dumps(row | more) for row in rows))
    return path


def test_a_group_is_never_divided_between_splits(tmp_path: Path) -> None:
    task = own_task(written(tmp_path / "items.jsonl"), sizes=Sizes(validation=8, test=8))
    splits = task.load(seed=1)
    groups = [{task.group(one) for one in some} for some in (splits.train, splits.validation, splits.test)]
    assert all(a.isdisjoint(b) for i, a in enumerate(groups) for b in groups[i + 1 :])


@pytest.mark.parametrize("named", [True, False])
def test_records_have_the_group_where_the_data_has_one(tmp_path: Path, named: bool) -> None:
    data = written(tmp_path / "items.jsonl", **({} if named else {"group": None}))
    audit(
        "embedded:tiny-t5-qa", "embedded:tiny-t5-qa", data=data, out=tmp_path / "run", max_new_tokens=3, beams=0,
        dropout_samples=0, resamples=200, items=16,
    )  # fmt: skip
    records = read_records([tmp_path / "run"])
    assert ("group" in records.extra) == named
    if named:
        expected = [f"page {int(item[1:]) // 4}" for item in records.item_id]
        assert records.extra["group"].tolist() == expected
