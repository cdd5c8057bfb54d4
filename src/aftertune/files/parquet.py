"""Parquet files, read as if somebody had made them to do harm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aftertune.errors import InputError, first_line
from aftertune.files.reading import MOST_BYTES, MOST_COLUMNS, Unreadable, check_file

MOST_ROWS = 20_000_000
ROWS_AT_ONCE = 1024
"""A file of some kilobytes may hold one long text in all its rows: few are unpacked before they are counted."""
UNREADABLE = (pa.ArrowException, OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError)
"""What pyarrow raises on damaged files, and on values that Python does not have, such as dates after 9999."""


def open_parquet(path: Path) -> pq.ParquetFile:
    """The file, its page checksums (where it has any) to be verified.

    Raises
    ------
    InputError
        What `check_file` refuses; damaged, or another format; a column that stands twice; more than `MOST_ROWS`
        rows, `MOST_COLUMNS` columns or `MOST_BYTES` bytes once unpacked.
    """
    beginning = check_file(path, text=False)
    try:
        if not beginning.startswith((b"PAR1", b"PARE")):
            raise ValueError("it begins otherwise")
        file = pq.ParquetFile(path, page_checksum_verification=True)
        names, metadata = file.schema_arrow.names, file.metadata
        size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    except UNREADABLE as error:
        raise _damaged(path, error) from None
    twice = next((name for name, n in Counter(names).items() if n > 1), None)
    if twice is not None:
        raise InputError(f"the column {twice!r} stands twice", file=path)
    for n, most, what in (
        (metadata.num_rows, MOST_ROWS, "rows"),
        (metadata.num_columns, MOST_COLUMNS, "columns"),
        (size, MOST_BYTES, "bytes once unpacked"),
    ):
        if n > most:
            raise InputError(f"has {n:,} {what}, more than {most:,}: divide it", file=path)
    return file


def batches(path: Path, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """All rows, some at a time; `InputError` where they are damaged, or unpack to more than `MOST_BYTES` bytes."""
    size = 0
    try:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            size += sum(map(_unpacked, batch.columns))
            if size > MOST_BYTES:
                raise InputError(f"unpacks to more than {MOST_BYTES:,} bytes: divide it", file=path)
            yield batch
    except UNREADABLE as error:
        raise _damaged(path, error) from None


def _unpacked(column: Any) -> int:
    """Bytes of a column, its dictionary (if any) replaced by what it stands for."""
    if not pa.types.is_dictionary(column.type):
        return column.nbytes
    try:
        lengths = pc.call_function("binary_length", [column.dictionary])
        return pc.call_function("sum", [lengths.take(column.indices)]).as_py() or 0
    except pa.ArrowException:  # a dictionary of something else than texts
        return column.nbytes


def python_value(scalar: Any) -> Any:
    """The value of an Arrow scalar, or an `Unreadable`."""
    try:
        return scalar.as_py()
    except UNREADABLE as error:
        return Unreadable(first_line(error)[:120])


def python_values(array: Any) -> list[Any]:
    """The values of an Arrow array, those that Python does not have as `Unreadable`."""
    try:
        return array.to_pylist()
    except UNREADABLE:
        return list(map(python_value, array))


def _damaged(path: Path, error: Exception) -> InputError:
    if isinstance(error, MemoryError):  # pyarrow's own is an ArrowException too
        raise error
    why = first_line(error)[:120]
    return InputError(f"not a whole Parquet file: cut short, damaged, or another format ({why})", file=path)
