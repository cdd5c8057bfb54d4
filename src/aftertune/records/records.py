"""Records on disk (docs/records.md): read strictly, write atomically, refuse what cannot be analysed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aftertune.arguments import checked
from aftertune.errors import InputError
from aftertune.files.runfolder import RunFolder
from aftertune.records import jsonl as record_jsonl
from aftertune.records import parquet as record_parquet
from aftertune.records.fields import KEY, Part, check_values, join
from aftertune.stats.correlation import MIN_ITEMS
from aftertune.types import Records

_READERS = {".jsonl": record_jsonl.read_part, ".parquet": record_parquet.read_part}


def record_files(paths: Sequence[Path]) -> list[Path]:
    """The files that `paths` stand for, in order.

    A file is itself. A run folder, or the folder `records` in it: the files that belong to its run, none of them
    damaged. Another folder with a sub-folder `records`: the Parquet files in that. Any other folder: all its JSONL
    and Parquet files, by name.

    Raises
    ------
    InputError
        No such path, another kind of file, a folder without records, one file named twice.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if os.path.isdir(path):
            run = RunFolder(path.parent if path.name == "records" else path)
            if run.is_begun:
                sources = run.read().sources
                if sources is not None:
                    made_of = ", ".join(sources)
                    raise InputError(
                        f"an analysis, without records of its own: give its sources, {made_of}", file=path
                    )
                found += run.record_paths()
                continue
            folder, suffixes = path, tuple(_READERS)
            if (path / "records").is_dir():
                folder, suffixes = path / "records", (".parquet",)
            try:
                visible = [file for file in folder.iterdir() if not file.name.startswith(".")]
            except OSError as error:
                raise InputError(f"cannot be read: {error.strerror}", file=folder) from None
            files = sorted(file for file in visible if file.suffix in suffixes)
            if not files:
                kinds = " or ".join(f"*{suffix}" for suffix in suffixes)
                raise InputError(f"no records here: {kinds} files are wanted", file=folder)
            found += files
        elif not os.path.exists(path):  # also of names that are too long, or no names
            raise InputError("no such file or folder", file=path)
        elif path.suffix not in _READERS:
            raise InputError("neither .jsonl nor .parquet: convert or rename it", file=path)
        else:
            found.append(path)
    if not found:
        raise InputError("no records given: name a .jsonl or .parquet file, or a run folder")
    seen: set[Path] = set()
    for file in found:
        if file.resolve() in seen:
            raise InputError("given twice: name it once", file=file)
        seen.add(file.resolve())
    return found


@checked
def read_records(paths: str | Path | Sequence[str | Path]) -> Records:
    """Read records from JSONL and Parquet files, or from folders of them (`record_files`).

    A score that one file has and another has not is NaN in the rows of the other. Unknown fields are kept
    in `extra`.

    Raises
    ------
    InputError
        With the file and its line (JSONL) or row (Parquet): a required field is missing, a value of the
        wrong type (numbers and NaN as text, booleans as numbers, infinities), an epoch below 0, another
        split than test or validation, a truncated last line, a key (model, task, setting, seed, epoch,
        split, item_id) that stands twice, rows of one checkpoint that disagree about `selected`, two
        selected checkpoints of one training run, no row at all, no score at all.
    """
    given = [paths] if isinstance(paths, str | Path) else paths
    parts = []
    for file in record_files([Path(path) for path in given]):
        part = _READERS[file.suffix](file)
        if not len(part):
            raise InputError("no records in it", file=file)
        check_values(part)
        parts.append(part)
    columns = join(parts)
    if not columns["scores"]:
        raise InputError("no row has a score: fill the field 'scores'", file=parts[0].path)
    keys = pd.DataFrame({name: columns[name] for name in (*KEY, "selected")}).astype({"selected": bool})
    _check_unique(parts, keys)
    _check_selected(parts, keys)
    return Records(**columns)


def read_signatures(paths: Sequence[Path]) -> dict[str, str]:
    """What `write_records` was told about the scores in these files: id → signature.

    Where files differ about one score, its signatures are joined by " and ".
    """
    found: dict[str, dict[str, None]] = {}
    for file in record_files(paths):
        if file.suffix == ".parquet":
            for name, text in record_parquet.read_signatures(file).items():
                found.setdefault(name, {})[text] = None
    return {name: " and ".join(texts) for name, texts in found.items()}


