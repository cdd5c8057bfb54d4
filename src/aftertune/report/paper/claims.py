"""What the paper says of its tables, as functions of tables: the same count on its numbers and on ours.

A table is a frame with the columns of `tables.printed`. The paper's hold the signs as printed; in `Cells` of ours
higher is more confident.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd

from aftertune.report.numbers import mean, plain
from aftertune.report.paper.tables import (
    BEFORE,
    CELL,
    DROPOUT_BLEU,
    EPOCH_1,
    FULL,
    IMPORTANCE,
    LAYOUTS,
    LOG_PROB,
    SUMS,
    Frame,
    printed,
    signs,
)
from aftertune.stats.change import one_way_anova
from aftertune.stats.falls import Falls, count_falls
from aftertune.stats.pairs import Case1Prevalence, case1_prevalence
from aftertune.stats.runs import constant_group, paired_p, welch_p
from aftertune.stats.verdict import holm
from aftertune.types import Floats

TESTS = {"anova": "ANOVA", "welch": "Welch", "paired": "paired t"}
ALPHA = 0.05
Figures = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Tables to count on.

    Attributes
    ----------
    tables : number → its cells, counted ones only; "samples" and "steps": those of the experiments on the number
        of training items.
    sums_of_logs : those of Table 8 for `beam_sum_logprob`, which is counted nowhere else.
    oriented : whether higher is more confident in all of them.
    """

    tables: Mapping[Any, Frame]
    sums_of_logs: Frame | None = None
    oriented: bool

    def of(self, number: int | str) -> Frame:
        """That table; without rows where there is none."""
        return self.tables.get(number, pd.DataFrame())

    def changes(self, number: int, *, oriented: bool) -> Floats:
        """Changes of Tables 1 and 6, in the signs that are asked for."""
        cells = self.of(number)
        turn = cells["score"].map(signs(number)) if oriented != self.oriented else 1
        return (cells["mean"] * turn).to_numpy(dtype=float)

    def auroc_changes(self, *, oriented: bool) -> Floats:
        """AUROC(after) − AUROC(first stage) of Table 5."""
        found = auroc_changes(self.of(5))
        turn = found.index.get_level_values("score").map(signs(5)) if oriented != self.oriented else 1
        return (found * turn).to_numpy(dtype=float)


# Counts.


def falls(cells: Frame, *, oriented: bool = False) -> Falls:
    """Signs of the paper's changes; with `oriented`, of what they would be if higher meant more confident."""
    return count_falls(Cells(tables={1: cells}, oriented=False).changes(1, oriented=oriented))


def auroc_changes(cells: Frame) -> Frame:
    """AUROC after − AUROC at the first stage that there is, a value for each configuration; NaN without both."""
    wide = cells.pivot_table(index=CELL, columns="part", values="auroc", sort=False)
    wide = wide.reindex(columns=[BEFORE, EPOCH_1, FULL])
    return wide[FULL] - wide[BEFORE].fillna(wide[EPOCH_1])


def groups_like(cells: Frame, runs: int = 3) -> list[Floats]:
    """`runs` values with each cell's printed mean and sd: what the tests depend on."""
    shape = (np.arange(runs) - (runs - 1) / 2) / np.std(np.arange(runs), ddof=1)  # mean 0, sd 1
    return [mean + sd * shape for mean, sd in zip(cells["mean"], cells["sd"])]


def ends_of(number: int) -> tuple[Frame, Frame]:
    """Cells of the paper's Table 8 at both ends of the changes of Table 1 or 6, in the order of that table."""
    cells, order = printed(8), printed(number)[CELL]
    start = BEFORE if number == 1 else EPOCH_1
    before, after = (order.merge(cells[cells["part"] == part], how="left") for part in (start, FULL))
    return before, after


