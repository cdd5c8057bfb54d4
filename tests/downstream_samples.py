"""Records with labels: right and wrong answers of test and validation items."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aftertune.types import Records
from record_samples import checkpoint, together


def with_correct(records: Records, correct: Sequence[bool | None]) -> Records:
    return replace(records, correct=np.fromiter(correct, dtype=object, count=len(records)))


def labelled(
    *,
    test: int = 120,
    validation: int = 420,
    seeds: Sequence[int] = (0, 1),
    epochs: Sequence[float] = (0, 1, 2),
    chosen: float = 2,
    model: str = "tiny",
) -> Records:
    """Two scores, "sharp" (better) and "rough", which get worse with epochs and say less than the truth."""
    rng = np.random.default_rng(11)
    parts = []
    for split, n in (("test", test), ("validation", validation)):
        for seed in seeds:
            for epoch in epochs:
                truth = rng.normal(size=n)
                quality = 1 / (1 + np.exp(-truth))
                scores = {
                    "sharp": truth + (0.4 + 0.3 * epoch) * rng.normal(size=n) + epoch,
                    "rough": np.round(truth + 1.5 * rng.normal(size=n)),
                }
                part = checkpoint(
                    quality,
                    scores,
                    seed=seed,
                    epoch=epoch,
                    selected=epoch == chosen,
                    split=split,
                    ids=[f"{split}-{i:03}" for i in range(n)],
                    output=[f"answer {i} of epoch {epoch:g}" for i in range(n)],
                    references=[(f"reference {i}",) for i in range(n)],
                    extra={"input": [f"question {i}?" for i in range(n)]},
                    model=model,
                )
                parts.append(with_correct(part, (truth + 0.3 * rng.normal(size=n) > 0).tolist()))
    return together(*parts)


def calibrating(records: Records, seed: int, epoch: float) -> Records:
    """Validation rows whose id's SHA-256 starts with an odd byte."""
    part = rows_at(records, "validation", seed, epoch)
    return part.take(
        np.array([int(hashlib.sha256(i.encode()).hexdigest()[:2], 16) % 2 == 1 for i in part.item_id])
    )


def choosing(records: Records, seed: int, epoch: float) -> Records:
    """Its other validation rows."""
    part, known = rows_at(records, "validation", seed, epoch), set(calibrating(records, seed, epoch).item_id)
    return part.take(np.array([i not in known for i in part.item_id]))


def rows_at(records: Records, split: str, seed: int, epoch: float) -> Records:
    return records.take((records.split == split) & (records.seed == seed) & (records.epoch == epoch))
