"""Records as Parquet: one row a record, `scores` a struct of doubles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aftertune._version import __version__
from aftertune.errors import InputError, first_line
from aftertune.files.atomic import atomic_write_bytes
from aftertune.files.jsonl import parse_json
from aftertune.files.parquet import UNREADABLE, batches, open_parquet, python_value
from aftertune.records.fields import (
    FIELDS,
    KNOWN,
    Field,
    Part,
    ScoreCollector,
    missing,
    objects,
    refuse,
    score_field,
    wrong,
)
from aftertune.types import Floats, Records, Texts

VERSION_KEY, SIGNATURES_KEY = b"aftertune.version", b"aftertune.signatures"
_JSON_MARK = {b"aftertune.encoding": b"json"}
_ARROW = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "texts": pa.list_(pa.string()),
}


def read_signatures(path: Path) -> dict[str, str]:
    """The signatures that `write` left in the file; empty for a file that something else wrote."""
    with open_parquet(path) as file:
        raw = (file.schema_arrow.metadata or {}).get(SIGNATURES_KEY, b"{}")
    try:
        found = parse_json(raw.decode())
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise InputError(
            "its signatures (in the metadata) are damaged: write it again, or without them", file=path
        )
    return found


def read_part(path: Path) -> Part:
    """The rows of a Parquet file; `InputError` with file and row for whatever a record cannot hold.

    NaN in a column of floats counts as null, since Parquet written from NumPy has no other null.
    """
    with open_parquet(path) as file:
        schema = file.schema_arrow
        table = pa.Table.from_batches(batches(path, file), schema)
    for name, column in zip(schema.names, table.columns):
        try:
            column.validate(full=True)
        except pa.ArrowException as error:
            raise InputError(
                f"the column {name!r} is damaged or not UTF-8 ({first_line(error)})", file=path
            ) from None
    columns = {field.name: _column(path, table, field) for field in FIELDS}
    return Part(
        path=path,
        place="row",
        number=np.arange(1, table.num_rows + 1),
        columns=columns,
        scores=_scores(path, table),
        extra={name: _extra(path, table, name) for name in schema.names if name not in KNOWN},
    )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _fits(field: Field, kind: pa.DataType) -> bool:
    if field.kind == "text":
        return _is_text(kind)
    if field.kind == "integer":
        return pa.types.is_integer(kind)
    if field.kind == "number":
        return pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if field.kind == "boolean":
        return pa.types.is_boolean(kind)
    return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_text(kind.value_type)


def _first_row(mask: pa.Array) -> int:
    return int(np.argmax(mask.to_numpy(zero_copy_only=False)))


def _checked(path: Path, field: Field, array: pa.Array) -> pa.Array:
    """The array in the Arrow type of the field; an error at the first value that does not fit."""
    if array.null_count == len(array):
        return pa.nulls(len(array), _ARROW[field.kind])
    if not _fits(field, array.type):
        row = _first_row(array.is_valid())
        refuse(path, "row", row + 1, wrong(field, python_value(array[row])))
    if pa.types.is_uint64(array.type) and field.kind == "integer":
        large = array.fill_null(0).to_numpy() >= 2**63
        if large.any():
            row = int(np.argmax(large))
            refuse(path, "row", row + 1, wrong(field, array[row].as_py()))
    return array.cast(_ARROW[field.kind], safe=False)


def _column(path: Path, table: pa.Table, field: Field) -> np.ndarray:
    m = table.num_rows
    if field.name not in table.column_names:
        if field.required:
            raise InputError(missing(field).replace("the field", "the column", 1), file=path)
        dtype = np.float64 if field.kind == "number" else object
        return np.full(m, field.default, dtype=dtype)
    array = _checked(path, field, _whole(table.column(field.name)))
    if array.null_count and field.required and not field.nullable:
        refuse(path, "row", _first_row(array.is_null()) + 1, wrong(field, None))
    if field.kind == "number":
        return _floats(array)
    if field.kind == "integer":
        return array.to_numpy(zero_copy_only=False)
    if field.kind == "text":
        encoded = array.dictionary_encode()
        words = [*encoded.dictionary.to_pylist(), field.default]
        words, codes = objects(words, len(words)), encoded.indices.fill_null(len(words) - 1).to_numpy()
        return words[codes]
    if field.kind == "boolean":
        values = array.fill_null(field.default) if field.default is not None else array
        return objects(values.to_pylist(), m)
    values = array.to_pylist()
    for row, value in enumerate(values):
        if value is not None and None in value:
            refuse(path, "row", row + 1, wrong(field, value))
    return objects((None if value is None else tuple(value) for value in values), m)


def _floats(array: pa.Array) -> Floats:
    return np.array(array.fill_null(np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)


def _scores(path: Path, table: pa.Table) -> dict[str, Floats]:
    if "scores" not in table.column_names:
        message = "the column 'scores' is missing: write a struct of doubles, or a map from text to double"
        raise InputError(message, file=path)
    array = _whole(table.column("scores"))
    if array.null_count:
        row = _first_row(array.is_null())
        refuse(path, "row", row + 1, "field 'scores' is null: write an object of numbers")
    if pa.types.is_struct(array.type):
        names = [array.type.field(i).name for i in range(array.type.num_fields)]
        if len(set(names)) < len(names):
            raise InputError("a score stands twice in 'scores'", file=path)
        children = zip(names, array.flatten())
        scores = {name: _floats(_checked(path, score_field(name), child)) for name, child in children}
    elif pa.types.is_map(array.type):
        scores = _map_scores(path, array)
    elif _is_text(array.type):
        scores = _json_scores(path, array)
    else:
        what = f"the column 'scores' is of type {array.type}"
        raise InputError(f"{what}: write a struct of doubles, or a map from text to double", file=path)
    if "" in scores:
        raise InputError("a score in 'scores' has an empty name", file=path)
    return scores


def _map_scores(path: Path, array: Any) -> dict[str, Floats]:
    offsets = array.offsets.to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(array)), np.diff(offsets))
    keys = array.keys[offsets[0] : offsets[-1]]
    if not (_is_text(keys.type) or len(keys) == 0):
        raise InputError(f"the keys of 'scores' are of type {keys.type}: write text", file=path)
    items = array.items[offsets[0] : offsets[-1]]
    valid = items.is_valid().to_numpy(zero_copy_only=False)
    if not _fits(score_field(""), items.type) and valid.any():
        first = int(np.argmax(valid))
        message = wrong(score_field(keys[first].as_py()), python_value(items[first]))
        refuse(path, "row", int(rows[first]) + 1, message)
    encoded = keys.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    numbers = _floats(items.cast(pa.float64(), safe=False))
    found = {}
    for code, name in enumerate(encoded.dictionary.to_pylist()):
        at = rows[codes == code]
        twice = np.flatnonzero(np.diff(at) == 0)
        if len(twice):
            refuse(path, "row", int(at[twice[0]]) + 1, f"the score {name!r} stands twice in 'scores'")
        found[name] = np.full(len(array), np.nan)
        found[name][at] = numbers[codes == code]
    return found


def _json_scores(path: Path, array: pa.Array) -> dict[str, Floats]:
    collector = ScoreCollector(path, "row")
    for row, value in enumerate(_parsed(path, "scores", array.to_pylist(), parse_json)):
        collector.add(row, row + 1, value)
    return collector.columns(len(array))


def _parsed(path: Path, name: str, texts: Sequence[str | None], parse: Callable[[str], Any]) -> Iterator[Any]:
    """The values of a column of JSON; None for null."""
    for row, text in enumerate(texts, start=1):
        try:
            yield None if text is None else parse(text)
        except json.JSONDecodeError as error:
            refuse(path, "row", row, f"field {name!r} is not JSON ({error.msg}, column {error.colno})")
        except (ValueError, RecursionError) as error:
            refuse(path, "row", row, f"field {name!r}: {error}")


def _extra(path: Path, table: pa.Table, name: str) -> Texts:
    """A column that is kept as it is; as text where Python has no such values (dates after 9999)."""
    column = table.column(name)
    try:
        try:
            values = column.to_pylist()
        except UNREADABLE:
            values = column.cast(pa.string()).to_pylist()
    except UNREADABLE as error:
        message = f"the column {name!r} cannot be read ({first_line(error)[:120]}): leave it out"
        raise InputError(message, file=path) from None
    if (table.schema.field(name).metadata or {}).items() >= _JSON_MARK.items() and _is_text(column.type):
        values = list(_parsed(path, name, values, json.loads))
    return objects(values, table.num_rows)


def write(records: Records, path: Path, signatures: Mapping[str, str]) -> None:
    """Write the records, with our version and the signatures in the metadata of the schema; atomic.

    NaN is written as null. A field that we do not know keeps its type where all its values are of one
    plain type, and is written as JSON text otherwise (marked, so that reading gives it back).
    """
    arrays, schema = [], []
    for field in FIELDS:
        values = getattr(records, field.name)
        if field.kind == "number":
            array = pa.array(values, mask=np.isnan(values))
        elif field.kind == "texts":
            array = pa.array([None if v is None else list(v) for v in values], _ARROW[field.kind])
        else:
            array = pa.array(values, _ARROW[field.kind])
        arrays.append(array)
        schema.append(pa.field(field.name, _ARROW[field.kind]))
    scores = [pa.array(column, pa.float64(), mask=np.isnan(column)) for column in records.scores.values()]
    arrays.append(pa.StructArray.from_arrays(scores, names=list(records.scores)))
    schema.append(pa.field("scores", arrays[-1].type))
    for name, column in records.extra.items():
        array, metadata = _extra_array(column)
        arrays.append(array)
        schema.append(pa.field(name, array.type, metadata=metadata))
    metadata = {
        VERSION_KEY: __version__.encode(),
        SIGNATURES_KEY: json.dumps(dict(signatures), sort_keys=True, ensure_ascii=False).encode(),
    }
    table = pa.Table.from_arrays(arrays, schema=pa.schema(schema, metadata=metadata))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    atomic_write_bytes(path, sink.getvalue().to_pybytes())


def _extra_array(column: Texts) -> tuple[pa.Array, dict[bytes, bytes] | None]:
    kinds = {type(value) for value in column if value is not None}
    if len(kinds) <= 1 and kinds <= {str, bool, float}:
        return pa.array(list(column)), None
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in column):
        return pa.array(list(column), pa.int64()), None
    texts = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in column]
    return pa.array(texts, pa.string()), _JSON_MARK
