"""What the paper's text says of its tables, recounted from the tables in `tables/`; docs/paper.md is made of it.

The counts, the ANOVA and Holm's correction are those that our own tables are made with.

    PYTHONPATH=src python tests/paper/claims.py     write docs/paper.md
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from aftertune.report.latex_tables import PAPER_SCORES
from aftertune.report.numbers import p_value, plain, signed
from aftertune.scores import get
from aftertune.stats.change import one_way_anova
from aftertune.stats.falls import Falls, count_falls
from aftertune.stats.pairs import Case1Prevalence, case1_prevalence
from aftertune.stats.runs import constant_group, paired_p, welch_p
from aftertune.stats.verdict import holm
from aftertune.types import Floats

PAGE = Path(__file__).resolve().parents[2] / "docs" / "paper.md"
TABLES = Path(__file__).with_name("tables")
CELL = ["model", "task", "score"]
LOG_PROB, DROPOUT_BLEU = "Avg Tok Prob", "DO BLEU Var"
AS_IN_TABLE_5 = ("Avg Tok Prob", "BS Ratios", "BS Sums", "DO Meteor Var")
"""Scores whose confidence Table 5 seems to print as it is; the others look like uncertainties there. Read off its
numbers, and a best guess: Table 5 is not consistent with itself."""
SIZE_OF_ANOVA = 0.11
"""Its rejection rate at .05 without a change where one of two groups of three is constant, by simulation."""
ROUNDING = 0.0015
"""Largest deviation of a difference of two numbers rounded to 0.001 from that difference rounded to 0.001."""


class Claim(NamedTuple):
    """A statement of the paper, what its tables hold, whether they bear it out, and a remark for the reader."""

    tables: str
    said: str
    held: str
    agrees: bool
    remark: str


def table(number: int) -> pd.DataFrame:
    """Table 1 to 12 as printed, signs too; a row for each cell (1, 5–8, 11, 12) or each row (2–4, 9, 10)."""
    (file,) = TABLES.glob(f"table{number}_*.csv")
    found = pd.read_csv(file)
    if "score" in found and number > 8:
        found["score"] = found["score"].map({"log_prob": LOG_PROB, "dropout_bleu": DROPOUT_BLEU})
    short = {
        "case1_quality_same_confidence_flips": "case1",
        "quality_flips_confidence_flips": "both_flip",
        "case2_quality_flips_confidence_same": "case2",
        "quality_same_confidence_same": "stays",
    }
    return found.rename(columns=short)


def claims() -> list[Claim]:
    """Of correlations and of the case study, then of changes of single items, in the order of the tables."""
    return [
        *_table_1(),
        *_table_6(),
        _differences(),
        _table_5(),
        _table_7(),
        _beam_sums(),
        *_table_2(),
        *_table_3(),
        *_pairs(4, larger=10, per_cent=68.5),
        _table_9(),
        *_pairs(10, larger=6, per_cent=52.1),
        _table_11(),
        _table_12(),
    ]


def page() -> str:
    """docs/paper.md."""
    found = claims()
    rows = [(c.tables, c.said, "yes" if c.agrees else "**no**", c.held, c.remark) for c in found]
    head = ("Tables", "The paper says", "Borne out", "The tables hold", "Remark")
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return (
        "# The paper's claims and its tables\n\n"
        "Statements of *Confident in a Confidence Score: Investigating the Sensitivity of Confidence Scores to\n"
        "Supervised Fine-Tuning* about its own tables, recounted from these tables. They bear out "
        f"{sum(c.agrees for c in found)} of {len(found)}. The\ncounts, the ANOVA and Holm's correction are those "
        "that your own tables are made with.\n\nThe tables are in `tests/paper/tables/`; `tests/paper/claims.py` "
        "writes this page, and a test checks it.\n\n" + "\n".join(lines) + "\n\n" + _significance()
    )


def _significance() -> str:
    """The last section: what is left of the significant cells by tests that fit three training runs."""
    found, later = three_tests("no_sft").sort_values(["change", "anova"], kind="stable"), three_tests("epoch_1")
    ten, left = found[found["anova"] < 0.05], found[found["welch"] < 0.05]
    counts = [int((cells[test] < 0.05).sum()) for cells in (found, later) for test in ("welch", "paired")]
    defined = int(found["paired"].notna().sum())
    times = stats.t.isf(0.05 / defined / 2, 2) / np.sqrt(3)
    low, high = welch_range(left)
    paragraphs = [
        f"Of the {len(ten)} significant cells {int(ten['constant'].sum())} have a constant “before” (its printed "
        "sd is 0.000): without fine-tuning, a score that needs no sampling is the same for every seed. The ANOVA "
        "counts degrees of freedom of this group too, which has no spread to estimate: four where there are two. "
        f"At .05 it then finds a change in {100 * SIZE_OF_ANOVA:.0f} % of simulated data that have none "
        "(`scripts/simulate/anova.py`); Welch's test and the paired t test over seeds keep their 5 %.",
        f"Done again with Holm's correction over the {defined} defined tests, Welch's test leaves {counts[0]} of "
        f"the {len(ten)} and the paired t test {counts[1]}. What Welch's test leaves is a rise, {_cells(left)}, "
        f"where dropout makes “before” vary; rounding to 0.001 leaves its p between {low:.3f} and {high:.3f}. "
        f"Neither fall is left. In Table 6 Welch's test finds {counts[2]} and the paired t test {counts[3]}.",
        f"That shows no absence of changes: with three seeds and {defined} tests, the paired t test finds a "
        f"change only where its mean is more than {times:.0f} times its standard deviation.",
        "p after Holm's correction, from the means and sds of Table 8 (ANOVA, Welch) and of Table 1 (paired t):",
    ]
    head = ("Cell of Table 1", "change", "sd before", "ANOVA", "Welch", "paired t")
    rows = [
        (f"{r.score} of {r.model} on {r.task}", signed(r.change), plain(r.sd_before), *map(p_value, r[-3:]))
        for r in ten.itertuples()
    ]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    text = "\n\n".join(textwrap.fill(paragraph, 115) for paragraph in paragraphs)
    return f"## How sure the significant changes are\n\n{text}\n\n" + "\n".join(lines) + "\n"


def falls(cells: pd.DataFrame, *, oriented: bool = False) -> Falls:
    """Signs of the printed changes; with `oriented`, of what they would be if higher meant more confident."""
    return count_falls(cells["mean"] * (cells["score"].map(_signs()) if oriented else 1))


def falls_of_auroc(*, oriented: bool = False) -> Falls:
    """Signs of AUROC(full) − AUROC(first stage); oriented as `AS_IN_TABLE_5` guesses the printed signs to be."""
    cells = table(5)
    first = cells[cells["stage"] != "full"].set_index(["model", "score"])["auroc"]
    change = cells[cells["stage"] == "full"].set_index(["model", "score"])["auroc"] - first
    signs = change.index.get_level_values("score").map(lambda score: 1 if score in AS_IN_TABLE_5 else -1)
    return count_falls(change.to_numpy() * (signs.to_numpy() if oriented else 1))


def _signs() -> dict[str, int | None]:
    return {get(score).paper_name: get(score).sign_in_paper for score in PAPER_SCORES}


def differences(number: int, start: str) -> pd.Series:
    """|change in Table 1 or 6 − difference of Table 8's means at full and `start`|, a value for each cell."""
    rho = table(8).set_index(["stage", *CELL])["mean"]
    return (table(number).set_index(CELL)["mean"] - (rho["full"] - rho[start])).abs()


