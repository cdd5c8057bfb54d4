"""Good files, for tests that spoil them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MOST = 500
"""Characters of a message."""


STUDY = """\
name: mine
models:
  - name: small
    path: models/small
tasks:
  - name: turn
    test: test.jsonl
    train: train.jsonl
seeds: [0, 1]
training: {batch_size: 4}
evaluation: {beams: 4}
"""
RECORD: dict[str, Any] = {
    "model": "m", "task": "t", "seed": 0, "epoch": 0, "item_id": "a", "quality": 0.5, "scores": {"s": -1.0},
}  # fmt: skip


def columns(**changes: pa.Array) -> pa.Table:
    """Two records, with some columns changed or added."""
    base = {
        "model": pa.array(["m", "m"]),
        "task": pa.array(["t", "t"]),
        "seed": pa.array([0, 0]),
        "epoch": pa.array([0.0, 0.0]),
        "item_id": pa.array(["a", "b"]),
        "quality": pa.array([0.5, 0.1]),
        "scores": pa.array([{"s": -1.0}, {"s": -2.0}]),
    }
    return pa.table(base | changes)


def not_utf8(n: int, at: int) -> pa.Array:
    """Texts of which one is no UTF-8."""
    raw = pa.array([b"caf\xe9" if i == at else b"x" for i in range(n)])
    return pa.StringArray.from_buffers(n, raw.buffers()[1], raw.buffers()[2])


def damaged(path: Path, **options: Any) -> bytearray:
    """The bytes of a good file of many records, with options of its writer."""
    n = 500
    rng = np.random.default_rng(0)
    same = {"model": ["m"] * n, "task": ["t"] * n, "seed": [0] * n, "epoch": [0.0] * n}
    scores = [{"s": value} for value in rng.random(n)]
    own = {"item_id": [str(i) for i in range(n)], "quality": rng.random(n), "scores": scores}
    table = pa.table(same | own)
    pq.write_table(table, path, **options)
    return bytearray(path.read_bytes())
