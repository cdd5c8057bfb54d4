"""Records → Analysis: the rows of all tables of the task level.

Only test items count; validation rows are for fitting maps.
"""

from __future__ import annotations

from aftertune.errors import InputError
from aftertune.rows import Analysis, ChangeRow, CorrelationRow, EpochFallRow
from aftertune.stats.verdict import MARGIN
from aftertune.study.changes import (
    change_rows,
    comparisons_of,
    left_out_items,
    resample,
    resolution_note,
    with_holm,
)
from aftertune.study.correlations import correlation_notes, correlation_rows
from aftertune.study.epoch_falls import epoch_fall_rows
from aftertune.study.grouping import settings_of
from aftertune.study.permutations import swap_p_values
from aftertune.study.rhos import Rhos
from aftertune.study.sample_sizes import sample_size_rows
from aftertune.study.table_files import write_tables
from aftertune.types import Records

__all__ = ["analyse", "write_tables"]


def analyse(
    records: Records,
    *,
    margin: float = MARGIN,
    resamples: int = 2000,
    seed: int = 0,
    permutation: bool = False,
) -> Analysis:
    """Correlations, their changes and verdicts, and what the reader should know about them (docs/tables.md).

    Parameters
    ----------
    records
        Rows with split "test" are used.
    margin
        delta of the verdicts, in Spearman's rho.
    resamples
        B of the bootstrap over items, and of the permutation test.
    seed
        Seed of both; the same records in any order give the same numbers.
    permutation
        Also do the label-swap permutation test of each change.

    Returns
    -------
    Analysis
        Correlations ordered by model, task, setting, seed, epoch and score; changes by model, task, setting,
        score, pair and scope; epoch falls by model, task, setting and score; sample sizes by model, task,
        family of settings and score. Scores stand in the order of `records.scores`, names in natural order
        (n=500 before n=1000). A change has a row with ci_scope "models", and with at least two training runs
        one with "training", whose verdict then stands in both. Holm's correction of changes is over all rows
        with the same setting, from, to and scope, that of sample sizes over all rows of a family.

    Raises
    ------
    InputError
        If no row is a test item, an item occurs twice at one checkpoint or has an infinite value, or a training
        run has several selected checkpoints or one that is selected for some items only.
    """
    settings = settings_of(records)
    if not settings:
        raise InputError('no record has split "test": nothing to analyse')
    names = list(records.scores)
    correlations: list[CorrelationRow] = []
    changes: list[ChangeRow] = []
    epoch_falls: list[EpochFallRow] = []
    notes: list[str] = []
    for setting in settings:
        rhos = Rhos()
        rows = correlation_rows(setting, names, seed=seed)
        correlations += rows
        comparisons, lacking = comparisons_of(setting, names)
        falls, left_out = epoch_fall_rows(setting, names, rhos)
        epoch_falls += falls
        notes += [*correlation_notes(setting, rows), *lacking, *left_out_items(setting, names, comparisons)]
        notes += left_out
        draws = resample(setting, comparisons, resamples=resamples, seed=seed)
        swapped = swap_p_values(comparisons, permutations=resamples, seed=seed) if permutation else {}
        for c in comparisons:
            p = swapped.get((c.score, c.from_, c.to), float("nan"))
            changes += change_rows(setting, c, rhos, draws, margin=margin, p_permutation=p)
    changes = with_holm(changes)
    sample_sizes, of_sizes = sample_size_rows(settings, correlations)
    return Analysis(
        correlations=tuple(correlations),
        changes=tuple(changes),
        epoch_falls=tuple(epoch_falls),
        sample_sizes=tuple(sample_sizes),
        notes=(*notes, *of_sizes, *resolution_note(changes, resamples)),
    )
