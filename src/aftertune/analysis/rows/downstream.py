"""Rows about right and wrong answers (method, section 7)."""

from __future__ import annotations

from dataclasses import dataclass


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
