"""The benchmark of `aftertune analyze`, small: it measures the command, and its records are what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from aftertune.records.records import read_records

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.analyze import GIB, SECONDS, Size, measure, write_run  # noqa: E402
from benchmarks.plan import Plan  # noqa: E402
from benchmarks.row import row_from_json  # noqa: E402


def test_records_are_as_many_and_as_tied_as_described(tmp_path: Path) -> None:
    size = Size(items=1000, epochs=2, seeds=2)
    write_run(tmp_path / "records", size)
    records = read_records([tmp_path])
    assert len(records) == 1000 * 3 * 2
    assert len(records.scores) == 13
    assert len(set(zip(records.seed, records.epoch, records.item_id))) == len(records)
    assert np.mean(records.quality == 0) > 0.15
    assert np.mean(records.quality == 1) > 0.1
    columns = list(records.scores.values())
    shares = [np.unique(c[np.isfinite(c)], return_counts=True)[1].max() / len(c) for c in columns]
    assert sum(share > 0.2 for share in shares) == 2
    assert sum(np.isnan(c).any() for c in columns) == 2
    before = [c[records.epoch == 0].reshape(2, -1) for c in columns]
    same = [np.array_equal(*one, equal_nan=True) for one in before]
    assert same == [i < 6 for i in range(13)]
    assert all(isinstance(n, int) for n in records.extra["n_tokens"])


@pytest.mark.slow
def test_wall_time_and_peak_memory_of_the_command() -> None:
    small = Size(items=60, scores=6, epochs=2, seeds=1, resamples=200)
    rows, raw = measure(Plan(tiny=True, repeats=2), size=small)
    assert [(row.section, row.unit, row.target) for row in rows] == [
        ("analyze", "s", SECONDS),
        ("analyze", "GiB", GIB),
    ]
    seconds, gib = rows
    readings = raw["analyze"]
    assert len(readings) == 2
    assert seconds.value == pytest.approx(np.mean([one["wall"] for one in readings]))
    assert seconds.spread == tuple(sorted(one["wall"] for one in readings))
    assert gib.value == max(one["mib"] for one in readings) / 1024
    assert 0.05 < gib.value < GIB
    assert all(one["cpu"] > 0.2 for one in readings)
    assert [row_from_json(json.loads(json.dumps(row.as_json()))) for row in rows] == rows
