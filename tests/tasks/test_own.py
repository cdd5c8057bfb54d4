"""The user's own files: what is read from each format, and every refusal with its file and line."""

import csv
import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aftertune.errors import InputError
from aftertune.tasks import Sizes, load_file, own_task
from aftertune.types import Example

ROWS = [
    {"input": "1 + 1?", "target": "2", "id": "x"},
    {"input": "Où?", "target": "là, là", "id": "y"},
    {"input": 'say "hi"\nthere', "target": "hi", "id": "z"},
]
ITEMS = (
    Example(id="x", prompt="1 + 1?", references=("2",)),
    Example(id="y", prompt="Où?", references=("là, là",)),
    Example(id="z", prompt='say "hi"\nthere', references=("hi",)),
)


DEEP = "[" * 100_000 + "]" * 100_000


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def text(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parquet(path, columns):
    pq.write_table(pa.table(columns), path)
    return path


class TestFormats:
    @pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".JSONL"])
    def test_jsonl(self, tmp_path, suffix):
        assert load_file(jsonl(tmp_path / f"own{suffix}", ROWS)) == ITEMS

    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_csv(self, tmp_path, mark, end):
        lines = [f"{mark}id,input,target", "x,1 + 1?,2", 'y,Où?,"là, là"', "", 'z,"say ""hi""\nthere",hi']
        assert load_file(text(tmp_path / "own.csv", end.join(lines) + end)) == ITEMS

    @pytest.mark.parametrize(
        ("name", "header", "line"),
        [
            ("a.csv", "input,target", '"why; so",a'),
            ("a.csv", "input;target", "why, so;a"),
            ("a.csv", "input\ttarget", "why; so,\ta"),
            ("a.tsv", "input\ttarget", "why; so,\ta"),
            ("a.CSV", '"in;put",input,target', "x,why,a"),
            ("a.csv", '"target","input"', '"a","why; so"'),
            ("a.csv", "input;target (a, b)", "why;a"),  # no row has two cells by commas
            ("a.csv", "input,target\r", "why,a\r"),
        ],
    )
    def test_what_parts_cells_is_found(self, tmp_path, name, header, line):
        target = "target (a, b)" if "(" in header else "target"
        (item,) = load_file(text(tmp_path / name, f"{header}\n{line}\n"), target=target)
        assert item.prompt.startswith("why")
        assert item.references == ("a",)

    def test_a_cell_as_long_as_a_document(self, tmp_path):
        before = csv.field_size_limit()
        long = "word " * 30_000 + "?"
        (item,) = load_file(text(tmp_path / "a.csv", f"input,target\n{long},a\n"))
        assert item.prompt == long
        assert len(long) > before == csv.field_size_limit()

    def test_parquet(self, tmp_path):
        columns = {key: [row[key] for row in ROWS] for key in ROWS[0]}
        assert load_file(parquet(tmp_path / "own.parquet", columns)) == ITEMS

    def test_several_references(self, tmp_path):
        rows = [{"input": "q", "target": ["a", " b "]}, {"input": "r", "target": "c"}]
        assert [e.references for e in load_file(jsonl(tmp_path / "a.jsonl", rows))] == [("a", "b"), ("c",)]
        path = parquet(tmp_path / "a.parquet", {"input": ["q"], "target": [["a", "b"]]})
        assert load_file(path)[0].references == ("a", "b")

    @pytest.mark.parametrize(
        ("cell", "references"),
        [
            ('["Paris", "the city"]', ("Paris", "the city")),
            ('[" a "]', ("a",)),
            ("[1.50, 7]", ("1.50", "7")),
            ("['Paris', \"it's\"]", ("Paris", "it's")),  # as pandas writes a list
            ("['\\d']", ("\\d",)),
            ("[sic]", ("[sic]",)),
            ("[1] and [2]", ("[1] and [2]",)),
            ('["a", null]', ('["a", null]',)),
            ('["a", ["b"]]', ('["a", ["b"]]',)),
            ("[true]", ("[true]",)),
            ('{"a": 1}', ('{"a": 1}',)),
            pytest.param(DEEP, (DEEP,), id="nested deeply"),
        ],
    )
    def test_lists_in_cells(self, tmp_path, cell, references):
        path = tmp_path / "a.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("input", "target"), (cell, cell), ("q", "plain")])
        first, second = load_file(path)
        assert (first.prompt, first.references) == (cell, references)
        assert second.references == ("plain",)
        note = "1 cell of 'target' holds a list: each of its elements counts as an answer"
        assert own_task(test=path).load().notes == ((note,) if references != (cell,) else ())

    def test_a_list_as_json_lines_has_it_as_text_is_text(self, tmp_path):
        path = jsonl(tmp_path / "a.jsonl", [{"input": "q", "target": '["a"]'}])
        assert load_file(path)[0].references == ('["a"]',)

    def test_whole_numbers_are_written_as_such(self, tmp_path):
        note = "1998.0 is read as 1998 in 'target', and all its like"
        for name, column in {
            "floats": pa.array([1998.0, -2.0]),
            "small floats": pa.array([1998.0, -2.0], pa.float32()),
            "half floats": pa.array(np.array([1998.0, -2.0], np.float16)),
            "lists": pa.array([[1998.0], [-2.0]]),
        }.items():
            path = parquet(tmp_path / f"{name}.parquet", {"input": ["q", "r"], "target": column, "id": [1.0, 2.0]})
            assert [(e.id, e.references) for e in load_file(path)] == [("1", ("1998",)), ("2", ("-2",))]
            assert note in own_task(test=path).load().notes
        path = jsonl(tmp_path / "a.jsonl", [{"input": "q", "target": 1998.0}, {"input": "r", "target": [-2, "x"]}])
        assert [e.references for e in load_file(path)] == [("1998",), ("-2", "x")]
        assert load_file(path, limit=1)[0].references == ("1998",)

    def test_other_numbers_are_written_as_they_are(self, tmp_path):
        for values, written in (
            ([1998.0, 2.5], ("1998.0", "2.5")),
            ([2.0**60, 1.0], ("1.152921504606847e+18", "1.0")),
            ([Decimal("1998.00"), Decimal("2.50")], ("1998.00", "2.50")),
            ([Decimal("1998.00"), Decimal("2.00")], ("1998", "2")),
        ):
            path = parquet(tmp_path / "a.parquet", {"input": ["q", "r"], "target": values})
            assert [e.target for e in load_file(path)] == list(written)
        path = text(tmp_path / "a.csv", "input,target\nq,1998.0\nr,2.0\n")  # of a CSV file every cell is a text
        assert [e.target for e in load_file(path)] == ["1998.0", "2.0"]
        path = parquet(tmp_path / "b.parquet", {"input": [1.0, 2.0], "target": ["a", "b"], "q": [1.0, 2.5]})
        assert [e.prompt for e in load_file(path)] == ["1", "2"]
        assert [e.prompt for e in load_file(path, template="{input} {q}")] == ["1 1.0", "2 2.5"]

    def test_other_types_of_parquet(self, tmp_path):
        noon = datetime(1998, 5, 1, 12, 30)
        for column, written in (
            (pa.array([date(1998, 5, 1)]), "1998-05-01"),
            (pa.array([noon]), "1998-05-01 12:30:00"),
            (pa.array([datetime(1998, 5, 1)], pa.timestamp("ns")), "1998-05-01"),
            (pa.array([datetime(1998, 5, 1), noon])[:1], "1998-05-01"),
            (pa.array(["a"]).dictionary_encode(), "a"),
            (pa.array(["a"], pa.large_string()), "a"),
            (pa.array([["a"]], pa.list_(pa.string(), 1)), "a"),
            (pa.array([["a"]], pa.large_list(pa.string())), "a"),
            (pa.array([True]), "true"),
        ):
            path = parquet(tmp_path / "a.parquet", {"input": ["q"], "target": column})
            assert load_file(path)[0].references == (written,)
        path = parquet(tmp_path / "b.parquet", {"input": ["q", "r"], "target": [datetime(1998, 5, 1), noon]})
        assert [e.target for e in load_file(path)] == ["1998-05-01 00:00:00", "1998-05-01 12:30:00"]

    def test_numbers_and_booleans_become_text(self, tmp_path):
        rows = [{"input": 1, "target": 2.5, "id": 7}, {"input": True, "target": [10**20, False], "id": 8}]
        assert load_file(jsonl(tmp_path / "a.jsonl", rows)) == (
            Example(id="7", prompt="1", references=("2.5",)),
            Example(id="8", prompt="true", references=("100000000000000000000", "false")),
        )
        path = parquet(tmp_path / "a.parquet", {"input": [1], "target": [2.5]})
        assert load_file(path) == (Example(id="row-000000", prompt="1", references=("2.5",)),)

    def test_ids_without_a_column_are_positions(self, tmp_path):
        path = text(tmp_path / "a.jsonl", '{"input": "q", "target": "a"}\n\n{"input": "r", "target": "b"}\n')
        assert [e.id for e in load_file(path)] == ["row-000000", "row-000001"]

    def test_columns_of_other_names(self, tmp_path):
        path = jsonl(tmp_path / "a.jsonl", [{"q": "?", "a": "!", "key": "k", "input": "no", "id": "no"}])
        assert load_file(path, input="q", target="a", id_column="key") == (
            Example(id="k", prompt="?", references=("!",)),
        )

    def test_limit_is_the_beginning(self, tmp_path):
        path = jsonl(tmp_path / "a.jsonl", ROWS)
        assert load_file(path, limit=2) == ITEMS[:2]
        assert load_file(path, limit=9) == ITEMS


