"""Our tables of AUROC in the layout of the paper's Table 5, and of its change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from aftertune.analysis.schema import Row
from aftertune.report.latex import Cell, Grid, Layout, escape
from aftertune.report.number_format import number_range
from aftertune.report.outcome import is_at
from aftertune.report.paper.layout import (
    ALPHA,
    by,
    checkpoint_name,
    in_setting,
    label,
    marked,
    mean_cell,
    over_seeds,
    score_table,
    table_label,
    tex_file,
)
from aftertune.report.paper.names import in_paper_order

_HEADS = {"before": "Pre", "epoch_1": "1 Ep", "selected": "Full", "last": "Last"}
_MEANING = {
    "before": "before fine-tuning",
    "epoch_1": "after epoch 1",
    "selected": "selected checkpoint",
    "last": "last checkpoint",
}
_UP, _DOWN = r"~$\uparrow$", r"~$\downarrow$"

Stages = dict[str, list[Row]]
"""Checkpoint → its rows over seeds; one or two, in order."""


def downstream_tex(rows: Sequence[Row]) -> str:
    """Table 5: for each setting and task a table; score rows, of each model the checkpoint before and after."""
    tables = []
    for (setting, task), own in by(rows, lambda row: (row.setting, row.task)).items():
        groups = {model: _stages(members) for model, members in by(own, lambda row: row.model).items()}
        title = f"AUROC of confidence scores, right against wrong answers, {escape(task)}{in_setting(setting)}"
        n = [len({row.seed for row in found}) for stages in groups.values() for found in stages.values()]
        used = [name for name in _HEADS if any(name in stages for stages in groups.values())]
        heads = "; ".join(f"{_HEADS[name]}: {_MEANING[name]}" for name in used)
        arrows = " Arrows: the second against the first." if any(len(s) > 1 for s in groups.values()) else ""
        caption = f"; {'one seed' if max(n) == 1 else 'mean over seeds'}. {heads}.{arrows}{_right_answers(groups)}"
        grid, key = _grid(own, groups), table_label(f"auroc-{task}", setting)
        tables.append(Layout(label=key, title=title, caption=caption, grids=[grid]))
    return tex_file('AUROC of "the answer is correct", as in the paper\'s Table 5.', rows, tables)


def downstream_change_tex(rows: Sequence[Row]) -> str:
    """For each setting and pair of checkpoints a table, change of AUROC as mean (sd) over seeds, as Table 1."""
    tables = []
    for (setting, from_, to), own in by(rows, lambda row: (row.setting, row.from_, row.to)).items():
        told = {
            key: min(cell, key=lambda row: row.ci_scope != "training")
            for key, cell in by(own, lambda row: (row.model, row.task, row.score)).items()
        }
        title = f"Change of AUROC from {checkpoint_name(from_)} to {checkpoint_name(to)}{in_setting(setting)}"
        caption = (
            f"; {over_seeds([row.n_seeds for row in told.values()])}. $^{{\\dagger}}$ paired bootstrap over test "
            f"items, for another training run where there are at least two seeds, $p < {ALPHA}$ after Holm's "
            "correction over configurations."
        )
        cells = {
            key: mean_cell(
                row.mean,
                row.sd,
                marks=marked(row.p_bootstrap_holm, r"\dagger"),
                note=row.status if math.isnan(row.mean) else "",
            )
            for key, row in told.items()
        }
        tables.append(score_table(f"auroc-change-{from_}-{to}", setting, title, caption, own, cells))
    return tex_file("Change of AUROC between checkpoints.", rows, tables)


def _right_answers(groups: dict[str, Stages]) -> str:
    """How many answers of each model are right at each of its checkpoints; ranges over seeds and scores."""
    told = []
    for model, stages in groups.items():
        judged = {name: [row for row in found if row.n] for name, found in stages.items()}
        counts = [
            f"{number_range([row.n_correct for row in found])} of {number_range([row.n for row in found])} "
            f"({_HEADS[name]})"
            for name, found in judged.items()
            if found
        ]
        told += [escape(f"{model} {', '.join(counts)}")] if counts else []
    if not told:
        return ""
    few = "Few right, or few wrong, leave an AUROC uncertain: intervals are in"
    return rf" Right answers: {'; '.join(told)}. {few} \texttt{{downstream.csv}}."


def _stages(rows: Sequence[Row]) -> Stages:
    """Before fine-tuning, else epoch 1; and the selected checkpoint, else the last; of one model."""
    last = {seed: max(row.epoch for row in own) for seed, own in by(rows, lambda row: row.seed).items()}
    at = {name: [row for row in rows if is_at(row, name, last[row.seed])] for name in _HEADS}
    start, end = ("before" if at["before"] else "epoch_1"), ("selected" if at["selected"] else "last")
    if at[start] == at[end]:  # one checkpoint, of which there is only one thing to say
        start = end
    return {name: at[name] for name in (start, end) if at[name]}


def _grid(rows: Sequence[Row], groups: dict[str, Stages]) -> Grid:
    theirs, others = in_paper_order(row.score for row in rows)
    between: list[tuple[str, str] | None] = [None] if theirs and others else []
    cells: dict[tuple[str, str, str], Cell] = {}
    for model, stages in groups.items():
        by_score = {name: by(found, lambda row: row.score) for name, found in stages.items()}
        for score in (*theirs, *others):
            before = math.nan
            for name, found in by_score.items():
                mean, cell = _cell(found.get(score, []), before)
                cells[score, model, _HEADS[name]] = cell
                before = mean
    return Grid(
        columns=[(model, _HEADS[name]) for model, stages in groups.items() for name in stages],
        rows=[*((name, label(name)) for name in theirs), *between, *((name, label(name)) for name in others)],
        cells=cells,
        most_columns=8,
    )


def _cell(rows: Iterable[Row], before: float) -> tuple[float, Cell]:
    """Mean over the seeds in which it is defined, with an arrow if it is another than `before` (NaN for none)."""
    rows = list(rows)
    values = [row.auroc for row in rows if not math.isnan(row.auroc)]
    reasons = "; ".join(dict.fromkeys(_reason(row) for row in rows if math.isnan(row.auroc)))
    if not values:
        return math.nan, Cell(text="", note=reasons or "not measured")
    mean = float(np.mean(values))
    arrow = "" if math.isnan(before) or mean == before else _UP if mean > before else _DOWN
    note = f"over {len(values)} of {len(rows)} seeds, in the others {reasons}" if reasons else ""
    return mean, Cell(text=f"{mean:.3f}{arrow}", note=note)


def _reason(row: Row) -> str:
    return row.status.partition("; ")[0].partition(":")[0]
