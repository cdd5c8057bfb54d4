"""Item-level tables for readers: shares instead of counts, means over transitions and training runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from aftertune.analysis.schema import Analysis, Row
from aftertune.report.featured import PAPER_SCORES
from aftertune.report.item_changes import COMPARED
from aftertune.report.outcome import group_name
from aftertune.stats.pairs import PairChanges, case1_prevalence, mean_shares

MOST_ROWS = 26

Row = TypeVar("Row", Row, Row, Row)
Step = TypeVar("Step", Row, Row)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairShares:
    """What became of relatively correlated pairs.

    Attributes
    ----------
    stays, case1, both_flip, case2 : shares of untied pairs, mean over transitions; NaN without any.
    tied : share of relatively correlated pairs that were tied at the later checkpoint, mean over transitions.
    n_transitions : those with an untied pair, over epochs and training runs.
    """

    name: str
    score: str
    stays: float
    case1: float
    both_flip: float
    case2: float
    tied: float
    n_transitions: int

    @property
    def case1_share(self) -> float:
        """Of the pairs that became miscorrelated; NaN if none did."""
        both = self.case1 + self.case2
        return self.case1 / both if both > 0 else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class UnchangedShares:
    """Share of case 1 pairs that came without a change of the output, or of its quality; mean over transitions.

    `output` is NaN where outputs are not known. Transitions without a case 1 pair are left out.
    """

    name: str
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

    name: str
    score: str
    rho: float
    p: float
    quality_rho: float
    given_similarity: float
    n_significant: int
    n_seeds: int


class OfScore(Protocol):
    @property
    def score(self) -> str: ...


T = TypeVar("T", bound=OfScore)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Generic[T]):
    """Rows of a table: those that are shown at once, and all of them where these are more."""

    shown: tuple[T, ...]
    all: tuple[T, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """What the page says of single items and of pairs of them.

    Attributes
    ----------
    case1 : sentences about the share of case 1.
    no_similarity : settings without similarities, and why.
    """

    quadrants: Rows[Row]
    directions: Rows[Row]
    pairs: Rows[PairShares]
    case1: tuple[str, ...]
    unchanged: Rows[UnchangedShares]
    similarities: Rows[Similarity]
    no_similarity: tuple[str, ...]

    def __bool__(self) -> bool:
        tables = (self.quadrants, self.directions, self.pairs, self.unchanged, self.similarities)
        return any(rows.shown for rows in tables) or bool(self.no_similarity)


def dynamics(analysis: Analysis) -> Dynamics:
    pairs = pair_shares(analysis.rows("pairs"))
    similar, reasons = similarities(analysis.rows("similarity"))
    return Dynamics(
        quadrants=_quadrant_rows(analysis.rows("quadrants")),
        directions=_rows(analysis.rows("direction")),
        pairs=_rows(pairs),
        case1=tuple(prevalence_sentences(pairs, PAPER_SCORES)),
        unchanged=_rows(unchanged_shares(analysis.rows("case1_unchanged"))),
        similarities=_rows(similar),
        no_similarity=tuple(reasons),
    )


def _rows(rows: Sequence[T]) -> Rows[T]:
    """Of a long table the rows of the paper's two scores are shown, or its first."""
    if len(rows) <= MOST_ROWS:
        return Rows(shown=tuple(rows), all=())
    papers = [row for row in rows if row.score in PAPER_SCORES]
    return Rows(shown=tuple((papers or rows)[:MOST_ROWS]), all=tuple(rows))


def _quadrant_rows(rows: Sequence[Row]) -> Rows[Row]:
    """The same, of the first comparison that is drawn and that there is."""
    found = _rows(rows)
    if not found.all:
        return found
    drawn = next((ends for ends in COMPARED if any((r.from_, r.to) == ends for r in rows)), None)
    own = [row for row in rows if (row.from_, row.to) == drawn] or rows
    return Rows(shown=_rows(own).shown, all=tuple(rows))


