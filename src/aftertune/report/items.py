"""The item level: how single items and pairs of them changed, which are shown, how a score spreads over them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.analysis.checkpoints import Point, Setting, named_points
from aftertune.analysis.schema import Analysis, Row
from aftertune.report.names import Key, at_the_end, group_name, grouped, key_of
from aftertune.report.numbers import mean
from aftertune.report.series import Panel, Series
from aftertune.report.verdicts import Group
from aftertune.stats.items import Quadrants, quadrants
from aftertune.stats.pairs import PairChanges, PairShares, case1_prevalence, mean_shares
from aftertune.types import Floats

COMPARED = (("epoch_1", "last"), ("before", "selected"))
"""Pairs of checkpoints that are drawn: as in the paper, and over all of fine-tuning."""
FIGURE_SCORES = ("mean_token_logprob", "dropout_bleu_variance")
"""The scores of the paper's Figures 5, 7 and 8: one by probability, one by consistency."""
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
LEAST_EPOCHS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemLevel:
    """What page and figures say of single items and of pairs of them.

    Attributes
    ----------
    quadrants, directions : rows of these tables.
    pairs, unchanged, similarities : of `PairsOfItems`, `UnchangedShares` and `Similarity`.
    case1 : sentences about the share of case 1.
    no_similarity : settings without similarities, and why.
    examples : rows of moved_items.jsonl that are shown.
    changes : for each pair of `COMPARED`; empty without records.
    featured : the scores that are drawn.
    spreads : of these scores; empty without records.
    """

    quadrants: tuple[Row, ...]
    directions: tuple[Row, ...]
    pairs: tuple[PairsOfItems, ...]
    case1: tuple[str, ...]
    unchanged: tuple[UnchangedShares, ...]
    similarities: tuple[Similarity, ...]
    no_similarity: tuple[str, ...]
    examples: tuple[Row, ...]
    changes: Mapping[tuple[str, str], Sequence[ItemChanges]]
    featured: Featured
    spreads: Sequence[ItemSpread]


def item_level(
    analysis: Analysis, settings: Iterable[Setting], groups: Iterable[Group], panels: Iterable[Panel]
) -> ItemLevel:
    """`settings` are the checkpoints of the records; without any there is nothing to draw item by item."""
    by_panel = [
        (panel, setting) for panel in panels for setting in settings if key_of_setting(setting) == panel.key
    ]
    changes = {pair: item_changes([setting for _, setting in by_panel], *pair) for pair in COMPARED}
    chosen = featured([change for own in changes.values() for change in own])
    pairs = pairs_of_items(analysis.rows("pairs"), analysis.rows("pair_means"))
    similar, reasons = similarities(analysis.rows("similarity"))
    return ItemLevel(
        quadrants=analysis.rows("quadrants"),
        directions=analysis.rows("direction"),
        pairs=tuple(pairs),
        case1=tuple(prevalence_sentences(pairs, FIGURE_SCORES)),
        unchanged=tuple(unchanged_shares(analysis.rows("case1_unchanged"))),
        similarities=tuple(similar),
        no_similarity=tuple(reasons),
        examples=tuple(examples(analysis, groups)),
        changes=changes,
        featured=chosen,
        spreads=item_spreads(by_panel, chosen.scores),
    )


def key_of_setting(setting: Setting) -> Key:
    return setting.model, setting.task, setting.setting


