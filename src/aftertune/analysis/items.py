"""What becomes of single items and of pairs of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.analysis.checkpoints import (
    Comparison,
    Point,
    Rhos,
    Setting,
    changes,
    having_both,
    neighbours,
    of_scores,
    whole_steps,
)
from aftertune.analysis.schema import (
    CASE1,
    DIRECTION,
    MOVED_ITEMS,
    PAIR_MEANS,
    PAIRS,
    QUADRANTS,
    SIMILARITY,
    Row,
)
from aftertune.stats.correlation import partial_rank_correlation, rank_correlation, rho_p_value, why_undefined
from aftertune.stats.items import direction, mean_direction, quadrants
from aftertune.stats.nulls import BothWays, case1_null, case1_of_miscorrelated_null
from aftertune.stats.pairs import BLOCK, PairChanges, PairShares, mean_shares, pair_changes, pairs_of_each
from aftertune.stats.ranks import share_below
from aftertune.stats.verdict import holm
from aftertune.types import Floats, Records, Texts


def quadrant_rows(setting: Setting, comparisons: Sequence[Comparison]) -> list[Row]:
    """One row for each comparison of change.csv; its runs share their items, so each run has the same weight."""
    rows = []
    for c in comparisons:
        runs = [quadrants(*changes(a, b, c.score, c.items)) for a, b in c.ends]
        total = sum(run.n for run in runs)

        def share(counts: list[int], total: int = total) -> float:
            return sum(counts) / total if total else float("nan")

        rows.append(
            QUADRANTS.row(
                **setting.names,
                score=c.score,
                from_=c.from_,
                to=c.to,
                n=int(c.items.sum()),
                concordant=share([run.concordant for run in runs]),
                overconfident=share([run.overconfident for run in runs]),
                underconfident=share([run.underconfident for run in runs]),
                tied=share([run.tied for run in runs]),
                n_seeds=len(runs),
            )
        )
    return rows


def direction_rows(setting: Setting, names: Sequence[str]) -> list[Row]:
    """One row for each score, over the whole steps of all runs; none where no run has such a step."""
    steps = [step for run in setting.runs() for step in whole_steps(run).values()]
    rows = []
    for name in names if steps else ():
        mean = mean_direction(direction(*changes(a, b, name, having_both(a, b, name))) for a, b in steps)
        rows.append(
            DIRECTION.row(
                **setting.names,
                score=name,
                n=mean.n,
                confidence_not_increased=mean.confidence_not_increased,
                increased_quality_not_improved=mean.increased_quality_not_improved,
                both_increased=mean.both_increased,
                n_transitions=mean.transitions,
            )
        )
    return rows


def pair_rows(setting: Setting, names: Sequence[str]) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows of pairs and of case 1, for each score, run and checkpoint that has a next one; and of their means."""
    steps = [(a, b, *_same_outputs(a.output, b.output)) for run in setting.runs() for a, b in neighbours(run)]
    pairs: list[Row] = []
    case1: list[Row] = []
    means: list[Row] = []
    whole = {(a.key, b.key) for run in setting.runs() for a, b in whole_steps(run).values()}
    drawn = np.zeros(len(setting.item_ids), dtype=bool)
    drawn[np.linspace(0, len(drawn) - 1, min(len(drawn), BLOCK)).astype(int)] = True
    for name in names:
        averaged: list[tuple[PairChanges, BothWays | None, np.ndarray]] = []
        for a, b, known, same in steps:
            items = having_both(a, b, name)
            outputs = same[items] if known[items].all() else None
            counts = _counts(a, b, name, items, outputs)
            both = _both_ways(a, b, name, items, counts, drawn)
            if (a.key, b.key) in whole and counts.n_untied:
                averaged.append((counts, both, np.flatnonzero(items & drawn)))
            pairs.append(
                PAIRS.row(
                    **setting.names,
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
                    **_case1_nulls(mean_shares([counts]), both),
                )
            )
            case1.append(
                CASE1.row(
                    **setting.names,
                    score=name,
                    seed=a.seed,
                    from_epoch=a.epoch,
                    to_epoch=b.epoch,
                    n_case1=counts.case1,
                    output_unchanged=counts.output_unchanged,
                    quality_unchanged=counts.quality_unchanged or 0,
                )
            )
        if averaged:
            counts, ways, places = zip(*averaged)
            mean = BothWays.mean(ways, places, len(drawn)) if all(ways) else None
            means.append(PAIR_MEANS.row(**setting.names, score=name, **_case1_nulls(mean_shares(counts), mean)))
    return pairs, case1, means


def _both_ways(
    a: Point, b: Point, name: str, items: np.ndarray, counts: PairChanges, drawn: np.ndarray
) -> BothWays | None:
    """`drawn` are the items, at most `BLOCK`, that how far chance reaches is estimated on."""
    each = pairs_of_each(*(x[items & drawn] for x in (a.quality, a.scores[name], b.quality, b.scores[name])))
    return BothWays.of(counts.both_ways, each, int(items.sum()))


