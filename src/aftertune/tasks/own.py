"""The user's own files as items, and as a task like any other."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from aftertune.errors import InputError, shortened
from aftertune.quality import QUALITY
from aftertune.tasks import trl
from aftertune.tasks.rows import Row, as_text, read_rows, without_zeros
from aftertune.tasks.task import Origin, Selection, Sizes, Split, Task
from aftertune.tasks.template import Template
from aftertune.types import Check, Example

DEFAULT_QUALITY = "token_f1"


def load_file(
    path: str | Path,
    *,
    input: str = "input",
    target: str = "target",
    template: str | None = None,
    id_column: str = "id",
    limit: int | None = None,
) -> tuple[Example, ...]:
    """Items from a JSON Lines, CSV, TSV or Parquet file, in the order of the file.

    Parameters
    ----------
    path : .jsonl (or .ndjson), .csv, .tsv, .parquet.
    input : column that is the prompt, when there is no template. Where neither this nor `target` nor `template`
        is given and the file has no such columns, it may be in a format of TRL (`aftertune.tasks.trl`):
        "messages", or "prompt" and "completion".
    target : column with the reference: a text, or a list of texts of which the first is the training target. A
        cell of a CSV file that is a list of texts or numbers, as JSON or Python writes it, is such a list.
    template : the prompt with columns in braces: "Question: {question}\\nAnswer:"; doubled braces stand for
        themselves, and so does a doubled backslash before n or t; a single one makes a new line or a tab.
    id_column : column of unique ids. If it is the default and there is no such column, ids are
        "row-000000", "row-000001", … in the order of the file.
    limit : only the first `limit` items.

    Prompts are kept as they are, white space at their end included. Numbers are written as Python writes them,
    booleans as true and false; where a column holds whole numbers only, 1998.0 becomes 1998, and midnights become
    days where it holds nothing else. White space around targets is dropped.

    Raises
    ------
    InputError
        With file and line (Parquet: row): what `read_rows` refuses; a column that is missing or null;
        an empty prompt or target; a value that is neither text nor number; an id that is missing or stands
        twice; a template that cannot be read.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}: write 1 or more items")
    found = _read(path, input=input, target=target, template=template, id_column=id_column)
    return found.items[:limit]


GROUP = "group"
"""Column that says which items belong together, such as questions about one article."""

Groups = dict[tuple[str, str], str]
"""Id and prompt of an item → its group."""


def _read(
    path: str | Path,
    *,
    input: str,
    target: str,
    template: str | None,
    id_column: str,
    groups: Groups | None = None,
) -> Selection:
    """All items of a file, and what was taken for granted in reading it; `groups` is filled."""
    asked = None if template is None else Template(template)
    rows: list[Row] = list(read_rows(path))
    is_trl = _column_asked(rows[0], input, target, template) is not None
    columns = [id_column, target, *([input] if asked is None else asked.names)]
    rows, notes = without_zeros(rows, [] if is_trl else list(dict.fromkeys(columns)))
    if Path(path).suffix.lower() in (".csv", ".tsv") and not is_trl:
        rows, more = _with_lists(rows, target)
        notes += more
    examples: list[Example] = []
    first_use: dict[str, Row] = {}
    numbered = id_column == "id" and id_column not in rows[0].cells
    for row in rows:
        identifier = _identifier(row, id_column, numbered=numbered)
        if identifier in first_use:
            before = first_use[identifier]
            where = f"row {before.index + 1}" if before.line is None else f"line {before.line}"
            row.refuse(f"the id {identifier!r} stands already in {where}: ids are unique")
        first_use[identifier] = row
        if is_trl:
            example, note = trl.read(row, identifier)
            notes.append(note)
        else:
            prompt = _prompt(row, input, asked)
            example = Example(id=identifier, prompt=prompt, references=row.texts(target))
        examples.append(example)
        if groups is not None and GROUP not in (input, target) and row.cells.get(GROUP) is not None:
            groups[identifier, example.prompt] = row.text(GROUP)
    return Selection(items=tuple(examples), notes=tuple(dict.fromkeys(notes)), of_more=False)


