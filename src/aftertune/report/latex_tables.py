"""Our tables in LaTeX, in the layout of the paper's: a specification of each, and `tex`, which prints it.

The paper gives tables of single items of two scores, a table each; ours stand in one table, scores side by side or
one below the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import fmean

import numpy as np

from aftertune.analysis import setting_names
from aftertune.analysis.schema import Row
from aftertune.report.items import is_whole_step, pair_counts
from aftertune.report.latex import Cell, Grid, comment, escape, floats, slug, typewriter
from aftertune.report.names import CHECKPOINT_NAMES, at, at_checkpoint, grouped
from aftertune.report.numbers import number_range
from aftertune.scores import known_score
from aftertune.stats.pairs import case1_prevalence, mean_shares

ALPHA = 0.05
NARROW = 12
"""Columns side by side, of numbers without a standard deviation."""
PAPER_SCORES = (
    "mean_token_logprob", "mean_token_entropy", "dropout_entropy", "beam_importance_weighted", "beam_ratio",
    "beam_sum", "dropout_bleu_variance", "dropout_kl", "dropout_meteor", "cocoa_msp", "cocoa_mte", "cocoa_ppl",
)  # fmt: skip
"""The paper's twelve scores in the order of its tables."""

Rows = Sequence[Row]
_SCORE, _MODEL_TASK = attrgetter("score"), attrgetter("model", "task")
_CONFIGURATION = attrgetter("score", "model", "task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A file of tables of one kind.

    Attributes
    ----------
    about : first line of the file, a comment.
    split : rows of the file → what the rows of each of its tables have in common, and these rows.
    label : end of the key of ``\\ref``; may name what `split` gives.
    title : LaTeX; may name that too, `where` (in which setting), and what `names` gives.
    names : rows of a table → further names for the title.
    caption : rows of a table → LaTeX, which follows the title.
    usable : rows of a table → those that it can be made of, and comments on the others. Without any, no table.
    grids : usable rows → blocks, one below the other.
    """

    about: str
    split: Callable[[Rows], Iterable[tuple[dict[str, str], Rows]]]
    label: str
    title: str
    names: Callable[[Rows], dict[str, str]] = lambda rows: {}
    caption: Callable[[Rows], str]
    usable: Callable[[Rows], tuple[Rows, list[str]]] = lambda rows: (rows, [])
    grids: Callable[[Rows], list[Grid]]


def tex(table: str, rows: Rows) -> str:
    """The .tex file of a table of `SPECS`: LaTeX tables one after the other, below comments on what they are."""
    spec = SPECS[table]
    tables, remarks = [], []
    for common, own in spec.split(rows):
        usable, lacking = spec.usable(own)
        remarks += lacking
        if not usable:
            continue
        setting = common["setting"]
        is_default = setting == setting_names.DEFAULT
        label = f"tab:aftertune-{slug(spec.label.format(**common))}"
        names = {name: _PRINTED[name](value) for name, value in common.items() if name in _PRINTED}
        names["where"] = "" if is_default else f", setting {typewriter(setting)}"
        found = floats(
            label=label if is_default else f"{label}-{slug(setting)}",
            title=spec.title.format(**names, **spec.names(usable)),
            caption=spec.caption(usable),
            grids=spec.grids(usable),
        )
        tables.append(found)
    lines = [comment(spec.about), comment(r"Needs \usepackage{booktabs}."), comment("The scores by their ids:")]
    lines += [comment(f"  {name_in_paper(name) or 'not in the paper'}: {name}") for name in _scores_of(rows)]
    return "".join([*lines, *map(comment, remarks)]) + "\n" + "\n".join(tables)


# The paper's scores.


def name_in_paper(score: str) -> str:
    """What the paper calls a score of ours, with its parameters; "" for one that it does not have.

    >>> name_in_paper("mean_token_logprob"), name_in_paper("beam_ratio[k=5]"), name_in_paper("mine")
    ('Avg Tok Prob', 'BS Ratios [k=5]', '')
    """
    found = known_score(score)
    if found is None or found.sign_in_paper is None:
        return ""
    return found.paper_name + (f" {found.name[len(found.base_name) :]}" if found.name != found.base_name else "")


def in_paper_order(scores: Iterable[str]) -> tuple[list[str], list[str]]:
    """The paper's twelve scores in the order of its tables, and the others in the order given.

    >>> in_paper_order(["mine", "cocoa_msp", "mean_token_entropy", "beam_sum_logprob"])
    (['mean_token_entropy', 'cocoa_msp'], ['mine', 'beam_sum_logprob'])
    """
    place, others = {}, []
    for name in dict.fromkeys(scores):
        found = known_score(name)
        if found is not None and found.base_name in PAPER_SCORES:
            place[name] = PAPER_SCORES.index(found.base_name)
        else:
            others.append(name)
    return sorted(place, key=place.__getitem__), others


def _scores_of(rows: Rows) -> list[str]:
    return [name for part in in_paper_order(row.score for row in rows) for name in part]


def _label(score: str) -> str:
    return escape(name_in_paper(score)) or typewriter(score)


def _signs(rows: Rows) -> str:
    """What a reader who lays the paper's Tables 1 and 6 to 8 beside ours must know."""
    known = {name: known_score(name) for name in dict.fromkeys(row.score for row in rows)}
    found = [_label(name) for name, score in known.items() if score is not None and score.sign_in_paper == -1]
    if not found:
        return ""
    listed = " and ".join(found)
    return f" Higher is more confident for every score; the paper gives {listed} with the opposite sign."


# Rows of a file, rows of a table.


def _split(*columns: str) -> Callable[[Rows], Iterator[tuple[dict[str, str], Rows]]]:
    """A table for each value of the columns."""

    def split(rows: Rows) -> Iterator[tuple[dict[str, str], Rows]]:
        for values, own in grouped(rows, lambda row: tuple(getattr(row, column) for column in columns)).items():
            yield dict(zip(columns, values)), own

    return split


def _by_stage(rows: Rows) -> Iterator[tuple[dict[str, str], Rows]]:
    """A table for each setting and stage that exists; the last one only where some run did not select it."""
    for setting, own in grouped(rows, attrgetter("setting")).items():
        for stage in _HEADS:
            found = [row for group in grouped(own, _MODEL_TASK).values() for row in at_checkpoint(group, stage)]
            if found and not (stage == "last" and all(row.selected for row in found)):
                yield {"setting": setting, "stage": stage}, found


def _steps(rows: Rows) -> tuple[Rows, list[str]]:
    """Rows of transitions from a whole epoch to the next."""
    steps = [row for row in rows if is_whole_step(row)]
    lacking = f"No table for setting {rows[0].setting}: no whole epoch whose next checkpoint is one epoch later."
    return steps, ([] if steps else [lacking])


def _similar(rows: Rows) -> tuple[Rows, list[str]]:
    """Rows of models and tasks of which some similarity is known."""
    known, lacking = [], []
    for (model, task), own in grouped(rows, _MODEL_TASK).items():
        if any(row.n for row in own):
            known += own
        else:
            lacking.append(f"Setting {own[0].setting}, {model}, {task}: {own[0].status}.")
    return known, lacking


# Grids.


def _model_tasks(rows: Rows) -> list[tuple[str, str]]:
    """The pairs that have rows; those of a model are neighbours."""
    by_model = grouped(dict.fromkeys((row.model, row.task) for row in rows), lambda pair: pair[0])
    return [pair for pairs in by_model.values() for pair in pairs]


def _score_lines(rows: Rows) -> list[tuple[str, str] | None]:
    """The paper's scores, a little space, and other scores."""
    theirs, others = ([(name, _label(name)) for name in part] for part in in_paper_order(r.score for r in rows))
    return [*theirs, *([None] if theirs and others else []), *others]


def _scores_by_task(cell: Callable[[Rows], Cell]) -> Callable[[Rows], list[Grid]]:
    """Rows are scores; columns are models and their tasks."""

    def grids(rows: Rows) -> list[Grid]:
        cells = {place: cell(own) for place, own in grouped(rows, _CONFIGURATION).items()}
        return [Grid(columns=_model_tasks(rows), rows=_score_lines(rows), cells=cells)]

    return grids


def _tasks_by_score(
    names: Sequence[str],
    values: Callable[[Rows], Sequence[float]],
    *,
    digits: int,
    absent: str,
    below: Callable[[Rows], Mapping[str, Mapping[str, tuple[str, str]]]] = lambda rows: {},
) -> Callable[[Rows], list[Grid]]:
    """Rows are models and tasks; columns are scores, and of each the `names` with their `values`.

    `below` gives further lines: label → score → one of the names and LaTeX.
    """

    def grids(rows: Rows) -> list[Grid]:
        scores = _scores_of(rows)
        lines: list[tuple[str, str] | None] = []
        cells: dict[tuple[str, str, str], Cell] = {}
        for (model, task), own in grouped(rows, _MODEL_TASK).items():
            for score, found in grouped(own, _SCORE).items():
                for name, value in zip(names, values(found)):
                    if not math.isnan(value):
                        cells[f"{model}\t{task}", score, name] = Cell(text=f"{value:.{digits}f}")
        for i, (model, pairs) in enumerate(grouped(_model_tasks(rows), lambda pair: pair[0]).items()):
            lines += [None] if i else []
            # {}: a bracket at the beginning of a line would be read as a length
            lines += [(f"{model}\t{task}", f"{{}}{escape(model)}, {escape(task)}") for _, task in pairs]
        for i, (title, found) in enumerate(below(rows).items()):
            lines += [(title, title)] if i else [None, (title, title)]
            cells |= {(title, score, name): Cell(text="{}") for score in scores for name in names}
            cells |= {(title, score, name): Cell(text=text) for score, (name, text) in found.items()}
        return [
            Grid(
                columns=[(score, name) for score in scores for name in names],
                rows=lines,
                cells=cells,
                absent=absent,
                heads={score: _label(score) for score in scores},
                most_columns=NARROW,
            )
        ]

    return grids


def _epochs_by_task(epoch: str, cell: Callable[..., Cell]) -> Callable[[Rows], list[Grid]]:
    """A block for each score: rows are values of the column `epoch`; columns are tasks and their models.

    `cell` gets the rows of a cell and those of the table.
    """

    def grids(rows: Rows) -> list[Grid]:
        by_task = grouped(((task, model) for model, task in _model_tasks(rows)), lambda pair: pair[0])
        by_score = grouped(rows, _SCORE)
        found = []
        for score in _scores_of(rows):
            places = grouped(by_score[score], attrgetter(epoch, "task", "model"))
            found.append(
                Grid(
                    columns=[pair for pairs in by_task.values() for pair in pairs],
                    rows=[(f"{value:g}", f"{value:g}") for value in sorted({value for value, _, _ in places})],
                    cells={(f"{value:g}", *column): cell(own, rows) for (value, *column), own in places.items()},
                    corner=(_label(score), "Epoch"),
                    most_columns=NARROW,
                )
            )
        return found

    return grids


# Cells.


def _mean_cell(mean: float, sd: float, *, marks: str = "", note: str = "") -> Cell:
    """Mean (sd), the decimal points below each other; no sd with one seed. `note` says why there is no mean."""
    if math.isnan(mean):
        return Cell(text="", note=note)
    return Cell(text=_signed(mean) + ("" if math.isnan(sd) else f" ({sd:.3f})") + marks)


def _signed(value: float) -> str:
    text = f"{abs(value):.3f}"
    return f"$-${text}" if round(value, 3) < 0 else rf"\phantom{{$-$}}{text}"


def _marks(*, star: float = math.nan, dagger: float = math.nan) -> str:
    """A star and a dagger, each if its p is below ALPHA."""
    marks = "*" * (star < ALPHA) + r"\dagger" * (dagger < ALPHA)
    return f"$^{{{marks}}}$" if marks else ""


def _note(defined: Sequence[object], rows: Rows, reasons: str = "") -> str:
    """Why there is no mean, or that it is not over all seeds."""
    if not defined or len(defined) == len(rows):
        return "" if defined else reasons
    return f"over {len(defined)} of {len(rows)} seeds" + (f", in the others {reasons}" if reasons else "")


def _reasons(rows: Rows, reason: Callable[[Row], str]) -> str:
    return "; ".join(dict.fromkeys(map(reason, rows)))


def _mean_rho(rows: Rows) -> Cell:
    values = [row.spearman for row in rows if not math.isnan(row.spearman)]
    lacking = [row for row in rows if math.isnan(row.spearman)]
    reasons = _reasons(lacking, lambda row: row.status.removesuffix(": no correlation"))
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    text = _mean_cell(float(np.mean(values)), sd).text if values else ""
    return Cell(text=text, note=_note(values, rows, reasons))


def _recommended(rows: Rows) -> Row:
    """The row of the recommended test of one change of plain rho, or of AUROC: over training runs if there are."""
    rows = [row for row in rows if row.ci_scope != "new_run" and getattr(row, "effect", "spearman") == "spearman"]
    return min(rows, key=lambda row: row.ci_scope != "training")


def _all_recommended(rows: Rows) -> Rows:
    return [_recommended(own) for own in grouped(rows, _CONFIGURATION).values()]


def _change(rows: Rows) -> Cell:
    row = _recommended(rows)
    marks = _marks(star=row.p_anova_holm, dagger=row.p_change)
    return _mean_cell(row.mean, row.sd, marks=marks, note=row.status or "undefined")


def _change_of_auroc(rows: Rows) -> Cell:
    row = _recommended(rows)
    return _mean_cell(row.mean, row.sd, marks=_marks(dagger=row.p_change_holm), note=row.status)


def _fall(rows: Rows) -> Cell:
    note = "no two successive epochs at which every training run has a correlation"
    return _mean_cell(rows[-1].mean, rows[-1].sd, note=note)


def _sizes(rows: Rows) -> str:
    """The sizes that most scores are compared over."""
    return max((row.settings for row in rows), key=len)


def _by_sizes(rows: Rows) -> list[Grid]:
    compared = _sizes(rows)

    def cell(own: Rows) -> Cell:
        row = own[-1]
        if math.isnan(row.f):
            note = "fewer than two sizes with defined correlations, or nothing varies over runs"
            return Cell(text="", note=note)
        f = r"$\infty$" if math.isinf(row.f) else f"{row.f:.2f}" if row.f < 100 else f"{row.f:.0f}"
        p = row.p_anova_holm
        printed = "--" if math.isnan(p) else "$<$0.001" if p < 0.001 else f"{p:.3f}"
        note = "" if row.settings == compared else f"{row.settings} only"
        return Cell(text=f"{f} ({printed}){_marks(star=p)}", note=note)

    return _scores_by_task(cell)(rows)


def _pairs(rows: Rows) -> tuple[float, ...]:
    """Mean shares of stays, case 1, both flip and case 2 over whole steps; NaN where there are none."""
    shares = mean_shares(map(pair_counts, filter(is_whole_step, rows)))
    return shares.stays, shares.case1, shares.both_flip, shares.case2


def _prevalence(rows: Rows) -> dict[str, dict[str, tuple[str, str]]]:
    """Below the pairs of each score: how common case 1 is."""
    share, larger = {}, {}
    for score, own in grouped(rows, _SCORE).items():
        means = [_pairs(members) for members in grouped(own, _MODEL_TASK).values()]
        defined = [mean for mean in means if not math.isnan(mean[0])]
        found = case1_prevalence([case1 for _, case1, _, _ in defined], [case2 for *_, case2 in defined])
        if found.rows:
            share[score] = ("Case 1", f"{found.mean_share:.3f}")
            larger[score] = ("Case 1", f"{found.larger} of {found.rows}")
    return {"Case 1 of miscorrelated": share, "Case 1 larger": larger} if share else {}


def _no_change(what: str, nulls: Iterable[float]) -> str:
    """What the mean over a table would be if nothing changed; "" where that is not known."""
    found = [value for value in nulls if math.isfinite(value)]
    return f" No change would give a mean {what} of ${fmean(found):.3f}$." if found else ""


def _by_output(rows: Rows) -> bool:
    return any(row.output_unchanged is not None for row in rows)


def _unchanged(rows: Rows, table: Rows) -> Cell:
    by_output = _by_output(table)
    counts = [(row.output_unchanged if by_output else row.quality_unchanged, row.n_case1) for row in rows]
    shares = [count / n for count, n in counts if count is not None and n]
    if not shares:
        unknown = any(count is None for count, _ in counts)
        return Cell(text="", note="outputs not known" if unknown else "no case 1 pair")
    return Cell(text=f"{float(np.mean(shares)):.3f}", note=_note(shares, rows))


def _similarity(rows: Rows, table: Rows) -> Cell:
    defined = [row for row in rows if not math.isnan(row.spearman)]
    if not defined:
        return Cell(text="", note=_reasons(rows, lambda row: row.status))
    marks = _marks(star=max(row.p for row in defined), dagger=max(row.p_holm for row in defined))
    mean = float(np.mean([row.spearman for row in defined]))
    return Cell(text=f"{_signed(mean)}{marks}", note=_note(defined, rows))


def _auroc(rows: Rows) -> list[Grid]:
    """Rows are scores; columns are models, and of each one or two checkpoints, with an arrow at the second."""
    models = _stages(rows)
    cells: dict[tuple[str, str, str], Cell] = {}
    for model, stages in models.items():
        before: dict[str, float] = {}
        for stage, found in stages.items():
            by_score = grouped(found, _SCORE)
            for score in _scores_of(rows):
                own = by_score.get(score, [])
                values = [row.auroc for row in own if not math.isnan(row.auroc)]
                lacking = [row for row in own if math.isnan(row.auroc)]
                reasons = _reasons(lacking, lambda row: row.status.partition("; ")[0].partition(":")[0])
                mean, earlier = float(np.mean(values)) if values else math.nan, before.get(score, math.nan)
                arrow = r"~$\uparrow$" if mean > earlier else r"~$\downarrow$" if mean < earlier else ""
                note = _note(values, own, reasons) or ("" if values else "not measured")
                cells[score, model, _HEADS[stage]] = Cell(text=f"{mean:.3f}{arrow}" if values else "", note=note)
                before[score] = mean
    columns = [(model, _HEADS[stage]) for model, stages in models.items() for stage in stages]
    return [Grid(columns=columns, rows=_score_lines(rows), cells=cells, most_columns=8)]


def _stages(rows: Rows) -> dict[str, dict[str, Rows]]:
    """Model → before fine-tuning, else epoch 1; and the selected checkpoint, else the last."""
    found = {}
    for model, own in grouped(rows, attrgetter("model")).items():
        there = {stage: at_checkpoint(own, stage) for stage in _HEADS}
        start, end = ("before" if there["before"] else "epoch_1"), ("selected" if there["selected"] else "last")
        if there[start] == there[end]:  # one checkpoint, of which there is only one thing to say
            start = end
        found[model] = {stage: there[stage] for stage in (start, end) if there[stage]}
    return found


# Titles and captions.


def _checkpoint(name: str) -> str:
    words = CHECKPOINT_NAMES.get(name, name)
    return escape(f"the {words}" if name in ("selected", "last") else words)


_PRINTED: dict[str, Callable[[str], str]] = {
    "from_": _checkpoint,
    "to": _checkpoint,
    "stage": lambda name: "after epoch 1" if name == "epoch_1" else at(name),
    "task": escape,
}
_HEADS = {"before": "Pre", "epoch_1": "1 Ep", "selected": "Full", "last": "Last"}
"""The checkpoints that tables are of, and their names in headers."""


def _over_seeds(n_seeds: Iterable[int]) -> str:
    n = number_range(list(n_seeds))
    return "one seed" if n == "1" else f"mean over {escape(n)} seeds with the standard deviation in brackets"


def _about_change(rows: Rows) -> str:
    told = _all_recommended(rows)
    training = [row.ci_scope == "training" for row in told]
    scope = (
        "for the mean over training runs"
        if all(training)
        else "for the mean over training runs where there are at least two seeds"
        if any(training)
        else "for these trained models"
    )
    anova = f"$^{{*}}$ one-way ANOVA over seeds, $p < {ALPHA}$; "
    if all(math.isnan(row.p_anova_holm) for row in told):
        anova = ""
    return (
        f"; {_over_seeds(row.n_seeds for row in told)}. {anova}$^{{\\dagger}}$ t test over test items, "
        f"{scope}, $p < {ALPHA}$, corrected for all scores of a model and task (max-t).{_signs(rows)}"
    )


def _about_quadrants(rows: Rows) -> str:
    n = number_range([row.n_seeds for row in rows])
    return (
        f"; shares of test items, {'one seed' if n == '1' else f'mean over {escape(n)} seeds'}. "
        "Cncd.: concordant; tied: those of them whose confidence or quality did not change; R.~Over: "
        "confidence rose and quality fell; R.~Under: the other way."
    )


def _about_case1(rows: Rows) -> str:
    unknown = "" if _by_output(rows) else " By quality, because outputs are not known."
    return f"; from the epoch before to the one in the row, mean over seeds.{unknown}"


def _about_auroc(rows: Rows) -> str:
    models = _stages(rows)
    parts = [(stage, found) for stages in models.values() for stage, found in stages.items()]
    one_seed = all(len({row.seed for row in found}) == 1 for _, found in parts)
    meaning = CHECKPOINT_NAMES | {"epoch_1": "after epoch 1"}
    heads = "; ".join(f"{head}: {meaning[stage]}" for stage, head in _HEADS.items() if stage in dict(parts))
    arrows = " Arrows: the second against the first." if any(len(s) > 1 for s in models.values()) else ""
    told = []
    for model, stages in models.items():
        judged = {stage: [row for row in found if row.n] for stage, found in stages.items()}
        counts = [
            f"{number_range([row.n_correct for row in found])} of {number_range([row.n for row in found])} "
            f"({_HEADS[stage]})"
            for stage, found in judged.items()
            if found
        ]
        told += [escape(f"{model} {', '.join(counts)}")] if counts else []
    right = (
        f" Right answers: {'; '.join(told)}. Few right, or few wrong, leave an AUROC uncertain: intervals are in "
        r"\texttt{downstream.csv}."
    )
    return f"; {'one seed' if one_seed else 'mean over seeds'}. {heads}.{arrows}{right if told else ''}"


SPECS = {
    "correlation": Spec(
        about="Task-level correlation by stage, as in the paper's Table 8.",
        split=_by_stage,
        label="correlation-{stage}",
        title="Spearman correlation of confidence scores with quality, {stage}{where}",
        caption=lambda rows: f"; {_over_seeds(map(len, grouped(rows, _CONFIGURATION).values()))}.{_signs(rows)}",
        grids=_scores_by_task(_mean_rho),
    ),
    "change": Spec(
        about="Change of the task-level correlation, as in the paper's Tables 1 and 6.",
        split=_split("setting", "from_", "to"),
        label="change-{from_}-{to}",
        title="Change of the Spearman correlation with quality from {from_} to {to}{where}",
        caption=_about_change,
        grids=_scores_by_task(_change),
    ),
    "epoch_fall": Spec(
        about="Largest epoch-to-epoch fall, as in the paper's Table 7.",
        split=_split("setting"),
        label="epoch-fall",
        title="Largest fall of the Spearman correlation with quality from one epoch to the next{where}",
        caption=lambda rows: (
            f"; {_over_seeds(row.n_seeds for row in rows)}.{_signs(rows)}"
            f"{_no_change('fall', [row.null for row in rows])}"
        ),
        grids=_scores_by_task(_fall),
    ),
    "sample_size": Spec(
        about="Correlation and the number of training items.",
        split=_split("setting"),
        label="sample-size",
        title="Spearman correlation with quality by number of training items ({sizes})",
        names=lambda rows: {"sizes": escape(_sizes(rows))},
        caption=lambda rows: (
            ": $F$ of a one-way ANOVA over training runs, and in brackets $p$ after Holm's correction over all "
            f"configurations of this table. $^{{*}}$ $p < {ALPHA}$."
        ),
        grids=_by_sizes,
    ),
    "quadrants": Spec(
        about="Changes of single items, as in the paper's Tables 2 and 9.",
        split=_split("setting", "from_", "to"),
        label="quadrants-{from_}-{to}",
        title="Changes of single items that are concordant, relatively over-confident or relatively "
        "under-confident from {from_} to {to}{where}",
        caption=_about_quadrants,
        grids=_tasks_by_score(
            ("Cncd.", "tied", "R. Over", "R. Under"),
            lambda rows: attrgetter("concordant", "tied", "overconfident", "underconfident")(rows[-1]),
            digits=2,
            absent="no item has quality and this score at both checkpoints",
        ),
    ),
    "direction": Spec(
        about="Direction of change by epoch, as in the paper's Table 3.",
        split=_split("setting"),
        label="direction",
        title="Direction of change of single items from one epoch to the next, in per cent{where}",
        caption=lambda rows: (
            "; mean over transitions $t$ to $t + 1$, $t \\geq 1$, and training runs. No: confidence did not "
            "increase; Yes/No: it increased and quality did not improve; Yes/Yes: both."
        ),
        grids=_tasks_by_score(
            ("No", "Yes/No", "Yes/Yes"),
            lambda rows: attrgetter(
                "confidence_not_increased", "increased_quality_not_improved", "both_increased"
            )(rows[-1]),
            digits=1,
            absent="no item has quality and this score at both checkpoints",
        ),
    ),
    "pairs": Spec(
        about="Pairs by epoch, as in the paper's Tables 4 and 10.",
        split=_split("setting"),
        label="pairs",
        title="What becomes of relatively correlated pairs of items from one epoch to the next, as shares of "
        "those that are then tied in neither{where}",
        caption=lambda rows: (
            "; mean over transitions $t$ to $t + 1$, $t \\geq 1$, and training runs. The order of the two by "
            "quality / by confidence: Stays: same / same; Case 1: same / flips; Both: flips / flips; Case 2: "
            "flips / same. Below: the mean over the rows of case 1 / (case 1 + case 2), and in how many rows case "
            "1 is the larger."
            + _no_change("share of case 1", [row.case1_null for row in rows if is_whole_step(row)])
        ),
        usable=lambda rows: (rows if _steps(rows)[0] else [], _steps(rows)[1]),
        grids=_tasks_by_score(
            ("Stays", "Case 1", "Both", "Case 2"), _pairs, digits=2, absent="no pair to count", below=_prevalence
        ),
    ),
    "case1_unchanged": Spec(
        about="Case 1 pairs without a change of output, as in the paper's Table 11.",
        split=_split("setting"),
        label="case1-unchanged",
        title="Share of case 1 pairs in which the worse item's {what} did not change but its confidence rose, or "
        "the better item's {what} did not change but its confidence fell{where}",
        names=lambda rows: {"what": "output" if _by_output(rows) else "quality"},
        caption=_about_case1,
        usable=_steps,
        grids=_epochs_by_task("to_epoch", _unchanged),
    ),
    "similarity": Spec(
        about="Confidence and similarity to the training set, as in the paper's Table 12.",
        split=_split("setting"),
        label="similarity",
        title="Spearman correlation of confidence with the largest cosine similarity of the item to a training "
        "item{where}",
        caption=lambda rows: (
            f"; mean over seeds. $^{{*}}$ $p < {ALPHA}$ in every seed, by Student's $t$; $^{{\\dagger}}$ the same "
            "after Holm's correction over all rows of similarity.csv."
        ),
        usable=_similar,
        grids=_epochs_by_task("epoch", _similarity),
    ),
    "downstream": Spec(
        about='AUROC of "the answer is correct", as in the paper\'s Table 5.',
        split=_split("setting", "task"),
        label="auroc-{task}",
        title="AUROC of confidence scores, right against wrong answers, {task}{where}",
        caption=_about_auroc,
        grids=_auroc,
    ),
    "downstream_change": Spec(
        about="Change of AUROC between checkpoints.",
        split=_split("setting", "from_", "to"),
        label="auroc-change-{from_}-{to}",
        title="Change of AUROC from {from_} to {to}{where}",
        caption=lambda rows: (
            f"; {_over_seeds(row.n_seeds for row in _all_recommended(rows))}. $^{{\\dagger}}$ t test "
            "over test items, for the mean over training runs where there are at least two seeds, "
            f"$p < {ALPHA}$ after Holm's correction over configurations."
        ),
        grids=_scores_by_task(_change_of_auroc),
    ),
}
