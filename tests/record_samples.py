"""Records in memory for the tests of tables: what a study or another pipeline would have written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy import stats

from aftertune.analysis.schema import Analysis, Row
from aftertune.types import Records


def checkpoint(
    quality: np.ndarray,
    scores: dict[str, np.ndarray],
    *,
    model: str = "tiny",
    task: str = "toy",
    setting: str = "default",
    seed: int = 0,
    epoch: float = 0,
    selected: bool = False,
    split: str = "test",
    ids: list[str] | None = None,
    output: list[str] | None = None,
    references: list[tuple[str, ...]] | None = None,
    similarity: np.ndarray | None = None,
    extra: Mapping[str, list] | None = None,
) -> Records:
    n = len(quality)

    def column(value: object) -> np.ndarray:
        return np.full(n, value, dtype=object)

    return Records(
        model=column(model),
        task=column(task),
        setting=column(setting),
        seed=np.full(n, seed),
        epoch=np.full(n, float(epoch)),
        selected=np.full(n, selected),
        split=column(split),
        item_id=np.array(ids or [f"item-{i}" for i in range(n)], dtype=object),
        output=column(None) if output is None else np.array(output, dtype=object),
        references=column(None) if references is None else np.fromiter(references, dtype=object, count=n),
        quality=quality,
        correct=column(None),
        train_similarity=np.full(n, np.nan) if similarity is None else similarity,
        scores=scores,
        extra={name: np.fromiter(values, dtype=object, count=n) for name, values in (extra or {}).items()},
    )


def together(*parts: Records) -> Records:
    names = list(dict.fromkeys(name for part in parts for name in part.scores))
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Records.__dataclass_fields__
        if name not in ("scores", "extra")
    }
    scores = {name: np.concatenate([p.scores.get(name, np.full(len(p), np.nan)) for p in parts]) for name in names}
    unknown = list(dict.fromkeys(name for part in parts for name in part.extra))
    extra = {name: np.concatenate([p.extra.get(name, np.full(len(p), None)) for p in parts]) for name in unknown}
    return Records(**columns, scores=scores, extra=extra)


def study(
    n: int = 60, seeds: int = 3, epochs: tuple[int, ...] = (0, 1, 2, 3), chosen: int = 2, **names: str
) -> Records:
    """Seeds share the checkpoint before fine-tuning, as runs from one model do."""
    rng = np.random.default_rng(5)
    parts = []
    start = rng.normal(size=n)
    start_scores = {"up": 0.2 * start + rng.normal(size=n), "down": 2 * start + rng.normal(size=n)}
    for seed in range(seeds):
        for epoch in epochs:
            quality = start + 0.3 * rng.normal(size=n)
            scores = {
                "up": epoch * quality + rng.normal(size=n),
                "down": 2 * quality / (1 + epoch) + rng.normal(size=n),
            }
            if epoch == 0:
                quality, scores = start, start_scores
            parts.append(checkpoint(quality, scores, seed=seed, epoch=epoch, selected=epoch == chosen, **names))
    return together(*parts)


def rho(records: Records, score: str, seed: int, epoch: float, ids: set[str] | None = None) -> float:
    rows = (records.seed == seed) & (records.epoch == epoch)
    if ids is not None:
        rows &= np.array([item in ids for item in records.item_id])
    return stats.spearmanr(records.scores[score][rows], records.quality[rows]).statistic


def change(analysis: Analysis, **wanted: object) -> Row:
    """The one row; about the tie-adjusted rho and these models unless something else is wanted."""
    wanted = {"ci_scope": "models", "effect": "adjusted", **wanted}
    found = [r for r in analysis.rows("change") if all(getattr(r, k) == v for k, v in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def same(left: Analysis, right: Analysis) -> bool:
    """Equality in which NaN equals NaN."""
    return left.notes == right.notes and all(
        repr(left.rows(name)) == repr(right.rows(name)) for name in left.tables
    )


def with_rows(analysis: Analysis, **rows: Iterable[Row]) -> Analysis:
    """The analysis with other rows in some of its tables."""
    return Analysis.of(notes=analysis.notes, **{name: analysis.rows(name) for name in analysis.tables} | rows)
