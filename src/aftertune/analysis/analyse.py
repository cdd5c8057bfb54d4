"""Records → Analysis: the rows of all tables.

Only test items count; validation rows are for fitting maps and choosing thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from aftertune.analysis import changes, downstream_rows, similarities
from aftertune.analysis.correctness import labels_of
from aftertune.analysis.downstream import Downstream, downstream, unvalidated_note
from aftertune.analysis.grouping import settings_of
from aftertune.analysis.item_level import ItemLevel, item_level
from aftertune.analysis.judged import judged_setting, validation_rows
from aftertune.analysis.rhos import Rhos
from aftertune.analysis.sample_sizes import sample_size_rows
from aftertune.analysis.schema import Analysis
from aftertune.analysis.task_level import TaskLevel, task_level
from aftertune.errors import InputError
from aftertune.stats.verdict import MARGIN
from aftertune.types import Records

Part = TypeVar("Part")
Row = TypeVar("Row")


def analyse(
    records: Records,
    *,
    margin: float = MARGIN,
    resamples: int = 2000,
    seed: int = 0,
    permutation: bool = False,
    correct_at: float | None = None,
) -> Analysis:
    """The rows of all tables, and what the reader should know about them (docs/tables.md).

    Parameters
    ----------
    records
        Rows with split "test" are used; those with split "validation" for fitting maps and choosing thresholds.
    margin
        delta of the verdicts, in Spearman's rho.
    resamples
        B of the bootstrap over items, and of the permutation test.
    seed
        Seed of both; the same records in any order give the same numbers.
    permutation
        Also do the label-swap permutation test of each change.
    correct_at
        For tasks whose records do not say `correct`: an answer of at least this quality is correct.

    Returns
    -------
    Analysis
        Correlations ordered by model, task, setting, seed, epoch and score; changes by model, task, setting,
        score, pair and scope; epoch falls by model, task, setting and score; sample sizes by model, task,
        family of settings and score. Of the item level: quadrants as changes, directions as epoch falls, pairs
        and case 1 by model, task, setting, score, seed and epoch, similarities as correlations, moved items by
        model, task, setting, score, pair, side and how far they moved. Downstream, where answers are known to be
        right or wrong: as correlations and changes. Scores stand in the order of
        `records.scores`, names in natural order (n=500 before n=1000). A change has a row with ci_scope
        "models", and with at least two training runs one with "training", whose verdict then stands in both.
        Holm's correction of changes is over all rows with the same setting, from, to and scope, that of sample
        sizes over all rows of a family, that of similarities over the table.

    Raises
    ------
    InputError
        If no row is a test item, an item occurs twice at one checkpoint or has an infinite value, or a training
        run has several selected checkpoints or one that is selected for some items only; if `correct_at` is not
        finite.
    """
    settings = settings_of(records)
    if not settings:
        raise InputError('no record has split "test": nothing to analyse')
    names = list(records.scores)
    labels, sources = labels_of(records, correct_at)
    validation = validation_rows(records)
    tasks: list[TaskLevel] = []
    items: list[ItemLevel] = []
    acts: list[Downstream] = []
    notes: list[str] = [*sources]
    for setting in settings:
        rhos = Rhos()
        comparisons, lacking = changes.comparisons_of(setting, names)
        tasks.append(
            task_level(
                setting,
                names,
                comparisons,
                rhos,
                margin=margin,
                resamples=resamples,
                seed=seed,
                permutation=permutation,
            )
        )
        items.append(item_level(records, setting, names, comparisons, rhos))
        judged = judged_setting(records, labels, setting, validation)
        acts.append(downstream(records, judged, names, comparisons, resamples=resamples, seed=seed))
        notes += [*lacking, *tasks[-1].notes, *items[-1].notes, *acts[-1].notes]
    correlations = _all(tasks, lambda part: part.correlations)
    changed = changes.with_holm(_all(tasks, lambda part: part.changes))
    sizes, of_sizes = sample_size_rows(settings, correlations)
    return Analysis.of(
        correlation=correlations,
        change=tuple(changed),
        epoch_fall=_all(tasks, lambda part: part.epoch_falls),
        sample_size=tuple(sizes),
        quadrants=_all(items, lambda part: part.quadrants),
        direction=_all(items, lambda part: part.directions),
        pairs=_all(items, lambda part: part.pairs),
        case1_unchanged=_all(items, lambda part: part.case1),
        similarity=tuple(similarities.with_holm(_all(items, lambda part: part.similarities))),
        moved_items=_all(items, lambda part: part.moved_items),
        downstream=_all(acts, lambda part: part.downstream),
        downstream_change=tuple(downstream_rows.with_holm(_all(acts, lambda part: part.changes))),
        percentages=_all(acts, lambda part: part.percentages),
        review=_all(acts, lambda part: part.reviews),
        alerts=_all(acts, lambda part: part.alerts),
        chosen=_all(acts, lambda part: part.chosen),
        reliability=_all(acts, lambda part: part.reliabilities),
        notes=(*notes, *unvalidated_note(acts), *of_sizes, *changes.resolution_note(changed, resamples)),
    )


def _all(parts: Iterable[Part], rows: Callable[[Part], Iterable[Row]]) -> tuple[Row, ...]:
    """The rows of all settings, one after the other."""
    return tuple(row for part in parts for row in rows(part))