def _case1_nulls(shares: PairShares, both: BothWays | None) -> dict[str, float | str]:
    """Columns of both tables: the shares of case 1, and what they would be if nothing changed."""
    flipped = shares.case1 + shares.case2
    found: dict[str, float | str] = {
        "case1_share": shares.case1,
        "case1_of_miscorrelated": shares.case1 / flipped if flipped > 0 else _NAN,
    }
    nulls = {"case1": case1_null(both), "case1_of_miscorrelated": case1_of_miscorrelated_null(both)}
    for name, null in nulls.items():
        found |= {f"{name}_null": null.value, f"{name}_null_low": null.low, f"{name}_null_high": null.high}
    return found | {"null_status": "; ".join(dict.fromkeys(null.reason for null in nulls.values() if null.reason))}


def _counts(a: Point, b: Point, name: str, items: np.ndarray, output_same: np.ndarray | None) -> PairChanges:
    q_from, q_to = a.quality[items], b.quality[items]
    c_from, c_to = a.scores[name][items], b.scores[name][items]
    return pair_changes(q_from, c_from, q_to, c_to, output_same=output_same, quality_same=q_from == q_to)


def _same_outputs(before: Texts, after: Texts) -> tuple[np.ndarray, np.ndarray]:
    """(n,) whether both outputs of an item are known, and whether they are the same text."""
    known = np.array([x is not None and y is not None for x, y in zip(before, after)], dtype=bool)
    return known, np.array([x == y for x, y in zip(before, after)], dtype=bool)


ABSENT = "no train_similarity"

ROUGH = 10
"""Fewer items make Student's t a rough approximation."""

_NAN = float("nan")


def similarity_rows(setting: Setting, names: Sequence[str], rhos: Rhos) -> list[Row]:
    """One row for each checkpoint and score, on the items that have quality, score and similarity there.

    Where no checkpoint of the setting has a similarity, the last one of each run alone has rows, which say so.
    """
    points: Sequence[Point] = setting.points
    if not any(_known(point) for point in points):
        points = [run[-1] for run in setting.runs()]
    return [_similarity_row(setting, point, name, rhos) for point in points for name in names]


def similarity_notes(setting: Setting, names: Sequence[str]) -> Iterator[str]:
    """One sentence on items that lack the similarity where others of the same checkpoint have it."""
    total = len(setting.item_ids)
    most: dict[int, list[str]] = {}
    for name in names:
        lacking = [int((p.having(name) & np.isnan(p.similarity)).sum()) for p in setting.points if _known(p)]
        most.setdefault(max(lacking, default=0), []).append(name)
    most.pop(0, None)
    for count in sorted(most, reverse=True):
        yield (
            f"{setting.label}: up to {count} of {total} items lack train_similarity at a checkpoint: left out of "
            f"its correlation with {of_scores(most[count], names)}"
        )


def similarity_with_holm(rows: Sequence[Row]) -> list[Row]:
    """Corrected over all rows of the table."""
    return [row._replace(p_holm=float(p)) for row, p in zip(rows, holm([row.p for row in rows]))]


def _known(point: Point) -> bool:
    return bool(np.isfinite(point.similarity).any())


def _similarity_row(setting: Setting, point: Point, name: str, rhos: Rhos) -> Row:
    used = point.having(name) & np.isfinite(point.similarity)
    n = int(used.sum())
    x, y, z = point.scores[name][used], point.quality[used], point.similarity[used]
    rho = rank_correlation(x, z)
    of_quality, given = rhos.on(point, name, used), partial_rank_correlation(x, y, z)
    return SIMILARITY.row(
        **setting.names,
        seed=point.seed,
        epoch=point.epoch,
        score=name,
        n=n,
        spearman=rho,
        p=rho_p_value(rho, n),
        p_holm=_NAN,
        quality_spearman=of_quality,
        quality_given_similarity=given,
        status=_status(point, name, used, given) if _known(point) else ABSENT,
    )


def _status(point: Point, name: str, used: np.ndarray, given: float) -> str:
    """What is undefined and why; "" where nothing is."""
    if np.isnan(point.scores[name]).all():
        return "no item has this score"
    if np.isnan(point.quality).all():
        return "no item has a quality"
    x, y, z = point.scores[name][used], point.quality[used], point.similarity[used]
    n = len(x)
    if n < 3 or np.ptp(x) == 0:
        return why_undefined(x, z) if n < 3 else "confidence is constant: no correlation"
    found = []
    if np.ptp(z) == 0:
        found.append("train_similarity is constant: no correlation with it")
    elif n < ROUGH:
        found.append(f"p is rough (fewer than {ROUGH} items)")
    if np.ptp(y) == 0:
        found.append("quality is constant: no correlation with it")
    elif np.isnan(given):
        found.append("train_similarity gives the order of confidence or of quality: nothing is left to correlate")
    return "; ".join(found)


