"""Evidence on disk: Parquet parts in a folder, one part for each decoded batch, joined when read.

A part is written atomically, so a killed run leaves whole batches only, and goes on with the missing ones.
Token axes are stored without their padding. Beside the parts lie the prompts and notes; the items' similarity to
the training set has its own file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aftertune.evidence import concatenate
from aftertune.files.atomic import atomic_path, atomic_write_text, flush_folder, remove
from aftertune.types import Beams, DropoutSamples, Evidence, Floats, Greedy, Ints, Texts

SUFFIX = ".evidence.parquet"
MERGED = f"all{SUFFIX}"
PART = re.compile(r"part-([0-9]{5,})" + re.escape(SUFFIX))
NOTES = "notes.json"
PROMPTS = "prompts.parquet"
CUT = "cut.json"

_PARTS = {"greedy": Greedy, "beams": Beams, "dropout": DropoutSamples}
_INTEGERS = ("n_tokens", "token_ids")


def write_part(folder: Path, evidence: Evidence) -> Path:
    """Write one part, numbered after those that are there; its path."""
    numbers = [int(found[1]) for path in folder.glob(f"part-*{SUFFIX}") if (found := PART.fullmatch(path.name))]
    path = folder / f"part-{max(numbers, default=-1) + 1:05d}{SUFFIX}"
    _write(path, pa.table(_columns(evidence)))
    return path


def _write(path: Path, table: pa.Table) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def _table(path: Path, columns: list[str] | None = None) -> pa.Table:
    return pq.read_table(path, columns=columns, page_checksum_verification=True)


def part_paths(folder: Path) -> list[Path]:
    """The files that hold the folder's evidence: the merged one alone where it is there."""
    merged = folder / MERGED
    return [merged] if merged.exists() else sorted(folder.glob(f"part-*{SUFFIX}"))


def read_parts(folder: Path) -> Evidence | None:
    """All parts of a folder joined in the order written; None where there is none."""
    paths = part_paths(folder)
    return concatenate([_read(path) for path in paths]) if paths else None


def read_embedding(folder: Path) -> tuple[Texts, Floats]:
    """Item ids (n,) and embeddings (n, d) of a folder's evidence, without reading the rest."""
    ids, vectors = _read_columns(folder, "item_id", "embedding")
    return np.array(ids, dtype=object), np.array(vectors, dtype=np.float64)


def read_answers(folder: Path) -> dict[str, str]:
    """Item id → greedy output of a folder's evidence, without reading the rest."""
    return dict(zip(*_read_columns(folder, "item_id", "greedy.text")))


def _read_columns(folder: Path, *names: str) -> list[list[Any]]:
    tables = [_table(path, columns=list(names)) for path in part_paths(folder)]
    return [[value for table in tables for value in table.column(name).to_pylist()] for name in names]


def write_prompts(folder: Path, item_ids: Sequence[str], prompts: Sequence[str]) -> None:
    """Write the prompts as the model read them: token ids decoded, special tokens included."""
    _write(folder / PROMPTS, pa.table({"item_id": list(item_ids), "prompt": list(prompts)}))


def read_prompts(folder: Path) -> dict[str, str]:
    """Item id → prompt as the model read it; {} where prompts were not written."""
    if not (folder / PROMPTS).exists():
        return {}
    table = _table(folder / PROMPTS)
    return dict(zip(table.column("item_id").to_pylist(), table.column("prompt").to_pylist()))


def write_cut(folder: Path, *, outputs: Sequence[str], prompts: Sequence[str]) -> None:
    """Write the ids of items whose output ended at the limit of tokens, and of those whose prompt was cut."""
    atomic_write_text(folder / CUT, json.dumps({"outputs": list(outputs), "prompts": list(prompts)}) + "\n")


def read_cut(folder: Path) -> dict[str, list[str]] | None:
    """What `write_cut` was given; None where it is not known."""
    path = folder / CUT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def merge_parts(folder: Path, evidence: Evidence) -> None:
    """Write one file instead of the parts, which are removed once it is there."""
    _write(folder / MERGED, pa.table(_columns(evidence)))
    flush_folder(folder)
    for part in folder.glob(f"part-*{SUFFIX}"):
        remove(part)


