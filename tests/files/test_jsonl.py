"""Reading JSON Lines: what is accepted, and every refusal with its line."""

import pytest

from aftertune.errors import InputError
from aftertune.files.jsonl import read_jsonl


def write(tmp_path, content):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("", []),
        ("\n \n", []),
        ('{"a": 1}\n', [(1, {"a": 1})]),
        ('{"a": 1}', [(1, {"a": 1})]),  # whole, though without a newline
        ('\n{"a": 1}\r\n\n  {"b": null}  \n', [(2, {"a": 1}), (4, {"b": None})]),
        ('\ufeff{"a": "é😀"}\n', [(1, {"a": "é😀"})]),
        ('{"a": "\\ud83d\\ude00"}\n', [(1, {"a": "😀"})]),
        ('{"a": "x\u2028y"}\n', [(1, {"a": "x\u2028y"})]),  # a line separator is not the end of a line
        ("{}\n", [(1, {})]),
    ],
)
def test_accepted(tmp_path, content, rows):
    assert list(read_jsonl(write(tmp_path, content))) == rows


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ('{"a": 1}\n{"a": 1\n{"a": 2}\n', 2, "malformed JSON"),
        ("{'a': 1}\n", 1, "malformed JSON .*column 2"),
        ('{"a": 1}\n\n{"a": "cut', 3, "the last line is cut short"),
        ('{"a": 1} {"b": 2}\n', 1, r"malformed JSON \(Extra data"),
        ("[1]\n", 1, "a JSON object is wanted, .* not a list"),
        ('{"a": 1}\n"text"\n', 2, "not a string"),
        ("null\n", 1, "not null"),
        ("3\n", 1, "not a number"),
        ("true\n", 1, "not a boolean"),
        ('{"a": 1, "b": 2, "a": 3}\n', 1, "the key 'a' stands twice"),
        ('{"x": {"a": 1, "a": 1}}\n', 1, "the key 'a' stands twice"),
        ('{"a": NaN}\n', 1, "NaN is not JSON: write null"),
        ('{"a": [-Infinity]}\n', 1, "-Infinity is not JSON"),
        ('{"a": 1e999}\n', 1, "1e999 is too large"),
        ('{"a": "\\ud83d"}\n', 1, "half of a surrogate pair"),
        (b'{"a": 1}\n{"a": "caf\xe9"}\n', 2, r"not UTF-8 \(byte 0xe9 at column 11\)"),
        ("[" * 100_000 + "\n", 1, "malformed JSON"),
        ('{"a": ' + "9" * 5000 + "}\n", 1, "5,000 digits is too long"),
    ],
)
def test_refused(tmp_path, content, line, message):
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=message) as caught:
        list(read_jsonl(path))
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert (caught.value.file, caught.value.line) == (path, line)
    assert "\n" not in str(caught.value)


def test_rows_before_the_bad_line_are_given(tmp_path):
    rows = read_jsonl(write(tmp_path, '{"a": 1}\nbad\n'))
    assert next(rows) == (1, {"a": 1})
    with pytest.raises(InputError, match="line 2"):
        next(rows)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.jsonl: no such file"):
        list(read_jsonl(tmp_path / "nothing.jsonl"))
    with pytest.raises(InputError, match="a file is wanted, this is a folder"):
        list(read_jsonl(tmp_path))
