"""Our tables in the layout of the paper's Tables 1 and 6, 7 and 8: what stands in each cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from aftertune import setting_names
from aftertune.report.latex import Cell, Layout, comment, escape, floats, slug, typewriter
from aftertune.report.number_format import number_range
from aftertune.report.outcome import CHECKPOINT_NAMES, is_at
from aftertune.report.paper.names import in_paper_order, name_in_paper, turned_in_paper
from aftertune.rows import ChangeRow, CorrelationRow, EpochFallRow, SampleSizeRow

ALPHA = 0.05
STAGES = ("before", "epoch_1", "selected", "last")

Row = TypeVar("Row", CorrelationRow, ChangeRow, EpochFallRow, SampleSizeRow)
Key = tuple[str, str, str]
"""Model, task, score."""


def correlation_tex(rows: Sequence[CorrelationRow]) -> str:
    """Table 8: for each setting a table for each stage that exists, rho as mean (sd) over seeds.

    The last checkpoint has a table only where some training run has it and did not select it.
    """
    tables = []
    for setting, own in _by(rows, lambda row: row.setting).items():
        last = _last_epochs(own)
        for stage in STAGES:
            found = [row for row in own if is_at(row, stage, last[row.model, row.task, row.seed])]
            if not found or (stage == "last" and all(row.selected for row in found)):
                continue
            title = f"Spearman correlation of confidence scores with quality, {_at(stage)}{_in(setting)}"
            own_cells = _by(found, _key)
            caption = f"; {_over([len(cell) for cell in own_cells.values()])}.{_turned(found)}"
            cells = {key: _over_seeds(cell) for key, cell in own_cells.items()}
            tables.append(_table(f"correlation-{stage}", setting, title, caption, found, cells))
    return _file("Task-level correlation by stage, as in the paper's Table 8.", rows, tables)


def change_tex(rows: Sequence[ChangeRow]) -> str:
    """Tables 1 and 6: for each setting and pair of checkpoints a table, change of rho as mean (sd) over seeds."""
    tables = []
    for (setting, from_, to), own in _by(rows, lambda row: (row.setting, row.from_, row.to)).items():
        told = {key: _telling(cell) for key, cell in _by(own, _key).items()}
        title = f"Change of the Spearman correlation with quality from {_name(from_)} to {_name(to)}{_in(setting)}"
        over = _over([row.n_seeds for row in told.values()])
        caption = f"; {over}. {_marks(told.values())}{_turned(own)}"
        cells = {
            key: _cell(
                row.mean,
                row.sd,
                marks=_marked(row.p_anova_holm, "*") + _marked(row.p_bootstrap_holm, r"\dagger"),
                note=_reason(row) if math.isnan(row.mean) else "",
            )
            for key, row in told.items()
        }
        tables.append(_table(f"change-{from_}-{to}", setting, title, caption, own, cells))
    return _file("Change of the task-level correlation, as in the paper's Tables 1 and 6.", rows, tables)


def epoch_fall_tex(rows: Sequence[EpochFallRow]) -> str:
    """Table 7: for each setting a table, the largest epoch-to-epoch fall of rho as mean (sd) over seeds."""
    tables = []
    for setting, own in _by(rows, lambda row: row.setting).items():
        title = f"Largest fall of the Spearman correlation with quality from one epoch to the next{_in(setting)}"
        caption = f"; {_over([row.n_seeds for row in own])}.{_turned(own)}"
        note = "no two successive epochs at which every training run has a correlation"
        cells = {_key(row): _cell(row.mean, row.sd, note=note if math.isnan(row.mean) else "") for row in own}
        tables.append(_table("epoch-fall", setting, title, caption, own, cells))
    return _file("Largest epoch-to-epoch fall, as in the paper's Table 7.", rows, tables)


def sample_size_tex(rows: Sequence[SampleSizeRow]) -> str:
    """For each family of settings a table: F of the ANOVA between numbers of training items, Holm's p."""
    tables = []
    for family, own in _by(rows, lambda row: row.setting).items():
        compared = max((row.settings for row in own), key=len)
        title = f"Spearman correlation with quality by number of training items ({escape(compared)})"
        caption = (
            ": $F$ of a one-way ANOVA over training runs, and in brackets $p$ after Holm's correction over all "
            f"configurations of this table. $^{{*}}$ $p < {ALPHA}$."
        )
        cells = {_key(row): _tested(row, compared) for row in own}
        tables.append(_table("sample-size", family, title, caption, own, cells))
    return _file("Correlation and the number of training items.", rows, tables)


def _file(title: str, rows: Sequence[Row], tables: Iterable[Layout]) -> str:
    names = [name for part in in_paper_order(row.score for row in rows) for name in part]
    lines = [comment(title), comment(r"Needs \usepackage{booktabs}."), comment("The scores by their ids:")]
    lines += [comment(f"  {name_in_paper(name) or 'not in the paper'}: {name}") for name in names]
    return "".join(lines) + "\n" + "\n".join(map(floats, tables))


def _table(
    kind: str, setting: str, title: str, caption: str, rows: Sequence[Row], cells: dict[Key, Cell]
) -> Layout:
    """Cells are given by model, task and score id; scores in the paper's order, then those of others."""
    theirs, others = in_paper_order(row.score for row in rows)
    between: list[tuple[str, str] | None] = [None] if theirs and others else []
    own = "" if setting == setting_names.DEFAULT else f"-{slug(setting)}"
    return Layout(
        label=f"tab:aftertune-{slug(kind)}{own}",
        title=title,
        caption=caption,
        columns=_columns(rows),
        rows=[*((name, _label(name)) for name in theirs), *between, *((name, _label(name)) for name in others)],
        cells={(score, model, task): cell for (model, task, score), cell in cells.items()},
    )


