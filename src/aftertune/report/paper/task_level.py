"""Our tables of the task level in the layout of the paper's Tables 1 and 6, 7 and 8: what stands in each cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from aftertune.analysis.schema import Row
from aftertune.report.latex import Cell, escape
from aftertune.report.outcome import is_at
from aftertune.report.paper.layout import (
    ALPHA,
    Key,
    at_stage,
    by,
    checkpoint_name,
    in_setting,
    marked,
    mean_cell,
    over_seeds,
    score_table,
    superscript,
    tex_file,
    turned,
)

STAGES = ("before", "epoch_1", "selected", "last")


def correlation_tex(rows: Sequence[Row]) -> str:
    """Table 8: for each setting a table for each stage that exists, rho as mean (sd) over seeds.

    The last checkpoint has a table only where some training run has it and did not select it.
    """
    tables = []
    for setting, own in by(rows, lambda row: row.setting).items():
        last = _last_epochs(own)
        for stage in STAGES:
            found = [row for row in own if is_at(row, stage, last[row.model, row.task, row.seed])]
            if not found or (stage == "last" and all(row.selected for row in found)):
                continue
            title = (
                f"Spearman correlation of confidence scores with quality, {at_stage(stage)}{in_setting(setting)}"
            )
            own_cells = by(found, _key)
            caption = f"; {over_seeds([len(cell) for cell in own_cells.values()])}.{turned(found)}"
            cells = {key: _mean_rho(cell) for key, cell in own_cells.items()}
            tables.append(score_table(f"correlation-{stage}", setting, title, caption, found, cells))
    return tex_file("Task-level correlation by stage, as in the paper's Table 8.", rows, tables)


def change_tex(rows: Sequence[Row]) -> str:
    """Tables 1 and 6: for each setting and pair of checkpoints a table, change of rho as mean (sd) over seeds."""
    tables = []
    for (setting, from_, to), own in by(rows, lambda row: (row.setting, row.from_, row.to)).items():
        told = {key: _telling(cell) for key, cell in by(own, _key).items()}
        where = f"from {checkpoint_name(from_)} to {checkpoint_name(to)}{in_setting(setting)}"
        title = f"Change of the Spearman correlation with quality {where}"
        over = over_seeds([row.n_seeds for row in told.values()])
        caption = f"; {over}. {_marks(told.values())}{turned(own)}"
        cells = {
            key: mean_cell(
                row.mean,
                row.sd,
                marks=marked(row.p_anova_holm, "*") + marked(row.p_bootstrap_holm, r"\dagger"),
                note=_reason(row) if math.isnan(row.mean) else "",
            )
            for key, row in told.items()
        }
        tables.append(score_table(f"change-{from_}-{to}", setting, title, caption, own, cells))
    return tex_file("Change of the task-level correlation, as in the paper's Tables 1 and 6.", rows, tables)


def epoch_fall_tex(rows: Sequence[Row]) -> str:
    """Table 7: for each setting a table, the largest epoch-to-epoch fall of rho as mean (sd) over seeds."""
    tables = []
    for setting, own in by(rows, lambda row: row.setting).items():
        where = f"from one epoch to the next{in_setting(setting)}"
        title = f"Largest fall of the Spearman correlation with quality {where}"
        caption = f"; {over_seeds([row.n_seeds for row in own])}.{turned(own)}"
        note = "no two successive epochs at which every training run has a correlation"
        cells = {_key(row): mean_cell(row.mean, row.sd, note=note if math.isnan(row.mean) else "") for row in own}
        tables.append(score_table("epoch-fall", setting, title, caption, own, cells))
    return tex_file("Largest epoch-to-epoch fall, as in the paper's Table 7.", rows, tables)


def sample_size_tex(rows: Sequence[Row]) -> str:
    """For each family of settings a table: F of the ANOVA between numbers of training items, Holm's p."""
    tables = []
    for family, own in by(rows, lambda row: row.setting).items():
        compared = max((row.settings for row in own), key=len)
        title = f"Spearman correlation with quality by number of training items ({escape(compared)})"
        caption = (
            ": $F$ of a one-way ANOVA over training runs, and in brackets $p$ after Holm's correction over all "
            f"configurations of this table. $^{{*}}$ $p < {ALPHA}$."
        )
        cells = {_key(row): _tested(row, compared) for row in own}
        tables.append(score_table("sample-size", family, title, caption, own, cells))
    return tex_file("Correlation and the number of training items.", rows, tables)


def _key(row: Row | Row | Row | Row) -> Key:
    return row.model, row.task, row.score


def _last_epochs(rows: Iterable[Row]) -> dict[tuple[str, str, int], float]:
    last: dict[tuple[str, str, int], float] = {}
    for row in rows:
        run = (row.model, row.task, row.seed)
        last[run] = max(row.epoch, last.get(run, 0.0))
    return last


def _mean_rho(rows: Sequence[Row]) -> Cell:
    values = [row.spearman for row in rows if not math.isnan(row.spearman)]
    lacking = [row for row in rows if math.isnan(row.spearman)]
    reasons = "; ".join(dict.fromkeys(row.status.removesuffix(": no correlation") for row in lacking))
    if not values:
        return Cell(text="", note=reasons)
    note = f"over {len(values)} of {len(rows)} seeds, in the others {reasons}" if lacking else ""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return mean_cell(float(np.mean(values)), sd, note=note)


def _telling(rows: Sequence[Row]) -> Row:
    """The row of the recommended test: for another training run wherever there is one."""
    return min(rows, key=lambda row: row.ci_scope != "training")


def _reason(row: Row) -> str:
    return row.verdict.partition(":")[2].strip() or "undefined"


def _marks(rows: Iterable[Row]) -> str:
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


def _tested(row: Row, compared: str) -> Cell:
    if math.isnan(row.f):
        return Cell(text="", note="fewer than two sizes with defined correlations, or nothing varies over runs")
    text = f"{_f(row.f)} ({_p(row.p_anova_holm)}){superscript(marked(row.p_anova_holm, '*'))}"
    return Cell(text=text, note="" if row.settings == compared else f"{row.settings} only")


def _f(value: float) -> str:
    return r"$\infty$" if math.isinf(value) else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _p(value: float) -> str:
    return "--" if math.isnan(value) else "$<$0.001" if value < 0.001 else f"{value:.3f}"