PER_SIDE = 5

MAIN = (
    (("before", "selected"), ("before", "last")),
    (("epoch_1", "last"), ("epoch_1", "selected")),
)
"""Of each of these, the first pair of checkpoints that exists."""

SIDES = (("overconfident", 1), ("underconfident", -1))
"""And which way confidence goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The items of a comparison at both checkpoints of one training run; (2, items) each, from and to.

    Attributes
    ----------
    confidence_rank, quality_rank : share of the other items below.
    """

    ends: tuple[Point, Point]
    confidence: Floats
    quality: Floats
    confidence_rank: Floats
    quality_rank: Floats

    @classmethod
    def of(cls, c: Comparison, ends: tuple[Point, Point]) -> _Run:
        confidence = np.stack([point.scores[c.score][c.items] for point in ends])
        quality = np.stack([point.quality[c.items] for point in ends])
        return cls(
            ends=ends,
            confidence=confidence,
            quality=quality,
            confidence_rank=np.stack([share_below(values) for values in confidence]),
            quality_rank=np.stack([share_below(values) for values in quality]),
        )

    def move(self, direction: int) -> Floats:
        """(items,) how far each moved: confidence in the direction, quality against it; 0 for the others."""
        confidence, quality = (direction * np.diff(x, axis=0)[0] for x in (self.confidence, self.quality))
        rise = direction * np.diff(self.confidence_rank, axis=0)[0]
        fall = -direction * np.diff(self.quality_rank, axis=0)[0]
        apart = (confidence > 0) & (quality < 0) & (rise > 0) & (fall > 0)
        return np.where(apart, rise * fall, 0.0)


def moved_items(
    records: Records, setting: Setting, comparisons: Sequence[Comparison], *, per_side: int = PER_SIDE
) -> list[Row]:
    """For each score and each of the two main pairs: over-confident items, then under-confident ones, most first.

    An item moved into over-confidence when its confidence rose and its quality fell, in value and in rank among
    the items of the comparison; into under-confidence when both went the other way. "Most" is by (change of the
    rank of confidence) × (change of the rank of quality). Of the training runs, that counts in which an item
    moved most, so that it is named once. Ties go by item id.
    """
    pairs = {(c.from_, c.to) for c in comparisons}
    main = [next((pair for pair in choice if pair in pairs), None) for choice in MAIN]
    return [
        moved for c in comparisons if (c.from_, c.to) in main for moved in _moved(records, setting, c, per_side)
    ]


def _moved(records: Records, setting: Setting, c: Comparison, per_side: int) -> Iterator[Row]:
    if not c.items.any():
        return
    runs = [_Run.of(c, ends) for ends in c.ends]
    places = np.flatnonzero(c.items)
    for side, sign in SIDES:
        moves = np.stack([run.move(sign) for run in runs])
        most = moves.max(axis=0)
        for i in np.argsort(-most, kind="stable")[:per_side].tolist():
            if most[i] > 0:
                run = runs[int(moves[:, i].argmax())]
                yield _item(records, setting, c, run, side, i, at=int(places[i]), move=float(most[i]))


def _item(
    records: Records, setting: Setting, c: Comparison, run: _Run, side: str, i: int, *, at: int, move: float
) -> Row:
    """`i` is the item's place among those of the comparison, `at` that among those of the setting."""
    a, b = run.ends
    rows = int(a.row[at]), int(b.row[at])
    return MOVED_ITEMS.row(
        **setting.names,
        score=c.score,
        from_=c.from_,
        to=c.to,
        side=side,
        move=move,
        seed=a.seed,
        item_id=str(setting.item_ids[at]),
        input=input_of(records, rows),
        references=next((tuple(records.references[row]) for row in rows if records.references[row]), ()),
        output_from=a.output[at],
        output_to=b.output[at],
        quality_from=float(run.quality[0, i]),
        quality_to=float(run.quality[1, i]),
        confidence_from=float(run.confidence[0, i]),
        confidence_to=float(run.confidence[1, i]),
        quality_rank_from=float(run.quality_rank[0, i]),
        quality_rank_to=float(run.quality_rank[1, i]),
        confidence_rank_from=float(run.confidence_rank[0, i]),
        confidence_rank_to=float(run.confidence_rank[1, i]),
    )


def input_of(records: Records, rows: Sequence[int]) -> str | None:
    """The field `input` of the records, where it is a text."""
    column = records.extra.get("input")
    found = [column[row] for row in rows] if column is not None else []
    return next((text for text in found if isinstance(text, str)), None)
