"""Joining and cutting evidence: batches into a whole, a whole into some items, parts into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TypeVar

import numpy as np

from aftertune.types import Beams, DropoutSamples, Evidence, Greedy

Part = TypeVar("Part", Greedy, Beams, DropoutSamples)
PARTS = ("greedy", "beams", "dropout", "embedding")


def concatenate(pieces: Sequence[Evidence]) -> Evidence:
    """Evidence of several disjoint sets of items, one after the other; token axes are padded to the longest.

    Every piece must hold the same parts.
    """
    first = pieces[0]
    ids = np.concatenate([piece.item_ids for piece in pieces])
    joined: dict[str, object] = {}
    for name in PARTS:
        parts = [getattr(piece, name) for piece in pieces]
        if any((part is None) != (getattr(first, name) is None) for part in parts):
            raise ValueError(f"some pieces of evidence have {name} and some have not")
        if getattr(first, name) is not None:
            joined[name] = np.concatenate(parts) if name == "embedding" else _join(parts)
    return Evidence(item_ids=ids, **joined)  # type: ignore[arg-type]


def take(evidence: Evidence, item_ids: Sequence[str]) -> Evidence:
    """The given items, in that order; KeyError for an item that is not there."""
    where = {item: i for i, item in enumerate(evidence.item_ids)}
    rows = np.array([where[item] for item in item_ids], dtype=np.int64)
    picked: dict[str, object] = {}
    for name in PARTS:
        part = getattr(evidence, name)
        if name == "embedding":
            picked[name] = None if part is None else part[rows]
        elif part is not None:
            columns = {f.name: getattr(part, f.name) for f in fields(part)}
            picked[name] = type(part)(**{one: x[rows] for one, x in columns.items() if x is not None})
    return Evidence(item_ids=np.array(item_ids, dtype=object), **picked)  # type: ignore[arg-type]


def with_parts(evidence: Evidence, other: Evidence) -> Evidence:
    """`evidence` with the parts that only `other` has, for the same items."""
    other = take(other, list(evidence.item_ids))
    missing = {
        name: getattr(other, name)
        for name in PARTS
        if getattr(evidence, name) is None and getattr(other, name) is not None
    }
    return replace(evidence, **missing)


def _join(parts: Sequence[Part]) -> Part:
    columns = {}
    for f in fields(parts[0]):
        arrays = [getattr(part, f.name) for part in parts]
        if any(array is None for array in arrays):  # token ids that not all parts know
            continue
        if f.name.startswith("token_"):
            width = max(array.shape[-1] for array in arrays)
            arrays = [_pad(array, width) for array in arrays]
        columns[f.name] = np.concatenate(arrays)
    return type(parts[0])(**columns)


def _pad(array: np.ndarray, width: int) -> np.ndarray:
    padding = [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])]
    return np.pad(array, padding, constant_values=np.nan if array.dtype.kind == "f" else -1)
