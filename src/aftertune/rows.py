"""Rows of the tables that analysis writes; a column of a table is a field of its row."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationRow:
    """A row of correlation.csv: task-level correlation of one score at one checkpoint (method, section 5).

    `spearman_given_length` is the partial correlation with the output's length removed, on the same n items;
    `length_unit` says what length is counted in ("tokens", "characters", or "" where it is not known).
    """

    model: str
    task: str
    setting: str
    seed: int
    epoch: float
    selected: bool
    score: str
    n: int
    spearman: float
    ci_low: float
    ci_high: float
    status: str
    spearman_given_length: float = math.nan
    length_unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """A row of change.csv: rho(to) − rho(from) of one score; `from_`/`to` in before, epoch_1, selected, last.

    ci_scope is "models" (these trained models: items vary, seeds are averaged) or "training" (another
    training run: seeds vary too). `verdict` is "holds", "degraded", "improved", "inconclusive", or
    "undefined: <reason>". `useful` is True/False, or None where rho after fine-tuning is undefined.
    `items_needed` is an estimate for an inconclusive verdict, else None. `verdict`, `useful` and
    `items_needed` come from the "training" interval wherever there is one, and then stand in both rows.
    `p_permutation` is the label-swap test of the "models" question, NaN unless asked for.
    """

    model: str
    task: str
    setting: str
    score: str
    from_: str
    to: str
    n_items: int
    n_seeds: int
    mean: float
    sd: float
    ci_low: float
    ci_high: float
    ci_scope: str
    p_anova: float
    p_anova_holm: float
    p_bootstrap: float
    p_bootstrap_holm: float
    verdict: str
    useful: bool | None
    items_needed: int | None
    p_permutation: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFallRow:
    """A row of epoch_fall.csv: the largest epoch-to-epoch fall of one score (method, section 5; Table 7).

    `mean` and `sd` are over training runs of the most negative rho(t + 1) − rho(t), t ≥ 1; `worst` is the most
    negative of all runs, from epoch `worst_from_epoch` to the next. NaN and None where undefined.
    """

    model: str
    task: str
    setting: str
    score: str
    n_seeds: int
    mean: float
    sd: float
    worst: float
    worst_from_epoch: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSizeRow:
    """A row of sample_size.csv: does rho after fine-tuning differ between numbers of training items?

    One-way ANOVA over the training runs' correlations at the last checkpoint of each setting. `setting` is the
    family of settings ("n=*", "n=*,steps=2500"), `settings` those that the test compares ("n=100; n=500").
    """

    model: str
    task: str
    setting: str
    score: str
    settings: str
    f: float
    p_anova: float
    p_anova_holm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuadrantRow:
    """A row of quadrants.csv: how confidence and quality of items changed (method, section 6; Tables 2 and 9).

    Shares of items, mean over the training runs that have both checkpoints; `tied` is the part of concordant in
    which confidence or quality did not change at all. `n` items that all these runs have at both checkpoints.
    """

    model: str
    task: str
    setting: str
    score: str
    from_: str
    to: str
    n: int
    concordant: float
    overconfident: float
    underconfident: float
    tied: float
    n_seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionRow:
    """A row of direction.csv: direction of change from each epoch to the next (method, section 6; Table 3).

    Per cent, mean over `n_transitions` t → t + 1, t ≥ 1, of all training runs; `n` is the sum of their items.
    """

    model: str
    task: str
    setting: str
    score: str
    n: int
    confidence_not_increased: float
    increased_quality_not_improved: float
    both_increased: float
    n_transitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A row of pairs.csv: what became of relatively correlated pairs (method, section 6; Tables 4, 10). Counts."""

    model: str
    task: str
    setting: str
    score: str
    seed: int
    from_epoch: float
    to_epoch: float
    n_correlated: int
    stays: int
    case1: int
    both_flip: int
    case2: int
    n_tied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case1Row:
    """A row of case1_unchanged.csv: case 1 without a change of output or quality (Table 11). Counts.

    `output_unchanged` is None where outputs are not known.
    """

    model: str
    task: str
    setting: str
    score: str
    seed: int
    from_epoch: float
    to_epoch: float
    n_case1: int
    output_unchanged: int | None
    quality_unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityRow:
    """A row of similarity.csv: confidence and similarity to the training set (method, section 6; Table 12).

    `spearman` of the score with `train_similarity` over n items, its two-sided p, and Holm's correction over the
    table. `quality_spearman` is the score's rho with quality on the same items, `quality_given_similarity` the
    same with similarity removed. `status` says why something is undefined.
    """

    model: str
    task: str
    setting: str
    seed: int
    epoch: float
    score: str
    n: int
    spearman: float
    p: float
    p_holm: float
    quality_spearman: float
    quality_given_similarity: float
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedItem:
    """A line of moved_items.jsonl: an item whose confidence and quality moved apart (method, section 6; Figure 1).

    `side` is "overconfident" or "underconfident". `move` is (rise in the rank of confidence) × (fall in the rank
    of quality); a rank is the share of the other items below, 0–1, ties half. `input` and the outputs are None
    where the records do not have them; all texts are what a model or a user wrote, not to be trusted.
    """

    model: str
    task: str
    setting: str
    score: str
    from_: str
    to: str
    side: str
    move: float
    seed: int
    item_id: str
    input: str | None
    references: tuple[str, ...]
    output_from: str | None
    output_to: str | None
    quality_from: float
    quality_to: float
    confidence_from: float
    confidence_to: float
    quality_rank_from: float
    quality_rank_to: float
    confidence_rank_from: float
    confidence_rank_to: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DownstreamRow:
    """A row of downstream.csv: does the score tell right answers from wrong ones? (Method, section 7; Table 5.)

    Of the `n` test items that have a label and the score at one checkpoint. `auroc_ci_low` and `auroc_ci_high` are
    the 95 % interval of `auroc` over test items. `ece` and `brier` are of the percentages that `map` makes, fitted
    on `n_validation` validation items at the same checkpoint. `status` says why something is undefined.
    """

    model: str
    task: str
    setting: str
    seed: int
    epoch: float
    selected: bool
    score: str
    n: int
    auroc: float
    prr: float
    aurc: float
    ece: float
    auroc_ci_low: float
    auroc_ci_high: float
    ece_if_calibrated: float
    brier: float
    n_correct: int
    map: str
    n_validation: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DownstreamChangeRow:
    """A row of downstream_change.csv: AUROC(to) − AUROC(from) of one score, in the form of `ChangeRow`.

    `auroc_from` and `auroc_to` are means over the runs, on the items of the comparison. `status` says why
    something is undefined.
    """

    model: str
    task: str
    setting: str
    score: str
    from_: str
    to: str
    n_items: int
    n_seeds: int
    auroc_from: float
    auroc_to: float
    mean: float
    sd: float
    ci_low: float
    ci_high: float
    ci_scope: str
    p_bootstrap: float
    p_bootstrap_holm: float
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentageRow:
    """A row of percentages.csv: do percentages mean what they say? (Method, section 7.)

    `map` ("isotonic", "logistic", "min-max") was fitted on `n_validation` validation items at the checkpoint
    `fitted` and is applied to the `n` test items at the checkpoint `applied`; both in before, epoch_1, selected,
    last. `brier` = `miscalibration` − `discrimination` + `uncertainty`.
    """

    model: str
    task: str
    setting: str
    score: str
    seed: int
    map: str
    fitted: str
    applied: str
    n_validation: int
    n: int
    ece: float
    ece_if_calibrated: float
    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """A row of review.csv: the answers that need no review, for a wanted share of right ones among them.

    `threshold` is chosen on `n_validation` validation items at the checkpoint `chosen`, so that the share is shown
    to be at least `wanted` (`bound` is its lower bound there), and applied to the `n` test items at `applied`:
    `coverage` of them are at or above it, `precision` of these are right. `without` is the share without review.
    """

    model: str
    task: str
    setting: str
    score: str
    seed: int
    wanted: float
    chosen: str
    applied: str
    threshold: float
    n_validation: int
    bound: float
    n: int
    kept: int
    coverage: float
    precision: float
    ci_low: float
    ci_high: float
    without: float
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A line of alerts.jsonl: what a person is told about one answer at one checkpoint (method, section 7).

    `chance` is what the isotonic map fitted at that checkpoint says; None where the map or the score is undefined,
    and `alert` then says why. `chance_by_old_map` is what the map fitted before fine-tuning (at the run's earlier
    checkpoint) says of this later answer; None at the earlier checkpoint, and where that map is undefined.
    `correct` is None where the answer was not judged; `input` and `output` where the records do not have them. All
    texts are what a model or a user wrote, not to be trusted.
    """

    model: str
    task: str
    setting: str
    seed: int
    epoch: float
    checkpoint: str
    item_id: str
    score: str
    confidence: float | None
    chance: float | None
    alert: str
    correct: bool | None
    input: str | None
    references: tuple[str, ...]
    output: str | None
    chance_by_old_map: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The score of a setting's alerts and figures, on the validation items of one checkpoint of one run.

    It was chosen by these items, and those of the setting's other rows (`study.judged.by_validation`), from
    `n_scores`. `n_correct` of the `n_validation` that have a label and the score are right; `low` and `high` are
    the 95 % interval of their `auroc`.
    """

    model: str
    task: str
    setting: str
    score: str
    n_scores: int
    seed: int
    epoch: float
    checkpoint: str
    n_validation: int
    n_correct: int
    auroc: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedItems:
    """Percentages of test items, and which of their answers are right; `reason` says why there are none."""

    chance: tuple[float, ...]
    correct: tuple[bool, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityItems:
    """What the reliability figure shows of one score and training run, by the isotonic map.

    `before`: fitted and applied at `from_`. `carried`: fitted at `from_`, applied at `to`. `renewed`: fitted and
    applied at `to`. `rank` is the place of the score among those of its setting (`study.judged.by_validation`).
    """

    model: str
    task: str
    setting: str
    score: str
    seed: int
    n_seeds: int
    rank: int
    from_: str
    to: str
    before: JudgedItems
    carried: JudgedItems
    renewed: JudgedItems


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All that is computed from records: rows of tables, and notes for the reader (one sentence each)."""

    correlations: tuple[CorrelationRow, ...]
    changes: tuple[ChangeRow, ...]
    epoch_falls: tuple[EpochFallRow, ...] = ()
    sample_sizes: tuple[SampleSizeRow, ...] = ()
    quadrants: tuple[QuadrantRow, ...] = ()
    directions: tuple[DirectionRow, ...] = ()
    pairs: tuple[PairRow, ...] = ()
    case1: tuple[Case1Row, ...] = ()
    similarities: tuple[SimilarityRow, ...] = ()
    moved_items: tuple[MovedItem, ...] = ()
    downstream: tuple[DownstreamRow, ...] = ()
    downstream_changes: tuple[DownstreamChangeRow, ...] = ()
    percentages: tuple[PercentageRow, ...] = ()
    reviews: tuple[ReviewRow, ...] = ()
    alerts: tuple[Alert, ...] = ()
    chosen: tuple[Chosen, ...] = ()
    reliabilities: tuple[ReliabilityItems, ...] = ()
    notes: tuple[str, ...] = ()
