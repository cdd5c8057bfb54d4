"""Records → Analysis: the rows of all tables.

Only test items count; validation rows are for fitting maps and choosing thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from aftertune.analysis.answers import answer_rows, auroc_change_with_holm, unvalidated_note
from aftertune.analysis.change import (
    CONSTANT_ENDS,
    change_rows,
    change_with_holm,
    constant_ends,
    disagreement_notes,
    left_out_items,
)
from aftertune.analysis.checkpoints import EffectsOfSetting, Rhos, comparisons_of, settings_of
from aftertune.analysis.checks import prompts_read, record_checks
from aftertune.analysis.correlation import correlation_rows, epoch_fall_rows, sample_size_rows
from aftertune.analysis.items import (
    direction_rows,
    moved_items,
    pair_rows,
    quadrant_rows,
    similarity_notes,
    similarity_rows,
    similarity_with_holm,
)
from aftertune.analysis.labels import judged_setting, labels_of, validation_rows
from aftertune.analysis.recommending import check_rely_on, recommendation_rows
from aftertune.analysis.schema import CHECKS, TABLES, Analysis, Row
from aftertune.errors import InputError
from aftertune.options import MARGIN
from aftertune.types import Check, Records


def analyse(
    records: Records,
    *,
    margin: float = MARGIN,
    resamples: int = 2000,
    seed: int = 0,
    permutation: bool = False,
    correct_at: float | None = None,
    checks: Sequence[Check] = (),
    allow_other_items: bool = False,
    rely_on: str | None = None,
) -> Analysis:
    """The rows of all tables, and what the reader should know about them (docs/tables.md).

    Parameters
    ----------
    records
        Rows with split "test" are used; those with split "validation" for fitting maps and choosing thresholds.
    margin
        delta of the verdicts, in the tie-adjusted rho.
    resamples
        B of the multiplier bootstrap behind simultaneous bounds, and of the permutation test.
    seed
        Of all draws; the same records in any order give the same numbers.
    permutation
        Also do the label-swap permutation test of each change.
    correct_at
        For tasks whose records do not say `correct`: an answer of at least this quality is correct.
    checks
        Made while measuring; they come before those of the records.
    allow_other_items
        Whether two checkpoints without a common item are a finding, and no error.
    rely_on
        The score that is relied on, named in advance: it is judged by itself, the others together.

    Returns
    -------
    Analysis
        Correlations ordered by model, task, setting, seed, epoch and score; changes by model, task, setting,
        score, pair and scope; epoch falls by model, task, setting and score; sample sizes by model, task,
        family of settings and score. Of the item level: quadrants as changes, directions as epoch falls, pairs
        and case 1 by model, task, setting, score, seed and epoch, similarities as correlations, moved items by
        model, task, setting, score, pair, side and how far they moved. Downstream, where answers are known to be
        right or wrong: as correlations and changes. Scores stand in the order of
        `records.scores`, names in natural order (n=500 before n=1000). A change has rows for both effects and, in
        each, for "models", with two training runs for "training" and with three for "new_run"; its verdict stands
        in all of them. Holm's correction of the ANOVA is over all rows with the same setting, from, to and effect,
        that of sample sizes over all rows of a family, that of similarities over the table.

    Raises
    ------
    InputError
        If no row is a test item, checkpoints that are compared have no item in common, an item occurs twice at
        one checkpoint or has an infinite value, or a training run has several selected checkpoints or one that is
        selected for some items only; if `correct_at` is not finite.
    """
    settings = settings_of(records)
    if not settings:
        raise InputError('no record has split "test": nothing to analyse')
    names = list(records.scores)
    check_rely_on(rely_on, names)
    labels, notes = labels_of(records, correct_at)
    validation = validation_rows(records)
    tables: dict[str, list[Row]] = {name: [] for name in TABLES}
    found_checks = list(checks)
    unvalidated: dict[str, bool] = {}
    anova_marked = False
    for setting in settings:
        rhos = Rhos()
        comparisons, lacking = comparisons_of(setting, names)
        of_setting = EffectsOfSetting(setting)
        correlations = correlation_rows(setting, names, of_setting)
        anova_marked |= constant_ends(comparisons, rhos)
        found_checks += record_checks(
            records, setting, comparisons, correlations, allow_other_items=allow_other_items
        )
        falls, short = epoch_fall_rows(setting, names, rhos, of_setting, seed=seed)
        pairs, case1, pair_means = pair_rows(setting, names)
        found: dict[str, Sequence[Row]] = {
            "prompts_read": prompts_read(records, setting, comparisons),
            "correlation": correlations,
            "change": change_rows(
                setting,
                comparisons,
                of_setting,
                margin=margin,
                resamples=resamples,
                seed=seed,
                permutation=permutation,
                rely_on=rely_on,
            ),
            "epoch_fall": falls,
            "quadrants": quadrant_rows(setting, comparisons),
            "direction": direction_rows(setting, names),
            "pairs": pairs,
            "pair_means": pair_means,
            "case1_unchanged": case1,
            "similarity": similarity_rows(setting, names, rhos),
            "moved_items": moved_items(records, setting, comparisons),
        }
        found["recommendation"] = recommendation_rows(
            records, setting, labels, validation, found["change"], margin=margin, seed=seed, rely_on=rely_on
        )
        judged = judged_setting(records, labels, setting, validation)
        answered, told, bare = answer_rows(records, judged, names, comparisons, found["recommendation"])
        notes += [
            *lacking,
            *left_out_items(setting, names, comparisons),
            *disagreement_notes(setting, found["change"], margin),
            *short,
            *similarity_notes(setting, names),
            *told,
        ]
        if answered:
            unvalidated[setting.label] = bare
        for name, rows in (found | answered).items():
            tables[name] += rows
    tables["checks"] = [CHECKS.row(**asdict(check)) for check in found_checks]
    tables["change"] = change_with_holm(tables["change"])
    tables["downstream_change"] = auroc_change_with_holm(tables["downstream_change"])
    tables["similarity"] = similarity_with_holm(tables["similarity"])
    tables["sample_size"], of_sizes = sample_size_rows(settings, tables["correlation"])
    notes += [*unvalidated_note(unvalidated), *of_sizes, *([CONSTANT_ENDS] if anova_marked else [])]
    return Analysis.of(notes=notes, **tables)