def pair_shares(rows: Iterable[Row]) -> list[PairShares]:
    """One entry for each setting and score, over transitions from an epoch t ≥ 1 to t + 1."""
    found = []
    for (name, score), own in _grouped(_between_epochs(rows)):
        mean = mean_shares(
            PairChanges(stays=r.stays, case1=r.case1, both_flip=r.both_flip, case2=r.case2, n_tied=r.n_tied)
            for r in own
        )
        found.append(
            PairShares(
                name=name,
                score=score,
                stays=mean.stays,
                case1=mean.case1,
                both_flip=mean.both_flip,
                case2=mean.case2,
                tied=_mean([row.n_tied / row.n_correlated for row in own if row.n_correlated]),
                n_transitions=mean.transitions,
            )
        )
    return found


def prevalence_sentences(shares: Sequence[PairShares], scores: Sequence[str]) -> list[str]:
    """For each of the scores: how often case 1 is the larger part of what became miscorrelated."""
    sentences = []
    for score in scores:
        own = [s for s in shares if s.score == score and math.isfinite(s.case1)]
        found = case1_prevalence([s.case1 for s in own], [s.case2 for s in own])
        if found.rows > 1:
            tied = f" and as large in {found.tied}" if found.tied else ""
            sentences.append(
                f"By {score}, case 1 is larger than case 2 in {found.larger}{tied} of {found.rows} rows, and on "
                f"average {100 * found.mean_share:.1f} % of the pairs that became miscorrelated."
            )
    return sentences


def unchanged_shares(rows: Iterable[Row]) -> list[UnchangedShares]:
    """One entry for each setting and score, over transitions from an epoch t ≥ 1 to t + 1."""
    found = []
    for (name, score), own in _grouped(_between_epochs(rows)):
        with_pairs = [row for row in own if row.n_case1 > 0]
        outputs = [r.output_unchanged / r.n_case1 for r in with_pairs if r.output_unchanged is not None]
        found.append(
            UnchangedShares(
                name=name,
                score=score,
                output=_mean(outputs),
                quality=_mean([row.quality_unchanged / row.n_case1 for row in with_pairs]),
                n_transitions=len(with_pairs),
            )
        )
    return found


def similarities(rows: Sequence[Row]) -> tuple[list[Similarity], list[str]]:
    """One entry for each setting and score with a defined correlation; each reason why others have none."""
    found, reasons = [], []
    for (name, score), own in _grouped(rows):
        last: dict[int, Row] = {}
        for row in own:
            if row.seed not in last or row.epoch > last[row.seed].epoch:
                last[row.seed] = row
        defined = [row for row in last.values() if math.isfinite(row.spearman)]
        reasons += [(name, row.status) for row in last.values() if not math.isfinite(row.spearman) and row.status]
        if defined:
            found.append(
                Similarity(
                    name=name,
                    score=score,
                    rho=_mean([row.spearman for row in defined]),
                    p=defined[0].p if len(defined) == 1 else math.nan,
                    quality_rho=_mean([row.quality_spearman for row in defined]),
                    given_similarity=_mean([row.quality_given_similarity for row in defined]),
                    n_significant=sum(row.p_holm < 0.05 for row in defined),
                    n_seeds=len(defined),
                )
            )
    by_reason: dict[str, list[str]] = {}
    for name, reason in dict.fromkeys(reasons):
        by_reason.setdefault(reason, []).append(name)
    return found, [f"{_listed(names)}: {reason}" for reason, names in by_reason.items()]


def _between_epochs(rows: Iterable[Step]) -> list[Step]:
    """Those of a transition from a whole epoch t ≥ 1 to the next."""
    return [
        row
        for row in rows
        if row.from_epoch >= 1 and float(row.from_epoch).is_integer() and row.to_epoch == row.from_epoch + 1
    ]


def _grouped(rows: Iterable[Row]) -> list[tuple[tuple[str, str], list[Row]]]:
    """By name of the setting and score, in order of appearance."""
    found: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.model, row.task, row.setting, row.score), []).append(row)
    return [((group_name(*key[:3]), key[3]), own) for key, own in found.items()]


def _listed(names: Sequence[str]) -> str:
    """
    >>> _listed(["a", "b"]), _listed(list("abcdefg"))
    ('a, b', 'a, b, c and 4 more')
    """
    return ", ".join(names) if len(names) < 5 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _mean(values: Iterable[float]) -> float:
    """Of the finite ones; NaN without any."""
    kept = [value for value in values if math.isfinite(value)]
    return float(np.mean(kept)) if kept else math.nan