def _label(score: str) -> str:
    return escape(name_in_paper(score)) or typewriter(score)


def _turned(rows: Iterable[Row]) -> str:
    """What a reader who lays the paper's tables beside ours must know."""
    turned = [_label(name) for name in dict.fromkeys(row.score for row in rows) if turned_in_paper(name)]
    if not turned:
        return ""
    listed = " and ".join(turned)
    return f" Higher is more confident for every score; the paper gives {listed} with the opposite sign."


def _columns(rows: Sequence[Row]) -> list[tuple[str, str]]:
    pairs = dict.fromkeys((row.model, row.task) for row in rows)
    return [pair for model in dict.fromkeys(model for model, _ in pairs) for pair in pairs if pair[0] == model]


Group = TypeVar("Group")


def _by(rows: Iterable[Row], key: Callable[[Row], Group]) -> dict[Group, list[Row]]:
    found: dict[Group, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _key(row: CorrelationRow | ChangeRow | EpochFallRow | SampleSizeRow) -> Key:
    return row.model, row.task, row.score


def _last_epochs(rows: Iterable[CorrelationRow]) -> dict[tuple[str, str, int], float]:
    last: dict[tuple[str, str, int], float] = {}
    for row in rows:
        run = (row.model, row.task, row.seed)
        last[run] = max(row.epoch, last.get(run, 0.0))
    return last


def _over_seeds(rows: Sequence[CorrelationRow]) -> Cell:
    values = [row.spearman for row in rows if not math.isnan(row.spearman)]
    lacking = [row for row in rows if math.isnan(row.spearman)]
    reasons = "; ".join(dict.fromkeys(row.status.removesuffix(": no correlation") for row in lacking))
    if not values:
        return Cell(text="", note=reasons)
    note = f"over {len(values)} of {len(rows)} seeds, in the others {reasons}" if lacking else ""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return _cell(float(np.mean(values)), sd, note=note)


def _telling(rows: Sequence[ChangeRow]) -> ChangeRow:
    """The row of the recommended test: for another training run wherever there is one."""
    return min(rows, key=lambda row: row.ci_scope != "training")


def _reason(row: ChangeRow) -> str:
    return row.verdict.partition(":")[2].strip() or "undefined"


def _marks(rows: Iterable[ChangeRow]) -> str:
    rows = list(rows)
    training = [row.ci_scope == "training" for row in rows]
    scope = (
        "for another training run"
        if all(training)
        else "for another training run where there are at least two seeds"
        if any(training)
        else "for these trained models"
    )
    anova = f"$^{{*}}$ one-way ANOVA over seeds, $p < {ALPHA}$"
    bootstrap = rf"$^{{\dagger}}$ paired bootstrap over test items, {scope}, $p < {ALPHA}$"
    tests = [bootstrap] if all(math.isnan(row.p_anova_holm) for row in rows) else [anova, bootstrap]
    return "; ".join(tests) + ", after Holm's correction over configurations."


def _marked(p: float, mark: str) -> str:
    return mark if p < ALPHA else ""


def _superscript(marks: str) -> str:
    return f"$^{{{marks}}}$" if marks else ""


def _cell(mean: float, sd: float, *, marks: str = "", note: str = "") -> Cell:
    """Mean (sd), the decimal points below each other; no sd with one seed."""
    if math.isnan(mean):
        return Cell(text="", note=note)
    spread = "" if math.isnan(sd) else f" ({sd:.3f})"
    return Cell(text=f"{_signed(mean)}{spread}{_superscript(marks)}", note=note)


def _signed(value: float) -> str:
    text = f"{abs(value):.3f}"
    return f"$-${text}" if round(value, 3) < 0 else rf"\phantom{{$-$}}{text}"


def _tested(row: SampleSizeRow, compared: str) -> Cell:
    if math.isnan(row.f):
        return Cell(text="", note="fewer than two sizes with defined correlations, or nothing varies over runs")
    text = f"{_f(row.f)} ({_p(row.p_anova_holm)}){_superscript(_marked(row.p_anova_holm, '*'))}"
    return Cell(text=text, note="" if row.settings == compared else f"{row.settings} only")


def _f(value: float) -> str:
    return r"$\infty$" if math.isinf(value) else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _p(value: float) -> str:
    return "--" if math.isnan(value) else "$<$0.001" if value < 0.001 else f"{value:.3f}"


def _over(n_seeds: Sequence[int]) -> str:
    n = number_range(list(n_seeds))
    if n == "1":
        return "one seed"
    return f"mean over {escape(n)} seeds with the standard deviation in brackets"


def _name(checkpoint: str) -> str:
    name = CHECKPOINT_NAMES.get(checkpoint, checkpoint)
    return escape(f"the {name}" if checkpoint in ("selected", "last") else name)


def _at(stage: str) -> str:
    return {"before": "before fine-tuning", "epoch_1": "after epoch 1"}.get(stage) or f"at {_name(stage)}"


def _in(setting: str) -> str:
    return "" if setting == setting_names.DEFAULT else f", setting {typewriter(setting)}"
