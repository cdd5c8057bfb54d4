"""Evidence on disk: Parquet parts in a folder, one part for each decoded batch, joined when read.

A part is written atomically, so a killed run leaves whole batches only, and goes on with the missing ones.
Token axes are stored without their padding. Beside the parts lie the prompts and notes; the items' similarity to
the training set has its own file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aftertune.evidence import concatenate
from aftertune.files.atomic import atomic_path, atomic_write_text
from aftertune.types import Beams, DropoutSamples, Evidence, Floats, Greedy, Texts

SUFFIX = ".evidence.parquet"
MERGED = f"all{SUFFIX}"
NOTES = "notes.json"
PROMPTS = "prompts.parquet"


def write_part(folder: Path, evidence: Evidence) -> Path:
    """Write one part, numbered after those that are there; its path."""
    path = folder / f"part-{len(part_paths(folder)):05d}{SUFFIX}"
    _write(path, pa.table(_columns(evidence)))
    return path


def _write(path: Path, table: pa.Table) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


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
    tables = [pq.read_table(path, columns=list(names)) for path in part_paths(folder)]
    return [[value for table in tables for value in table.column(name).to_pylist()] for name in names]


def write_prompts(folder: Path, item_ids: Sequence[str], prompts: Sequence[str]) -> None:
    """Write the prompts as the model read them: token ids decoded, special tokens included."""
    with atomic_path(folder / PROMPTS) as temporary:
        pq.write_table(pa.table({"item_id": list(item_ids), "prompt": list(prompts)}), temporary)


def read_prompts(folder: Path) -> dict[str, str]:
    """Item id → prompt as the model read it; {} where prompts were not written."""
    if not (folder / PROMPTS).exists():
        return {}
    table = pq.read_table(folder / PROMPTS)
    return dict(zip(table.column("item_id").to_pylist(), table.column("prompt").to_pylist()))


def merge_parts(folder: Path, evidence: Evidence) -> None:
    """Write one file instead of the parts, which are removed once it is there."""
    _write(folder / MERGED, pa.table(_columns(evidence)))
    for part in folder.glob(f"part-*{SUFFIX}"):
        part.unlink()


def write_notes(folder: Path, notes: Sequence[str]) -> None:
    """Write what a reader must know about a folder's evidence; no file where there is nothing."""
    if notes:
        atomic_write_text(folder / NOTES, json.dumps(list(notes), ensure_ascii=False, indent=1) + "\n")


def read_notes(folder: Path) -> list[str]:
    """The notes of a folder; [] where there are none."""
    path = folder / NOTES
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _columns(evidence: Evidence) -> dict[str, pa.Array]:
    """One column for each field, named ``part.field``; rows of token axes are as long as their tokens."""
    columns: dict[str, pa.Array] = {"item_id": pa.array(list(evidence.item_ids), pa.string())}
    if (greedy := evidence.greedy) is not None:
        columns["greedy.text"] = pa.array(list(greedy.text), pa.string())
        columns["greedy.n_tokens"] = pa.array(greedy.n_tokens, pa.int64())
        for name in ("token_logprob", "token_entropy", "token_ids"):
            if (tokens := getattr(greedy, name)) is not None:
                rows = [row[:n] for row, n in zip(tokens, greedy.n_tokens)]
                columns[f"greedy.{name}"] = pa.array(rows, pa.list_(_kind(name)))
    if (beams := evidence.beams) is not None:
        columns["beams.text"] = pa.array([list(row) for row in beams.text], pa.list_(pa.string()))
        columns["beams.sequence_logprob"] = pa.array(list(beams.sequence_logprob), pa.list_(pa.float64()))
        columns["beams.n_tokens"] = pa.array(list(beams.n_tokens), pa.list_(pa.int64()))
    if (dropout := evidence.dropout) is not None:
        columns["dropout.text"] = pa.array([list(row) for row in dropout.text], pa.list_(pa.string()))
        columns["dropout.n_tokens"] = pa.array(list(dropout.n_tokens), pa.list_(pa.int64()))
        for name in ("token_logprob", "token_entropy", "token_kl", "token_ids"):
            if (tokens := getattr(dropout, name)) is not None:
                pairs = zip(tokens, dropout.n_tokens)
                rows = [[sample[:n] for sample, n in zip(samples, lengths)] for samples, lengths in pairs]
                columns[f"dropout.{name}"] = pa.array(rows, pa.list_(pa.list_(_kind(name))))
    if evidence.embedding is not None:
        columns["embedding"] = pa.array(list(evidence.embedding.astype(np.float32)), pa.list_(pa.float32()))
    return columns


def _kind(name: str) -> pa.DataType:
    return pa.int64() if name == "token_ids" else pa.float64()


def _read(path: Path) -> Evidence:
    table = pq.read_table(path)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    parts: dict[str, object] = {}
    for name, build in (("greedy", _greedy), ("beams", _beams), ("dropout", _dropout)):
        if f"{name}.text" in columns:
            parts[name] = build(lambda field, name=name: columns.get(f"{name}.{field}"))
    if "embedding" in columns:
        parts["embedding"] = np.array(columns["embedding"], dtype=np.float64)
    return Evidence(item_ids=np.array(columns["item_id"], dtype=object), **parts)  # type: ignore[arg-type]


def _greedy(column: Callable[[str], Any]) -> Greedy:
    ids = column("token_ids")
    return Greedy(
        text=_texts(column("text"), 1),
        token_logprob=_padded(column("token_logprob")),
        token_entropy=_padded(column("token_entropy")),
        n_tokens=np.array(column("n_tokens"), dtype=np.int64),
        token_ids=None if ids is None else _padded(ids, -1).astype(np.int64),
    )


def _beams(column: Callable[[str], Any]) -> Beams:
    return Beams(
        text=_texts(column("text"), 2),
        sequence_logprob=np.array(column("sequence_logprob"), dtype=np.float64),
        n_tokens=np.array(column("n_tokens"), dtype=np.int64),
    )


def _dropout(column: Callable[[str], Any]) -> DropoutSamples:
    def nested(name: str, fill: float = np.nan) -> np.ndarray:
        rows = column(name)
        flat = _padded([sample for row in rows for sample in row], fill)
        return flat.reshape(len(rows), -1, flat.shape[-1])

    return DropoutSamples(
        text=_texts(column("text"), 2),
        token_logprob=nested("token_logprob"),
        token_entropy=nested("token_entropy"),
        token_kl=nested("token_kl"),
        n_tokens=np.array(column("n_tokens"), dtype=np.int64),
        token_ids=None if column("token_ids") is None else nested("token_ids", -1).astype(np.int64),
    )


def _texts(values: list, ndim: int) -> np.ndarray:
    shape = (len(values),) if ndim == 1 else (len(values), len(values[0]))
    array = np.empty(shape, dtype=object)
    array[...] = values
    return array


def _padded(rows: list[list[float]], fill: float = np.nan) -> np.ndarray:
    width = max((len(row) for row in rows), default=0)
    out = np.full((len(rows), width), fill)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


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
    columns = pq.read_table(path).to_pydict()
    return {
        item: (value, nearest)
        for item, value, nearest in zip(columns["item_id"], columns["similarity"], columns["nearest"])
    }
