"""The tables that an analysis makes: their columns, what is in them, and what each means.

`docs/tables.md` holds these columns too, put there by ``python -m aftertune.analysis.schema docs/tables.md``.

Kinds of columns
----------------
"text" str, or None where it is not known; "int" and "bool", with "?" where a value may be missing; "float", NaN
where it is undefined; "list" tuples of str; "object" anything, in tables that are not written to a file.
"""

# ruff: noqa: E501

from __future__ import annotations

import re
import sys
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Row: TypeAlias = Any
"""A row of a table: a named tuple with an attribute for each column (`from_` for the column "from")."""

_DTYPES = {
    "int": "int64",
    "int?": "Int64",
    "bool": "bool",
    "bool?": "boolean",
    "float": "float64",
    "float?": "float64",
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column; `kind` is explained at the top of this file, `default` stands where a row does not say."""

    name: str
    kind: str
    meaning: str
    default: Any = ...


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table.

    Attributes
    ----------
    name : of its files, and in `Analysis.tables`.
    file : "csv" (with .md, and .tex where the paper has such a table), "jsonl", or "" for what the report alone
        uses.
    """

    name: str
    meaning: str
    columns: Sequence[Column]
    file: str = "csv"

    @cached_property
    def row(self) -> Any:
        """Makes a row of the columns' values, given by name."""
        names = [column.name + "_" * (column.name == "from") for column in self.columns]
        defaults = [column.default for column in self.columns if column.default is not ...]
        first = len(names) - len(defaults)
        if any(column.default is ... for column in self.columns[first:]):
            raise TypeError(f"{self.name}: give the columns after the first with a default one too")
        return namedtuple(self.name, names, defaults=defaults)  # pyright: ignore[reportUntypedNamedTuple]

    def frame(self, rows: Iterable[Row]) -> pd.DataFrame:
        """The rows as a data frame with the declared columns and dtypes."""
        import pandas as pd

        values = list(zip(*rows)) or [()] * len(self.columns)
        return pd.DataFrame({c.name: _series(v, c.kind) for c, v in zip(self.columns, values)})

    def rows(self, frame: pd.DataFrame) -> tuple[Row, ...]:
        """The rows of such a data frame, with None for missing values and NaN for undefined numbers."""
        columns = (frame[column.name].astype(object) for column in self.columns)
        plain = [
            [None if _is_missing(value, column.kind) else value for value in values]
            for column, values in zip(self.columns, columns)
        ]
        return tuple(map(self.row._make, zip(*plain)))


def _series(values: Sequence[Any], kind: str) -> pd.Series:
    import pandas as pd

    if kind in _DTYPES:
        return pd.Series(list(values), dtype=_DTYPES[kind])  # pyright: ignore[reportArgumentType]
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return pd.Series(objects, dtype=object)


def _is_missing(value: Any, kind: str) -> bool:
    import pandas as pd

    return kind.endswith("?") and bool(pd.isna(value))


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """All that is computed from records.

    Attributes
    ----------
    tables : name → data frame (docs/tables.md), for every table of `TABLES`.
    notes : for the reader, one sentence each.
    """

    tables: Mapping[str, pd.DataFrame]
    notes: tuple[str, ...] = ()
    _rows: dict[str, tuple[Row, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, *, notes: Sequence[str] = (), **rows: Iterable[Row]) -> Analysis:
        """An analysis of tables given as rows, by table name; the others are empty."""
        unknown = rows.keys() - TABLES.keys()
        if unknown:
            raise TypeError(f"no table is called {', '.join(sorted(unknown))}")
        return cls(tables={name: t.frame(rows.get(name, ())) for name, t in TABLES.items()}, notes=tuple(notes))

    def rows(self, name: str) -> tuple[Row, ...]:
        """The rows of a table."""
        if name not in self._rows:
            self._rows[name] = TABLES[name].rows(self.tables[name])
        return self._rows[name]

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {len(frame)}" for name, frame in self.tables.items() if len(frame))
        return f"Analysis({counts or 'empty'}; {len(self.notes)} notes)"


def _columns(text: str, **defaults: Any) -> list[Column]:
    """Columns from lines of "name kind meaning"; names joined by "/" share kind and meaning."""
    found = []
    for line in filter(None, text.splitlines()):
        names, kind, meaning = [*line.split(None, 2), ""][:3]
        for name in names.split("/"):
            found.append(Column(name=name, kind=kind, meaning=meaning, default=defaults.get(name, ...)))
    return found


_SETTING = """
model/task/setting text which training setting
"""
_CHECKPOINT = """
seed int which training run
epoch float which checkpoint; 0 is before fine-tuning
"""
_SCORE = """
score text which confidence score
"""
_ENDS = """
from/to text the checkpoints compared: before, epoch_1, selected or last
"""
_TRANSITION = """
seed int which training run
from_epoch/to_epoch float which checkpoints
"""


def _table(name: str, meaning: str, text: str, *, file: str = "csv", **defaults: Any) -> Table:
    return Table(name=name, meaning=meaning, columns=_columns(text, **defaults), file=file)


CHECKS = _table(
    "checks",
    "Checks of the measurement: what could make the numbers be about something else than they seem to be.",
    f"""
{_SETTING}
check text its name
checkpoint text before, epoch_1, selected or last, or the path of a model; empty for all
value float the number that was looked at: a share of answers or items, a count, or a change; empty where there is none
level text `ok`, `note`, `warning`, or `refused` where an option was needed to go on
message text what was found, and what to do
""",
)
PROMPTS_READ = _table(
    "prompts_read",
    "One item as each checkpoint read it, and what it answered.",
    f"""
{_SETTING}
seed int which training run
checkpoint text before, epoch_1, selected or last
item_id text which item
prompt text the token ids that the model was given, decoded, special tokens included; null where it is not known
references list the records' field; [] where there is none
output text the answer; null where it is not known
quality float of the answer
""",
    file="jsonl",
)
CORRELATION = _table(
    "correlation",
    "Correlation of each score with quality, at each checkpoint of each run.",
    f"""
{_SETTING}{_CHECKPOINT}
selected bool whether early stopping chose this checkpoint
{_SCORE}
n int items that have quality and the score there; all other columns are over these
spearman float rho
ci_low/ci_high float 95 % interval over test items
status text which interval: `ci: bonett-wright`, or `ci: influence` (t, by influence functions) where there are 20 items or more and both variables are heavily tied (the most common value of each covers more than a fifth of the items); or why rho or its interval is undefined
spearman_given_length float rho with the length of the output removed
length_unit text what length is counted in: `tokens`, `characters`, or empty where it is not known
adjusted float tie-adjusted rho, the slope of the ranks of confidence on those of quality: rho where nothing is tied, 2 AUROC − 1 where quality is right or wrong
adjusted_low/adjusted_high float its 95 % interval over test items
concordance float share of the pairs of items of different quality in which the better one has the higher confidence, ties half; AUROC where quality is right or wrong
""",
    spearman_given_length=np.nan,
    length_unit="",
    adjusted=np.nan,
    adjusted_low=np.nan,
    adjusted_high=np.nan,
    concordance=np.nan,
)
CHANGE = _table(
    "change",
    "Change of the effect of each score between two checkpoints, over runs (the paper's Tables 1 and 6).",
    f"""
{_SETTING}{_SCORE}{_ENDS}
effect text `adjusted`, the tie-adjusted rho that verdicts are about, or `spearman`, the paper's plain rho
n_items/n_seeds int items and runs used
value_from/value_to float the effect at the two checkpoints, means over the runs, on the items of the comparison
mean/sd float of the change over runs
ci_low/ci_high float 95 % interval of what `ci_scope` says, cut at ±2, beyond which no change can be
ci_scope text which question: `models`, the mean change of these trained models; `training`, of training runs like these; `new_run`, the change that one more run will show (a prediction)
simultaneous bool whether the interval and both p hold for all scores of the comparison at once (max-t)
p_anova float the paper's test: one-way ANOVA of the runs' effects, from-group against to-group
p_anova_holm float corrected by Holm
p_welch/p_paired float Welch's test and the paired t test of the same
p_change float two-sided p of no change, from the same calculation as the interval
p_beyond_margin float two-sided p of a change by −margin: below 0.05 a fall beyond the margin is shown (`mean` below it) or excluded (above it); in rows of `new_run` the chance that one more run falls by more than the margin
verdict text `improved`, `holds`, `degraded`, `fell`, `inconclusive` or `undefined`; the same in all rows of the comparison
usable text whether the adjusted rho at `to` is shown to be above 0: `yes`, `reversed` (shown to be below 0), `not shown`; empty where it is undefined
items_needed int? how many items would settle an inconclusive verdict with a chance of 80 %; 10001 stands for more than 10,000; empty where only more training runs can
items_needed_low/items_needed_high int? the range of it, 10 % to 90 %
p_permutation float label-swap test of the `models` question, only with `--permutation`
status text why there is no verdict
""",
    p_permutation=np.nan,
    status="",
)
EPOCH_FALL = _table(
    "epoch_fall",
    "Largest epoch-to-epoch fall of rho of each score (the paper's Table 7).",
    f"""
{_SETTING}{_SCORE}
n_seeds int runs used
mean/sd float over runs of the largest fall; above 0 if no run ever falls
worst float the most negative step of all runs
worst_from_epoch float? the epoch t that it starts from
null float what `mean` would be if rho never changed: the items' own variation makes one epoch the lowest
null_low/null_high float its 95 % range: with no change, `mean` lies in it in 95 of 100 cases
null_status text why they are undefined
""",
    null=np.nan,
    null_low=np.nan,
    null_high=np.nan,
    null_status="",
)
SAMPLE_SIZE = _table(
    "sample_size",
    "Does rho after fine-tuning differ between numbers of training items?",
    """
model/task text which model and task
setting text a family: settings that differ in `n` alone, such as `n=*` or `n=*,steps=2500`
score text which confidence score
settings text which settings are compared, joined by `; `
f/p_anova float one-way ANOVA over the runs' rho at the last checkpoint of each setting
p_anova_holm float corrected by Holm over all rows of the same family
""",
)
_NO_OLD_THRESHOLD: dict[str, Any] = {
    f"{name}{end}": np.nan
    for name in ("sent_after", "wrong_found_before", "wrong_found_old")
    for end in ("", "_low", "_high")
}
RECOMMENDATION = _table(
    "recommendation",
    "Which score to use after fine-tuning, what it is worth, and what becomes of one that is relied on.",
    f"""
{_SETTING}{_ENDS}
role text `recommended`, or `relied on`: the score that was named with `--rely-on`
score text which confidence score; where none is recommended, the one that is nearest to being usable
chosen_on text `validation select half`, `cross-fitting` (five folds of test items, chosen on four, judged on the fifth) or `named`; empty where none can be chosen
n_scores int scores it was chosen from
n_choice int items that chose it, the fewest over runs
n_items/n_seeds int test items and runs of what follows
graded bool whether answers have a quality between right and wrong
verdict/usable text as in `change.csv`; `verdict` is empty where there is one checkpoint only
concordance float in what share of the pairs of answers of different quality the better one has the higher confidence, at `to`, mean over runs, on items that did not choose the score
concordance_low/concordance_high float its 95 % interval
review_share float share of the answers, the least confident ones, that a person reviews
wrong_found float share of all wrong answers that are among these; empty where answers are graded
wrong_found_low/wrong_found_high float its 95 % interval
wrong_among_reviewed float share of the reviewed answers that is wrong
quality_all float mean quality of all answers at `to` (share of right ones where they are right or wrong)
quality_kept float mean quality of those that are not reviewed
quality_kept_low/quality_kept_high float its 95 % interval
quality_kept_oracle float the same if quality itself chose what is reviewed
threshold_before float the confidence below which the share `review_share` lay at `from`, mean over runs
sent_after float share of the answers below that threshold at `to`
sent_after_low/sent_after_high float its 95 % interval, for this threshold
wrong_found_before float `wrong_found` at `from`, by that threshold
wrong_found_before_low/wrong_found_before_high float its 95 % interval
wrong_found_old float share of the wrong answers at `to` that are below that threshold
wrong_found_old_low/wrong_found_old_high float its 95 % interval
near_duplicates text other scores that order the answers almost the same way (Spearman's rho with it of .95 or more at both ends), joined by `; `
items_needed int? where no score is usable: how many test items would show that `score` is, with a chance of 80 %, if its effect is as estimated; 10001 stands for more than 10,000
status text why nothing is recommended, or nothing can be said
""",
    threshold_before=np.nan,
    **_NO_OLD_THRESHOLD,
    near_duplicates="",
    items_needed=None,
    status="",
)
QUADRANTS = _table(
    "quadrants",
    "How confidence and quality of each item changed (the paper's Tables 2 and 9).",
    f"""
{_SETTING}{_SCORE}{_ENDS}
n int items
concordant float share of items that are in neither of the next two
overconfident float dc > 0 and dq < 0
underconfident float dc < 0 and dq > 0
tied float dc = 0 or dq = 0: the part of `concordant` that is so because nothing changed
n_seeds int runs used; the shares are means over them
""",
)
DIRECTION = _table(
    "direction",
    "Which way confidence goes from a whole epoch to the next, and quality with it (the paper's Table 3).",
    f"""
{_SETTING}{_SCORE}
n int items, summed over transitions
confidence_not_increased float per cent: dc ≤ 0
increased_quality_not_improved float per cent: dc > 0 and dq ≤ 0
both_increased float per cent: dc > 0 and dq > 0
n_transitions int over epochs and runs
""",
)
_NO_CASE1_NULLS = {
    **dict.fromkeys(
        [
            "case1_share",
            "case1_null",
            "case1_null_low",
            "case1_null_high",
            "case1_of_miscorrelated",
            "case1_of_miscorrelated_null",
            "case1_of_miscorrelated_null_low",
            "case1_of_miscorrelated_null_high",
        ],
        np.nan,
    ),
    "null_status": "",
}
PAIRS = _table(
    "pairs",
    "What becomes of pairs of items from a checkpoint to the next (the paper's Tables 4 and 10).",
    f"""
{_SETTING}{_SCORE}{_TRANSITION}
n_correlated int relatively correlated pairs at `from_epoch`: the better one of the two has the higher confidence
stays int still so at `to_epoch`
case1 int quality in the same order, confidence in the other
both_flip int both in the other order
case2 int quality in the other order, confidence in the same
n_tied int equal in quality, in confidence or in both at `to_epoch`: in none of the four
case1_share float case 1, as a share of the four
case1_null float what `case1_share` would be if nothing changed: halfway to the same share read backwards, from `to_epoch` to `from_epoch`
case1_null_low/case1_null_high float its 95 % range
case1_of_miscorrelated float case 1 / (case 1 + case 2)
case1_of_miscorrelated_null float what it would be if nothing changed
case1_of_miscorrelated_null_low/case1_of_miscorrelated_null_high float its 95 % range
null_status text why a null is undefined
""",
    **_NO_CASE1_NULLS,
)
PAIR_MEANS = _table(
    "pair_means",
    "The nulls of `pairs` for means over the transitions from a whole epoch to the next, and over runs.",
    f"""
{_SETTING}{_SCORE}
case1_share float mean of the shares
case1_null float what it would be if nothing changed
case1_null_low/case1_null_high float its 95 % range
case1_of_miscorrelated float of the mean shares
case1_of_miscorrelated_null float what it would be if nothing changed
case1_of_miscorrelated_null_low/case1_of_miscorrelated_null_high float its 95 % range
null_status text why a null is undefined
""",
    file="",
)
CASE1 = _table(
    "case1_unchanged",
    "Case 1 pairs without a change of what was answered (the paper's Table 11).",
    f"""
{_SETTING}{_SCORE}{_TRANSITION}
n_case1 int case 1 pairs
output_unchanged int? those in which "the same" is said of the text of the output; empty if an item has no output
quality_unchanged int those in which it is said of quality
""",
)
SIMILARITY = _table(
    "similarity",
    "Is a score a memory of the training set? (The paper's Table 12.)",
    f"""
{_SETTING}{_CHECKPOINT}{_SCORE}
n int items that have quality, the score and `train_similarity`; all other columns are over these
spearman float of the score with `train_similarity`, the largest cosine similarity of the item to a training item
p float two-sided, by Student's t with n − 2 degrees of freedom, as SciPy's `spearmanr`
p_holm float corrected by Holm over all rows of the table
quality_spearman float of the score with quality
quality_given_similarity float the same with the rank of similarity removed, as `spearman_given_length` above
status text why something is undefined, or that p is rough (fewer than ten items)
""",
)
DOWNSTREAM = _table(
    "downstream",
    "Does the score tell right answers from wrong ones? (The paper's Table 5.)",
    f"""
{_SETTING}{_CHECKPOINT}
selected bool whether early stopping chose this checkpoint
{_SCORE}
n int items that have a label and the score there
auroc float chance that a right answer has a higher confidence than a wrong one, ties half
prr float prediction–rejection ratio over the whole curve: 1 as quality orders, 0 as chance; ties averaged, a constant score has 0
aurc float area under the risk–coverage curve, 0 is best; ties averaged
ece float expected calibration error of percentages in ten bins of equal numbers of items
auroc_ci_low/auroc_ci_high float 95 % interval of `auroc` over test items, see below
ece_if_calibrated float the ECE that chance alone would show if the percentages were right
brier float mean squared error of the percentages
n_correct int right answers among the n
map text what makes percentages of confidence, fitted on validation items at the same checkpoint: `logistic` (Platt) with fewer than 200, else `isotonic`
n_validation int items it was fitted on: those that calibrate
status text what is undefined and why
""",
)
DOWNSTREAM_CHANGE = _table(
    "downstream_change",
    "Change of AUROC of each score between two checkpoints, over runs.",
    f"""
{_SETTING}{_SCORE}{_ENDS}
n_items/n_seeds int items and runs used
auroc_from/auroc_to float means over runs, on these items
mean/sd float of the change over runs
ci_low/ci_high float 95 % interval of the mean change, cut at ±1
ci_scope text `models` or `training`, as in `change.csv`
p_change float two-sided, from the same calculation as the interval
p_change_holm float corrected by Holm
status text why something is undefined
""",
)
PERCENTAGES = _table(
    "percentages",
    "Do percentages mean what they say?",
    f"""
{_SETTING}{_SCORE}
seed int which training run
map text `isotonic`, `logistic` (Platt), or `min-max`, the paper's rescaling with the lowest and highest confidence of the validation items
fitted/applied text checkpoints: before–before, before–selected (the old map after fine-tuning), selected–selected
n_validation/n int validation items it was fitted on (those that calibrate), and test items it is applied to
ece/ece_if_calibrated/brier float as in `downstream.csv`
miscalibration/discrimination/uncertainty float brier = miscalibration − discrimination + uncertainty
status text why they are undefined
used bool whether alerts, `downstream.csv` and the report go by this map: `logistic` with fewer than 200 validation items, else `isotonic`
""",
    used=False,
)
REVIEW = _table(
    "review",
    "Which answers need no review, for a wanted share of right ones among them?",
    f"""
{_SETTING}{_SCORE}
seed int which training run
wanted float the share
chosen/applied text checkpoints, as in `percentages.csv`
threshold float answers of at least this confidence are given; the lowest that validation items show to do it
n_validation int validation items that it is shown on: those that calibrate
bound float lower bound of the share there (Clopper–Pearson, one-sided at 1 − `error`), at least `wanted`
n int test items
kept int how many of them are given
coverage float what share of them is given
precision float share of these that is right
ci_low/ci_high float its 95 % interval
without float share right of all n
status text why there is no threshold, or no precision
error float of the test of each threshold: 0.05; at a checkpoint that early stopping chose 0.015, and 0.005 where all validation items calibrate
guarantee text `holds`: the score of the alerts, chosen on other items; such a threshold gives less than `wanted` in at most 5 % of validation sets. `if named`: another score; the same is true of one that you named before you saw results, not of the best of these rows
""",
    error=np.nan,
    guarantee="",
)
ALERTS = _table(
    "alerts",
    "What a person is told about each answer.",
    f"""
{_SETTING}{_CHECKPOINT}
checkpoint text before, epoch_1, selected or last
item_id text which answer
score text the score that is best on the validation items that choose; on test items where there are fewer than 100 validation items
confidence float? its value; null where it is undefined
chance float? between 0 and 1; null where the score or the checkpoint's map is undefined, or the interval of the chance is wider than 0.5
alert text the sentence; whole per cent, never 0 or 100; where `chance` is null it says why
correct bool? whether it is right; null where it was not judged, or the judge abstained
input text as in `moved_items.jsonl`
references list as in `moved_items.jsonl`
output text as in `moved_items.jsonl`
chance_by_old_map float? in the later line: what the map fitted at the earlier checkpoint says, and a person is told if nobody fits a new one; null in the earlier line, where that map is undefined (the earlier line says why) or leaves too wide an interval, and where the score is
chance_low/chance_high float? 95 % interval of the chance: the two shares of Venn–Abers, each with Wilson's bound of its items; null where there is no map or no score
""",
    file="jsonl",
    chance_by_old_map=None,
    chance_low=None,
    chance_high=None,
)
MOVED_ITEMS = _table(
    "moved_items",
    "Items whose confidence and quality moved apart most (the paper's Figure 1).",
    f"""
{_SETTING}{_SCORE}{_ENDS}
side text `overconfident` or `underconfident`
move float (rise in the rank of confidence) × (fall in the rank of quality), the order of the items
seed int the run in which the item moved most
item_id text which item
input text the records' field; null where there is none
references list the records' field; [] where there is none
output_from/output_to text null where not known
quality_from/quality_to float values
confidence_from/confidence_to float values
quality_rank_from/quality_rank_to float share of the other items below, 0–1, ties half
confidence_rank_from/confidence_rank_to float share of the other items below, 0–1, ties half
""",
    file="jsonl",
)
CHOSEN = _table(
    "chosen",
    "The score of a setting's alerts and figures, on validation items of one checkpoint of one run that did not choose it.",
    f"""
{_SETTING}{_SCORE}
n_scores int from how many scores it was chosen
{_CHECKPOINT}
checkpoint text before, epoch_1, selected or last
n_validation int validation items that calibrate and have a label and the score
n_correct int how many of them are right
auroc float on them
low/high float its 95 % interval
chosen_by text the items that chose it: `validation`, those that do not calibrate; `test`; or `nothing`, where there is one score or it is the one that is relied on
n_choosing int how many of these have a label and the score
""",
    file="",
    chosen_by="validation",
    n_choosing=0,
)
RELIABILITY = _table(
    "reliability",
    "What the reliability figure shows of one score and training run, by the map that is used.",
    f"""
{_SETTING}{_SCORE}
seed int which training run
n_seeds int of how many runs
rank int place of the score among those of its setting
{_ENDS}
before object `JudgedItems`, map fitted and applied at `from`
carried object `JudgedItems`, map fitted at `from`, applied at `to`
renewed object `JudgedItems`, map fitted and applied at `to`
""",
    file="",
)
PAPER = _table(
    "paper",
    "The paper's Tables 1 to 12 beside ours, number by number; only with `--paper`.",
    """
model/task text the paper's names where its table has the pair, ours elsewhere
setting text which settings ours is the mean over, joined by `; `
table int which table of the paper
score text the paper's name of the score
our_score text ours; empty where it was not run or not measured
value text which number: a column of the table, `no_sft`, `epoch_1` or `full`, an epoch, or `p_anova_holm`, `p_welch_holm` and `p_paired_holm` of Tables 1 and 6
printed float as the paper prints it
paper float the same where higher means more confident; empty where the paper prints what is undefined, or what has no counterpart in ours
paper_sd float over training runs, as printed; empty where the table has none
ours float mean over training runs, and over epochs where the table's is
ours_sd float over training runs; empty with one run or several settings
n_seeds int? training runs of ours; empty where there are none, and in Table 3
null float what ours would be if nothing changed (Table 7)
same_direction bool? whether ours and the paper's go the same way, in all numbers of this configuration; empty where that cannot be said
status text `not run`, `not measured`, `not in the paper`, and why ours is undefined
""",
)
PAPER_CLAIMS = _table(
    "paper_claims",
    "What the paper says of its tables, counted on its numbers and on ours by the same functions; only with `--paper`.",
    """
claim text its name
tables text of the paper, that it is about
says text the claim in our words
figure text which figure of it
paper float on all cells of the paper
paper_here float on those that this run has too
ours float ours on these
others float ours on models and tasks that are not in the paper: compare its direction only
same_direction bool? whether `ours` points the way that `paper` does; empty where that cannot be said
others_same_direction bool? the same of `others`
""",
)

TABLES = {
    table.name: table
    for table in (
        CHECKS,
        PROMPTS_READ,
        CORRELATION,
        CHANGE,
        RECOMMENDATION,
        EPOCH_FALL,
        SAMPLE_SIZE,
        QUADRANTS,
        DIRECTION,
        PAIRS,
        PAIR_MEANS,
        CASE1,
        SIMILARITY,
        DOWNSTREAM,
        DOWNSTREAM_CHANGE,
        PERCENTAGES,
        REVIEW,
        MOVED_ITEMS,
        ALERTS,
        PAPER,
        PAPER_CLAIMS,
        CHOSEN,
        RELIABILITY,
    )
}
"""In the order in which their files are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedItems:
    """Percentages of test items, and which of their answers are right; `reason` says why there are none."""

    chance: tuple[float, ...]
    correct: tuple[bool, ...]
    reason: str = ""


def described(table: Table) -> str:
    """The columns as a Markdown table; neighbours with one meaning share a line."""
    lines: dict[str, list[str]] = {}
    for column in table.columns:
        lines.setdefault(column.meaning, []).append(f"`{column.name}`")
    rows = [f"| {', '.join(names)} | {meaning} |" for meaning, names in lines.items()]
    return "\n".join(["| column | meaning |", "|---|---|", *rows])


def with_columns(page: str) -> str:
    """A Markdown page with the columns of each table put between its marks ``<!-- NAME -->``."""

    def block(found: re.Match[str]) -> str:
        return f"<!-- {found[1]} -->\n{described(TABLES[found[1]])}\n<!-- /{found[1]} -->"

    return re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", block, page, flags=re.DOTALL)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        file = Path(name)
        file.write_text(with_columns(file.read_text(encoding="utf-8")), encoding="utf-8")