@cache
def with_tests(number: int) -> Frame:
    """The paper's Table 1 or 6 with p of three tests, done again from its printed means and standard deviations.

    ANOVA and Welch's test depend on those of Table 8 alone, a paired t test on those of the change. `constant`:
    whether one end does not vary over the runs and the other does; `sd_before` is that of the first.
    """
    changes, (before, after) = printed(number), ends_of(number)
    pairs = list(zip(groups_like(before), groups_like(after)))
    return changes.assign(
        sd_before=before["sd"],
        constant=[constant_group(*pair) for pair in pairs],
        p_anova=[one_way_anova(pair).p for pair in pairs],
        p_welch=[welch_p(*pair) for pair in pairs],
        p_paired=[paired_p(differences) for differences in groups_like(changes)],
    )


def corrected(cells: Frame) -> Frame:
    """The cells with each test's p corrected by Holm over them."""
    return cells.assign(**{f"p_{test}": holm(cells[f"p_{test}"]) for test in TESTS})


def mirror(cells: Frame, sums: Frame | None = None, *, oriented: bool = False) -> Frame:
    """How far BS Sums is from mirroring BS Imp Wt, an uncertainty in Table 8: |sum| for each stage, to 0.001.

    Stages without a correlation, which the paper prints as 0.0 (0.0), are left out.

    Parameters
    ----------
    sums : other cells in the place of those of BS Sums.
    oriented : whether both are confidences, so that the one mirrors the other where they are equal.
    """
    given = cells[cells["score"] == SUMS] if sums is None else sums
    by = ["model", "task", "part"]
    both = (x[(x["mean"] != 0) | (x["sd"] != 0)] for x in (given, cells[cells["score"] == IMPORTANCE]))
    left, right = (x.set_index(by)["mean"] for x in both)
    return ((left - right) if oriented else (left + right)).dropna().abs().round(3)


def prevalence(rows: Frame, *, swapped: bool = False) -> Case1Prevalence:
    """Case 1 beside case 2 in Table 4 or 10; with `swapped`, if the last two columns stood for one another."""
    rows = rows.dropna(subset=["case1"])
    return case1_prevalence(rows["case1"], rows["both_flip" if swapped else "case2"])


def leaning(rows: Frame) -> Falls:
    """Signs of over-confident − under-confident: rose where over-confident is the larger."""
    return count_falls(rows["overconfident"] - rows["underconfident"])