def _groups(cells: pd.DataFrame, runs: int) -> list[Floats]:
    """`runs` values with each cell's printed mean and sd: what the tests depend on."""
    shape = (np.arange(runs) - (runs - 1) / 2) / np.std(np.arange(runs), ddof=1)  # mean 0, sd 1
    return [mean + sd * shape for mean, sd in zip(cells["mean"], cells["sd"])]


def _ends(start: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells of Table 8 at `start` and at full, in one order."""
    cells = table(8)
    after = cells[cells["stage"] == "full"].reset_index(drop=True)
    return after[CELL].merge(cells[cells["stage"] == start], how="left"), after


def three_tests(start: str, *, runs: int = 3) -> pd.DataFrame:
    """Each cell's p by three tests, Holm-corrected; `constant`: whether its values at `start` alone do not vary.

    A paired t test needs the mean and sd of the change alone, which Tables 1 and 6 have.
    """
    before, after = _ends(start)
    change = after[CELL].merge(table(1 if start == "no_sft" else 6), how="left")
    groups = list(zip(_groups(before, runs), _groups(after, runs)))
    return after[CELL].assign(
        change=change["mean"],
        sd_before=before["sd"],
        constant=[constant_group(*pair) for pair in groups],
        anova=holm([one_way_anova(pair).p for pair in groups]),
        welch=holm([welch_p(*pair) for pair in groups]),
        paired=holm([paired_p(differences) for differences in _groups(change, runs)]),
    )


def welch_range(cells: pd.DataFrame, *, runs: int = 3) -> tuple[float, float]:
    """Smallest and largest corrected p of the one cell that rounds to its printed means and sds, to 0.001.

    Of the cells it has the smallest p, which Holm's correction multiplies by their number.
    """
    key = tuple(cells[CELL].iloc[0])
    before, after = (end.set_index(CELL).loc[key, ["mean", "sd"]] for end in _ends("no_sft"))
    n = three_tests("no_sft")["welch"].notna().sum()
    apart, half = abs(after["mean"] - before["mean"]), 0.0005
    p = [
        stats.ttest_ind_from_stats(
            apart + 2 * off, after["sd"] - off, runs, 0, before["sd"] - off, runs, equal_var=False
        ).pvalue
        for off in (half, -half)
    ]
    return float(n * p[0]), float(n * p[1])


class Significant(NamedTuple):
    """Falls and rises (cells at full) with p < 0.05 by ANOVA, Holm-corrected over `tests` defined tests."""

    fell: pd.DataFrame
    rose: pd.DataFrame
    tests: int


def significant(start: str, *, runs: int = 3) -> Significant:
    """The paper's test, done again from the printed means and standard deviations of Table 8.

    One-way ANOVA of `runs` correlations at `start` and as many at full depends on the two means and standard
    deviations alone.
    """
    before, after = _ends(start)
    p = np.array([one_way_anova(pair).p for pair in zip(_groups(before, runs), _groups(after, runs))])
    found, change = holm(p) < 0.05, after["mean"] - before["mean"]
    return Significant(after[found & (change < 0)], after[found & (change > 0)], int(np.isfinite(p).sum()))


def mirror() -> pd.Series:
    """|BS Sums + BS Imp Wt| for each model, task and stage of Table 8, to 0.001."""
    cells = table(8)
    sums, weights = (
        cells[cells["score"] == name].set_index(["model", "task", "stage"])["mean"]
        for name in ("BS Sums", "BS Imp Wt")
    )
    return (sums + weights).abs().round(3)


def starting_from_nothing() -> pd.DataFrame:
    """Cells of Table 1 whose correlation before SFT is printed as 0.0 (0.0): undefined, not zero."""
    cells = table(8)
    empty = cells[(cells["stage"] == "no_sft") & (cells["mean"] == 0) & (cells["sd"] == 0)]
    return table(1).merge(empty[CELL])


def prevalence(number: int, *, swapped: bool = False) -> Case1Prevalence:
    """Case 1 beside case 2 in Table 4 or 10; with `swapped`, if the last two columns stood for one another."""
    rows = table(number)
    return case1_prevalence(rows["case1"], rows["both_flip" if swapped else "case2"])


def mean_share_range(number: int) -> tuple[float, float]:
    """Smallest and largest mean of case 1 / (case 1 + case 2) that rounds to the printed shares, two decimals."""
    rows = table(number)
    low, high = (float(((rows.case1 + off) / (rows.case1 + rows.case2)).mean()) for off in (-0.005, 0.005))
    return low, high


def leaning(rows: pd.DataFrame) -> Falls:
    """Signs of over-confident − under-confident: rose where over-confident is the larger."""
    return count_falls(rows["overconfident"] - rows["underconfident"])


def _table_1() -> Iterator[Claim]:
    cells = table(1)
    found, turned = falls(cells), falls(cells, oriented=True)
    yield Claim(
        "Table 1",
        "“Out of 144 […] configurations […], miscorrelation occurs post-SFT in 48 cases”",
        f"{found.fell} of {found.total} cells are below zero",
        (found.fell, found.total) == (48, 144),
        f"Of these, {falls(starting_from_nothing()).fell} fall from a correlation that is printed as 0.0 (0.0) "
        "before SFT (GSM8K), which is undefined rather than zero; and BS Imp Wt is left as an uncertainty: turned "
        f"so that higher is more confident, {turned.fell} cells are below zero.",
    )
    yield Claim(
        "Table 1",
        "“it improves in 96 cases”",
        f"{found.rose} cells are above zero, {found.unchanged} are exactly zero",
        found.rose == 96,
        f"The 96 count every cell that is not below zero, {_cells(cells[cells['mean'] == 0])} (0.0) included.",
    )
    tested = significant("no_sft")
    mirrored = tested.rose[tested.rose["score"] == "BS Imp Wt"]
    yield Claim(
        "Tables 1, 8",
        "of the falls 2 are statistically significant, of the rises 8 (ANOVA, Holm)",
        f"{len(tested.fell)} falls and {len(tested.rose)} rises, from the means and sds of Table 8",
        (len(tested.fell), len(tested.rose)) == (2, 8),
        f"The falls are {_cells(tested.fell)}; {_cells(mirrored)}, an uncertainty in this table that nearly "
        "mirrors BS Sums, are among the rises.",
    )


def _table_6() -> Iterator[Claim]:
    found, turned, tested = falls(table(6)), falls(table(6), oriented=True), significant("epoch_1")
    yield Claim(
        "Table 6",
        "“there are more cases in which SFT improves correlation (85 cases, 59.0%)”",
        f"{found.rose} of {found.total} cells are above zero",
        (found.rose, found.total) == (85, 144),
        f"{found.fell} are below zero and {found.unchanged} is exactly zero; with BS Imp Wt turned so that higher "
        f"is more confident, {turned.rose} are above zero.",
    )
    n = len(tested.fell) + len(tested.rose)
    yield Claim(
        "Tables 6, 8",
        "“though these are not statistically significant”",
        f"{n} of {tested.tests} changes are, from the means and sds of Table 8",
        n == 0,
        "With 3 seeds the ANOVA has 4 degrees of freedom: that nothing is found says little.",
    )


def _differences() -> Claim:
    found = pd.concat([differences(1, "no_sft"), differences(6, "epoch_1")])
    agree = int((found <= ROUNDING).sum())
    return Claim(
        "Tables 1, 6, 8",
        "Tables 1 and 6 are differences of the correlations in Table 8",
        f"{agree} of {len(found)} cells agree within rounding ({ROUNDING}); the largest deviation is "
        f"{found.max():.3f}",
        agree == len(found),
        "Table 1 is full − no SFT, Table 6 is full − epoch 1.",
    )


def _table_5() -> Claim:
    found, turned = falls_of_auroc(), falls_of_auroc(oriented=True)
    return Claim(
        "Table 5",
        "“correlation deteriorates after SFT in 23/48 cases”",
        f"AUROC falls in {found.fell} of {found.total} pairs",
        (found.fell, found.total) == (23, 48),
        f"That is {100 * found.fell / found.total:.1f} % (the introduction says 47 %); entropies and other scores "
        "look left as uncertainties in this table, and with our best guess of the signs turned "
        f"{turned.fell} pairs fall.",
    )


def _table_7() -> Claim:
    cells = table(7).sort_values("mean", kind="stable")
    over, at_least = cells[cells["mean"] < -0.391], cells[cells["mean"] <= -0.391]
    worst, other = cells.head(1), cells[~cells["score"].isin(at_least["score"])].head(1)
    return Claim(
        "Table 7",
        "“the correlation can decline from one epoch to the next by at most 0.391 points”",
        f"{plain(worst['mean'].item())} for {_cells(worst)}; {len(over)} of {len(cells)} cells are below −0.391",
        over.empty,
        f"0.391 is the largest fall of the encoder-decoders only; the {len(at_least)} largest are of "
        f"{' and '.join(dict.fromkeys(at_least['score']))}, which the table leaves as an uncertainty, and the "
        f"next is {plain(other['mean'].item())} for {_cells(other)}.",
    )


def _beam_sums() -> Claim:
    found = mirror()
    others = found.drop("SQUAD", level="task")
    model, task, stage = found.idxmax()  # pyright: ignore[reportGeneralTypeIssues]
    close, close_others = int((found <= 0.001).sum()), int((others <= 0.001).sum())
    return Claim(
        "Table 8",
        "BS Sums is “the sum of the top k beams’ joint sequence probabilities”",
        f"BS Sums = −BS Imp Wt to 0.001 in {close} of {len(found)} cells ({close_others} of {len(others)} outside "
        f"SQUAD); the largest deviation is {found.max():.3f} ({model}, {task}, {stage.replace('_', ' ')})",
        2 * close < len(found),
        "A sum of probabilities need not mirror a weighted mean of length-normalised log-probabilities, their sum "
        "would nearly do so: beam_sum is the text’s definition, beam_sum_logprob the other.",
    )


def _table_2() -> Iterator[Claim]:
    rows = table(2)
    most = rows["concordant"] > 0.5
    yield Claim(
        "Table 2",
        "“a bulk of the changes are concordant”",
        f"more than half of them in {most.sum()} of {len(rows)} rows",
        2 * most.sum() > len(rows),
        f"Not for {_rows(rows[~most])}; and items whose quality or confidence does not change are counted as "
        "concordant, or GSM8K could not have 0.98.",
    )
    named = rows[rows["model"].isin(["BART", "Llama-3.1", "Gemma-2"])]
    found, other = leaning(named), leaning(rows.drop(named.index))
    yield Claim(
        "Table 2",
        "“a tendency for SFT to make BART, Llama-3.1, and Gemma-2 relatively overconfident”",
        f"over-confident is larger than under-confident in {found.rose} of {found.total} rows",
        2 * found.rose > found.total,
        f"Not for {_rows(named[named['overconfident'] <= named['underconfident']])}; Flan-T5 leans the other way "
        f"in {other.fell} of {other.total} rows.",
    )


def _table_3() -> Iterator[Claim]:
    rows = table(3).sort_values("confidence_not_increased", kind="stable")
    increased = 100 - rows["confidence_not_increased"]
    n = (increased > 50).sum()
    yield Claim(
        "Table 3",
        "“fine-tuning pushes the confidence score […] upward across most outputs”",
        f"confidence increases in more than 50 % of changes in {n} of {len(rows)} rows: from "
        f"{increased.iloc[-1]:.1f} % ({_rows(rows.tail(1))}) to {increased.iloc[0]:.1f} % ({_rows(rows.head(1))})",
        n == len(rows),
        "The text says epochs 1 ≤ t ≤ 10, the caption 1 ≤ t ≤ 9, which ten epochs allow.",
    )
    n = (rows["confidence_increased_quality_not_improved"] > rows["both_increased"]).sum()
    yield Claim(
        "Table 3",
        "among the increasing confidences “quality is often decreasing”",
        f"quality does not improve in more than half of them in {n} of {len(rows)} rows",
        2 * n > len(rows),
        "The column holds unchanged quality too, so how often quality decreases cannot be read from it.",
    )


def _pairs(number: int, *, larger: int, per_cent: float) -> Iterator[Claim]:
    rows, found, swapped = table(number), prevalence(number), prevalence(number, swapped=True)
    low, high = mean_share_range(number)
    yield Claim(
        f"Table {number}",
        f"case 1 happens more than case 2 in {larger}/{len(rows)} configurations",
        f"case 1 is larger in {found.larger} of {found.rows} rows, {found.tied} is tied "
        f"({_rows(rows[rows['case1'] == rows['case2']])})",
        found.larger <= larger <= found.larger + found.tied,
        "A tie in two decimals leaves open which is larger; with the last two columns exchanged it would be "
        f"{swapped.larger}.",
    )
    yield Claim(
        f"Table {number}",
        f"on average, case 1 is {per_cent} % of miscorrelated pairs",
        f"{100 * found.mean_share:.1f} %, the mean over rows of case 1 / (case 1 + case 2)",
        low <= per_cent / 100 <= high,
        f"Rounding to two decimals leaves {100 * low:.1f} to {100 * high:.1f} %; with the last two columns "
        f"exchanged it would be {100 * swapped.mean_share:.1f} %.",
    )


def _table_9() -> Claim:
    rows = table(9)
    found, over = leaning(rows), rows["overconfident"]
    against = rows[over > rows["underconfident"]]
    return Claim(
        "Table 9",
        "“the changes are either concordant or relatively underconfident”",
        f"under-confident is larger than over-confident in {found.fell} of {found.total} rows; over-confident is "
        f"above 0.00 in {(over > 0).sum()}, at most {over.max():.2f}",
        against.empty,
        f"The tendency is there, but not without exception: not for {_rows(against)}.",
    )


def _table_11() -> Claim:
    cells = table(11)
    named = cells[cells["model"].isin(["BART", "Flan-T5"]) & cells["task"].isin(["SQUAD", "GSM8K"])]["proportion"]
    more = cells[cells["proportion"] > named.max()]
    return Claim(
        "Table 11",
        "“when using BART or Flan-T5 for SQUAD and GSM8K, these cases comprise sometimes up to 99.9%”",
        f"{100 * named.min():.1f} to {100 * named.max():.1f} % in these {len(named)} cells; more than half in "
        f"{(cells['proportion'] > 0.5).sum()} of all {len(cells)}",
        round(named.max(), 3) == 0.999,
        "It is a share of case 1 pairs, not of all miscorrelated ones; the text speaks of unchanged quality, the "
        "caption of unchanged output; and the largest cells are others, 100.0 % for "
        f"{more['score'].iloc[0]} of {_rows(more)}.",
    )


def _table_12() -> Claim:
    cells = table(12)
    cells = cells[cells["task"].isin(["SQUAD", "GSM8K"])]
    starred = cells[cells["significant"] == 1]
    positive = starred[starred["spearman"] > 0]
    largest = positive.loc[[positive["spearman"].idxmax()]]

    def stars(score: str) -> str:
        found = count_falls(starred[starred["score"] == score]["spearman"])
        n = (cells["score"] == score).sum()
        return f"{score}: of {n} correlations {found.rose} positive and {found.fell} negative have a star"

    return Claim(
        "Table 12",
        "for SQUAD and GSM8K “small, but statistically significant positive correlations” with similarity",
        f"{stars(LOG_PROB)}; {stars(DROPOUT_BLEU)}",
        set(positive["task"]) == {"SQUAD", "GSM8K"},
        f"The positive ones are of {_rows(positive)}, up to {plain(largest['spearman'].item())} "
        f"({_rows(largest)}); every star of {DROPOUT_BLEU} is at a negative correlation.",
    )


def _cells(rows: pd.DataFrame) -> str:
    return _listed(f"{row.score} of {row.model} on {row.task}" for row in rows.itertuples())


def _rows(rows: pd.DataFrame) -> str:
    return _listed(f"{row.model} on {row.task}" for row in rows.itertuples())


def _listed(names: Iterable[Any]) -> str:
    return " and ".join(dict.fromkeys(names))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
