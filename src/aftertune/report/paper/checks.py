"""What the paper's text says of its tables, held against the tables themselves.

The counts, the ANOVA and Holm's correction are those that our own tables are made with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aftertune.report.number_format import plain
from aftertune.report.paper.check import Check
from aftertune.report.paper.dynamics_checks import dynamics_checks
from aftertune.report.paper.names import paper_scores
from aftertune.report.paper.tables import AurocCell, ChangeCell, Stage, StageCell, paper_tables
from aftertune.stats.change import one_way_anova
from aftertune.stats.falls import Falls, count_falls
from aftertune.stats.verdict import holm

ALPHA = 0.05
ROUNDING = 0.0015
"""Largest deviation of a difference of two numbers rounded to 0.001 from that difference rounded to 0.001."""


def checks() -> tuple[Check, ...]:
    """Every check: of correlations and of the case study, then of changes of single items."""
    return (
        *_table_1(),
        *_table_6(),
        _differences(),
        _table_5(),
        _table_7(),
        _beam_sums(),
        *dynamics_checks(),
    )


def falls(cells: Sequence[ChangeCell], *, oriented: bool = False) -> Falls:
    """Signs of the printed changes; with `oriented`, of what they would be if higher meant more confident."""
    names = paper_scores()
    return count_falls([c.mean * (names[c.score].sign_in_paper or 1 if oriented else 1) for c in cells])


def falls_of_auroc(cells: Sequence[AurocCell], *, oriented: bool = False) -> Falls:
    """Signs of AUROC(full) − AUROC(first stage); oriented as `sign_in_table5` guesses the printed signs to be."""
    names = paper_scores()
    full = {(c.model, c.score): c.auroc for c in cells if c.stage == "full"}
    return count_falls(
        [
            (full[c.model, c.score] - c.auroc) * (names[c.score].sign_in_table5 or 1 if oriented else 1)
            for c in cells
            if c.stage != "full"
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How many of `n` cells agree within rounding (`ROUNDING`), and the largest deviation."""

    n: int
    agree: int
    largest: float