# Tables: shares instead of counts, means over transitions and training runs.


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsOfItems:
    """What became of relatively correlated pairs.

    Attributes
    ----------
    mean : shares of untied pairs, mean over transitions, which are those with an untied pair.
    tied : share of relatively correlated pairs that were tied at the later checkpoint, mean over transitions.
    null : its row of pair_means, None where no transition has an untied pair.
    """

    key: Key
    score: str
    mean: PairShares
    tied: float
    null: Row | None = None

    @property
    def null_of_case1(self) -> tuple[float, float, float]:
        """What the share of case 1 would be if nothing changed, and its 95 % range; NaN where it is not known."""
        if self.null is None:
            return math.nan, math.nan, math.nan
        return self.null.case1_null, self.null.case1_null_low, self.null.case1_null_high

    @property
    def case1_share(self) -> float:
        """Share of case 1 among the pairs that became miscorrelated; NaN if none did."""
        both = self.mean.case1 + self.mean.case2
        return self.mean.case1 / both if both > 0 else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class UnchangedShares:
    """Share of case 1 pairs that came without a change of the output, or of its quality; mean over transitions.

    `output` is NaN where outputs are not known. Transitions without a case 1 pair are left out.
    """

    key: Key
    score: str
    output: float
    quality: float
    n_transitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """Confidence and similarity to the training set at the last checkpoint of each training run.

    Attributes
    ----------
    rho, quality_rho, given_similarity : means over the training runs in which they are defined.
    n_significant, n_seeds : training runs whose Holm p is below 0.05, of those in which rho is defined.
    p : of the only training run; NaN with several, whose p-values have no mean.
    """

    key: Key
    score: str
    rho: float
    p: float
    quality_rho: float
    given_similarity: float
    n_significant: int
    n_seeds: int


def is_whole_step(row: Row) -> bool:
    """Whether the row is of a transition from a whole epoch t ≥ 1 to t + 1."""
    return row.from_epoch >= 1 and float(row.from_epoch).is_integer() and row.to_epoch == row.from_epoch + 1


def pair_counts(row: Row) -> PairChanges:
    """The counts in a row of pairs.csv."""
    return PairChanges(
        stays=row.stays, case1=row.case1, both_flip=row.both_flip, case2=row.case2, n_tied=row.n_tied
    )


def pairs_of_items(rows: Iterable[Row], means: Iterable[Row] = ()) -> list[PairsOfItems]:
    """One entry for each setting and score, over transitions from an epoch t ≥ 1 to t + 1."""
    nulls = {(key_of(row), row.score): row for row in means}
    found = []
    for (key, score), own in _by_score(filter(is_whole_step, rows)):
        shares = mean_shares(map(pair_counts, own))
        tied = mean(row.n_tied / row.n_correlated for row in own if row.n_correlated)
        found.append(PairsOfItems(key=key, score=score, mean=shares, tied=tied, null=nulls.get((key, score))))
    return found


def prevalence_sentences(pairs: Sequence[PairsOfItems], scores: Iterable[str]) -> Iterator[str]:
    """How often case 1 is the larger part of what became miscorrelated: a sentence for each of the scores."""
    for score in scores:
        own = [p for p in pairs if p.score == score and math.isfinite(p.mean.case1)]
        found = case1_prevalence([p.mean.case1 for p in own], [p.mean.case2 for p in own])
        broken = [p.null for p in own if not math.isnan(p.case1_share)]
        nulls = [row.case1_of_miscorrelated_null if row is not None else math.nan for row in broken]
        null = float(np.mean(nulls)) if nulls else math.nan
        if found.rows > 1:
            tied = f" and as large in {found.tied}" if found.tied else ""
            yield (
                f"By {score}, case 1 is larger than case 2 in {found.larger}{tied} of {found.rows} rows, and on "
                f"average {100 * found.mean_share:.1f} % of the pairs that became miscorrelated"
                f"{'' if math.isnan(null) else f'; no change would give {100 * null:.1f} %'}."
            )


def unchanged_shares(rows: Iterable[Row]) -> list[UnchangedShares]:
    """One entry for each setting and score, over transitions from an epoch t ≥ 1 to t + 1."""
    found = []
    for (key, score), own in _by_score(filter(is_whole_step, rows)):
        own = [row for row in own if row.n_case1 > 0]
        found.append(
            UnchangedShares(
                key=key,
                score=score,
                output=mean(r.output_unchanged / r.n_case1 for r in own if r.output_unchanged is not None),
                quality=mean(row.quality_unchanged / row.n_case1 for row in own),
                n_transitions=len(own),
            )
        )
    return found


