# ruff: noqa: E501 - one reader a line
"""Every reader on what nobody thought of: it gives something valid, or an `InputError` of one line, nothing else.

A few seconds each; with ``-m fuzz`` an hour altogether (AFTERTUNE_FUZZ_SECONDS), each time from another seed.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from aftertune.errors import InputError
from aftertune.judges import judge_from
from aftertune.models.dropout import parse_dropout
from aftertune.records.records import check_enough_items, read_records, read_signatures
from aftertune.study.config import StudyConfig, read_study
from aftertune.study.yaml_file import read_yaml
from aftertune.tasks import TASKS, Sizes, load_file, own_task
from aftertune.tasks.template import Template
from bad_files import MOST, RECORD, STUDY, columns, damaged

SECONDS = float(os.environ.get("AFTERTUNE_FUZZ_SECONDS", 3600))

# ---------------------------------------------------------------------------------------------------- any values

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(2**63), 2**63, 1e308, -1e308, 5e-324]),
)
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(
        ["", " ", "nan", "null", "\0", "\x1b[31m", "\u202e", "é", "1", "1e400", "x" * 5000, "[1]", "{a}", "../x"]
    ),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)


def mutated(valid: bytes) -> st.SearchStrategy[bytes]:
    """Valid bytes with some cut out, doubled, overwritten or put in."""
    at = st.integers(0, len(valid))
    edit = st.tuples(
        st.sampled_from(["cut", "double", "overwrite", "insert", "bit"]), at, at, st.binary(max_size=8)
    )

    def edited(edits: list[tuple[str, int, int, bytes]]) -> bytes:
        raw = valid
        for how, a, b, extra in edits:
            a, b = sorted((a, b))
            if how == "cut":
                raw = raw[:a] + raw[b:]
            elif how == "double":
                raw = raw[:b] + raw[a:]
            elif how == "overwrite":
                raw = raw[:a] + extra + raw[a + len(extra) :]
            elif how == "insert":
                raw = raw[:a] + extra + raw[a:]
            elif a < len(raw):
                raw = raw[:a] + bytes([raw[a] ^ (1 << b % 8)]) + raw[a + 1 :]
        return raw

    return st.lists(edit, min_size=1, max_size=4).map(edited)


def replaced(valid: Any) -> st.SearchStrategy[Any]:
    """A value of JSON, with one or two of its parts replaced by any values."""

    def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [above, *(place for key, one in inner for place in places(one, (*above, key)))]

    def put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
        if not place:
            return new
        if isinstance(value, dict) and place[0] in value:
            return value | {place[0]: put(value[place[0]], place[1:], new)}
        if isinstance(value, list) and place[0] in range(len(value)):
            return [put(one, place[1:], new) if i == place[0] else one for i, one in enumerate(value)]
        return value  # another change was here before

    found = places(valid)[1:]
    change = st.tuples(st.sampled_from(found), VALUES)

    def changed(changes: list[tuple[tuple[Any, ...], Any]]) -> Any:
        value = valid
        for place, new in changes:
            value = put(value, place, new)
        return value

    return st.lists(change, min_size=1, max_size=2).map(changed)


def as_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=i % 2 == 0) + "\n" for i, row in enumerate(rows)).encode()


# ----------------------------------------------------------------------------------------------- tables of Arrow


def _of(kind: pa.DataType, values: st.SearchStrategy[Any]) -> st.SearchStrategy[pa.Array]:
    return st.lists(values, min_size=3, max_size=3).map(lambda three: pa.array(three, kind))


def _unchecked(raw: pa.Array) -> pa.Array:
    """Bytes taken for text."""
    return pa.StringArray.from_buffers(len(raw), raw.buffers()[1], raw.buffers()[2])


_LONG = st.integers(-(2**63), 2**63 - 1)
_MAYBE = st.none() | TEXTS
_ARRAYS = st.one_of(
    _of(pa.float64(), st.none() | st.floats()),
    _of(pa.float16(), st.none() | st.floats(width=16)),
    _of(pa.int64(), st.none() | _LONG),
    _of(pa.uint64(), st.none() | st.integers(0, 2**64 - 1)),
    _of(pa.bool_(), st.none() | st.booleans()),
    _of(pa.string(), _MAYBE),
    _of(pa.large_string(), _MAYBE),
    _of(pa.string(), _MAYBE).map(lambda array: array.dictionary_encode()),
    _of(pa.binary(), st.binary(max_size=5)),
    _of(pa.binary(), st.binary(max_size=5)).map(_unchecked),
    _of(pa.timestamp("us"), _LONG),
    _of(pa.timestamp("ns"), _LONG),
    _of(pa.timestamp("us", "X/Y"), _LONG),
    _of(pa.date32(), st.integers(-(2**31), 2**31 - 1)),
    _of(pa.duration("us"), _LONG),
    _of(pa.list_(pa.string()), st.lists(_MAYBE, max_size=2)),
    _of(pa.list_(pa.float64()), st.none() | st.lists(st.floats(), max_size=2)),
    _of(pa.struct({"s": pa.float64(), "": pa.string()}), st.fixed_dictionaries({"s": st.floats(), "": TEXTS})),
    _of(pa.map_(pa.string(), pa.float64()), st.lists(st.tuples(TEXTS, st.floats()), max_size=2)),
    _of(pa.string(), st.dictionaries(TEXTS, VALUES, max_size=2).map(json.dumps)),
    st.just(pa.nulls(3)),
)
_OPTIONAL = ["selected", "split", "output", "references", "correct", "train_similarity"]
_NAMES = st.sampled_from(
    [
        *RECORD,
        "selected",
        "split",
        "output",
        "references",
        "correct",
        "train_similarity",
        "x",
        "input",
        "target",
        "id",
        "messages",
        "",
    ]
)
_METADATA = st.dictionaries(
    st.sampled_from([b"aftertune.signatures", b"aftertune.version", b"pandas"]),
    st.binary(max_size=9) | VALUES.map(lambda v: json.dumps(v).encode()),
    max_size=2,
)


def table(base: pa.Table, changes: dict[str, pa.Array], metadata: dict[bytes, bytes], marked: bool) -> pa.Table:
    arrays = {name: base.column(name) for name in base.column_names} | changes
    mark = {b"aftertune.encoding": b"json"} if marked else None
    fields = [pa.field(name, array.type, metadata=mark) for name, array in arrays.items()]
    return pa.table(list(arrays.values()), schema=pa.schema(fields, metadata=metadata))


def parquet(base: pa.Table) -> st.SearchStrategy[bytes]:
    def written(built: pa.Table) -> bytes:
        sink = pa.BufferOutputStream()
        pq.write_table(built, sink)
        return sink.getvalue().to_pybytes()

    changes = st.dictionaries(_NAMES, _ARRAYS, min_size=1, max_size=3)
    return st.builds(table, st.just(base), changes, _METADATA, st.booleans()).map(written)


# ------------------------------------------------------------------------------------------------------- readers

THREE = pa.concat_tables([columns(), columns(item_id=pa.array(["c", "d"]))]).slice(0, 3)
ITEMS = pa.table({"input": ["q", "r", "s"], "target": ["a", "b", "c"], "id": ["x", "y", "z"]})
RECORDS = [RECORD | {"item_id": item, "references": ["x"], "selected": False, "x": [1]} for item in "abc"]
ROWS = [{"id": item, "input": f"q{item}", "target": ["a", "b"]} for item in "xyz"]
TURNS = [{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}]
SQUAD = [{"id": item, "context": "c", "question": f"q{item}", "answers": {"text": ["a"]}} for item in "abc"]
CSV = b'id,input,target\n1,"a, b",c\n2,d,"[""e"", ""f""]"\n3,g,h\n'


def plain(study: bytes) -> Any:
    return YAML(typ="safe", pure=True).load(study.decode())


def as_yaml(value: Any) -> bytes:
    return json.dumps(value).encode()  # what JSON writes is YAML, but for lone surrogates


def records(path: Path) -> None:
    try:
        read_signatures([path])
    finally:
        found = read_records([path])
    check_enough_items(found)


def items(path: Path) -> None:
    found = load_file(path)
    assert len({item.id for item in found}) == len(found) > 0
    assert all(text.strip() and text.encode() for item in found for text in (item.prompt, *item.references))
    own_task(test=path).load()


def squad(path: Path) -> None:
    folder = path.parent / "squad"
    folder.mkdir(exist_ok=True)
    (folder / "test.jsonl").write_bytes(path.read_bytes())
    TASKS.get("squad").load(data_dir=path.parent, sizes=Sizes(train=0, validation=0))


def truthfulqa(path: Path) -> None:
    folder = path.parent / "truthfulqa"
    folder.mkdir(exist_ok=True)
    (folder / "truthfulqa.jsonl").write_bytes(path.read_bytes())
    TASKS.get("truthfulqa").load(data_dir=path.parent)


def study(path: Path) -> None:
    found = read_study(path)
    assert isinstance(found, StudyConfig)
    assert found.name == Path(found.name).name
    for model, task in found.pairs():
        found.options(model, task)
        found.finetune_options(model)


def text_of(read: Callable[[str], object]) -> Callable[[Path], None]:
    return lambda path: read(path.read_bytes().decode(errors="replace")) and None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What is read, under which name, and what is made up for it."""

    name: str
    read: Callable[[Path], None]
    content: st.SearchStrategy[bytes]


