"""What the paper's text says of Tables 2, 3, 4, 9, 10, 11 and 12, held against these tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from aftertune.report.number_format import plain
from aftertune.report.paper.check import Check
from aftertune.report.paper.dynamics import (
    DROPOUT_BLEU,
    LOG_PROB,
    DirectionRow,
    PairRow,
    QuadrantRow,
    SimilarityCell,
    UnchangedCell,
    paper_dynamics,
)
from aftertune.stats.falls import Falls, count_falls
from aftertune.stats.pairs import Case1Prevalence, case1_prevalence

Row = QuadrantRow | DirectionRow | PairRow | UnchangedCell | SimilarityCell

HALF_STEP = 0.005
"""Rounding of a share that is printed with two decimals."""


def dynamics_checks() -> tuple[Check, ...]:
    """In the order of the tables."""
    return (
        _concordant(),
        _overconfident(),
        _increases(),
        _without_improvement(),
        *_case1("Table 4", LOG_PROB, larger=10, per_cent=68.5),
        _underconfident(),
        *_case1("Table 10", DROPOUT_BLEU, larger=6, per_cent=52.1),
        _unchanged(),
        _similarity(),
    )


def leaning(rows: Sequence[QuadrantRow]) -> Falls:
    """Signs of over-confident − under-confident: rose where over-confident is the larger."""
    return count_falls([row.overconfident - row.underconfident for row in rows])


def prevalence(rows: Sequence[PairRow], *, swapped: bool = False) -> Case1Prevalence:
    """Case 1 beside case 2; with `swapped`, if the last two columns stood for one another."""
    return case1_prevalence([row.case1 for row in rows], [row.both_flip if swapped else row.case2 for row in rows])


def mean_share_range(rows: Sequence[PairRow]) -> tuple[float, float]:
    """Smallest and largest mean of case 1 / (case 1 + case 2) that rounds to the printed shares."""
    low, high = (fmean((r.case1 + off) / (r.case1 + r.case2) for r in rows) for off in (-HALF_STEP, HALF_STEP))
    return low, high


def starred(cells: Sequence[SimilarityCell]) -> Falls:
    """Signs of the correlations that have a star."""
    return count_falls([cell.rho for cell in cells if cell.starred])


def _concordant() -> Check:
    rows = paper_dynamics().quadrants[LOG_PROB]
    most = [row for row in rows if row.concordant > 0.5]
    others = [row for row in rows if row.concordant <= 0.5]
    return Check(
        tables="Table 2",
        said="“a bulk of the changes are concordant”",
        held=f"more than half of them in {len(most)} of {len(rows)} rows",
        agrees=2 * len(most) > len(rows),
        remark=(
            f"Not for {_listed(others)}; and items whose quality or confidence does not change are counted as "
            "concordant, or GSM8K could not have 0.98."
        ),
    )


def _overconfident() -> Check:
    rows = paper_dynamics().quadrants[LOG_PROB]
    named = [row for row in rows if row.model in ("BART", "Llama-3.1", "Gemma-2")]
    found, other = leaning(named), leaning([row for row in rows if row not in named])
    return Check(
        tables="Table 2",
        said="“a tendency for SFT to make BART, Llama-3.1, and Gemma-2 relatively overconfident”",
        held=f"over-confident is larger than under-confident in {found.rose} of {found.total} rows",
        agrees=2 * found.rose > found.total,
        remark=(
            f"Not for {_listed([row for row in named if row.overconfident <= row.underconfident])}; Flan-T5 leans "
            f"the other way in {other.fell} of {other.total} rows."
        ),
    )


def _increases() -> Check:
    rows = paper_dynamics().direction
    in_order = sorted(rows, key=lambda row: row.confidence_not_increased)
    most, least = in_order[0], in_order[-1]
    n = sum(row.confidence_not_increased < 50 for row in rows)
    return Check(
        tables="Table 3",
        said="“fine-tuning pushes the confidence score […] upward across most outputs”",
        held=(
            f"confidence increases in more than 50 % of changes in {n} of {len(rows)} rows: from "
            f"{100 - least.confidence_not_increased:.1f} % ({_listed([least])}) to "
            f"{100 - most.confidence_not_increased:.1f} % ({_listed([most])})"
        ),
        agrees=n == len(rows),
        remark="The text says epochs 1 ≤ t ≤ 10, the caption 1 ≤ t ≤ 9, which ten epochs allow.",
    )


def _without_improvement() -> Check:
    rows = paper_dynamics().direction
    n = sum(row.increased_quality_not_improved > row.both_increased for row in rows)
    return Check(
        tables="Table 3",
        said="among the increasing confidences “quality is often decreasing”",
        held=f"quality does not improve in more than half of them in {n} of {len(rows)} rows",
        agrees=2 * n > len(rows),
        remark="The column holds unchanged quality too, so how often quality decreases cannot be read from it.",
    )


def _case1(table: str, score: str, *, larger: int, per_cent: float) -> tuple[Check, Check]:
    rows = paper_dynamics().pairs[score]
    found, swapped = prevalence(rows), prevalence(rows, swapped=True)
    low, high = mean_share_range(rows)
    tied = _listed([row for row in rows if row.case1 == row.case2])
    return (
        Check(
            tables=table,
            said=f"case 1 happens more than case 2 in {larger}/{len(rows)} configurations",
            held=f"case 1 is larger in {found.larger} of {found.rows} rows, {found.tied} is tied ({tied})",
            agrees=found.larger <= larger <= found.larger + found.tied,
            remark=(
                "A tie in two decimals leaves open which is larger; with the last two columns exchanged it would "
                f"be {swapped.larger}."
            ),
        ),
        Check(
            tables=table,
            said=f"on average, case 1 is {per_cent} % of miscorrelated pairs",
            held=f"{100 * found.mean_share:.1f} %, the mean over rows of case 1 / (case 1 + case 2)",
            agrees=low <= per_cent / 100 <= high,
            remark=(
                f"Rounding to two decimals leaves {100 * low:.1f} to {100 * high:.1f} %; with the last two "
                f"columns exchanged it would be {100 * swapped.mean_share:.1f} %."
            ),
        ),
    )


def _underconfident() -> Check:
    rows = paper_dynamics().quadrants[DROPOUT_BLEU]
    found = leaning(rows)
    some = [row for row in rows if row.overconfident > 0]
    against = [row for row in rows if row.overconfident > row.underconfident]
    return Check(
        tables="Table 9",
        said="“the changes are either concordant or relatively underconfident”",
        held=(
            f"under-confident is larger than over-confident in {found.fell} of {found.total} rows; over-confident "
            f"is above 0.00 in {len(some)}, at most {max(row.overconfident for row in rows):.2f}"
        ),
        agrees=not against,
        remark=f"The tendency is there, but not without exception: not for {_listed(against)}.",
    )


def _unchanged() -> Check:
    cells = paper_dynamics().unchanged
    named = [cell for cell in cells if cell.model in ("BART", "Flan-T5") and cell.task in ("SQUAD", "GSM8K")]
    most = max(named, key=lambda cell: cell.share)
    more = [cell for cell in cells if cell.share > most.share]
    over_half = sum(cell.share > 0.5 for cell in cells)
    return Check(
        tables="Table 11",
        said="“when using BART or Flan-T5 for SQUAD and GSM8K, these cases comprise sometimes up to 99.9%”",
        held=(
            f"{100 * min(cell.share for cell in named):.1f} to {100 * most.share:.1f} % in these {len(named)} "
            f"cells; more than half in {over_half} of all {len(cells)}"
        ),
        agrees=round(most.share, 3) == 0.999,
        remark=(
            "It is a share of case 1 pairs, not of all miscorrelated ones; the text speaks of unchanged quality, "
            "the caption of unchanged output; and the largest cells are others, 100.0 % for "
            f"{more[0].score} of {_listed(more)}."
        ),
    )


def _similarity() -> Check:
    cells = [cell for cell in paper_dynamics().similarity if cell.task in ("SQUAD", "GSM8K")]
    of = {score: [cell for cell in cells if cell.score == score] for score in (LOG_PROB, DROPOUT_BLEU)}
    positive = [cell for cell in cells if cell.starred and cell.rho > 0]
    largest = max(positive, key=lambda cell: cell.rho)
    return Check(
        tables="Table 12",
        said="for SQUAD and GSM8K “small, but statistically significant positive correlations” with similarity",
        held="; ".join(_stars(score, own) for score, own in of.items()),
        agrees={cell.task for cell in positive} == {"SQUAD", "GSM8K"},
        remark=(
            f"The positive ones are of {_listed(positive)}, up to {plain(largest.rho)} ({_listed([largest])}); "
            f"every star of {DROPOUT_BLEU} is at a negative correlation."
        ),
    )


def _stars(score: str, cells: Sequence[SimilarityCell]) -> str:
    found = starred(cells)
    return f"{score}: of {len(cells)} correlations {found.rose} positive and {found.fell} negative have a star"


def _listed(rows: Sequence[Row]) -> str:
    return " and ".join(dict.fromkeys(f"{row.model} on {row.task}" for row in rows))