def similarities(rows: Iterable[Row]) -> tuple[list[Similarity], list[str]]:
    """One entry for each setting and score with a defined correlation; each reason why others have none."""
    found: list[Similarity] = []
    names: dict[str, dict[str, None]] = {}
    for (key, score), own in _by_score(rows):
        last = at_the_end(own)
        defined = [row for row in last if math.isfinite(row.spearman)]
        for row in last:
            if row.status and not math.isfinite(row.spearman):
                names.setdefault(row.status, {})[group_name(*key)] = None
        if defined:
            found.append(
                Similarity(
                    key=key,
                    score=score,
                    rho=mean(row.spearman for row in defined),
                    p=defined[0].p if len(defined) == 1 else math.nan,
                    quality_rho=mean(row.quality_spearman for row in defined),
                    given_similarity=mean(row.quality_given_similarity for row in defined),
                    n_significant=sum(row.p_holm < 0.05 for row in defined),
                    n_seeds=len(defined),
                )
            )
    return found, [f"{_listed(list(own))}: {reason}" for reason, own in names.items()]


def _by_score(rows: Iterable[Row]) -> list[tuple[tuple[Key, str], list[Row]]]:
    """Setting and score → rows, in order of appearance."""
    return list(grouped(rows, lambda row: (key_of(row), row.score)).items())


def _listed(names: Sequence[str]) -> str:
    """
    >>> _listed(["a", "b"]), _listed(list("abcdefg"))
    ('a, b', 'a, b, c and 4 more')
    """
    return ", ".join(names) if len(names) < 5 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def examples(analysis: Analysis, groups: Iterable[Group]) -> Iterator[Row]:
    """The item of each group that moved most to each side, among those whose outputs are known at both ends.

    By the most degraded score that has one (the one with the lowest change if none is degraded); as in the paper's
    Figure 1.
    """
    moved = [r for r in analysis.rows("moved_items") if r.output_from is not None and r.output_to is not None]
    for group in groups:
        own = grouped(
            (row for row in moved if (*key_of(row), row.from_, row.to) == (*group.key, group.from_, group.to)),
            lambda row: (row.side, row.score),
        )
        degraded = [outcome.score for outcome in group.having("degraded")]
        scores = [*degraded, *(outcome.score for outcome in group.outcomes)]
        for side in ("overconfident", "underconfident"):
            score = next((score for score in scores if (side, score) in own), None)
            if score is not None:
                yield max(own[side, score], key=lambda item: item.move)


# Item by item: what the figures draw.


def ends_of_runs(setting: Setting, from_: str, to: str) -> list[tuple[Point, Point]]:
    """The two named checkpoints of each training run that has both, and an item at both."""
    runs = [named_points(run) for run in setting.runs()]
    ends = [(run[from_], run[to]) for run in runs if from_ in run and to in run]
    return [(before, after) for before, after in ends if ((before.row >= 0) & (after.row >= 0)).any()]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChanges:
    """One score in one setting between two checkpoints, training runs one after the other.

    Attributes
    ----------
    dc, dq : (n_seeds · n_items,) changes of confidence and of quality. The items are those that have both at
        both checkpoints in every training run that has these checkpoints, so that runs weigh the same and the
        pooled shares are the means over runs.
    quadrants : their shares.
    """

    key: Key
    score: str
    dc: Floats
    dq: Floats
    n_items: int
    n_seeds: int
    quadrants: Quadrants

    @property
    def name(self) -> str:
        return group_name(*self.key)


