"""Records → Analysis: the rows of correlation.csv and change.csv.

Only test items count; validation rows are for fitting maps.
"""

from __future__ import annotations

from aftertune.errors import InputError
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
from aftertune.study.grouping import settings_of
from aftertune.study.table_files import write_tables
from aftertune.types import Analysis, ChangeRow, CorrelationRow, Records

__all__ = ["analyse", "write_tables"]


def analyse(records: Records, *, margin: float = MARGIN, resamples: int = 2000, seed: int = 0) -> Analysis:
    """Correlations, their changes and verdicts, and what the reader should know about them.

    Parameters
    ----------
    records
        Rows with split "test" are used.
    margin
        delta of the verdicts, in Spearman's rho.
    resamples
        B of the bootstrap over items.
    seed
        Seed of the bootstrap; the same records in any order give the same numbers.

    Returns
    -------
    Analysis
        Correlations ordered by model, task, setting, seed, epoch and score; changes by model, task, setting,
        score, pair and scope. Scores stand in the order of `records.scores`, names in natural order
        (n=500 before n=1000). A change has a row with ci_scope "models", and with at least two training runs
        one with "training"; Holm's correction is over all rows with the same from, to and scope.

    Raises
    ------
    InputError
        If no row is a test item, an item occurs twice at one checkpoint, or a training run has several
        selected checkpoints or one that is selected for some items only.
    """
    settings = settings_of(records)
    if not settings:
        raise InputError('no record has split "test": nothing to analyse')
    correlations: list[CorrelationRow] = []
    changes: list[ChangeRow] = []
    notes: list[str] = []
    for setting in settings:
        rows = correlation_rows(setting, list(records.scores), seed=seed)
        correlations += rows
        notes += correlation_notes(setting, rows)
        comparisons, left_out = comparisons_of(setting, list(records.scores))
        notes += [*left_out, *left_out_items(setting, list(records.scores), comparisons)]
        draws = resample(setting, comparisons, resamples=resamples, seed=seed)
        for comparison in comparisons:
            changes += change_rows(setting, comparison, draws, margin=margin)
    changes = with_holm(changes)
    return Analysis(
        correlations=tuple(correlations),
        changes=tuple(changes),
        notes=(*notes, *resolution_note(changes, resamples)),
    )
