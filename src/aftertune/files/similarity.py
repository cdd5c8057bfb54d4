"""Similarity to the training set on disk, beside the evidence of its checkpoint."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from aftertune.files.atomic import atomic_path
from aftertune.types import Floats, Texts


def write_similarity(path: Path, item_ids: Texts, similarity: Floats, nearest: Texts) -> None:
    """One row for each item: its largest similarity to a training item (null where undefined), and which."""
    table = pa.table(
        {
            "item_id": pa.array(list(item_ids), pa.string()),
            "similarity": pa.array(similarity, pa.float64(), from_pandas=True),
            "nearest": pa.array(list(nearest), pa.string()),
        }
    )
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_similarity(path: Path) -> dict[str, tuple[float | None, str | None]]:
    """Item id → similarity and nearest training item."""
    columns = pq.read_table(path).to_pydict()
    return {
        item: (value, nearest)
        for item, value, nearest in zip(columns["item_id"], columns["similarity"], columns["nearest"])
    }
