"""The benchmark of counting pairs, small: each case is a process, and counts what it says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.pairs import LARGE, MIB, SECONDS, STUDY, count_all, in_new_process, measure, transitions  # noqa: E402
from benchmarks.plan import Plan  # noqa: E402


def test_what_is_counted() -> None:
    expected = 0
    for q, c, _, _ in transitions(30, 4):
        expected += int(((q[:, None] < q) & (c[:, None] < c)).sum())
        assert len(np.unique(q)) == len(np.unique(c)) == 30
    assert count_all(30, 4) == expected


def test_rows_and_their_targets() -> None:
    rows, raw = measure(Plan(tiny=True, repeats=2))
    assert [(row.unit, row.target) for row in rows] == [
        ("s", SECONDS[LARGE]),
        ("MiB", MIB),
        ("s", SECONDS[STUDY]),
        ("MiB", MIB),
    ]
    assert list(raw) == ["1000 × 1", "10 × 1"]
    for row, readings in zip(rows[::2], raw.values()):
        wall = [one["wall"] for one in readings]
        assert row.value == np.median(wall)
        assert row.spread == (min(wall), max(wall))
    assert rows[1].value == max(one["mib"] for one in raw["1000 × 1"])


def test_a_process_counts_as_told_and_reports_its_own_peak() -> None:
    ballast = np.ones((300, 2**17))  # 300 MiB in this process
    found = in_new_process(30, 4)
    assert found["correlated"] == count_all(30, 4)
    assert 20 < found["mib"] < ballast.nbytes / 2**20
    assert found["cpu"] > 0


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="negative"):
        in_new_process(-1, 1)
