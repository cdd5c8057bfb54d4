"""Rows about single items and pairs of them (method, section 6)."""

from __future__ import annotations

from dataclasses import dataclass


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
