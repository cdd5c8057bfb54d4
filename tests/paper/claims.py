"""What the paper's text says of its tables, recounted from them; docs/paper.md is made of it.

Tables, counts and tests are those of `aftertune report --paper` (`aftertune.report.paper`).

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

from aftertune.report.numbers import p_value, plain, signed
from aftertune.report.paper.claims import (
    Cells,
    corrected,
    ends_of,
    falls,
    leaning,
    mirror,
    prevalence,
    with_tests,
)
from aftertune.report.paper.tables import CELL, DROPOUT_BLEU, LOG_PROB, printed
from aftertune.stats.falls import count_falls

PAGE = Path(__file__).resolve().parents[2] / "docs" / "paper.md"
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
        f"{_USE}\n"
        "## The paper's claims on its own numbers\n\n"
        "Statements of *Confident in a Confidence Score: Investigating the Sensitivity of Confidence Scores to\n"
        "Supervised Fine-Tuning* about its own tables, recounted from these tables. They bear out "
        f"{sum(c.agrees for c in found)} of {len(found)}. The\ncounts, the ANOVA and Holm's correction are those "
        "that your own tables are made with.\n\nThe tables are in `src/aftertune/report/paper/tables/`; "
        "`tests/paper/claims.py` writes this page, and a test checks it.\n\n"
        + "\n".join(lines)
        + "\n\n"
        + _significance()
    )


_USE = """\
## Your run beside the paper

```sh
aftertune report runs/quickstart --paper
```