def own_task(
    data: str | Path | None = None,
    *,
    train: str | Path | None = None,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    name: str | None = None,
    quality: str = DEFAULT_QUALITY,
    max_new_tokens: int = 128,
    sizes: Sizes | None = None,
    input: str = "input",
    target: str = "target",
    template: str | None = None,
    id_column: str = "id",
    allow_target: bool = False,
) -> Task:
    """A task made of the user's files, to be loaded like a registered one.

    Either `data`, one file that is cut into the three splits by the seed of `Task.load` and by `sizes` (a
    tenth each for validation and test where no size is given; items of one `GROUP`, or with the same prompt, stay
    together), or
    a file for each split: `test` alone for an audit; with `train` but no `validation`, validation is cut
    out of train.

    Parameters
    ----------
    name : default: the name of the file without its suffix.
    quality : id of a quality metric.
    sizes : numbers of items; all there are by default.
    input, target, template, id_column : see `load_file`.
    allow_target : whether prompts may hold the target column (`--allow-target-in-template`).

    Raises
    ------
    InputError
        The prompt holds the target; an unknown quality metric, files that do not fit together, a malformed
        template. What is wrong inside the files is raised when the task is loaded.
    """
    QUALITY.get(quality)
    if (data is None) == (train is None and validation is None and test is None):
        raise InputError("own data is either one file that is cut into splits, or a file for each split")
    if data is None and test is None:
        raise InputError("own data has no test file: give one, or one file that is cut into splits")
    if validation is not None and train is None:
        raise InputError("own data has a validation file but no training file")
    check = _target_check(input, target, template, allow=allow_target)
    sizes = sizes or Sizes()
    files: dict[Split, str | Path | None] = {"train": data or train, "validation": validation, "test": test}
    read_from = Path(data or test or "")

    def pool(split: Split, origin: Origin) -> tuple[Example, ...] | Selection | None:
        path = files[split]
        if path is None:
            return () if files["train"] is None else None
        return _read(path, input=input, target=target, template=template, id_column=id_column, groups=groups)

    groups: Groups = {}
    column = input
    if template is None:
        with suppress(InputError):  # raised when the task is loaded
            column = _column_asked(next(read_rows(read_from)), input, target, template) or input
    tests_only = files["train"] is None
    return Task(
        name=name or read_from.stem,
        title=name or read_from.stem,
        quality=quality,
        max_new_tokens=max_new_tokens,
        licence="the user's",
        source=str(read_from),
        prompt="{" + column + "}" if template is None else template,
        pool=pool,
        train=0 if tests_only else sizes.train,
        validation=0 if tests_only else sizes.validation,
        test=sizes.test,
        group=lambda example: groups.get((example.id, example.prompt), example.prompt),
        checks=(check,),
    )


def _target_check(input: str, target: str, template: str | None, *, allow: bool) -> Check:
    """Is the answer in the prompt? Refused unless that is allowed."""
    names = [input] if template is None else Template(template).names
    if target not in names:
        return Check(
            check="target in prompt", level="ok", value=0, message="the target column is not in the prompt"
        )
    where = "the input column is" if template is None else f"the template {shortened(template, 100)!r} contains"
    said = f"{where} the target column {target!r}, so that the model is shown the answer"
    if not allow:
        raise InputError(
            f"{said}: take it out, or allow it (--allow-target-in-template; in a study file "
            "allow_target_in_template: true)"
        )
    return Check(check="target in prompt", level="refused", value=1, message=said)


def _column_asked(first: Row, input: str, target: str, template: str | None) -> str | None:
    """The column of the prompt if the data is in a format of TRL and nothing else was asked for."""
    if (input, target, template) != ("input", "target", None) or {input, target} & set(first.cells):
        return None
    return trl.prompt_column(first)


def _with_lists(rows: Sequence[Row], target: str) -> tuple[list[Row], list[str]]:
    """The rows with lists in place of cells that hold one, and a note on those."""
    lists = [_list_in(row.cells.get(target, "")) for row in rows]
    found = [
        row if texts is None else replace(row, cells={**row.cells, target: texts})
        for row, texts in zip(rows, lists)
    ]
    n = sum(texts is not None for texts in lists)
    cells = f"{n:,} cell{'s' * (n > 1)} of {target!r} hold{'s' * (n == 1)}"
    return found, [f"{cells} a list: each of its elements counts as an answer"] if n else []


def _list_in(cell: str) -> list[Any] | None:
    """The texts and numbers of a list as JSON or Python writes it; None for any other cell."""
    cell = cell.strip()
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    try:
        values = json.loads(cell, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        try:
            with warnings.catch_warnings(action="ignore"):  # on backslashes
                values = ast.literal_eval(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    is_list = all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in values)
    return values if is_list else None


def _prompt(row: Row, input: str, template: Template | None) -> str:
    why, names = ("", [input]) if template is None else (", which the template names", template.names)
    values = {column: row.text(column, why=why) for column in names}
    if not any(value.strip() for value in values.values()):
        row.refuse(f"the prompt is empty: {' and '.join(map(repr, values))} without text")
    return values[input] if template is None else template.filled(values)


def _identifier(row: Row, id_column: str, *, numbered: bool) -> str:
    if numbered:
        if id_column in row.cells:
            row.refuse(f"has an {id_column!r} but earlier rows have none: give one to every row")
        return f"row-{row.index:06d}"
    identifier = as_text(row.cell(id_column))
    if identifier is None or not identifier.strip():
        row.refuse(f"{id_column!r} is empty or not a text: give every row its own id")
    return identifier
