"""What our tables in the paper's layout have in common: files, titles, captions, the numbers in a cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from aftertune import setting_names
from aftertune.report.latex import Cell, Grid, Layout, comment, escape, floats, slug, typewriter
from aftertune.report.number_format import number_range
from aftertune.report.outcome import CHECKPOINT_NAMES
from aftertune.report.paper.names import in_paper_order, name_in_paper, turned_in_paper

ALPHA = 0.05

Key = tuple[str, str, str]
"""Model, task, score."""

Item = TypeVar("Item")
Group = TypeVar("Group")


class ScoreRow(Protocol):
    """A row of any table."""

    @property
    def model(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def score(self) -> str: ...


def tex_file(title: str, rows: Sequence[ScoreRow], tables: Iterable[Layout], remarks: Iterable[str] = ()) -> str:
    """All tables one after the other, below comments on what they are."""
    lines = [comment(title), comment(r"Needs \usepackage{booktabs}."), comment("The scores by their ids:")]
    lines += [comment(f"  {name_in_paper(name) or 'not in the paper'}: {name}") for name in scores_of(rows)]
    lines += map(comment, remarks)
    return "".join(lines) + "\n" + "\n".join(map(floats, tables))


def scores_of(rows: Iterable[ScoreRow]) -> list[str]:
    """The paper's scores in its order, then the others."""
    return [name for part in in_paper_order(row.score for row in rows) for name in part]


def score_table(
    kind: str, setting: str, title: str, caption: str, rows: Sequence[ScoreRow], cells: dict[Key, Cell]
) -> Layout:
    """Score rows, model × task columns; scores in the paper's order, then those of others."""
    theirs, others = in_paper_order(row.score for row in rows)
    between: list[tuple[str, str] | None] = [None] if theirs and others else []
    grid = Grid(
        columns=model_tasks(rows),
        rows=[*((name, label(name)) for name in theirs), *between, *((name, label(name)) for name in others)],
        cells={(score, model, task): cell for (model, task, score), cell in cells.items()},
    )
    return Layout(label=table_label(kind, setting), title=title, caption=caption, grids=[grid])


def table_label(kind: str, setting: str) -> str:
    own = "" if setting == setting_names.DEFAULT else f"-{slug(setting)}"
    return f"tab:aftertune-{slug(kind)}{own}"


def label(score: str) -> str:
    """The paper's name, or the id."""
    return escape(name_in_paper(score)) or typewriter(score)


def turned(rows: Iterable[ScoreRow]) -> str:
    """What a reader who lays the paper's tables beside ours must know."""
    found = [label(name) for name in dict.fromkeys(row.score for row in rows) if turned_in_paper(name)]
    if not found:
        return ""
    listed = " and ".join(found)
    return f" Higher is more confident for every score; the paper gives {listed} with the opposite sign."


def model_tasks(rows: Iterable[ScoreRow]) -> list[tuple[str, str]]:
    """The pairs that have rows; those of a model are neighbours."""
    pairs = dict.fromkeys((row.model, row.task) for row in rows)
    return [pair for model in dict.fromkeys(model for model, _ in pairs) for pair in pairs if pair[0] == model]


def by(rows: Iterable[Item], key: Callable[[Item], Group]) -> dict[Group, list[Item]]:
    """Rows that have the same key, in order of appearance."""
    found: dict[Group, list[Item]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def marked(p: float, mark: str) -> str:
    return mark if p < ALPHA else ""


def superscript(marks: str) -> str:
    return f"$^{{{marks}}}$" if marks else ""


def mean_cell(mean: float, sd: float, *, marks: str = "", note: str = "") -> Cell:
    """Mean (sd), the decimal points below each other; no sd with one seed."""
    if math.isnan(mean):
        return Cell(text="", note=note)
    spread = "" if math.isnan(sd) else f" ({sd:.3f})"
    return Cell(text=f"{signed(mean)}{spread}{superscript(marks)}", note=note)


def signed(value: float) -> str:
    text = f"{abs(value):.3f}"
    return f"$-${text}" if round(value, 3) < 0 else rf"\phantom{{$-$}}{text}"


def over_seeds(n_seeds: Sequence[int]) -> str:
    n = number_range(list(n_seeds))
    if n == "1":
        return "one seed"
    return f"mean over {escape(n)} seeds with the standard deviation in brackets"


def checkpoint_name(checkpoint: str) -> str:
    name = CHECKPOINT_NAMES.get(checkpoint, checkpoint)
    return escape(f"the {name}" if checkpoint in ("selected", "last") else name)


def at_stage(stage: str) -> str:
    return {"before": "before fine-tuning", "epoch_1": "after epoch 1"}.get(
        stage
    ) or f"at {checkpoint_name(stage)}"


def in_setting(setting: str) -> str:
    return "" if setting == setting_names.DEFAULT else f", setting {typewriter(setting)}"