class TestTemplate:
    def fill(self, tmp_path, template, **columns):
        path = jsonl(tmp_path / "a.jsonl", [{"target": "t", **columns}])
        return load_file(path, template=template)[0].prompt

    def test_columns_are_filled_in(self, tmp_path):
        prompt = self.fill(tmp_path, "Question: {question}\nOptions: {my options}\nAnswer:", **{
            "question": "why {now}?", "my options": 3,
        })  # fmt: skip
        assert prompt == "Question: why {now}?\nOptions: 3\nAnswer:"

    def test_doubled_braces_stand_for_themselves(self, tmp_path):
        assert self.fill(tmp_path, "{{json}}: {q}", q="x") == "{json}: x"

    @pytest.mark.parametrize("end", ["\n", " ", "\n\n\t", ""])
    def test_white_space_stays(self, tmp_path, end):
        assert self.fill(tmp_path, "  {q}\nAnswer:" + end, q="x") == "  x\nAnswer:" + end
        assert self.fill(tmp_path, "{q}", q=" x" + end) == " x" + end
        assert (
            load_file(jsonl(tmp_path / "b.jsonl", [{"input": " x" + end, "target": "t"}]))[0].prompt == " x" + end
        )

    def test_a_typed_backslash_n_is_a_new_line_and_a_check_says_so(self, tmp_path):
        path = jsonl(tmp_path / "a.jsonl", [{"q": r"keep \n", "target": "t"}])
        splits = own_task(test=path, template=r"Q:\t{q}\nA: \\n").load()
        assert splits.test[0].prompt == "Q:\tkeep \\n\nA: \\n", "what a doubled backslash and a cell hold stays"
        (found,) = [check for check in splits.checks if check.check == "template"]
        assert found.level == "note"
        assert found.message == (
            r"in the template \n is read as a new line (↵) and \t is read as a tab (⇥); a doubled backslash "
            r"stands for itself: Q:⇥{q}↵A: \n"
        )
        assert own_task(test=path, template="Q:\t{q}\nA:").load().notes == ()

    def test_a_backslash_in_the_name_of_a_column_is_part_of_it(self, tmp_path):
        assert self.fill(tmp_path, r"{a\nb}\n{{\n}}", **{r"a\nb": "x"}) == "x\n{\n}"

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            ("{q", "cannot be read: a closing brace is missing; write {q}, or {{ for a brace itself"),
            ("{question A:", "a closing brace is missing; write {question}, or {{ for a brace itself"),
            ("{q A: {b}", "a closing brace is missing; write {q}, or {{ for a brace itself"),
            ("Q: {", "a closing brace is missing; write {question}, or {{ for a brace itself"),
            ("q}", "cannot be read: an opening brace is missing; write {question}, or }} for a brace itself"),
            ("{q}}", "cannot be read: an opening brace is missing"),
            ("{q!}", "cannot be read: braces may hold the name of a column only, such as {question}"),
            ("{q!r}", "may hold columns only"),
            ("{q:>5}", "may hold columns only"),
            ("{}", "may hold columns only"),
            ("Answer:", "names no column"),
            ("", "names no column"),
            ("{qu}: {target}", "line 1: no column 'qu', which the template names: .*columns are 'target', 'q'"),
            ("{question.text}", "no column 'question.text'"),
        ],
    )
    def test_refused(self, tmp_path, template, message):
        with pytest.raises(InputError, match=message):
            self.fill(tmp_path, template, q="x")