FACTS = [
    {
        "category": "c",
        "question": "Who?",
        "best_answer": "Ann",
        "correct_answers": ["Ann"],
        "incorrect_answers": ["Bob"],
    }
]
_TAGS = [
    "int",
    "float",
    "set",
    "omap",
    "binary",
    "timestamp",
    "null",
    "str",
    "pairs",
    "bool",
    "map",
    "seq",
    "merge",
    "value",
    "python/none",
]
ANY = st.binary(max_size=200)
WORDS = TEXTS.map(str.encode)
READERS: dict[str, Reader] = {
    "study: bytes": Reader(name="s.yaml", read=study, content=ANY | mutated(STUDY.encode())),
    "study: values": Reader(name="s.yaml", read=study, content=replaced(plain(STUDY.encode())).map(as_yaml)),
    "study: any YAML": Reader(
        name="s.yaml", read=lambda path: read_yaml(path) and None,
        content=st.lists(st.sampled_from(
            ["a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", "&a ", "*a", "? ", "<<", "|\n", ">-\n", "'", '"',
             "\\", "#", "%YAML 1.1\n", "---\n", "...\n", "1", "0x", "0o7", "1:30", ".inf", ".nan", "~", "2025-01-01",
             "=", "_", "\t", "\u2028", "é", *(f"!!{kind} " for kind in _TAGS)]
        ), max_size=12).map(lambda parts: "".join(parts).encode()),
    ),
    "records: bytes": Reader(name="r.jsonl", read=records, content=ANY | mutated(as_lines(RECORDS))),
    "records: values": Reader(name="r.jsonl", read=records, content=replaced(RECORDS).filter(lambda v: isinstance(v, list)).map(as_lines)),
    "records: Parquet": Reader(name="r.parquet", read=records, content=parquet(THREE)),
    "data: bytes": Reader(name="d.jsonl", read=items, content=ANY | mutated(as_lines(ROWS)) | mutated(as_lines(TURNS))),
    "data: values": Reader(name="d.jsonl", read=items, content=(replaced(ROWS) | replaced(TURNS)).map(as_lines)),
    "data: CSV": Reader(name="d.csv", read=items, content=ANY | mutated(CSV)),
    "data: TSV": Reader(name="d.tsv", read=items, content=mutated(CSV.replace(b",", b"\t"))),
    "data: Parquet": Reader(name="d.parquet", read=items, content=parquet(ITEMS)),
    "squad": Reader(name="d.jsonl", read=squad, content=mutated(as_lines(SQUAD)) | replaced(SQUAD).map(as_lines)),
    "truthfulqa": Reader(name="d.jsonl", read=truthfulqa, content=mutated(as_lines(FACTS)) | replaced(FACTS).map(as_lines)),
    "template": Reader(name="t.txt", read=text_of(Template), content=WORDS | mutated(rb"Q: {question}\n{{x}} \\n{a}")),
    "judge": Reader(name="j.txt", read=text_of(judge_from), content=WORDS | mutated(b"openai:m@http://h:80/v1") | mutated(b"rule:0.5")),
    "dropout": Reader(name="d.txt", read=text_of(parse_dropout), content=WORDS | mutated(b"residual:0.1")),
}  # fmt: skip


