"""Rows of pairs.csv and case1_unchanged.csv: what becomes of pairs of items from a checkpoint to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aftertune.analysis.grouping import Point, Setting
from aftertune.analysis.schema import CASE1, PAIRS, Row
from aftertune.analysis.transitions import having_both, neighbours
from aftertune.stats.pairs import PairChanges, pair_changes
from aftertune.types import Texts


def pair_rows(setting: Setting, names: Sequence[str]) -> tuple[list[Row], list[Row]]:
    """One row of each for each score, run and checkpoint that has a next one."""
    steps = [(a, b, *_same_outputs(a.output, b.output)) for run in setting.runs() for a, b in neighbours(run)]
    pairs: list[Row] = []
    case1: list[Row] = []
    for name in names:
        for a, b, known, same in steps:
            items = having_both(a, b, name)
            outputs = same[items] if known[items].all() else None
            counts = _counts(a, b, name, items, outputs)
            pairs.append(
                PAIRS.row(
                    model=setting.model,
                    task=setting.task,
                    setting=setting.setting,
                    score=name,
                    seed=a.seed,
                    from_epoch=a.epoch,
                    to_epoch=b.epoch,
                    n_correlated=counts.n_correlated,
                    stays=counts.stays,
                    case1=counts.case1,
                    both_flip=counts.both_flip,
                    case2=counts.case2,
                    n_tied=counts.n_tied,
                )
            )
            case1.append(
                CASE1.row(
                    model=setting.model,
                    task=setting.task,
                    setting=setting.setting,
                    score=name,
                    seed=a.seed,
                    from_epoch=a.epoch,
                    to_epoch=b.epoch,
                    n_case1=counts.case1,
                    output_unchanged=counts.output_unchanged,
                    quality_unchanged=counts.quality_unchanged or 0,
                )
            )
    return pairs, case1


def _counts(a: Point, b: Point, name: str, items: np.ndarray, output_same: np.ndarray | None) -> PairChanges:
    q_from, q_to = a.quality[items], b.quality[items]
    c_from, c_to = a.scores[name][items], b.scores[name][items]
    return pair_changes(q_from, c_from, q_to, c_to, output_same=output_same, quality_same=q_from == q_to)


def _same_outputs(before: Texts, after: Texts) -> tuple[np.ndarray, np.ndarray]:
    """(n,) whether both outputs of an item are known, and whether they are the same text."""
    known = np.array([x is not None and y is not None for x, y in zip(before, after)], dtype=bool)
    return known, np.array([x == y for x, y in zip(before, after)], dtype=bool)
