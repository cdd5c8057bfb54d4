"""Rows about the correlation of a score with quality (method, section 5)."""

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