class TestRefused:
    def refuse(self, path, message, line=None, **options):
        with pytest.raises(InputError, match=message) as caught:
            load_file(path, **options)
        where = f"{path}: " if line is None else f"{path}, line {line}: "
        assert str(caught.value).startswith(where)
        assert "\n" not in str(caught.value)

    GOOD = '{"input": "q", "target": "a"}\n'

    @pytest.mark.parametrize(
        ("second", "message"),
        [
            ('{"inptu": "q", "target": "a"}\n', "no column 'input': did you mean 'inptu'"),
            ('{"input": "q", "answer": "a"}\n', "no column 'target': columns are 'input', 'answer'"),
            ('{"input": "q", "target": ""}\n', "'target' is empty"),
            ('{"input": "q", "target": "  "}\n', "'target' is empty"),
            ('{"input": "q", "target": null}\n', "'target' is null"),
            ('{"input": null, "target": "a"}\n', "'input' is null"),
            ('{"input": " ", "target": "a"}\n', "the prompt is empty"),
            ('{"input": {"a": 1}, "target": "a"}\n', "'input' is an object: a string or a number is wanted"),
            ('{"input": ["q"], "target": "a"}\n', "'input' is a list"),
            ('{"input": "q", "target": []}\n', "'target' is an empty list"),
            ('{"input": "q", "target": ["a", ""]}\n', r"'target' holds an empty text \(item 2"),
            ('{"input": "q", "target": ["a", null]}\n', r"'target' holds null \(item 2"),
            ('{"input": "q", "target": [["a"]]}\n', "'target' holds a list"),
            ('{"input": "q", "target": "a", "id": "x"}\n', "has an 'id' but earlier rows have none"),
            ('{"input": "q", "target": NaN}\n', "NaN is not JSON"),
            ('{"input": "q", "target": "a"\n', "malformed JSON"),
            ('{"input": "q", "tar', "cut short"),
            ("[1, 2]\n", "a JSON object is wanted"),
        ],
    )
    def test_jsonl(self, tmp_path, second, message):
        self.refuse(text(tmp_path / "a.jsonl", self.GOOD + "\n" + second), message, line=3)

    def test_ids(self, tmp_path):
        rows = [{"input": "q", "target": "a", "id": i} for i in ("x", "y", "x")]
        self.refuse(jsonl(tmp_path / "a.jsonl", rows), "'x' stands already in line 1", line=3)
        rows[1] = {"input": "q", "target": "a"}
        self.refuse(jsonl(tmp_path / "b.jsonl", rows), "no column 'id'", line=2)
        rows[1] = {"input": "q", "target": "a", "id": " "}
        self.refuse(jsonl(tmp_path / "c.jsonl", rows), "'id' is empty", line=2)
        self.refuse(jsonl(tmp_path / "d.jsonl", rows), "no column 'key'", line=1, id_column="key")
        path = parquet(tmp_path / "e.parquet", {"input": ["q", "r"], "target": ["a", "b"], "id": [1, 1]})
        self.refuse(path, "row 2: the id '1' stands already in row 1")

    @pytest.mark.parametrize(
        ("content", "message", "line"),
        [
            ("input,target\nq,a\nq,a,b\n", "3 cells instead of 2: put cells with commas", 3),
            ("input,target\nq\n", "1 cell instead of 2", 2),
            ('input,target\n"two\nlines",a\nq,\n', "'target' is empty", 4),
            ('input,target\nq,a\nq,"open\n', "double quote is not closed", 3),
            ('input,target\n"q"x,a\n', "malformed CSV", 2),
            ("input,input\nq,a\n", "the column 'input' stands twice", 1),
            ("input|target\nq|a\n", "no column 'input': .*columns are 'input.target'", 2),
            ("input;target\nq;a\nq\n", "1 cell instead of 2: put cells with semicolons", 3),
            ("input\ttarget\nq\ta\tb\n", "3 cells instead of 2: put cells with tabs", 2),
            ("input;target, all\nq;a, b\n", r"by commas \(2 columns\) or by semicolons \(2 columns\)", None),
            ('input,target\nq,"[]"\n', "'target' is an empty list", 2),
            ('input,target\nq,"[""a"", "" ""]"\n', r"'target' holds an empty text \(item 2", 2),
            (b"input,target\nq,caf\xe9\n", "not UTF-8", 2),
            (
                "input,target\n" + "q" * (2**24 + 1) + ",a\n",
                "more than 16,777,216 characters: is a double quote",
                2,
            ),
            ("input,target\n", "no items", None),
            ("", "no items", None),
        ],
    )
    def test_csv(self, tmp_path, content, message, line):
        self.refuse(text(tmp_path / "a.csv", content), message, line=line)

    def test_parquet(self, tmp_path):
        self.refuse(text(tmp_path / "a.parquet", "not parquet"), "not a whole Parquet file")
        whole = parquet(tmp_path / "b.parquet", {"input": ["q"] * 99, "target": ["a"] * 99}).read_bytes()
        self.refuse(text(tmp_path / "c.parquet", whole[:-20]), "not a whole Parquet file")
        self.refuse(
            parquet(tmp_path / "d.parquet", {"input": ["q", None], "target": ["a", "b"]}), "row 2: 'input' is null"
        )
        self.refuse(
            parquet(tmp_path / "e.parquet", {"input": ["q"], "target": [float("nan")]}), "row 1: 'target' is nan"
        )
        self.refuse(parquet(tmp_path / "f.parquet", {"input": [], "target": []}), "no items")
        self.refuse(parquet(tmp_path / "g.parquet", {"input": [b"q"], "target": ["a"]}), "'input' is a bytes")
        for value, kind in ((timedelta(1), "a timedelta"), (time(12), "a time"), ({"a": 1}, "an object")):
            path = parquet(tmp_path / "h.parquet", {"input": ["q"], "target": [value]})
            self.refuse(path, f"row 1: 'target' is {kind}: a string or a number is wanted")

    def test_files(self, tmp_path):
        self.refuse(tmp_path / "a.jsonl", "no such file")
        self.refuse(
            text(tmp_path / "a.txt", "x"), "unknown suffix '.txt' .known: .jsonl, .ndjson, .csv, .tsv, .parquet"
        )
        self.refuse(text(tmp_path / "a.json", "[]"), "one object a line, and call it .jsonl")
        self.refuse(text(tmp_path / "b.jsonl", "\n\n"), "no items")
        self.refuse(
            text(tmp_path / "a", "x"), "the name has no suffix .known: .jsonl, .ndjson, .csv, .tsv, .parquet"
        )
        self.refuse(tmp_path / "absent", "no such file")
        for name in ("d.jsonl", "d"):
            (tmp_path / name).mkdir()
            self.refuse(tmp_path / name, f"{name}: a file is wanted, this is a folder")

    def test_limit(self, tmp_path):
        with pytest.raises(InputError, match="limit is 0"):
            load_file(jsonl(tmp_path / "a.jsonl", ROWS), limit=0)


