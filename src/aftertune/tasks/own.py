"""The user's own files as items, and as a task like any other."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from aftertune.errors import InputError
from aftertune.quality import QUALITY
from aftertune.tasks.fields import Row, as_text
from aftertune.tasks.files import read_rows
from aftertune.tasks.task import Origin, Sizes, Split, Task
from aftertune.tasks.template import Template
from aftertune.types import Example

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
    """Items from a JSON Lines, CSV or Parquet file, in the order of the file.

    Parameters
    ----------
    path : .jsonl (or .ndjson), .csv, .parquet.
    input : column that is the prompt, when there is no template.
    target : column with the reference: a text, or a list of texts of which the first is the training target.
    template : the prompt with columns in braces: "Question: {question}\\nAnswer:"; doubled braces stand for
        themselves, and so does a doubled backslash before n or t; a single one makes a new line or a tab.
    id_column : column of unique ids. If it is the default and there is no such column, ids are
        "row-000000", "row-000001", … in the order of the file.
    limit : only the first `limit` items.

    Prompts are kept as they are, white space at their end included. Numbers are written as Python writes them,
    booleans as true and false. White space around targets is dropped.

    Raises
    ------
    InputError
        With file and line (Parquet: row): what `read_rows` refuses; a column that is missing or null;
        an empty prompt or target; a value that is neither text nor number; an id that is missing or stands
        twice; a template that cannot be read.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}: write 1 or more items")
    asked = None if template is None else Template(template)
    examples: list[Example] = []
    first_use: dict[str, Row] = {}
    numbered = False
    for row in islice(read_rows(path), limit):
        if row.index == 0:
            numbered = id_column == "id" and id_column not in row.cells
        identifier = _identifier(row, id_column, numbered=numbered)
        if identifier in first_use:
            before = first_use[identifier]
            where = f"row {before.index + 1}" if before.line is None else f"line {before.line}"
            row.refuse(f"the id {identifier!r} stands already in {where}: ids are unique")
        first_use[identifier] = row
        prompt = _prompt(row, input, asked)
        examples.append(Example(id=identifier, prompt=prompt, references=row.texts(target)))
    return tuple(examples)


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
) -> Task:
    """A task made of the user's files, to be loaded like a registered one.

    Either `data`, one file that is cut into the three splits by the seed of `Task.load` and by `sizes` (a
    tenth each for validation and test where no size is given; items with the same prompt stay together), or
    a file for each split: `test` alone for an audit; with `train` but no `validation`, validation is cut
    out of train.

    Parameters
    ----------
    name : default: the name of the file without its suffix.
    quality : id of a quality metric.
    sizes : numbers of items; all there are by default.
    input, target, template, id_column : see `load_file`.

    Raises
    ------
    InputError
        An unknown quality metric, files that do not fit together, a malformed template. What is wrong inside
        the files is raised when the task is loaded.
    """
    QUALITY.get(quality)
    if (data is None) == (train is None and validation is None and test is None):
        raise InputError("own data is either one file that is cut into splits, or a file for each split")
    if data is None and test is None:
        raise InputError("own data has no test file: give one, or one file that is cut into splits")
    if validation is not None and train is None:
        raise InputError("own data has a validation file but no training file")
    if template is not None:
        Template(template)
    sizes = sizes or Sizes()
    files: dict[Split, str | Path | None] = {"train": data or train, "validation": validation, "test": test}
    read_from = Path(data or test or "")

    def pool(split: Split, origin: Origin) -> tuple[Example, ...] | None:
        path = files[split]
        if path is None:
            return () if files["train"] is None else None
        return load_file(path, input=input, target=target, template=template, id_column=id_column)

    tests_only = files["train"] is None
    return Task(
        name=name or read_from.stem,
        title=name or read_from.stem,
        quality=quality,
        max_new_tokens=max_new_tokens,
        licence="the user's",
        source=str(read_from),
        prompt="{" + input + "}" if template is None else template,
        pool=pool,
        train=0 if tests_only else sizes.train,
        validation=0 if tests_only else sizes.validation,
        test=sizes.test,
    )


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