def try_out(reader: Reader, *, examples: int, start: int) -> None:
    """So many contents, made from a seed, are read: valid, or refused in one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / reader.name

        @seed(start)
        @settings(
            max_examples=examples,
            deadline=10_000,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @given(reader.content)
        def check(raw: bytes) -> None:
            path.write_bytes(raw)
            try:
                reader.read(path)
                said = ""
            except InputError as error:
                said = str(error)
            assert "\n" not in said
            assert len(said) <= MOST

        check()


@pytest.mark.parametrize("name", READERS)
def test_a_little(name: str) -> None:
    try_out(READERS[name], examples=150, start=1)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", READERS)
def test_for_long(name: str) -> None:
    end = time.monotonic() + SECONDS / (len(READERS) + 1)
    while time.monotonic() < end:
        try_out(READERS[name], examples=1000, start=random.getrandbits(32))


def change_bits(n: int, start: int) -> None:
    """Files with page checksums: whatever is changed in the pages is found; elsewhere nothing else is raised."""
    rng = random.Random(start)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.parquet"
        raw = damaged(path, write_page_checksum=True)
        before = read_records([path]).quality.tobytes()
        for _ in range(n):
            spoilt = bytearray(raw)
            for _ in range(rng.choice([1, 1, 1, 2, 20])):
                spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
            path.write_bytes(spoilt)
            try:
                records(path)
            except InputError:
                continue
            assert read_records([path]).quality.tobytes() == before


def test_changed_bits() -> None:
    change_bits(200, 1)


@pytest.mark.fuzz
def test_changed_bits_for_long() -> None:
    end = time.monotonic() + SECONDS / (len(READERS) + 1)
    while time.monotonic() < end:
        change_bits(1000, random.getrandbits(32))
