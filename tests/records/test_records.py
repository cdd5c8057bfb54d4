"""Reading and writing records: the format as documented, every refusal, round trips."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aftertune._version import __version__
from aftertune.errors import InputError
from aftertune.records.records import (
    check_enough_items,
    read_records,
    read_signatures,
    record_files,
    to_jsonl,
    write_records,
)
from aftertune.types import Records

ROOT = Path(__file__).resolve().parents[2]


def row(**changes: object) -> dict[str, object]:
    """A valid record; a value of ... leaves the field out."""
    base: dict[str, object] = {
        "model": "m",
        "task": "t",
        "seed": 0,
        "epoch": 0,
        "item_id": "a",
        "quality": 0.5,
        "scores": {"s": -1.0},
    }
    base |= changes
    return {name: value for name, value in base.items() if value is not ...}


def jsonl(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def parquet(path: Path, **columns: object) -> Path:
    """A valid two-row file, with columns replaced, added, or (None) left out."""
    base: dict[str, object] = {
        "model": ["m", "m"],
        "task": ["t", "t"],
        "seed": [0, 0],
        "epoch": [0.0, 0.0],
        "item_id": ["a", "b"],
        "quality": [0.5, None],
        "scores": [{"s": -1.0}, {"s": -2.0}],
    }
    base |= columns
    pq.write_table(pa.table({k: v for k, v in base.items() if v is not None}), path)
    return path


def same(a: Records, b: Records) -> None:
    for name in ("model", "task", "setting", "seed", "epoch", "selected", "split", "item_id", "output"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist(), name
    for name in ("references", "correct"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist(), name
    for name in ("quality", "train_similarity"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert list(a.scores) == list(b.scores)
    for name in a.scores:
        np.testing.assert_array_equal(a.scores[name], b.scores[name])
    assert {k: v.tolist() for k, v in a.extra.items()} == {k: v.tolist() for k, v in b.extra.items()}


def documented_example() -> str:
    page = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- example:begin -->\n```jsonl\n(.*?)```\n<!-- example:end -->", page, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_documented_example_is_read(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(documented_example(), encoding="utf-8")
    records = read_records([path])
    assert len(records) == 8
    assert records.item_id.tolist() == ["fr", "au", "us", "ch"] * 2
    assert records.epoch.tolist() == [0, 0, 0, 0, 3, 3, 3, 3]
    assert records.selected.tolist() == [False] * 4 + [True] * 4
    assert set(records.setting) == {"default"}
    assert set(records.split) == {"test"}
    assert records.quality.tolist() == [1, 0, 0.67, 0, 1, 1, 0, 0]
    assert records.references[2] == ("Washington, D.C.", "Washington DC")
    assert list(records.scores) == ["mean_token_logprob", "my_score"]
    assert np.isnan(records.scores["mean_token_logprob"]).tolist() == [False] * 3 + [True] + [False] * 4
    check_enough_items(records)


def test_defaults_and_unknown_fields(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "r.jsonl", row(note={"by": [1]}), row(item_id="b", quality=None, scores={"u": 2}))
    records = read_records([path])
    assert records.output.tolist() == records.references.tolist() == records.correct.tolist() == [None, None]
    assert np.isnan(records.train_similarity).all()
    assert records.quality[0] == 0.5
    assert np.isnan(records.quality[1])
    np.testing.assert_array_equal(records.scores["s"], [-1.0, np.nan])
    np.testing.assert_array_equal(records.scores["u"], [np.nan, 2.0])
    assert records.extra["note"].tolist() == [{"by": [1]}, None]


def test_files_with_different_scores(tmp_path: Path) -> None:
    first = jsonl(tmp_path / "a.jsonl", row(extra_a=1))
    second = parquet(tmp_path / "b.parquet", epoch=[1, 1], scores=[{"z": 1.0}, {"z": 2.0}])
    records = read_records([first, second])
    np.testing.assert_array_equal(records.scores["s"], [-1.0, np.nan, np.nan])
    np.testing.assert_array_equal(records.scores["z"], [np.nan, 1.0, 2.0])
    assert records.extra["extra_a"].tolist() == [1, None, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ...}, "the field 'model' is missing: write text"),
        ({"quality": ...}, "the field 'quality' is missing: write a number, or null where it is undefined"),
        ({"scores": ...}, "the field 'scores' is missing"),
        ({"seed": None}, "field 'seed' is null: write a whole number"),
        ({"seed": 1.0}, "field 'seed' is the number 1.0: write a whole number"),
        ({"seed": True}, "field 'seed' is the boolean true: write a whole number"),
        ({"seed": 2**63}, "field 'seed' is the number 9223372036854775808: write a whole number"),
        ({"epoch": "1"}, "field 'epoch' is the text '1': write the number without quotes, 1"),
        ({"epoch": -1}, "field 'epoch' is -1: write 0 for before fine-tuning"),
        ({"epoch": None}, "field 'epoch' is null: write a number"),
        ({"quality": "NaN"}, "field 'quality' is the text 'NaN': write null for an undefined value"),
        ({"quality": "0.5"}, "field 'quality' is the text '0.5': write the number without quotes, 0.5"),
        ({"quality": False}, "field 'quality' is the boolean false: write a number, or null"),
        ({"item_id": 7}, "field 'item_id' is the number 7: write text, \"7\""),
        ({"item_id": ""}, "field 'item_id' is empty: write a name"),
        ({"split": "train"}, "field 'split' is 'train': write 'test' or 'validation'"),
        ({"selected": 1}, "field 'selected' is the number 1: write true or false"),
        ({"correct": "yes"}, "field 'correct' is the text 'yes': write true or false"),
        ({"references": "Paris"}, "field 'references' is the text 'Paris': write a list of texts"),
        ({"references": [1]}, "field 'references' is the list [1]: write a list of texts"),
        ({"scores": {"s": "nan"}}, "field 'scores.s' is the text 'nan': write null for an undefined value"),
        ({"scores": {"s": True}}, "field 'scores.s' is the boolean true: write a number"),
        ({"scores": {"s": [1]}}, "field 'scores.s' is the list [1]: write a number"),
        ({"scores": {"": 1}}, "a score in 'scores' has an empty name"),
        ({"scores": [1]}, "field 'scores' is the list [1]: write an object of numbers"),
        ({"scores": None}, "field 'scores' is null: write an object of numbers"),
    ],
)
def test_refused_in_jsonl(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = jsonl(tmp_path / "r.jsonl", row(item_id="first"), row(**changes))
    with pytest.raises(InputError) as error:
        read_records([path])
    assert str(error.value).startswith(f"{path}, line 2: {message}")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_json_are_refused(tmp_path: Path, word: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(row(quality=12345)).replace("12345", word) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"r\.jsonl, line 1: "):
        read_records([path])


def test_truncated_last_line(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "r.jsonl", row(), row(item_id="b"))
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    with pytest.raises(InputError, match=r"line 2: the last line is cut short"):
        read_records([path])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"model": None}, "the column 'model' is missing: write text"),
        ({"scores": None}, "the column 'scores' is missing"),
        ({"scores": [1.0, 2.0]}, "the column 'scores' is of type double"),
        ({"task": ["t", None]}, "row 2: field 'task' is null: write text"),
        ({"item_id": [1, 2]}, "row 1: field 'item_id' is the number 1: write text"),
        ({"seed": [0.0, 1.0]}, "row 1: field 'seed' is the number 0.0: write a whole number"),
        ({"seed": pa.array([0, 2**63], pa.uint64())}, "row 2: field 'seed' is the number 92233720"),
        ({"quality": [None, "NaN"]}, "row 2: field 'quality' is the text 'NaN': write null"),
        ({"quality": [True, None]}, "row 1: field 'quality' is the boolean true: write a number"),
        ({"quality": [0.1, math.inf]}, "row 2: field 'quality' is infinite: write a number, or null"),
        ({"train_similarity": [0.1, -math.inf]}, "row 2: field 'train_similarity' is infinite"),
        ({"epoch": [0.0, math.nan]}, "row 2: field 'epoch' is NaN"),
        ({"epoch": [0.0, -0.5]}, "row 2: field 'epoch' is -0.5"),
        ({"split": ["test", "dev"]}, "row 2: field 'split' is 'dev'"),
        ({"selected": [0, 1]}, "row 1: field 'selected' is the number 0: write true or false"),
        ({"references": ["x", "y"]}, "row 1: field 'references' is the text 'x': write a list"),
        ({"references": [["x"], ["y", None]]}, "row 2: field 'references' is the list ['y', None]"),
        ({"scores": [{"s": "1"}, {"s": None}]}, "row 1: field 'scores.s' is the text '1': write the number"),
        ({"scores": [{"s": 1.0}, {"s": math.inf}]}, "row 2: field 'scores.s' is infinite: write a number"),
        ({"scores": [{"s": 1.0}, None]}, "row 2: field 'scores' is null"),
        ({"scores": ['{"s": 1}', '{"s": "x"}']}, "row 2: field 'scores.s' is the text 'x': write a number"),
        ({"scores": ['{"s": 1}', "{"]}, "row 2: field 'scores' is not JSON"),
        ({"scores": ['{"s": 1}', '{"s": 1, "s": 2}']}, "row 2: field 'scores': the key 's' stands twice"),
    ],
)
def test_refused_in_parquet(tmp_path: Path, columns: dict[str, object], message: str) -> None:
    path = parquet(tmp_path / "r.parquet", **columns)
    with pytest.raises(InputError) as error:
        read_records([path])
    assert str(error.value).startswith(f"{path}: {message}")


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    path = parquet(tmp_path / "r.parquet")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"not a whole Parquet file"):
        read_records([path])


MAP = pa.map_(pa.string(), pa.float64())


@pytest.mark.parametrize(
    "scores",
    [
        [{"s": -1.0, "u": None}, {"s": None, "u": 2.0}],
        pa.array([[("s", -1.0)], [("u", 2.0)]], MAP),
        pa.array([[("x", 9.0)], [("s", -1.0)], [("u", 2.0), ("s", None)]], MAP).slice(1),
        ['{"s": -1}', '{"u": 2.0, "s": null}'],
        pa.array([{"s": -1, "u": None}, {"s": None, "u": 2}], pa.struct({"s": pa.int32(), "u": pa.int8()})),
    ],
    ids=["struct", "map", "sliced map", "JSON", "struct of integers"],
)
def test_every_way_to_hold_scores_in_parquet(tmp_path: Path, scores: object) -> None:
    records = read_records([parquet(tmp_path / "r.parquet", scores=scores)])
    np.testing.assert_array_equal(records.scores["s"], [-1.0, np.nan])
    np.testing.assert_array_equal(records.scores["u"], [np.nan, 2.0])


def test_a_score_twice_in_a_map(tmp_path: Path) -> None:
    scores = pa.array([[("s", 1.0)], [("s", 1.0), ("s", 2.0)]], MAP)
    with pytest.raises(InputError, match=r"row 2: the score 's' stands twice"):
        read_records([parquet(tmp_path / "r.parquet", scores=scores)])


def test_categories_and_nan_of_numpy(tmp_path: Path) -> None:
    model = pa.array(["m", "m"]).dictionary_encode()
    path = parquet(tmp_path / "r.parquet", model=model, quality=np.array([0.5, np.nan]))
    records = read_records([path])
    assert records.model.tolist() == ["m", "m"]
    np.testing.assert_array_equal(records.quality, [0.5, np.nan])


def test_duplicates_name_both_places(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", row(), row(item_id="b"), row())
    with pytest.raises(InputError) as error:
        read_records([path])
    assert str(error.value).startswith(f"{path}, line 3: the same record as in {path}, line 1 (model 'm'")
    path = jsonl(tmp_path / "a.jsonl", row(item_id="c"), row(item_id="b"))
    other = parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError) as error:
        read_records([path, other])
    assert str(error.value).startswith(f"{other}: row 2: the same record as in {path}, line 2")


@pytest.mark.parametrize(
    "change",
    [{"model": "x"}, {"task": "x"}, {"setting": "x"}, {"seed": 1}, {"epoch": 0.5}, {"split": "validation"}],
)
def test_rows_that_differ_in_one_part_of_the_key_are_distinct(tmp_path: Path, change: dict[str, object]) -> None:
    assert len(read_records([jsonl(tmp_path / "r.jsonl", row(), row(**change))])) == 2


def test_selected_must_be_one_checkpoint_as_a_whole(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "r.jsonl", row(epoch=1, selected=True), row(epoch=1, item_id="b"))
    with pytest.raises(InputError, match=r"line 2: 'selected' is false here and true in other rows"):
        read_records([path])
    path = jsonl(tmp_path / "r.jsonl", row(epoch=1, selected=True), row(epoch=2, selected=True))
    with pytest.raises(InputError, match=r"line 2: a second selected checkpoint .*epoch 1 in .*line 1"):
        read_records([path])
    rows = [row(epoch=epoch, selected=epoch == seed + 1, seed=seed) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert read_records([jsonl(path, *rows)]).selected.tolist() == [False, True, False, False, False, True]


def test_folders(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "records").mkdir(parents=True)
    parquet(run / "records" / "b.parquet")
    parquet(run / "records" / "a.parquet")
    jsonl(run / "other.jsonl", row())
    (run / "records" / ".a.tmp.parquet").write_bytes(b"")
    assert record_files([run]) == [run / "records" / "a.parquet", run / "records" / "b.parquet"]
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(InputError, match=r"plain: no records here: \*\.jsonl or \*\.parquet"):
        read_records([plain])
    jsonl(plain / "x.jsonl", row(item_id="x"))
    parquet(plain / "y.parquet")
    (plain / "notes.txt").write_text("")
    assert record_files([plain]) == [plain / "x.jsonl", plain / "y.parquet"]
    assert read_records([plain]).item_id.tolist() == ["x", "a", "b"]


def test_paths_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        read_records([tmp_path / "absent.jsonl"])
    other = tmp_path / "r.csv"
    other.write_text("model\n")
    with pytest.raises(InputError, match=r"r\.csv: neither \.jsonl nor \.parquet"):
        read_records([other])
    with pytest.raises(InputError, match="no records given"):
        read_records([])
    path = jsonl(tmp_path / "r.jsonl", row())
    with pytest.raises(InputError, match=r"r\.jsonl: given twice"):
        read_records([path, tmp_path])


def test_nothing_in_it(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"empty\.jsonl: no records in it"):
        read_records([empty])
    with pytest.raises(InputError, match="no row has a score"):
        read_records([jsonl(tmp_path / "r.jsonl", row(scores={}))])
    path = parquet(tmp_path / "r.parquet")
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(InputError, match=r"r\.parquet: no records in it"):
        read_records([path])


def test_enough_items(tmp_path: Path) -> None:
    rows = [row(item_id=i, epoch=e) for i in "ab" for e in (0, 1)]
    rows += [row(item_id=i, split="validation") for i in "xyz"]
    records = read_records([jsonl(tmp_path / "r.jsonl", *rows)])
    with pytest.raises(InputError) as error:
        check_enough_items(records)
    assert str(error.value) == "model 'm', task 't': 2 test items: a correlation needs at least 3"
    with pytest.raises(InputError, match=r"model 'm', task 't': no test item:"):
        check_enough_items(records.take(records.split == "validation"))
    with pytest.raises(InputError, match=r"setting 'n=1': 1 test item:"):
        check_enough_items(
            read_records([jsonl(tmp_path / "r.jsonl", *(row(item_id=i) for i in "abc"), row(setting="n=1"))])
        )
    check_enough_items(read_records([jsonl(tmp_path / "r.jsonl", *(row(item_id=i) for i in "abc"))]))


def full() -> list[dict[str, object]]:
    return [
        row(
            setting="n=5",
            selected=True,
            split="validation",
            output="één “naam”\nline",
            references=["a", "b"],
            correct=True,
            train_similarity=0.25,
            scores={"s": -1.5, "u": None},
            whole=3,
            text="x",
            mixed=[1, {"k": None}],
        ),
        row(
            item_id="b",
            quality=None,
            references=[],
            correct=False,
            scores={"s": 1e-300},
            whole=None,
            mixed="y",
        ),
    ]


def test_round_trips(tmp_path: Path) -> None:
    records = read_records([jsonl(tmp_path / "a.jsonl", *full())])
    write_records(records, tmp_path / "b.parquet", signatures={"s": "s|version:1"})
    same(records, read_records([tmp_path / "b.parquet"]))
    to_jsonl(records, tmp_path / "c.jsonl")
    same(records, read_records([tmp_path / "c.jsonl"]))
    again = tmp_path / "d.parquet"
    write_records(records, again, signatures={"s": "s|version:1"})
    assert again.read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_what_a_parquet_file_holds(tmp_path: Path) -> None:
    records = read_records([jsonl(tmp_path / "a.jsonl", *full())])
    path = tmp_path / "b.parquet"
    write_records(records, path, signatures={"s": "s|version:1"})
    schema = pq.read_schema(path)
    assert schema.field("scores").type == pa.struct({"s": pa.float64(), "u": pa.float64()})
    assert schema.field("references").type == pa.list_(pa.string())
    assert schema.field("whole").type == pa.int64()
    assert schema.metadata[b"aftertune.version"].decode() == __version__
    assert pq.read_table(path).column("quality").to_pylist() == [0.5, None]
    assert pq.read_table(path).column("scores").to_pylist() == [
        {"s": -1.5, "u": None},
        {"s": 1e-300, "u": None},
    ]


def test_signatures(tmp_path: Path) -> None:
    records = read_records([jsonl(tmp_path / "a.jsonl", row())])
    write_records(records, tmp_path / "a.parquet", signatures={"s": "s|version:1", "q": "q|version:1"})
    other = read_records([jsonl(tmp_path / "b.jsonl", row(epoch=1))])
    write_records(other, tmp_path / "b.parquet", signatures={"s": "s|version:2"})
    foreign = parquet(tmp_path / "c.parquet")
    assert read_signatures([tmp_path / "a.parquet", tmp_path / "b.parquet", foreign]) == {
        "s": "s|version:1 and s|version:2",
        "q": "q|version:1",
    }
    assert read_signatures([tmp_path / "a.jsonl"]) == {}


def test_what_reading_would_refuse_is_not_written(tmp_path: Path) -> None:
    records = read_records([jsonl(tmp_path / "a.jsonl", row())])
    path = tmp_path / "b.parquet"
    columns = {name: getattr(records, name) for name in Records.__dataclass_fields__}
    for change, message in (
        ({"scores": {}}, "without any score"),
        ({"scores": {"s": np.array([np.inf])}}, "s is infinite in row 0"),
        ({"quality": np.array([-np.inf])}, "quality is infinite in row 0"),
    ):
        with pytest.raises(ValueError, match=message):
            write_records(Records(**columns | change), path)
        with pytest.raises(ValueError, match=message):
            to_jsonl(Records(**columns | change), path)
    assert not path.exists()