def write_notes(folder: Path, notes: Sequence[str]) -> None:
    """Write what a reader must know about a folder's evidence; no file where there is nothing."""
    if notes:
        atomic_write_text(folder / NOTES, json.dumps(list(notes), ensure_ascii=False, indent=1) + "\n")
    else:
        remove(folder / NOTES)


def read_notes(folder: Path) -> list[str]:
    """The notes of a folder; [] where there are none."""
    path = folder / NOTES
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _columns(evidence: Evidence) -> dict[str, pa.Array]:
    """One column for each field, named ``part.field``; axes of tokens are cut to the tokens that there are."""
    columns: dict[str, pa.Array] = {"item_id": pa.array(list(evidence.item_ids), pa.string())}
    for part in _PARTS:
        held = getattr(evidence, part)
        if held is None:
            continue
        for name in (field.name for field in fields(held)):
            values = getattr(held, name)
            if values is None:  # token ids that are not known
                continue
            rows = _cut(values, held.n_tokens) if name.startswith("token_") else values.tolist()
            kind = pa.string() if name == "text" else pa.int64() if name in _INTEGERS else pa.float64()
            for _ in range(values.ndim - 1):
                kind = pa.list_(kind)
            columns[f"{part}.{name}"] = pa.array(rows, kind)
    if evidence.embedding is not None:
        columns["embedding"] = pa.array(list(evidence.embedding.astype(np.float32)), pa.list_(pa.float32()))
    return columns


def _cut(values: np.ndarray, n_tokens: Ints) -> list[Any]:
    """(n, T) or (n, D, T) → as nested lists, without what lies beyond `n_tokens`."""
    cut = _cut if n_tokens.ndim > 1 else lambda row, n: row[:n]
    return [cut(*pair) for pair in zip(values, n_tokens)]


def _read(path: Path) -> Evidence:
    table = _table(path)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    item_ids, embedding = columns.pop("item_id"), columns.pop("embedding", None)
    held: dict[str, dict[str, Any]] = {}
    for column, rows in columns.items():
        part, _, name = column.partition(".")
        held.setdefault(part, {})[name] = _array(name, rows, nested=part == "dropout")
    return Evidence(
        item_ids=np.array(item_ids, dtype=object),
        embedding=None if embedding is None else np.array(embedding, dtype=np.float64),
        **{part: _PARTS[part](**arrays) for part, arrays in held.items()},
    )


def _array(name: str, rows: list[Any], *, nested: bool) -> np.ndarray:
    """A field of a part of evidence from its column; token axes, two deep where `nested`, are padded again."""
    dtype = object if name == "text" else np.int64 if name in _INTEGERS else np.float64
    if not name.startswith("token_"):
        return np.array(rows, dtype=dtype)
    flat = [sample for row in rows for sample in row] if nested else rows
    fill = -1 if name in _INTEGERS else np.nan
    padded = np.full((len(flat), max(map(len, flat), default=0)), fill, dtype=dtype)
    for row, values in zip(padded, flat):
        row[: len(values)] = values
    return padded.reshape(len(rows), len(rows[0]), padded.shape[1]) if nested else padded


def write_similarity(path: Path, item_ids: Texts, similarity: Floats, nearest: Texts) -> None:
    """Write a row for each item: its largest similarity to a training item (null where undefined), and which."""
    table = pa.table(
        {
            "item_id": pa.array(list(item_ids), pa.string()),
            "similarity": pa.array(similarity, pa.float64(), from_pandas=True),
            "nearest": pa.array(list(nearest), pa.string()),
        }
    )
    _write(path, table)


def read_similarity(path: Path) -> dict[str, tuple[float | None, str | None]]:
    """Item id → similarity and nearest training item."""
    columns = _table(path).to_pydict()
    return {
        item: (value, nearest)
        for item, value, nearest in zip(columns["item_id"], columns["similarity"], columns["nearest"])
    }
