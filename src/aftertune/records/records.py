"""Records on disk (docs/records.md): read strictly, write atomically, refuse what cannot be analysed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from aftertune.errors import InputError
from aftertune.records import jsonl as record_jsonl
from aftertune.records import parquet as record_parquet
from aftertune.records.fields import KEY, Part, check_values, join
from aftertune.types import Ints, Records

MIN_ITEMS = 3
_READERS = {".jsonl": record_jsonl.read_part, ".parquet": record_parquet.read_part}


def record_files(paths: Sequence[Path]) -> list[Path]:
    """The files that `paths` stand for, in order.

    A file is itself. A folder with a sub-folder `records` is a run folder: the Parquet files in that
    sub-folder. Any other folder: all its JSONL and Parquet files, by name.

    Raises
    ------
    InputError
        No such path, another kind of file, a folder without records, one file named twice.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            folder, suffixes = path, tuple(_READERS)
            if (path / "records").is_dir():
                folder, suffixes = path / "records", (".parquet",)
            visible = (file for file in folder.iterdir() if not file.name.startswith("."))
            files = sorted(file for file in visible if file.suffix in suffixes)
            if not files:
                kinds = " or ".join(f"*{suffix}" for suffix in suffixes)
                raise InputError(f"no records here: {kinds} files are wanted", file=folder)
            found += files
        elif not path.exists():
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


def read_records(paths: Sequence[Path]) -> Records:
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
    parts = []
    for file in record_files(paths):
        part = _READERS[file.suffix](file)
        if not len(part):
            raise InputError("no records in it", file=file)
        check_values(part)
        parts.append(part)
    columns = join(parts)
    if not columns["scores"]:
        raise InputError("no row has a score: fill the field 'scores'", file=parts[0].path)
    codes = {name: _codes(columns[name]) for name in (*KEY, "selected")}
    _check_unique(parts, codes)
    _check_selected(parts, codes, columns["selected"].astype(bool))
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
    group = _combine([_codes(getattr(records, name)) for name in ("model", "task", "setting")])
    test = records.split == "test"
    for code in np.unique(group):
        n = len(set(records.item_id[(group == code) & test]))
        if n < MIN_ITEMS:
            row = int(np.argmax(group == code))
            setting = records.setting[row]
            what = f"model {records.model[row]!r}, task {records.task[row]!r}"
            what += "" if setting == "default" else f", setting {setting!r}"
            items = {0: "no test item", 1: "1 test item"}.get(n, f"{n} test items")
            raise InputError(f"{what}: {items}: a correlation needs at least {MIN_ITEMS}")


def _codes(column: np.ndarray) -> Ints:
    """Equal values, equal numbers (not in the order of the values)."""
    if column.dtype != object:
        return np.unique(column, return_inverse=True)[1]
    known: dict[object, int] = {}
    return np.fromiter((known.setdefault(v, len(known)) for v in column), dtype=np.int64, count=len(column))


def _combine(codes: Sequence[Ints]) -> Ints:
    """One number for each distinct combination."""
    combined = np.zeros(len(codes[0]), dtype=np.int64)
    for code in codes:
        combined = np.unique(combined * (int(code.max()) + 1) + code, return_inverse=True)[1]
    return combined


def _locate(parts: Sequence[Part], row: int) -> tuple[Part, int]:
    for part in parts:
        if row < len(part):
            return part, row
        row -= len(part)
    raise IndexError(row)


def _check_unique(parts: Sequence[Part], codes: Mapping[str, Ints]) -> None:
    combined = _combine([codes[name] for name in KEY])
    order = np.argsort(combined, kind="stable")
    again = order[1:][combined[order[1:]] == combined[order[:-1]]]
    if not len(again):
        return
    row = int(again.min())
    part, at = _locate(parts, row)
    before, before_at = _locate(parts, int(np.argmax(combined == combined[row])))
    key = ", ".join(f"{name} {_show(part.columns[name][at])}" for name in KEY)
    part.refuse(at, f"the same record as in {before.where(before_at)} ({key}): keep one of them")


def _check_selected(parts: Sequence[Part], codes: Mapping[str, Ints], selected: np.ndarray) -> None:
    run = _combine([codes[name] for name in ("model", "task", "setting", "seed")])
    checkpoint = _combine([run, codes["epoch"]])
    chosen = np.zeros(int(checkpoint.max()) + 1, dtype=bool)
    chosen[checkpoint[selected]] = True
    if not chosen.any():
        return
    odd = chosen[checkpoint] & ~selected
    if odd.any():
        part, at = _locate(parts, int(np.argmax(odd)))
        part.refuse(
            at,
            f"'selected' is false here and true in other rows of epoch {_show(part.columns['epoch'][at])} of "
            f"this training run (model {_show(part.columns['model'][at])}, task "
            f"{_show(part.columns['task'][at])}, seed {part.columns['seed'][at]}): write the same in all",
        )
    rows = np.flatnonzero(selected)
    first = np.full(int(run.max()) + 1, -1)
    first[run[rows[::-1]]] = checkpoint[rows[::-1]]
    other = rows[checkpoint[rows] != first[run[rows]]]
    if len(other):
        part, at = _locate(parts, int(other[0]))
        before, before_at = _locate(parts, int(rows[np.argmax(run[rows] == run[other[0]])]))
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