def item_changes(settings: Iterable[Setting], from_: str, to: str) -> tuple[ItemChanges, ...]:
    """One entry for each setting and score with an item to draw; none where the two are one checkpoint."""
    found = []
    for setting in settings:
        ends = ends_of_runs(setting, from_, to)
        if all(before is after for before, after in ends):
            continue
        dq = np.array([after.quality - before.quality for before, after in ends])
        for score in ends[0][0].scores:
            dc = np.array([after.scores[score] - before.scores[score] for before, after in ends])
            kept = (np.isfinite(dc) & np.isfinite(dq)).all(axis=0)
            if kept.any():
                pooled_dc, pooled_dq = dc[:, kept].ravel(), dq[:, kept].ravel()
                found.append(
                    ItemChanges(
                        key=key_of_setting(setting),
                        score=score,
                        dc=pooled_dc,
                        dq=pooled_dq,
                        n_items=int(kept.sum()),
                        n_seeds=len(ends),
                        quadrants=quadrants(pooled_dc, pooled_dq),
                    )
                )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Featured:
    """At most two scores; `remarks` has those that were chosen by their outcome, and what stands about it."""

    scores: tuple[str, ...]
    remarks: Mapping[str, str]


def featured(changes: Iterable[ItemChanges]) -> Featured:
    """The paper's scores that are there; in the place of a missing one what else there is.

    In the place of the first the score with the largest mean share of over-confident items, in that of the
    second the one with the largest mean share of under-confident items; ties by name.
    """
    shares: dict[str, list[tuple[float, float]]] = {}
    for change in changes:
        q = change.quadrants
        shares.setdefault(change.score, []).append((q.overconfident_share, q.underconfident_share))
    means = {score: np.mean(own, axis=0) for score, own in shares.items()}
    others = sorted(score for score in means if score not in FIGURE_SCORES)
    chosen: list[str] = []
    remarks: dict[str, str] = {}
    for place, (score, kind) in enumerate(zip(FIGURE_SCORES, ("over-confident", "under-confident"))):
        if score in means:
            chosen.append(score)
        elif others:
            most = max(others, key=lambda name: means[name][place])
            others.remove(most)
            chosen.append(most)
            if others or (place == 1 and len(means) > 2):
                remarks[most] = f"of the scores, the one with the largest share of {kind} items"
    return Featured(scores=tuple(chosen), remarks=remarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSpread:
    """How one score in one setting is distributed over the items, by epoch.

    Attributes
    ----------
    epoch : (C,) ascending, without late ones (`Panel.late`).
    quantiles : (C, 5) quantiles over the test items that have the score, at `LEVELS`; means over the training
        runs that have the checkpoint, NaN where none has an item with the score.
    n_items : smallest and largest number of items behind a quantile.
    correlation : the score's series; it has late epochs too.
    """

    panel: Panel
    score: str
    epoch: Floats
    quantiles: Floats
    n_items: tuple[int, int]
    correlation: Series

    @property
    def key(self) -> Key:
        return self.panel.key

    @property
    def name(self) -> str:
        return self.panel.name


def item_spreads(by_panel: Iterable[tuple[Panel, Setting]], scores: Sequence[str]) -> tuple[ItemSpread, ...]:
    """One entry for each panel and score which items have at three whole epochs or more (epoch 0 is one)."""
    found = []
    for panel, setting in by_panel:
        epochs = np.array([epoch for epoch in panel.epochs if epoch not in panel.late])
        series = {one.score: one for one in panel.series}
        for score in scores:
            if score not in series or any(score not in point.scores for point in setting.points):
                continue
            there = [_defined(setting, epoch, score) for epoch in epochs.tolist()]
            whole = [e for e, own in zip(epochs.tolist(), there) if own and float(e).is_integer()]
            if len(whole) < LEAST_EPOCHS:
                continue
            undefined = np.full(len(LEVELS), np.nan)
            quantiles = [
                np.mean([np.quantile(v, LEVELS) for v in own], axis=0) if own else undefined for own in there
            ]
            sizes = [len(values) for own in there for values in own]
            found.append(
                ItemSpread(
                    panel=panel,
                    score=score,
                    epoch=epochs,
                    quantiles=np.array(quantiles),
                    n_items=(min(sizes), max(sizes)),
                    correlation=series[score],
                )
            )
    return tuple(found)


def _defined(setting: Setting, epoch: float, score: str) -> list[Floats]:
    """The score's values at an epoch, of each training run that has some."""
    values = [point.scores[score] for point in setting.points if point.epoch == epoch]
    return [own[np.isfinite(own)] for own in values if np.isfinite(own).any()]