adds a section to `report.html`, and `tables/paper.csv` and `tables/paper_claims.csv`
([columns](tables.md#papercsv)). It works on any run folder, without a network; `aftertune analyze RECORDS --paper`
does the same for records. Without `--paper` the next `aftertune report` takes it away again.

- *Table by table*: the paper's Tables 1 to 12 beside ours, and whether both go the same way. Models and tasks are
  matched by name: those of [`studies/paper.yaml`](../studies/paper.yaml) (`BART`, `squad`), or the ids and folder
  names of the same models (`facebook/bart-base`, `bart-base`). What was not run says so. Settings `n=…` are left
  out; ours is the mean over the others.
- *Claim by claim*: what the paper says in our words, counted by one function on all its cells, on those that the
  run has too, and on the run's own numbers. Beside the ANOVA stand Welch's test and the paired t test; beside
  largest falls and case 1 shares stands what [no change](statistics.md#what-no-change-would-give) would give.
- Another model or task is none of the paper's. It is never laid beside a cell; only the direction of its tallies
  is compared.
- *Signs*: in ours higher always means more confident. The paper leaves BS Imp Wt as an uncertainty in Tables 1, 6,
  7 and 8; which scores Table 5 leaves so is a guess. `paper.csv` has its numbers as printed and turned.
"""


def _significance() -> str:
    """The last section: what is left of the significant cells by tests that fit three training runs."""
    found, later = (
        corrected(with_tests(1)).sort_values(["mean", "p_anova"], kind="stable"),
        corrected(with_tests(6)),
    )
    ten, left = found[found["p_anova"] < 0.05], found[found["p_welch"] < 0.05]
    counts = [int((cells[test] < 0.05).sum()) for cells in (found, later) for test in ("p_welch", "p_paired")]
    defined = int(found["p_paired"].notna().sum())
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
        (f"{r.score} of {r.model} on {r.task}", signed(r.mean), plain(r.sd_before), *map(p_value, r[-3:]))
        for r in ten.itertuples()
    ]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    text = "\n\n".join(textwrap.fill(paragraph, 115) for paragraph in paragraphs)
    return f"## How sure the significant changes are\n\n{text}\n\n" + "\n".join(lines) + "\n"


def differences(number: int, start: str) -> pd.Series:
    """|change in Table 1 or 6 − difference of Table 8's means at full and `start`|, a value for each cell."""
    rho = printed(8).set_index(["stage", *CELL])["mean"]
    return (printed(number).set_index(CELL)["mean"] - (rho["full"] - rho[start])).abs()


def welch_range(cells: pd.DataFrame, *, runs: int = 3) -> tuple[float, float]:
    """Smallest and largest corrected p of the one cell that rounds to its printed means and sds, to 0.001.

    Of the cells it has the smallest p, which Holm's correction multiplies by their number.
    """
    key = tuple(cells[CELL].iloc[0])
    before, after = (end.set_index(CELL).loc[key, ["mean", "sd"]] for end in ends_of(1))
    n = with_tests(1)["p_welch"].notna().sum()
    apart, half = abs(after["mean"] - before["mean"]), 0.0005
    p = [
        stats.ttest_ind_from_stats(
            apart + 2 * off, after["sd"] - off, runs, 0, before["sd"] - off, runs, equal_var=False
        ).pvalue
        for off in (half, -half)
    ]
    return float(n * p[0]), float(n * p[1])


class Significant(NamedTuple):
    """Falls and rises with p < 0.05 by ANOVA, Holm-corrected over `tests` defined tests."""

    fell: pd.DataFrame
    rose: pd.DataFrame
    tests: int


def significant(number: int) -> Significant:
    """The paper's test of the changes of Table 1 or 6."""
    cells = corrected(with_tests(number))
    found = cells[cells["p_anova"] < 0.05]
    return Significant(found[found["mean"] < 0], found[found["mean"] > 0], int(cells["p_anova"].notna().sum()))


def starting_from_nothing() -> pd.DataFrame:
    """Cells of Table 1 whose correlation before SFT is printed as 0.0 (0.0): undefined, not zero."""
    cells = printed(8)
    empty = cells[(cells["stage"] == "no_sft") & (cells["mean"] == 0) & (cells["sd"] == 0)]
    return printed(1).merge(empty[CELL])


def mean_share_range(number: int) -> tuple[float, float]:
    """Smallest and largest mean of case 1 / (case 1 + case 2) that rounds to the printed shares, two decimals."""
    rows = printed(number)
    low, high = (float(((rows.case1 + off) / (rows.case1 + rows.case2)).mean()) for off in (-0.005, 0.005))
    return low, high


def _table_1() -> Iterator[Claim]:
    cells = printed(1)
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
    sure = significant(1)
    mirrored = sure.rose[sure.rose["score"] == "BS Imp Wt"]
    yield Claim(
        "Tables 1, 8",
        "of the falls 2 are statistically significant, of the rises 8 (ANOVA, Holm)",
        f"{len(sure.fell)} falls and {len(sure.rose)} rises, from the means and sds of Table 8",
        (len(sure.fell), len(sure.rose)) == (2, 8),
        f"The falls are {_cells(sure.fell)}; {_cells(mirrored)}, an uncertainty in this table that nearly "
        "mirrors BS Sums, are among the rises.",
    )


def _table_6() -> Iterator[Claim]:
    found, turned, sure = falls(printed(6)), falls(printed(6), oriented=True), significant(6)
    yield Claim(
        "Table 6",
        "“there are more cases in which SFT improves correlation (85 cases, 59.0%)”",
        f"{found.rose} of {found.total} cells are above zero",
        (found.rose, found.total) == (85, 144),
        f"{found.fell} are below zero and {found.unchanged} is exactly zero; with BS Imp Wt turned so that higher "
        f"is more confident, {turned.rose} are above zero.",
    )
    n = len(sure.fell) + len(sure.rose)
    yield Claim(
        "Tables 6, 8",
        "“though these are not statistically significant”",
        f"{n} of {sure.tests} changes are, from the means and sds of Table 8",
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
    cells = Cells(tables={5: printed(5)}, oriented=False)
    found, turned = (count_falls(cells.auroc_changes(oriented=oriented)) for oriented in (False, True))
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
    cells = printed(7).sort_values("mean", kind="stable")
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
    found = mirror(printed(8))
    others = found.drop("SQUAD", level="task")
    model, task, stage = found.idxmax()  # pyright: ignore[reportGeneralTypeIssues]
    close, close_others = int((found <= 0.001).sum()), int((others <= 0.001).sum())
    return Claim(
        "Table 8",
        "BS Sums is “the sum of the top k beams’ joint sequence probabilities”",
        f"BS Sums = −BS Imp Wt to 0.001 in {close} of {len(found)} defined cells ({close_others} of {len(others)} "
        f"outside SQUAD); the largest deviation is {found.max():.3f} ({model}, {task}, {stage.replace('_', ' ')})",
        2 * close < len(found),
        "A sum of probabilities need not mirror a weighted mean of length-normalised log-probabilities, their sum "
        "would nearly do so: beam_sum is the text’s definition, beam_sum_logprob the other.",
    )


def _table_2() -> Iterator[Claim]:
    rows = printed(2)
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
    rows = printed(3).sort_values("confidence_not_increased", kind="stable")
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
    rows, found, swapped = printed(number), prevalence(printed(number)), prevalence(printed(number), swapped=True)
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
    rows = printed(9)
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
    cells = printed(11)
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
    cells = printed(12)
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