def difference_agreement(changes: Sequence[ChangeCell], stages: Sequence[StageCell], start: Stage) -> Agreement:
    """Is each change the difference of Table 8's means at `full` and `start`?"""
    rho = {(c.model, c.task, c.score, c.stage): c.mean for c in stages}
    deviations = [
        abs(c.mean - (rho[c.model, c.task, c.score, "full"] - rho[c.model, c.task, c.score, start]))
        for c in changes
    ]
    return Agreement(
        n=len(deviations), agree=sum(d <= ROUNDING for d in deviations), largest=round(max(deviations), 3)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Significant:
    """Falls and rises with p < 0.05 by ANOVA after Holm's correction over `tests` defined tests."""

    fell: tuple[StageCell, ...]
    rose: tuple[StageCell, ...]
    tests: int


def significant(stages: Sequence[StageCell], start: Stage, *, runs: int = 3) -> Significant:
    """The paper's test, done again from the printed means and standard deviations; cells are those at `full`.

    One-way ANOVA of `runs` correlations at `start` and as many at `full` depends on the two means and
    standard deviations alone.
    """
    at = {(c.model, c.task, c.score, c.stage): c for c in stages}
    after = [c for c in stages if c.stage == "full"]
    before = [at[c.model, c.task, c.score, start] for c in after]
    p = np.array(
        [one_way_anova([_runs(a, runs), _runs(b, runs)]).p for a, b in zip(before, after)], dtype=np.float64
    )
    found = holm(p) < ALPHA
    return Significant(
        fell=tuple(b for a, b, s in zip(before, after, found) if s and b.mean < a.mean),
        rose=tuple(b for a, b, s in zip(before, after, found) if s and b.mean > a.mean),
        tests=int(np.isfinite(p).sum()),
    )


def _runs(cell: StageCell, n: int) -> np.ndarray:
    """Any n numbers with the mean and sample standard deviation of the cell."""
    shape = np.arange(n) - (n - 1) / 2
    return cell.mean + cell.sd * shape / np.std(shape, ddof=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """How closely one score is minus another: cells with |sum| ≤ 0.001, and the cell with the largest |sum|."""

    n: int
    close: int
    largest: float
    at: StageCell


def mirror(stages: Sequence[StageCell], score: str, other: str) -> Mirror:
    """Is `score` = −`other` in each of these cells of Table 8?"""
    twin = {(c.model, c.task, c.stage): c.mean for c in stages if c.score == other}
    sums = [(abs(c.mean + twin[c.model, c.task, c.stage]), c) for c in stages if c.score == score]
    largest, at = max(sums, key=lambda pair: pair[0])
    return Mirror(n=len(sums), close=sum(round(d, 3) <= 0.001 for d, _ in sums), largest=round(largest, 3), at=at)


def starting_from_nothing(changes: Sequence[ChangeCell], stages: Sequence[StageCell]) -> list[ChangeCell]:
    """Changes whose correlation before SFT is printed as 0.0 (0.0): undefined, not zero."""
    empty = {(c.model, c.task, c.score) for c in stages if c.stage == "no_sft" and c.mean == 0 and c.sd == 0}
    return [c for c in changes if (c.model, c.task, c.score) in empty]


def _table_1() -> tuple[Check, ...]:
    tables = paper_tables()
    cells, stages = tables.no_sft_to_full, tables.by_stage
    found, turned = falls(cells), falls(cells, oriented=True)
    from_nothing = count_falls([c.mean for c in starting_from_nothing(cells, stages)])
    zero = [c for c in cells if c.mean == 0]
    tested = significant(stages, "no_sft")
    mirrored = [c for c in tested.rose if c.score == "BS Imp Wt"]
    return (
        Check(
            tables="Table 1",
            said="“Out of 144 […] configurations […], miscorrelation occurs post-SFT in 48 cases”",
            held=f"{found.fell} of {found.total} cells are below zero",
            agrees=(found.fell, found.total) == (48, 144),
            remark=(
                f"Of these, {from_nothing.fell} fall from a correlation that is printed as 0.0 (0.0) before SFT "
                "(GSM8K), which is undefined rather than zero; and BS Imp Wt is left as an uncertainty: turned so "
                f"that higher is more confident, {turned.fell} cells are below zero."
            ),
        ),
        Check(
            tables="Table 1",
            said="“it improves in 96 cases”",
            held=f"{found.rose} cells are above zero, {found.unchanged} are exactly zero",
            agrees=found.rose == 96,
            remark=f"The 96 count every cell that is not below zero, {_listed(zero)} (0.0) included.",
        ),
        Check(
            tables="Tables 1, 8",
            said="of the falls 2 are statistically significant, of the rises 8 (ANOVA, Holm)",
            held=f"{len(tested.fell)} falls and {len(tested.rose)} rises, from the means and sds of Table 8",
            agrees=(len(tested.fell), len(tested.rose)) == (2, 8),
            remark=(
                f"The falls are {_listed(tested.fell)}; {_listed(mirrored)}, an uncertainty in this table that "
                "nearly mirrors BS Sums, are among the rises."
            ),
        ),
    )


def _table_6() -> tuple[Check, ...]:
    tables = paper_tables()
    found = falls(tables.epoch_1_to_full)
    turned = falls(tables.epoch_1_to_full, oriented=True)
    tested = significant(tables.by_stage, "epoch_1")
    n_significant = len(tested.fell) + len(tested.rose)
    return (
        Check(
            tables="Table 6",
            said="“there are more cases in which SFT improves correlation (85 cases, 59.0%)”",
            held=f"{found.rose} of {found.total} cells are above zero",
            agrees=(found.rose, found.total) == (85, 144),
            remark=(
                f"{found.fell} are below zero and {found.unchanged} is exactly zero; with BS Imp Wt turned so "
                f"that higher is more confident, {turned.rose} are above zero."
            ),
        ),
        Check(
            tables="Tables 6, 8",
            said="“though these are not statistically significant”",
            held=f"{n_significant} of {tested.tests} changes are, from the means and sds of Table 8",
            agrees=n_significant == 0,
            remark="With 3 seeds the ANOVA has 4 degrees of freedom: that nothing is found says little.",
        ),
    )


def _differences() -> Check:
    tables = paper_tables()
    first = difference_agreement(tables.no_sft_to_full, tables.by_stage, "no_sft")
    second = difference_agreement(tables.epoch_1_to_full, tables.by_stage, "epoch_1")
    n, agree = first.n + second.n, first.agree + second.agree
    return Check(
        tables="Tables 1, 6, 8",
        said="Tables 1 and 6 are differences of the correlations in Table 8",
        held=f"{agree} of {n} cells agree within rounding ({ROUNDING}); the largest deviation is "
        f"{max(first.largest, second.largest):.3f}",
        agrees=agree == n,
        remark="Table 1 is full − no SFT, Table 6 is full − epoch 1.",
    )


def _table_5() -> Check:
    cells = paper_tables().auroc
    found, turned = falls_of_auroc(cells), falls_of_auroc(cells, oriented=True)
    return Check(
        tables="Table 5",
        said="“correlation deteriorates after SFT in 23/48 cases”",
        held=f"AUROC falls in {found.fell} of {found.total} pairs",
        agrees=(found.fell, found.total) == (23, 48),
        remark=(
            f"That is {100 * found.fell / found.total:.1f} % (the introduction says 47 %); entropies and other "
            "scores look left as uncertainties in this table, and with our best guess of the signs turned "
            f"{turned.fell} pairs fall."
        ),
    )


def _table_7() -> Check:
    cells = sorted(paper_tables().largest_epoch_fall, key=lambda c: c.mean)
    worst = cells[0]
    over = [c for c in cells if c.mean < -0.391]
    at_least = [c for c in cells if c.mean <= -0.391]
    other = next(c for c in cells if c.score not in {o.score for o in at_least})
    return Check(
        tables="Table 7",
        said="“the correlation can decline from one epoch to the next by at most 0.391 points”",
        held=f"{_cell(worst)}; {len(over)} of {len(cells)} cells are below −0.391",
        agrees=not over,
        remark=(
            f"0.391 is the largest fall of the encoder-decoders only; the {len(at_least)} largest are of "
            f"{' and '.join(dict.fromkeys(c.score for c in at_least))}, which the table leaves as an uncertainty, "
            f"and the next is {_cell(other)}."
        ),
    )


def _beam_sums() -> Check:
    cells = paper_tables().by_stage
    found = mirror(cells, "BS Sums", "BS Imp Wt")
    others = mirror([c for c in cells if c.task != "SQUAD"], "BS Sums", "BS Imp Wt")
    return Check(
        tables="Table 8",
        said="BS Sums is “the sum of the top k beams’ joint sequence probabilities”",
        held=(
            f"BS Sums = −BS Imp Wt to 0.001 in {found.close} of {found.n} cells "
            f"({others.close} of {others.n} outside SQUAD); the largest deviation is {found.largest:.3f} "
            f"({found.at.model}, {found.at.task}, {found.at.stage.replace('_', ' ')})"
        ),
        agrees=2 * found.close < found.n,
        remark=(
            "A sum of probabilities need not mirror a weighted mean of length-normalised log-probabilities, "
            "their sum would nearly do so: beam_sum is the text’s definition, beam_sum_logprob the other."
        ),
    )


def _cell(cell: ChangeCell) -> str:
    return f"{plain(cell.mean)} for {_listed([cell])}"


def _listed(cells: Sequence[ChangeCell | StageCell]) -> str:
    return " and ".join(f"{cell.score} of {cell.model} on {cell.task}" for cell in cells)