def rows(n, start=0):
    return [{"input": f"q{i}", "target": f"a{i}"} for i in range(start, start + n)]


class TestOwnTask:
    def test_one_test_file(self, tmp_path):
        task = own_task(test=jsonl(tmp_path / "mine.jsonl", rows(7)))
        splits = task.load()
        assert (task.name, task.quality) == ("mine", "token_f1")
        assert (splits.train, splits.validation, splits.notes) == ((), (), ())
        assert {e.prompt for e in splits.test} == {f"q{i}" for i in range(7)}

    def test_three_files(self, tmp_path):
        files = {
            "train": jsonl(tmp_path / "tr.jsonl", rows(6)),
            "validation": jsonl(tmp_path / "va.jsonl", rows(3, start=5)),
            "test": jsonl(tmp_path / "te.jsonl", rows(4, start=7)),
        }
        splits = own_task(**files, sizes=Sizes(test=3), name="n", quality="exact_match").load(sizes=Sizes(train=9))
        assert {e.prompt for e in splits.train} == {f"q{i}" for i in range(5)}
        assert {e.prompt for e in splits.validation} == {"q5", "q6"}
        assert len(splits.test) == 3
        assert splits.notes == (
            "1 validation item left out: prompt also in test",
            "1 training item left out: prompt also in validation or test",
            "train has 5 of the 9 items asked for",
        )

    def test_one_file_is_cut_with_equal_prompts_together(self, tmp_path):
        path = jsonl(tmp_path / "all.jsonl", [*rows(50), *rows(50)])
        splits = own_task(path, sizes=Sizes(test=10, validation=5)).load()
        prompts = [{e.prompt for e in split} for split in (splits.train, splits.validation, splits.test)]
        assert [len(p) for p in prompts] == [35, 5, 10]
        assert len(splits.train) == 70
        assert not prompts[0] & prompts[1]
        assert not prompts[0] & prompts[2]
        assert not prompts[1] & prompts[2]
        assert splits == own_task(path, sizes=Sizes(test=10, validation=5)).load()
        assert splits.test != own_task(path, sizes=Sizes(test=10, validation=5)).load(seed=1).test

    def test_one_file_gives_a_tenth_each_by_default(self, tmp_path):
        splits = own_task(jsonl(tmp_path / "all.jsonl", rows(100))).load()
        assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [81, 9, 10]

    def test_validation_is_cut_out_of_the_training_file(self, tmp_path):
        train, test = jsonl(tmp_path / "tr.jsonl", rows(20)), jsonl(tmp_path / "te.jsonl", rows(5, start=20))
        splits = own_task(train=train, test=test, sizes=Sizes(validation=4)).load()
        assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [16, 4, 5]

    def test_template_and_columns_are_passed_on(self, tmp_path):
        path = jsonl(tmp_path / "a.jsonl", [{"q": "why", "a": "so", "k": "1"}])
        task = own_task(test=path, input="q", target="a", template="Q: {q}\nA:", id_column="k")
        assert task.prompt == "Q: {q}\nA:"
        assert task.load().test == (Example(id="1", prompt="Q: why\nA:", references=("so",)),)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "either one file that is cut into splits, or a file for each split"),
            ({"data": "a.csv", "test": "b.csv"}, "either one file"),
            ({"train": "a.csv"}, "no test file"),
            ({"test": "a.csv", "validation": "b.csv"}, "a validation file but no training file"),
            ({"test": "a.csv", "quality": "token_f2"}, "unknown quality metric 'token_f2': did you mean token_f1"),
            ({"test": "a.csv", "template": "{q"}, "the template '{q' cannot be read"),
            ({"test": "a.csv", "sizes": Sizes(test=0)}, "no such file"),
        ],
    )
    def test_refused(self, options, message):
        with pytest.raises(InputError, match=message):
            own_task(**options).load()

    def test_a_file_of_one_item_cannot_be_cut(self, tmp_path):
        with pytest.raises(InputError, match="task one: no items for validation"):
            own_task(jsonl(tmp_path / "one.jsonl", rows(1))).load()

    def test_negative_sizes(self):
        with pytest.raises(InputError, match="the size of validation is -1"):
            Sizes(validation=-1)