def write_records(records: Records, path: Path, *, signatures: Mapping[str, str] | None = None) -> None:
    """Write records as Parquet, all or nothing.

    Parameters
    ----------
    signatures : id of a score (or name of a quality metric) → its signature, kept in the file's metadata
        together with our version.

    Raises
    ------
    ValueError
        No score at all, or an infinite number: `read_records` would refuse the file.
    """
    _check_writable(records)
    record_parquet.write(records, Path(path), signatures or {})


def to_jsonl(records: Records, path: Path) -> None:
    """Write records as JSON Lines, all or nothing; `ValueError` as for `write_records`."""
    _check_writable(records)
    record_jsonl.write(records, Path(path))


def check_enough_items(records: Records) -> None:
    """Refuse records in which a model × task × setting has fewer than three test items.

    Raises
    ------
    InputError
        Naming model and task. A single checkpoint with too few defined values is not refused here: its
        correlation is undefined, with that reason.
    """
    where = ["model", "task", "setting"]
    items = pd.DataFrame({name: getattr(records, name) for name in (*where, "item_id")})
    items["item_id"] = items["item_id"].where(records.split == "test")
    counts = items.groupby(where, sort=False)["item_id"].nunique()
    few = np.flatnonzero(counts < MIN_ITEMS)
    if len(few):
        (model, task, setting), n = counts.index[few[0]], int(counts.iloc[few[0]])
        what = f"model {model!r}, task {task!r}" + ("" if setting == "default" else f", setting {setting!r}")
        said = {0: "no test item", 1: "1 test item"}.get(n, f"{n} test items")
        raise InputError(f"{what}: {said}: a correlation needs at least {MIN_ITEMS}")


def _locate(parts: Sequence[Part], row: int) -> tuple[Part, int]:
    """The file of a row of all parts joined, and its number there."""
    for part in parts:
        if row < len(part):
            return part, row
        row -= len(part)
    raise IndexError(row)


def _check_unique(parts: Sequence[Part], keys: pd.DataFrame) -> None:
    columns = list(KEY)
    again = np.flatnonzero(keys.duplicated(columns))
    if not len(again):
        return
    row = int(again[0])
    part, at = _locate(parts, row)
    before, before_at = _locate(parts, int(np.argmax((keys[columns] == keys.loc[row, columns]).all(axis=1))))
    key = ", ".join(f"{name} {_show(part.columns[name][at])}" for name in KEY)
    part.refuse(at, f"the same record as in {before.where(before_at)} ({key}): keep one of them")


def _check_selected(parts: Sequence[Part], keys: pd.DataFrame) -> None:
    run = ["model", "task", "setting", "seed"]
    selected = keys["selected"].to_numpy()
    if not selected.any():
        return
    chosen = keys.groupby([*run, "epoch"], sort=False)["selected"].transform("any").to_numpy()
    odd = np.flatnonzero(chosen & ~selected)
    if len(odd):
        part, at = _locate(parts, int(odd[0]))
        part.refuse(
            at,
            f"'selected' is false here and true in other rows of epoch {_show(part.columns['epoch'][at])} of "
            f"this training run (model {_show(part.columns['model'][at])}, task "
            f"{_show(part.columns['task'][at])}, seed {part.columns['seed'][at]}): write the same in all",
        )
    picked = keys[selected].assign(row=np.flatnonzero(selected))
    first = picked.groupby(run, sort=False)[["epoch", "row"]].transform("first")
    other = np.flatnonzero(picked["epoch"] != first["epoch"])
    if len(other):
        part, at = _locate(parts, int(picked["row"].iloc[other[0]]))
        before, before_at = _locate(parts, int(first["row"].iloc[other[0]]))
        part.refuse(
            at,
            f"a second selected checkpoint of one training run (epoch {_show(part.columns['epoch'][at])}; "
            f"epoch {_show(before.columns['epoch'][before_at])} in {before.where(before_at)}): select one",
        )


def _show(value: object) -> str:
    return f"{value:g}" if isinstance(value, (float, np.floating)) else repr(value)


def _check_writable(records: Records) -> None:
    if not records.scores:
        raise ValueError("records without any score")
    numbers = {name: getattr(records, name) for name in ("epoch", "quality", "train_similarity")}
    for name, column in (*numbers.items(), *records.scores.items()):
        if np.isinf(column).any():
            raise ValueError(f"{name} is infinite in row {int(np.argmax(np.isinf(column)))}")
