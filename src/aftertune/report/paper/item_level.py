"""Our tables of the item level in the layout of the paper's Tables 2, 3, 4, 9, 10, 11 and 12.

The paper gives these of two scores, a table each; ours stand in one table, scores side by side or one below the
other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from aftertune.analysis.schema import Row
from aftertune.report.latex import Cell, Grid, Layout, escape
from aftertune.report.number_format import number_range
from aftertune.report.paper.layout import (
    ALPHA,
    Key,
    ScoreRow,
    by,
    checkpoint_name,
    in_setting,
    label,
    marked,
    model_tasks,
    scores_of,
    signed,
    superscript,
    table_label,
    tex_file,
)
from aftertune.stats.pairs import PairChanges, PairShares, case1_prevalence, mean_shares

NARROW = 12
"""Columns side by side, of numbers without a standard deviation."""

NO_ITEMS = "no item has quality and this score at both checkpoints"
NO_STEPS = "no whole epoch whose next checkpoint is one epoch later"

Step = TypeVar("Step", Row, Row)


def quadrants_tex(rows: Sequence[Row]) -> str:
    """Tables 2 and 9: for each setting and pair of checkpoints a table, four shares of each score."""
    tables = []
    for (setting, from_, to), own in by(rows, lambda row: (row.setting, row.from_, row.to)).items():
        n_seeds = number_range([row.n_seeds for row in own])
        title = (
            "Changes of single items that are concordant, relatively over-confident or relatively under-confident "
            f"from {checkpoint_name(from_)} to {checkpoint_name(to)}{in_setting(setting)}"
        )
        caption = (
            f"; shares of test items, {'one seed' if n_seeds == '1' else f'mean over {escape(n_seeds)} seeds'}. "
            "Cncd.: concordant; tied: those of them whose confidence or quality did not change; R.~Over: "
            "confidence rose and quality fell; R.~Under: the other way."
        )
        cells = {
            _key(row): {
                "Cncd.": row.concordant,
                "tied": row.tied,
                "R. Over": row.overconfident,
                "R. Under": row.underconfident,
            }
            for row in own
        }
        grid = _side_by_side(own, cells, digits=2, absent=NO_ITEMS)
        tables.append(_table(f"quadrants-{from_}-{to}", setting, title, caption, [grid]))
    return tex_file("Changes of single items, as in the paper's Tables 2 and 9.", rows, tables)


def direction_tex(rows: Sequence[Row]) -> str:
    """Table 3: for each setting a table, three shares of each score."""
    tables = []
    for setting, own in by(rows, lambda row: row.setting).items():
        title = f"Direction of change of single items from one epoch to the next, in per cent{in_setting(setting)}"
        caption = (
            "; mean over transitions $t$ to $t + 1$, $t \\geq 1$, and training runs. No: confidence did not "
            "increase; Yes/No: it increased and quality did not improve; Yes/Yes: both."
        )
        cells = {
            _key(row): {
                "No": row.confidence_not_increased,
                "Yes/No": row.increased_quality_not_improved,
                "Yes/Yes": row.both_increased,
            }
            for row in own
        }
        grid = _side_by_side(own, cells, digits=1, absent=NO_ITEMS)
        tables.append(_table("direction", setting, title, caption, [grid]))
    return tex_file("Direction of change by epoch, as in the paper's Table 3.", rows, tables)


def pairs_tex(rows: Sequence[Row]) -> str:
    """Tables 4 and 10: for each setting a table, four shares of each score; below them how common case 1 is."""
    tables, remarks = [], []
    for setting, own in by(rows, lambda row: row.setting).items():
        steps = _whole_steps(own)
        if not steps:
            remarks.append(_no_table(setting, NO_STEPS))
            continue
        title = (
            "What becomes of relatively correlated pairs of items from one epoch to the next, as shares of those "
            f"that are then tied in neither{in_setting(setting)}"
        )
        caption = (
            "; mean over transitions $t$ to $t + 1$, $t \\geq 1$, and training runs. The order of the two by "
            "quality / by confidence: Stays: same / same; Case 1: same / flips; Both: flips / flips; Case 2: "
            "flips / same. Below: the mean over the rows of case 1 / (case 1 + case 2), and in how many rows case "
            "1 is the larger."
        )
        means = {key: mean_shares(map(_changes, members)) for key, members in by(steps, _key).items()}
        cells = {
            key: {"Stays": one.stays, "Case 1": one.case1, "Both": one.both_flip, "Case 2": one.case2}
            for key, one in means.items()
        }
        grid = _side_by_side(own, cells, digits=2, absent="no pair to count", below=_prevalence(means))
        tables.append(_table("pairs", setting, title, caption, [grid]))
    return tex_file("Pairs by epoch, as in the paper's Tables 4 and 10.", rows, tables, remarks)


def case1_tex(rows: Sequence[Row]) -> str:
    """Table 11: for each setting a table, of each score a block; rows are epochs, columns task and model."""
    tables, remarks = [], []
    for setting, own in by(rows, lambda row: row.setting).items():
        steps = _whole_steps(own)
        if not steps:
            remarks.append(_no_table(setting, NO_STEPS))
            continue
        known = any(row.output_unchanged is not None for row in steps)
        what = "output" if known else "quality"
        title = (
            f"Share of case 1 pairs in which the worse item's {what} did not change but its confidence rose, or "
            f"the better item's {what} did not change but its confidence fell{in_setting(setting)}"
        )
        caption = "; from the epoch before to the one in the row, mean over seeds."
        if not known:
            caption += " By quality, because outputs are not known."
        groups = by(steps, lambda row: (row.score, row.to_epoch, row.model, row.task))
        cells = {place: _unchanged(members, by_output=known) for place, members in groups.items()}
        tables.append(_table("case1-unchanged", setting, title, caption, _by_epoch(steps, cells)))
    return tex_file("Case 1 pairs without a change of output, as in the paper's Table 11.", rows, tables, remarks)


def similarity_tex(rows: Sequence[Row]) -> str:
    """Table 12: for each setting a table, of each score a block; rows are epochs, columns task and model."""
    tables, remarks = [], []
    for setting, own in by(rows, lambda row: row.setting).items():
        groups = by(own, lambda row: (row.model, row.task))
        known = [row for members in groups.values() if any(row.n for row in members) for row in members]
        remarks += [
            f"Setting {setting}, {model}, {task}: {members[0].status}."
            for (model, task), members in groups.items()
            if not any(row.n for row in members)
        ]
        if not known:
            continue
        title = (
            "Spearman correlation of confidence with the largest cosine similarity of the item to a training item"
            f"{in_setting(setting)}"
        )
        caption = (
            f"; mean over seeds. $^{{*}}$ $p < {ALPHA}$ in every seed, by Student's $t$; $^{{\\dagger}}$ the same "
            "after Holm's correction over all rows of similarity.csv."
        )
        places = by(known, lambda row: (row.score, row.epoch, row.model, row.task))
        cells = {place: _similarity(members) for place, members in places.items()}
        tables.append(_table("similarity", setting, title, caption, _by_epoch(known, cells)))
    title = "Confidence and similarity to the training set, as in the paper's Table 12."
    return tex_file(title, rows, tables, remarks)


def _no_table(setting: str, reason: str) -> str:
    return f"No table for setting {setting}: {reason}."


def _key(row: Row | Row | Row) -> Key:
    return row.model, row.task, row.score


def _table(kind: str, setting: str, title: str, caption: str, grids: Sequence[Grid]) -> Layout:
    return Layout(label=table_label(kind, setting), title=title, caption=caption, grids=grids)


def _side_by_side(
    rows: Sequence[ScoreRow],
    values: Mapping[Key, Mapping[str, float]],
    *,
    digits: int,
    absent: str,
    below: Mapping[str, Mapping[str, tuple[str, str]]] | None = None,
) -> Grid:
    """Model and task rows, for each score the named columns; `below` them label → score → column and LaTeX."""
    scores = scores_of(rows)
    names = list(next(iter(values.values()), {}))
    lines: list[tuple[str, str] | None] = []
    cells: dict[tuple[str, str, str], Cell] = {}
    for i, (model, own) in enumerate(by(model_tasks(rows), lambda pair: pair[0]).items()):
        lines += [None] if i else []
        for model, task in own:
            line = f"{model}\t{task}"
            lines.append((line, f"{{}}{escape(model)}, {escape(task)}"))  # {}: a bracket would be read as a length
            for score in scores:
                for name, value in values.get((model, task, score), {}).items():
                    text = "" if math.isnan(value) else f"{value:.{digits}f}"
                    cells[line, score, name] = Cell(text=text, note="" if text else absent)
    for i, (title, found) in enumerate((below or {}).items()):
        lines += [] if i else [None]
        lines.append((title, title))
        blank = {(score, name): "{}" for score in scores for name in names}
        blank |= {(score, name): text for score, (name, text) in found.items()}
        cells |= {(title, score, name): Cell(text=text) for (score, name), text in blank.items()}
    return Grid(
        columns=[(score, name) for score in scores for name in names],
        rows=lines,
        cells=cells,
        absent=absent,
        heads={score: label(score) for score in scores},
        most_columns=NARROW,
    )


def _by_epoch(rows: Sequence[ScoreRow], cells: Mapping[tuple[str, float, str, str], Cell]) -> list[Grid]:
    """A block for each score: rows are epochs, columns tasks and the models that have them."""
    columns = [(task, model) for model, task in model_tasks(rows)]
    columns = [pair for task in dict.fromkeys(task for task, _ in columns) for pair in columns if pair[0] == task]
    grids = []
    for score in scores_of(rows):
        own = {place[1:]: cell for place, cell in cells.items() if place[0] == score}
        epochs = sorted({epoch for epoch, _, _ in own})
        grids.append(
            Grid(
                columns=columns,
                rows=[(f"{epoch:g}", f"{epoch:g}") for epoch in epochs],
                cells={(f"{epoch:g}", task, model): cell for (epoch, model, task), cell in own.items()},
                corner=(label(score), "Epoch"),
                most_columns=NARROW,
            )
        )
    return grids


def _whole_steps(rows: Iterable[Step]) -> list[Step]:
    """From a whole epoch t ≥ 1 to t + 1."""
    return [
        row
        for row in rows
        if row.from_epoch >= 1 and row.from_epoch.is_integer() and row.to_epoch == row.from_epoch + 1
    ]


def _changes(row: Row) -> PairChanges:
    return PairChanges(
        stays=row.stays, case1=row.case1, both_flip=row.both_flip, case2=row.case2, n_tied=row.n_tied
    )


def _prevalence(means: Mapping[Key, PairShares]) -> dict[str, dict[str, tuple[str, str]]]:
    share: dict[str, tuple[str, str]] = {}
    larger: dict[str, tuple[str, str]] = {}
    for score, keys in by(means, lambda key: key[2]).items():
        defined = [means[key] for key in keys if means[key].transitions]
        found = case1_prevalence([one.case1 for one in defined], [one.case2 for one in defined])
        if found.rows:
            share[score] = ("Case 1", f"{found.mean_share:.3f}")
            larger[score] = ("Case 1", f"{found.larger} of {found.rows}")
    return {"Case 1 of miscorrelated": share, "Case 1 larger": larger} if share else {}


def _unchanged(rows: Sequence[Row], *, by_output: bool) -> Cell:
    counts = [(row.output_unchanged if by_output else row.quality_unchanged, row.n_case1) for row in rows]
    shares = [count / n for count, n in counts if count is not None and n]
    if not shares:
        return Cell(
            text="", note="outputs not known" if any(count is None for count, _ in counts) else "no case 1 pair"
        )
    return Cell(text=f"{float(np.mean(shares)):.3f}", note=_some(len(shares), len(rows)))


def _similarity(rows: Sequence[Row]) -> Cell:
    defined = [row for row in rows if not math.isnan(row.spearman)]
    if not defined:
        return Cell(text="", note="; ".join(dict.fromkeys(row.status for row in rows)))
    marks = marked(max(row.p for row in defined), "*") + marked(max(row.p_holm for row in defined), r"\dagger")
    mean = float(np.mean([row.spearman for row in defined]))
    return Cell(text=f"{signed(mean)}{superscript(marks)}", note=_some(len(defined), len(rows)))


def _some(used: int, of: int) -> str:
    return "" if used == of else f"over {used} of {of} seeds"