# Claims.


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement of the paper in our words.

    Attributes
    ----------
    name : for tables/paper_claims.csv.
    tables : what it is about.
    words : so that it holds or does not.
    count : its figures on some cells, none where they have nothing to count.
    text : figures → what is shown.
    holds : figures → whether the statement points the way that they do; None where they point nowhere.
    said : the paper's figures where it gives no table to count them from.
    is_main : whether it counts where claims are counted: not if another one says the same in other signs, or if it
        is about how a score is computed.
    """

    name: str
    tables: str
    words: str
    count: Callable[[Cells], Figures]
    text: Callable[[Figures], str]
    holds: Callable[[Figures], bool | None]
    said: Figures | None = None
    is_main: bool = True


def _falls(number: int, *, oriented: bool) -> Callable[[Cells], Figures]:
    def count(cells: Cells) -> Figures:
        if cells.of(number).empty:
            return {}
        changes = cells.auroc_changes if number == 5 else partial(cells.changes, number)
        found = count_falls(changes(oriented=oriented))
        return {**asdict(found), "of": found.total}

    return count


def _rest(f: Figures) -> str:
    rest = [f", {f['unchanged']:g} unchanged"] if f["unchanged"] else []
    return "".join([*rest, *([f", {f['undefined']:g} undefined"] if f["undefined"] else [])])


def _falls_text(f: Figures) -> str:
    return f"{f['fell']:g} of {f['of']:g} fall, {f['rose']:g} rise{_rest(f)}"


def _compare(left: float, right: float) -> bool | None:
    """Whether the first is the larger; None for a tie or what is undefined."""
    return None if left == right or math.isnan(left - right) else left > right


def _more_rise(f: Figures) -> bool | None:
    return _compare(f["rose"], f["fell"])


def _most(f: Figures) -> bool | None:
    return _compare(2 * f["rows"], f["of"])


def _significant(number: int) -> Callable[[Cells], Figures]:
    def count(cells: Cells) -> Figures:
        found = cells.of(number)
        if found.empty or found["p_anova"].isna().all():
            return {}
        found, change = corrected(found), cells.changes(number, oriented=False)
        figures: Figures = {"tests": int(found["p_anova"].notna().sum())}
        for test in TESTS:
            sure = (found[f"p_{test}"] < ALPHA).to_numpy()
            figures[f"{test}_fell"] = int((sure & (change < 0)).sum())
            figures[f"{test}_rose"] = int((sure & (change > 0)).sum())
        sure = found["p_anova"] < ALPHA
        return figures | {"constant": int((sure & found["constant"]).sum())}

    return count


def _significant_text(f: Figures) -> str:
    counts = [f"{name} {f[f'{test}_fell'] + f[f'{test}_rose']:g}" for test, name in TESTS.items()]
    ways = f"{f['anova_fell']:g} fall, {f['anova_rose']:g} rise; in {f['constant']:g} one end is constant"
    shown = counts[0] + (f" ({ways})" if f["anova_fell"] + f["anova_rose"] else "")
    return f"of {f['tests']:g} tested: {', '.join([shown, *counts[1:]])}"


def _largest_fall(cells: Cells) -> Figures:
    found = cells.of(7)
    if not len(found):
        return {}
    found = found[(found["score"] != IMPORTANCE) & found["mean"].notna()]
    if found.empty:
        return {}
    nulls = found["null"] if "null" in found else pd.Series(dtype=float)
    return {"largest": found["mean"].min(), "mean": found["mean"].mean(), "null": mean(nulls), "of": len(found)}


def _largest_fall_text(f: Figures) -> str:
    null = "" if math.isnan(f["null"]) else f"; no change would give {plain(f['null'])}"
    return f"{plain(f['largest'])}; mean of {f['of']:g} cells {plain(f['mean'])}{null}"


def _mirror(of_logs: bool) -> Callable[[Cells], Figures]:
    def count(cells: Cells) -> Figures:
        table = cells.of(8)
        other = cells.sums_of_logs if of_logs and cells.oriented else None
        if table.empty or (of_logs and cells.oriented and other is None):
            return {}
        found = mirror(table, other, oriented=cells.oriented)
        return {"rows": int((found <= 0.001).sum()), "of": len(found)} if len(found) else {}

    return count


def _rows(number: int, column: Callable[[Frame], Any], share: str = "") -> Callable[[Cells], Figures]:
    """In how many rows that holds; with the mean of a column."""

    def count(cells: Cells) -> Figures:
        found = cells.of(number)
        found = found.dropna(subset=list(LAYOUTS[number].values)) if len(found) else found
        if found.empty:
            return {}
        figures: Figures = {"rows": int(np.sum(column(found))), "of": len(found)}
        return figures | ({share: mean(found[share])} if share in found else {})

    return count


def _rows_text(f: Figures) -> str:
    tied = f"; in {100 * f['tied']:.0f} % of items confidence or quality did not change" if "tied" in f else ""
    return f"{f['rows']:g} of {f['of']:g}{tied}"


def _prevalence(number: int) -> Callable[[Cells], Figures]:
    def count(cells: Cells) -> Figures:
        rows = cells.of(number)
        found = prevalence(rows) if len(rows) else None
        if found is None or not found.rows:
            return {}
        figures: Figures = {"rows": found.larger, "tied": found.tied, "of": found.rows, "share": found.mean_share}
        return figures | {"null": mean(rows["null"]) if "null" in rows else math.nan}

    return count


def _prevalence_text(f: Figures) -> str:
    tied = f" (and tied in {f['tied']:g})" if f["tied"] else ""
    null = "" if math.isnan(f["null"]) else f"; no change would give {100 * f['null']:.1f} %"
    return f"larger in {f['rows']:g} of {f['of']:g}{tied}; {100 * f['share']:.1f} % on average{null}"


def _unchanged(cells: Cells) -> Figures:
    found = cells.of(11)["proportion"].dropna() if len(cells.of(11)) else pd.Series(dtype=float)
    if found.empty:
        return {}
    return {"rows": int((found > 0.5).sum()), "of": len(found), "lowest": found.min(), "highest": found.max()}


def _unchanged_text(f: Figures) -> str:
    return f"{f['rows']:g} of {f['of']:g}, from {100 * f['lowest']:.1f} to {100 * f['highest']:.1f} %"


def _stars(score: str) -> Callable[[Cells], Figures]:
    def count(cells: Cells) -> Figures:
        found = cells.of(12)
        found = found[(found["score"] == score) & found["spearman"].notna()] if len(found) else found
        if found.empty:
            return {}
        starred = count_falls(found.loc[found["significant"] == 1, "spearman"])
        return {"rose": starred.rose, "fell": starred.fell, "of": len(found)}

    return count


def _stars_text(f: Figures) -> str:
    return f"of {f['of']:g} correlations {f['rose']:g} positive and {f['fell']:g} negative at p < .05"


def _sizes(family: str) -> Callable[[Cells], Figures]:
    def count(cells: Cells) -> Figures:
        found = cells.of(family)
        return {"rows": int((holm(found["p_anova"]) < ALPHA).sum()), "of": len(found)} if len(found) else {}

    return count


_PRINTED = "signs as printed"
_TURNED = "higher is more confident"
_FROM_BEFORE = "From before fine-tuning to after it more correlations rise than fall"
_FROM_EPOCH_1 = "From epoch 1 to after fine-tuning more correlations rise than fall"
_AUROC = "From before fine-tuning to after it more AUROCs rise than fall"
_MIRROR = "BS Sums has the rho of BS Imp Wt with the other sign, to .001, in most cells"
_CASE1 = "Of the pairs that come out of order, case 1 is the larger part"
_SIZES = "The number of training items makes a significant difference to some correlations"
CLAIMS = (
    Claim(
        name="falls_as_printed",
        tables="Table 1",
        words=f"{_FROM_BEFORE} ({_PRINTED})",
        count=_falls(1, oriented=False),
        text=_falls_text,
        holds=_more_rise,
        is_main=False,
    ),
    Claim(
        name="falls",
        tables="Table 1",
        words=f"{_FROM_BEFORE} ({_TURNED})",
        count=_falls(1, oriented=True),
        text=_falls_text,
        holds=_more_rise,
    ),
    Claim(
        name="significant",
        tables="Tables 1, 8",
        words="Some of these changes are significant by ANOVA, the paper's test (p < .05, Holm's correction over "
        f"the cells; {_PRINTED}); beside it Welch's test and the paired t test",
        count=_significant(1),
        text=_significant_text,
        holds=lambda f: f["anova_fell"] + f["anova_rose"] > 0,
    ),
    Claim(
        name="falls_from_epoch_1_as_printed",
        tables="Table 6",
        words=f"{_FROM_EPOCH_1} ({_PRINTED})",
        count=_falls(6, oriented=False),
        text=_falls_text,
        holds=_more_rise,
        is_main=False,
    ),
    Claim(
        name="falls_from_epoch_1",
        tables="Table 6",
        words=f"{_FROM_EPOCH_1} ({_TURNED})",
        count=_falls(6, oriented=True),
        text=_falls_text,
        holds=_more_rise,
    ),
    Claim(
        name="significant_from_epoch_1",
        tables="Tables 6, 8",
        words="None of these changes from epoch 1 is significant by the ANOVA",
        count=_significant(6),
        text=_significant_text,
        holds=lambda f: not f["anova_fell"] + f["anova_rose"],
    ),
    Claim(
        name="auroc_falls_as_printed",
        tables="Table 5",
        words=f"{_AUROC} ({_PRINTED})",
        count=_falls(5, oriented=False),
        text=_falls_text,
        holds=_more_rise,
        is_main=False,
    ),
    Claim(
        name="auroc_falls",
        tables="Table 5",
        words=f"{_AUROC} ({_TURNED}; which ones is a guess)",
        count=_falls(5, oriented=True),
        text=_falls_text,
        holds=_more_rise,
    ),
    Claim(
        name="largest_fall",
        tables="Table 7",
        words="From an epoch to the next no correlation falls by more than .391, in the mean over runs "
        f"({IMPORTANCE} left out)",
        count=_largest_fall,
        text=_largest_fall_text,
        holds=lambda f: f["largest"] >= -0.391,
    ),
    Claim(
        name="sums_mirror",
        tables="Table 8",
        words=f"{_MIRROR}; ours by beam_sum, the text's definition",
        count=_mirror(of_logs=False),
        text=_rows_text,
        holds=_most,
        is_main=False,
    ),
    Claim(
        name="sums_of_logs_mirror",
        tables="Table 8",
        words=f"{_MIRROR}; ours by beam_sum_logprob, as the authors' earlier code has it",
        count=_mirror(of_logs=True),
        text=_rows_text,
        holds=_most,
        is_main=False,
    ),
    Claim(
        name="concordant",
        tables="Table 2",
        words="More than half of the items change concordantly, by Avg Tok Prob, in most rows",
        count=_rows(2, lambda rows: rows["concordant"] > 0.5, "tied"),
        text=_rows_text,
        holds=_most,
    ),
    Claim(
        name="overconfident",
        tables="Table 2",
        words="By Avg Tok Prob more items become over-confident than under-confident, in most rows",
        count=_rows(2, lambda rows: rows["overconfident"] > rows["underconfident"]),
        text=_rows_text,
        holds=_most,
    ),
    Claim(
        name="underconfident",
        tables="Table 9",
        words="By DO BLEU Var more items become under-confident than over-confident, in most rows",
        count=_rows(9, lambda rows: rows["underconfident"] > rows["overconfident"]),
        text=_rows_text,
        holds=_most,
    ),
    Claim(
        name="confidence_rises",
        tables="Table 3",
        words="Confidence rises in more than half of the changes from an epoch to the next, in most rows",
        count=_rows(3, lambda rows: rows["confidence_not_increased"] < 50),
        text=_rows_text,
        holds=_most,
    ),
    Claim(
        name="without_quality",
        tables="Table 3",
        words="Where confidence rises, quality mostly does not, in most rows",
        count=_rows(3, lambda rows: rows["confidence_increased_quality_not_improved"] > rows["both_increased"]),
        text=_rows_text,
        holds=_most,
    ),
    *(
        Claim(
            name=f"case1_{number}",
            tables=f"Table {number}",
            words=f"{_CASE1}, by {score}",
            count=_prevalence(number),
            text=_prevalence_text,
            holds=lambda f: _compare(f["share"], 0.5),
        )
        for number, score in ((4, LOG_PROB), (10, DROPOUT_BLEU))
    ),
    Claim(
        name="case1_unchanged",
        tables="Table 11",
        words="In most cells more than half of the case 1 pairs come of a confidence that moved with its output "
        "unchanged",
        count=_unchanged,
        text=_unchanged_text,
        holds=_most,
    ),
    Claim(
        name="similarity_log_prob",
        tables="Table 12",
        words="Avg Tok Prob is higher for items that are like the training set",
        count=_stars(LOG_PROB),
        text=_stars_text,
        holds=_more_rise,
    ),
    Claim(
        name="similarity_dropout_bleu",
        tables="Table 12",
        words="DO BLEU Var, with its sign as printed, is lower for items that are like the training set",
        count=_stars(DROPOUT_BLEU),
        text=_stars_text,
        holds=lambda f: _compare(f["fell"], f["rose"]),
    ),
    Claim(
        name="samples",
        tables="Figures 3, 6a",
        words=f"{_SIZES}, epochs fixed",
        count=_sizes("samples"),
        text=_rows_text,
        holds=lambda f: f["rows"] > 0,
        said={"rows": 13, "of": 144},
    ),
    Claim(
        name="samples_at_fixed_steps",
        tables="Figures 3, 6b",
        words=f"{_SIZES}, optimiser steps fixed",
        count=_sizes("steps"),
        text=_rows_text,
        holds=lambda f: f["rows"] > 0,
        said={"rows": 5, "of": 144},
    ),
)
