# ruff: noqa: E501 - one case a line
"""What files may hold that they should not: each is refused within seconds, in one line that says where.

More is in tests/study, tests/tasks, tests/records and tests/files; what any bytes do is in test_fuzz.py.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aftertune.analysis.checkpoints import Lengths
from aftertune.cli.main import main
from aftertune.errors import InputError
from aftertune.judges import judge_from
from aftertune.judges.api import AnswerCache
from aftertune.records.records import read_records, write_records
from aftertune.tasks import TASKS, Sizes, load_file, own_task
from bad_files import MOST, RECORD, STUDY, columns, damaged, not_utf8

SECONDS = 20
"""On a machine that is busy; none takes more than two on one that is not."""


class Late(BaseException):
    """No error that a reader could take for one of its own."""


@contextmanager
def in_time() -> Iterator[None]:
    def late(*_: object) -> None:
        raise Late(f"not within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refusal(read: Callable[[], object]) -> str:
    """The message of the `InputError` that reading raises."""
    with in_time(), pytest.raises(InputError) as caught:
        read()
    return checked(str(caught.value))


def checked(line: str) -> str:
    assert "\n" not in line
    assert len(line) <= MOST
    assert "Traceback" not in line
    return line


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command says that is refused; it has written nothing."""

    def call(*arguments: str | Path) -> str:
        out = tmp_path / "out"
        with in_time():
            code = main([*map(str, arguments), "--out", str(out)])
        said = capsys.readouterr()
        assert code == 2, said.err[-2000:]
        assert said.out == ""
        assert said.err.startswith("aftertune: ")
        assert said.err.count("\n") == 1
        assert not out.exists()
        return checked(said.err.removeprefix("aftertune: ").rstrip("\n"))

    return call


# -------------------------------------------------------------------------------------- paths and kinds of files


def packed_as_zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("sheet.xml", "x")
    return content.getvalue()


def linked(to: str) -> Callable[[Path], Path | None]:
    def make(path: Path) -> None:
        path.symlink_to(to)

    return make


def beside(name: str) -> Callable[[Path], Path | None]:
    return lambda path: path.with_name(name + path.suffix)


def content(raw: bytes) -> Callable[[Path], Path | None]:
    def make(path: Path) -> None:
        path.write_bytes(raw)

    return make


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**32 + 1)


PATHS: dict[str, tuple[Callable[[Path], Path | None], str]] = {
    "absent": (lambda path: None, "no such file"),
    "folder": (lambda path: path.mkdir(), "a file is wanted, this is a folder"),
    "pipe": (lambda path: os.mkfifo(path), "is a pipe or a device"),
    "device": (linked("/dev/zero"), "is a pipe or a device"),
    "terminal": (linked("/dev/tty"), "is a pipe or a device"),
    "broken link": (linked("nowhere"), "no such file"),
    "link to itself": (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    "cannot be read": (linked("/proc/self/mem"), "cannot be read: Input/output error"),
    "name of 300 characters": (beside("x" * 300), "File name too long|a name of more than 255 bytes"),
    "below a file": (lambda path: path.write_text("x") and path / f"b{path.suffix}", "no such file"),
    "5 GB of nothing": (sparse, "has 4,294,967,297 bytes, more than 4,294,967,296: divide it"),
}
TEXTS: dict[str, tuple[bytes, str]] = {
    "gzip": (gzip.compress(b"name: a\n"), "is packed with gzip: unpack it"),
    "spreadsheet": (packed_as_zip(), "a spreadsheet (.xlsx), not text"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00", "packed with zstd"),
    "bzip2": (b"BZh91AY&SY", "packed with bzip2"),
    "xz": (b"\xfd7zXZ\x00\x00", "packed with xz"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3", "a PDF file"),
    "Parquet": (b"PAR1\x15\x04", "a Parquet file: call it .parquet"),
    "UTF-16": ("name: a\ninput,target\n".encode("utf-16"), "UTF-16, not UTF-8: save it as UTF-8"),
    "UTF-16, big end first": (b"\xfe\xff" + "name: a\n".encode("utf-16-be"), "UTF-16, not UTF-8"),
}
READERS: dict[str, str] = {
    "study": "study.yaml",
    "records": "records.jsonl",
    "records in Parquet": "records.parquet",
    "data": "data.jsonl",
    "data in CSV": "data.csv",
    "data in Parquet": "data.parquet",
}


def read(reader: str, path: Path, command: Callable[..., str]) -> str:
    if reader == "study":
        return command("run", path, "--dry-run")
    if reader.startswith("records"):
        return command("analyze", path)
    return refusal(lambda: load_file(path))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", PATHS)
def test_paths(tmp_path: Path, command: Callable[..., str], kind: str, reader: str) -> None:
    make, words = PATHS[kind]
    path = tmp_path / READERS[reader]
    made = make(path)
    path = made if isinstance(made, Path) else path
    if reader.startswith("records"):  # a folder there may be one of records
        words = {
            "folder": "no records here: *.jsonl or *.parquet files are wanted",
            "link to itself": "no such file or folder",
            "name of 300 characters": "no such file or folder|a name of more than 255 bytes",
        }.get(kind, words)
    said = read(reader, path, command)
    assert any(some in said for some in words.split("|"))
    assert str(path.name)[-40:] in said or len(path.name) > 255


@pytest.mark.parametrize("reader", [reader for reader in READERS if "Parquet" not in reader])
@pytest.mark.parametrize("kind", TEXTS)
def test_what_is_not_text(tmp_path: Path, command: Callable[..., str], kind: str, reader: str) -> None:
    raw, words = TEXTS[kind]
    path = tmp_path / READERS[reader]
    path.write_bytes(raw)
    said = read(reader, path, command)
    assert said.startswith(f"{path}: ")
    assert words in said


# --------------------------------------------------------------------------------------------------- study files

HUGE = 10**9
DIGITS = "9" * 5000
NESTED = "[" * 40 + "]" * 40

STUDIES: list[tuple[str, str, int | None, str]] = [
    # settings without end
    ("{beams: 4}", f"{{beams: {HUGE}}}", 11, "evaluation.beams: should be less than or equal to"),
    ("{beams: 4}", f"{{dropout_samples: {HUGE}}}", 11, "evaluation.dropout_samples: should be less than or equal"),
    ("{beams: 4}", f"{{batch_size: {HUGE}}}", 11, "evaluation.batch_size: should be less than or equal"),
    ("{beams: 4}", f"{{judge_concurrency: {HUGE}}}", 11, "evaluation.judge_concurrency: should be less than"),
    ("{batch_size: 4}", f"{{batch_size: {HUGE}}}", 10, "training.batch_size: should be less than or equal"),
    ("{batch_size: 4}", "{learning_rate: 1e300}", 10, "training.learning_rate: should be less than or equal"),
    ("{batch_size: 4}", "{learning_rate: 1e-400}", 10, "training.learning_rate: should be greater than 0"),
    ("{batch_size: 4}", "{learning_rate: 1e400}", 10, "training.learning_rate: should be a finite number"),
    ("    test:", f"    max_new_tokens: {HUGE}\n    test:", 7, "tasks[0].max_new_tokens: should be less than"),
    ("    test:", "    max_new_tokens: 0\n    test:", 7, "tasks[0].max_new_tokens: should be greater than"),
    ("    path:", f"    lora: {{r: {HUGE}}}\n    path:", 4, "models[0].lora.r: should be less than or equal"),
    ("    path:", f"    lora: {{alpha: {HUGE}}}\n    path:", 4, "models[0].lora.alpha: should be less than"),
    ("seeds: [0, 1]", f"resamples: {HUGE}", 9, "resamples: should be less than or equal to 100000"),
    ("seeds: [0, 1]", "resamples: 1", 9, "resamples: should be greater than or equal to 200"),
    ("seeds: [0, 1]", "margin: 3.0", 9, "margin: should be less than or equal to 2"),
    ("seeds: [0, 1]", f"sizes: {{test: {10 * HUGE}}}", 9, "sizes.test: should be less than or equal"),
    ("seeds: [0, 1]", f"seeds: {HUGE}", 9, "seeds: should be a valid list (given: 1000000000)"),
    ("seeds: [0, 1]", f"seeds: [{10 * HUGE}]", 9, "seeds[0]: should be less than"),
    ("seeds: [0, 1]", f"seeds: {list(range(1001))}", 9, "seeds: should have at most 1000 items"),
    ("seeds: [0, 1]", f"seeds: {list(range(10_001))}", None, "more than 10,000 values"),
    ("seeds: [0, 1]", f"data_seed: {10**30}", 9, "data_seed: should be less than"),
    ("seeds: [0, 1]", f"experiments: {{by_epoch: {{epochs: {HUGE}}}}}", 9, "by_epoch.epochs: should be less"),
    ("seeds: [0, 1]", f"experiments: {{before_after: {{epochs: {HUGE}}}}}", 9, "before_after.epochs: should be"),
    ("seeds: [0, 1]", f"experiments: {{before_after: {{patience: {HUGE}}}}}", 9, "before_after.patience: should"),
    ("seeds: [0, 1]", f"experiments: {{by_samples: {{epochs: {HUGE}}}}}", 9, "by_samples.epochs: should be less"),
    ("seeds: [0, 1]", f"experiments: {{by_samples: {{samples: [{10**12}]}}}}", 9, "by_samples.samples[0]: should"),
    ("seeds: [0, 1]", f"experiments: {{by_samples_fixed_steps: {{steps: {HUGE}}}}}", 9, "steps: should be less"),
    # numbers that are none, or not ours
    ("{beams: 4}", f"{{beams: {DIGITS}}}", 11, "is no int"),
    ("{beams: 4}", f"{{beams: {DIGITS[:900]}}}", 11, "evaluation.beams: should be less than or equal to"),
    ("{beams: 4}", f"{{beams: 0x{'f' * 5000}}}", 11, "'0xffffffffff"),
    ("{beams: 4}", "{beams: !!int abc}", 11, "'abc' is no int"),
    ("{beams: 4}", "{beams: !!int [1]}", 11, "not YAML: expected a scalar node"),
    ("{beams: 4}", "{beams: !!binary '@@@'}", 11, "evaluation.beams: should be a valid integer"),
    ("{beams: 4}", "{beams: !!python/object:os.system x}", 11, "not YAML: could not determine a constructor"),
    ("{beams: 4}", "{beams: 4.5}", 11, "evaluation.beams: should be a valid integer"),
    ("{beams: 4}", "{beams: true}", 11, "evaluation.beams: should be a valid integer (given: True)"),
    ("{beams: 4}", "{beams: '4'}", 11, "evaluation.beams: should be a valid integer (given: '4')"),
    ("{beams: 4}", "{beams: 4_0}", 11, "evaluation.beams: should be a valid integer (given: '4_0')"),
    ("{beams: 4}", "{beams: 2025-01-01}", 11, "evaluation.beams: should be a valid integer"),
    ("{beams: 4}", "{beams: null}", 11, "evaluation.beams: should be a valid integer (given: None)"),
    ("{beams: 4}", "{long_prompts: cut}", 11, "evaluation.long_prompts: should be 'error', 'truncate' or 'drop'"),
    ("{beams: 4}", "{train_similarity: 'yes'}", 11, "evaluation.train_similarity: should be a valid boolean"),
    ("{beams: 4}", "{scores: beam_ratio}", 11, "evaluation.scores: should be a valid list"),
    ("{beams: 4}", "{scores: [beam_ratio, beam_ratio]}", 11, "evaluation.scores: one stands twice"),
    ("{beams: 4}", "{scores: [1]}", 11, "evaluation.scores[0]: should be a valid string"),
    ("{beams: 4}", "[beams]", 11, "evaluation: should be a valid mapping, such as {key: value}"),
    ("seeds: [0, 1]", "seeds: {0: 1}", 9, "the key 0 is not a word"),
    ("seeds: [0, 1]", "seeds: ['0']", 9, "seeds[0]: should be a valid integer (given: '0')"),
    ("seeds: [0, 1]", "seeds: [1.0]", 9, "seeds[0]: should be a valid integer"),
    ("seeds: [0, 1]", f"permutation: '{'x' * 3000}'", 9, "permutation: should be a valid boolean"),
    # names
    ("name: mine", "name: ../../mine", 1, "name: a name is no path"),
    ("name: mine", "name: /etc/mine", 1, "name: a name is no path"),
    ("name: mine", "name: a/b", 1, "name: a name is no path"),
    ("name: mine", "name: 'a\\b'", 1, "name: a name is no path"),
    ("name: mine", "name: ..", 1, "name: a name is no path"),
    ("name: mine", "name: ~/mine", 1, "name: a name is no path"),
    ("name: mine", f"name: {'x' * 300}", 1, "name: should have at most 100 characters"),
    ("name: mine", "name: ''", 1, "name: should have at least 1 character"),
    ("name: mine", "name: '  '", 1, "name: write a name, on one line"),
    ("name: mine", 'name: "a\\nb"', 1, "name: write a name, on one line"),
    ("name: mine", 'name: "a\\0b"', 1, "holds a control character"),
    ("name: mine", 'name: "a\\e[31mb"', 1, "holds a control character"),
    ("name: mine", 'name: "a\\ud800"', 1, "holds a control character"),
    ("name: mine", "name: [mine]", 1, "name: should be a valid string"),
    ("name: mine", "name: 3", 1, "name: should be a valid string (given: 3)"),
    ("name: mine", "name: &a b\nnam: *a", 2, "unknown key 'nam': did you mean name"),
    ("  - name: small", f"  - name: {'漢' * 300}", 3, "models[0].name: should have at most 100"),
    ("  - name: small", "  - name: null", 3, "models[0].name: should be a valid string"),
    ("  - name: turn", "  - nme: turn", 6, "unknown key 'nme': did you mean name"),
    ("  - name: turn", "  - null\n  - name: turn", 6, "tasks[0]: should be a valid string"),
    ("  - name: turn", f"  - {'x' * 5000}\n  - name: turn", 6, "tasks[0]: should have at most 100 characters"),
    ("  - name: turn", f"  - {'x' * 90}\n  - name: turn", 6, "unknown task 'xxxx"),
    ("    path: models/small", '    path: "a\\0b"', 4, "holds a control character"),
    ("    path: models/small", "    path: ''", 4, "models[0].path: should have at least 1"),
    ("    path: models/small", "    pth: models/small", 4, "unknown key 'pth': did you mean path"),
    ("    path: models/small", "    path: models/small\n    tasks: [turn, turn]", 5, "one stands twice"),
    ("    path: models/small", "    path: models/small\n    dtype: float8", 5, "dtype: should be 'float32'"),
    ("    path: models/small", "    path: models/small\n    chat: true", 5, "models[0].chat: should be 'auto', 'on'"),
    ("    path: models/small", "    path: models/small\n    dropout: residual:nan", 5, "needs a probability between"),
    ("    path: models/small", "    path: models/small\n    dropout: residual:1e400", 5, "a probability between 0"),
    ("    path: models/small", f"    path: x\n    dropout: residual:{DIGITS}", 5, "a probability between 0 and 1"),
    ("    path: models/small", f"    path: x\n    dropout: {'y' * 9000}", 5, "is not one of auto, native"),
    ("seeds: [0, 1]", f"{'k' * 900}: 1", 9, "unknown key 'kkk"),
    ("seeds: [0, 1]", "Seeds: [0, 1]", 9, "unknown key 'Seeds': did you mean seeds"),
    ("seeds: [0, 1]", "sizes: {tset: 3}", 9, "unknown key 'tset': did you mean test"),
    # templates and judges
    ("    test:", "    template: no column\n    test:", 7, "names no column"),
    ("    test:", "    template: '{a!r}'\n    test:", 7, "may hold columns only"),
    ("    test:", "    template: '{}'\n    test:", 7, "may hold columns only"),
    ("    test:", f"    template: '{'{' * 5001}'\n    test:", 7, "a closing brace is missing"),
    ("    test:", f"    template: '{'{a' * 5001}'\n    test:", 7, "the template"),
    ("    test:", "    template: 3\n    test:", 7, "tasks[0].template: should be a valid string"),
    ("    test:", "    judge: rule:nan\n    test:", 7, "the threshold of the rule is nan"),
    ("    test:", f"    judge: rule:{DIGITS}\n    test:", 7, "the threshold of the rule is inf"),
    ("    test:", "    judge: token_f1:-1\n    test:", 7, "the threshold of the judge token_f1 is -1"),
    ("    test:", "    judge: local\n    test:", 7, "names no model: write local:PATH"),
    ("    test:", "    judge: openai:m@ftp://host/v1\n    test:", 7, "it must start with http"),
    ("    test:", "    judge: 'openai:m@http://[::1'\n    test:", 7, "is no URL"),
    ("    test:", "    judge: openai:m@http://host:999999/v1\n    test:", 7, "is no URL"),
    ("    test:", "    judge: true\n    test:", 7, "tasks[0].judge: should be a valid string"),
    ("    test:", f"    judge: {'j' * 9000}\n    test:", 7, "unknown judge 'jjj"),
    # shapes
    ("name: mine", f"name: {NESTED}", 1, "nested too deeply"),
    ("name: mine", f"name: {'{a: ' * 900}x{'}' * 900}", None, "nested too deeply"),
    ("name: mine", f"name: {'[' * 10_000}", None, "nested too deeply"),
    ("name: mine", f"x: {'- ' * 3}y", 1, "not YAML: sequence entries are not allowed here"),
    ("name: mine", "name: *nowhere", 1, "not YAML: found undefined alias"),
    ("name: mine", "name: 'mine", 12, "not YAML: found unexpected end of stream"),
    ("name: mine", "name: mine: mine", 1, "not YAML: mapping values are not allowed here"),
    ("name: mine", "name: @mine", 1, "not YAML: found character '@'"),
    ("name: mine", "<<: [1]\nname: mine", 1, "not YAML: expected a mapping for merging"),
    ("name: mine", "name: !!set {a}", 1, "name: should be a valid string"),
    ("name: mine", "name: mine\nname: other", 2, "key name stands twice"),
    ("seeds: [0, 1]", "seeds: [0, 1]\n...\n---\nname: second", 11, "not YAML: but found another document"),
    ("tasks:\n", "tasks: turn\nx:\n", 6, "unknown key 'x'"),
    ("models:\n", "models: {small: x}\nmodel:\n", 3, "unknown key 'model': did you mean models"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "words"), STUDIES)
def test_studies(
    tmp_path: Path, command: Callable[..., str], old: str, new: str, line: int | None, words: str
) -> None:
    assert STUDY.count(old) == 1
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace(old, new), encoding="utf-8")
    said = command("run", path, "--dry-run")
    assert said.startswith(f"{path}: " if line is None else f"{path}, line {line}: ")
    assert words in said


def laughs(n: int) -> str:
    lines = ["x0: &x0 [a, a, a]"] + [f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]" for i in range(1, n)]
    return "\n".join(lines)


def merges(n: int) -> str:
    lines = ["x0: &x0 {a: 1}"] + [f"x{i}: &x{i} {{<<: [{', '.join([f'*x{i - 1}'] * 9)}]}}" for i in range(1, n)]
    return "\n".join(lines)


WHOLE_STUDIES: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "a study is a mapping"),
    ("a byte order mark alone", b"\xef\xbb\xbf", "a study is a mapping"),
    ("spaces", b"  \n\n", "a study is a mapping"),
    ("a comment", b"# later\n", "a study is a mapping"),
    ("null", b"null\n", "a study is a mapping"),
    ("a number", b"3\n", "a study is a mapping"),
    ("JSON that is a list", b'[{"name": "x"}]', "a study is a mapping"),
    ("JSON", b'{"name": "x", "models": [], "tasks": ["squad"]}', "models: give at least one"),
    ("Latin-1", "name: café\n".encode("latin-1"), "not UTF-8 text"),
    ("NUL bytes", b"name: a\0b\n", "not YAML: special characters are not allowed (#x0000)"),
    ("UTF-16 without a mark", "name: a\n".encode("utf-16-le"), "not YAML: special characters are not allowed"),
    ("200 KB", b"# x\n" * 50_000, "has 200,000 bytes: a study has at most 100,000"),
    ("aliases of aliases", laughs(12).encode(), "more than 10,000 values: write fewer aliases"),
    ("merges of merges", merges(12).encode(), "more than 10,000 values: write fewer aliases"),
    ("a value that holds itself", b"x: &x {y: [*x]}\n", "a value holds itself"),
    ("another version of YAML", b"%YAML 9.9\n---\nname: x\n", "not YAML: "),
    ("a directive", b"%TAG ! tag:x,2000:\n---\nname: !y z\n", "not YAML: could not determine a constructor"),
    ("only keys", b"name:\nmodels:\ntasks:\n", "name: should be a valid string (given: None)"),
    ("old Mac", b"name: x\rnam: y\r", "unknown key 'nam': did you mean name"),
    ("Windows", b"name: x\r\nmodels: []\r\ntasks: [squad]\r\n", "line 2: models: give at least one"),
]


@pytest.mark.parametrize(("raw", "words"), [case[1:] for case in WHOLE_STUDIES], ids=[c[0] for c in WHOLE_STUDIES])
def test_whole_studies(tmp_path: Path, command: Callable[..., str], raw: bytes, words: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(raw)
    said = command("run", path, "--dry-run")
    assert said.startswith(str(path))
    assert words in said


# ---------------------------------------------------------------------------------------------------- data files


def row(**cells: object) -> str:
    return json.dumps({"input": "q", "target": "a"} | cells) + "\n"


def raw_row(name: str, value: str) -> str:
    return json.dumps({"input": "q", "target": "a"} | {name: "@"}).replace('"@"', value) + "\n"


WIDE = ",".join(f"c{i}" for i in range(200_000))

DATA: list[tuple[str, str, str | bytes, int | None, str]] = [
    # JSON Lines
    ("empty", "a.jsonl", "", None, "no items: the file is empty"),
    ("a list", "a.jsonl", '[\n{"input": "q"}\n]\n', 1, "malformed JSON"),
    ("over several lines", "a.jsonl", '{\n"input": "q"\n}\n', 1, "malformed JSON"),
    ("key twice", "a.jsonl", row() + '{"input": "q", "target": "a", "input": "r"}\n', 2, "'input' stands twice"),
    ("nested", "a.jsonl", raw_row("target", "[" * 50_000 + "]" * 50_000), 1, "nested too deeply"),
    ("nested in an unused field", "a.jsonl", raw_row("more", "[" * 50_000), 1, "malformed JSON"),
    ("lone surrogate", "a.jsonl", raw_row("input", '"\\ud83d"'), 1, "half of a surrogate pair"),
    ("surrogates in the wrong order", "a.jsonl", raw_row("input", '"\\ude00\\ud83d"'), 1, "half of a surrogate"),
    ("lone surrogate in a key", "a.jsonl", row() + '{"\\udc00": 1}\n', 2, "half of a surrogate pair"),
    ("5,000 digits", "a.jsonl", raw_row("target", DIGITS), 1, "a number of 5,000 digits is too long"),
    ("too large", "a.jsonl", raw_row("target", "1e400"), 1, "the number 1e400 is too large"),
    ("NaN", "a.jsonl", raw_row("target", "NaN"), 1, "NaN is not JSON"),
    ("single quotes", "a.jsonl", "{'input': 'q', 'target': 'a'}\n", 1, "malformed JSON"),
    ("trailing comma", "a.jsonl", '{"input": "q", "target": "a",}\n', 1, "malformed JSON"),
    ("comma after the object", "a.jsonl", row().strip() + ",\n", 1, "malformed JSON (Extra data"),
    ("NUL byte", "a.jsonl", '{"input": "q\0", "target": "a"}\n', 1, "malformed JSON"),
    ("a new line in a text", "a.jsonl", '{"input": "q\nr", "target": "a"}\n', 1, "malformed JSON"),
    ("old Mac", "a.jsonl", (row() + row()).replace("\n", "\r"), 1, "cut short"),
    ("UTF-16 without a mark", "a.jsonl", row().encode("utf-16-le"), 1, "malformed JSON"),
    ("Latin-1", "a.jsonl", row().encode() + b'{"input": "caf\xe9"}\n', 2, "not UTF-8 (byte 0xe9 at column 15)"),
    ("surrogates as UTF-8", "a.jsonl", b'{"input": "\xed\xa0\x80"}\n', 1, "not UTF-8"),
    ("one bad of many", "a.jsonl", row() * 20_000 + row(target=None) + row() * 20_000, 20_001, "'target' is null"),
    ("mixed types", "a.jsonl", row(target=1) + row(target="1") + row(target={"a": 1}), 3, "'target' is an object"),
    ("a list of lists", "a.jsonl", row(target=[["a"], "b"]), 1, "'target' holds a list (item 1 of the list)"),
    ("booleans in a list", "a.jsonl", row(target=[None]), 1, "'target' holds null"),
    ("ids that are the same text", "a.jsonl", row(id=1) + row(id="1"), 2, "the id '1' stands already in line 1"),
    ("ids true", "a.jsonl", row(id=True) + row(id="true"), 2, "the id 'true' stands already in line 1"),
    ("ids 1 and 1.0", "a.jsonl", row(id=1) + row(id=1.0), 2, "the id '1' stands already"),
    ("an id that is a list", "a.jsonl", row(id=[1]), 1, "'id' is empty or not a text"),
    ("an id that is null", "a.jsonl", row(id="x") + row(id=None), 2, "'id' is null"),
    ("a column name of 9,000 letters", "a.jsonl", '{"%s": 1}\n' % ("x" * 9000), 1, "no column 'input'"),
    ("many columns", "a.jsonl", json.dumps({f"c{i}": 1 for i in range(50_000)}) + "\n", 1, "no column 'input'"),
    ("a prompt of 200,000 words", "a.jsonl", row(input="word " * 200_000 + "?"), 1, "'input' has 1,000,001 characters"),
    ("a target of 200,000 words", "a.jsonl", row(target=["x", "words " * 200_000]), 1, "'target' has 1,200,000"),
    ("a turn of 200,000 words", "a.jsonl", json.dumps({"messages": [{"role": "user", "content": "words " * 200_000}]}) + "\n", 1, "'content' has 1,200,000 characters"),
    ("only a text", "a.jsonl", '{"text": "x"}\n', 1, "'text' alone says neither what is asked"),
    ("turns of a text", "a.jsonl", '{"messages": "hello"}\n', 1, "'messages' is a text: a list of turns"),
    ("no turns", "a.jsonl", '{"messages": []}\n', 1, "'messages' is not a list of turns"),
    ("a turn without a role", "a.jsonl", '{"messages": [{"content": "x"}]}\n', 1, "'messages', turn 1: write"),
    ("a role that is a list", "a.jsonl", '{"messages": [{"role": [], "content": "x"}]}\n', 1, "the role [] is not"),
    ("an answer alone", "a.jsonl", '{"messages": [{"role": "assistant", "content": "x"}]}\n', 1, "nothing stands"),
    # CSV and TSV
    ("a prompt of 200,000 words", "a.csv", "input,target\n" + "words " * 200_000 + ",a\n", 2, "'input' has 1,200,000"),
    ("200,000 columns", "a.csv", WIDE + "\n" + WIDE + "\n", 1, "has 200,000 columns, more than 10,000"),
    ("200,000 columns in TSV", "a.tsv", WIDE.replace(",", "\t") + "\n", 1, "has 200,000 columns, more than 10,000"),
    ("only the header", "a.csv", "input,target\r\n", None, "no items: the file is empty"),
    ("only a byte order mark", "a.csv", b"\xef\xbb\xbf", None, "no items: the file is empty"),
    ("the header twice", "a.csv", "input,target,input\nq,a,q\n", 1, "the column 'input' stands twice in the header"),
    ("columns without names", "a.csv", ",input,target,\nx,q,a,x\n", 1, "two columns have no name in the header"),
    ("NUL byte", "a.csv", "input,target\nq,a\nq\0,a\n", 3, "a NUL byte is no text"),
    ("UTF-16 without a mark", "a.csv", "input,target\nq,a\n".encode("utf-16-le"), 1, "a NUL byte is no text"),
    ("Latin-1", "a.csv", b"input,target\nq,a\ncaf\xe9,a\n", 3, "not UTF-8: save the file as UTF-8"),
    ("quote never closed", "a.csv", 'input,target\n"q,a\n' + "r,b\n" * 1000, 2, "a double quote is not closed"),
    ("quote never closed, long", "a.csv", 'input,target\n"' + "r,b\n" * 4_300_000, 2, "more than 16,777,216"),
    ("no header", "a.csv", "what is it?,a book\nwho?,me\n", 2, "no column 'input'"),
    ("spaces in the header", "a.csv", "input, target\nq,a\n", 2, "no column 'target': did you mean ' target'?"),
    ("another case", "a.csv", "Input,Target\nq,a\n", 2, "no column 'input': did you mean 'Input'?"),
    ("one cell too many in the last row", "a.csv", "input,target\n" + "q,a\n" * 99_999 + "q,a,b\n", 100_001, "3 cells"),
    ("spaces for a prompt", "a.csv", "input,target\n   ,a\n", 2, "the prompt is empty"),
    ("lone surrogate in a list", "a.csv", 'input,target\nq,"[""\\ud800""]"\n', 2, "half of a surrogate pair"),
    ("NaN in a list", "a.csv", 'input,target\nq,"[NaN]"\n', 2, "'target' holds nan"),
    ("turns with a key twice", "a.csv", 'messages\n"[{""role"": ""user"", ""role"": ""x""}]"\n', 2, "is a text: a list"),
    ("old Mac", "a.csv", "input,target\rq\r", 2, "1 cell instead of 2"),
    ("spreadsheet's separator line", "a.csv", "sep=;\ninput;target\nq;a\n", 2, "no column 'input': columns are 'sep=', ''"),
    ("commas in TSV", "a.tsv", "input,target\nq,a\n", 2, "no column 'input'"),
    ("ids twice", "a.csv", "id,input,target\n1,q,a\n01,q,a\n1,q,a\n", 4, "the id '1' stands already in line 2"),
    ("no id", "a.csv", "id,input,target\n,q,a\n", 2, "'id' is empty or not a text"),
    # names
    ("JSON", "a.json", "[]", None, "unknown suffix '.json'"),
    ("packed", "a.jsonl.gz", gzip.compress(row().encode()), None, "unknown suffix '.gz'"),
    ("no suffix", "a", "x", None, "the name has no suffix"),
    ("pickle", "a.pkl", b"\x80\x04N.", None, "unknown suffix '.pkl'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "raw", "line", "words"), [case[1:] for case in DATA], ids=[c[0] for c in DATA])
def test_data(tmp_path: Path, name: str, raw: str | bytes, line: int | None, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    said = refusal(lambda: load_file(path))
    assert said.startswith(f"{path}: " if line is None else f"{path}, line {line}: ")
    assert words in said
    assert refusal(lambda: own_task(test=path).load()) == said


FAR = pa.array([0, 2**62], pa.timestamp("us"))
QA = {"input": pa.array(["q", "r"]), "target": pa.array(["a", "b"])}


def twice(name: str, columns: dict[str, pa.Array]) -> pa.Table:
    """A table with one of its columns standing twice."""
    return pa.table([*columns.values(), columns[name]], names=[*columns, name])


DATA_PARQUET: list[tuple[str, Callable[[], pa.Table], str]] = [
    ("columns twice", lambda: twice("input", QA), "the column 'input' stands twice"),
    ("unused columns twice", lambda: twice("x", QA | {"x": QA["input"]}), "the column 'x' stands twice"),
    ("not UTF-8", lambda: pa.table(QA | {"input": not_utf8(2, 1)}), "row 2: 'input' is not readable ('utf-8' codec"),
    ("not UTF-8 in the target", lambda: pa.table(QA | {"target": not_utf8(2, 0)}), "row 1: 'target' is not readable"),
    ("far dates", lambda: pa.table(QA | {"target": FAR}), "row 2: 'target' is not readable ("),
    ("far ids", lambda: pa.table(QA | {"id": FAR}), "row 2: 'id' is empty or not a text"),
    ("no columns", lambda: pa.table({}), "no items: the file is empty"),
    ("no rows", lambda: pa.table(QA).slice(0, 0), "no items: the file is empty"),
    ("nothing but null", lambda: pa.table(QA | {"input": pa.nulls(2)}), "row 1: 'input' is null"),
    ("bytes", lambda: pa.table(QA | {"input": pa.array([b"q", b"r"])}), "row 1: 'input' is a bytes"),
    ("infinite", lambda: pa.table(QA | {"target": pa.array([1.0, np.inf])}), "row 2: 'target' is inf"),
    ("structs", lambda: pa.table(QA | {"target": pa.array([{"a": 1}, None])}), "row 1: 'target' is an object"),
    ("lists of null", lambda: pa.table(QA | {"target": pa.array([["a"], [None]])}), "row 2: 'target' holds null"),
    ("20,000 columns", lambda: pa.table({f"c{i}": pa.array([1]) for i in range(10_001)}), "has 10,001 columns"),
    ("too many rows", lambda: pa.table({"input": pa.nulls(20_000_001)}), "has 20,000,001 rows, more than"),
    ("ids of two kinds", lambda: pa.table(QA | {"id": pa.array([1.0, 1.0])}), "row 2: the id '1' stands already"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "words"), [case[1:] for case in DATA_PARQUET], ids=[c[0] for c in DATA_PARQUET])
def test_data_in_parquet(tmp_path: Path, table: Callable[[], pa.Table], words: str) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(table(), path)
    said = refusal(lambda: load_file(path))
    assert said.startswith(f"{path}: ")
    assert words in said


@pytest.mark.parametrize("column", [FAR, not_utf8(2, 1), pa.array([b"\xff", None])], ids=["far", "UTF-8", "bytes"])
def test_what_is_not_used_does_not_matter(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table(QA | {"other": column}), path)
    assert [item.prompt for item in load_file(path)] == ["q", "r"]


def test_numbers_of_400_digits_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(raw_row("target", "9" * 400) + row(target=1.5) + raw_row("id", "1"))
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines()[:2]))
    assert [item.references for item in load_file(path)] == [("9" * 400,), ("1.5",)]


TASK_FILES: list[tuple[str, str, str, str, str]] = [
    ("ids twice", "squad", "test", '{"id": "x", "context": "c", "question": "q", "answers": ["a"]}\n' * 2,
     "task squad, test: the id 'x' stands twice"),
    ("no answers", "squad", "test", '{"id": "x", "context": "c", "question": "q", "answers": {"text": null}}\n',
     "test.jsonl, line 1: 'answers' is null"),
    ("answers of another kind", "squad", "test", '{"id": "x", "context": "c", "question": "q", "answers": {}}\n',
     "test.jsonl, line 1: 'answers' is null"),
    ("answers that are numbers", "squad", "test", '{"id": "x", "context": "c", "question": "q", "answers": [[]]}\n',
     "test.jsonl, line 1: 'answers' holds a list"),
    ("a context of 200,000 words", "squad", "test", json.dumps({"id": "x", "context": "words " * 200_000, "question": "q"}) + "\n",
     "no column 'answers'"),
    ("an empty question", "squad", "test", '{"id": "x", "context": "c", "question": " ", "answers": ["a"]}\n',
     "test.jsonl, line 1: 'question' is empty"),
    ("no such column", "gsm8k", "test", '{"qestion": "q", "answer": "a"}\n',
     "test.jsonl, line 1: no column 'question': did you mean 'qestion'?"),
    ("an object", "gsm8k", "test", '{"question": {}, "answer": "a"}\n', "line 1: 'question' is an object"),
    ("nothing", "gsm8k", "test", "", "test.jsonl: no items: the file is empty"),
    ("null", "eng_afr", "test", '{"source": null, "target": "a"}\n', "line 1: 'source' is null"),
    ("packed", "eng_afr", "test", "\x1f\x8b", "test.jsonl: is packed with gzip: unpack it"),
    ("no best answer", "truthfulqa", "truthfulqa", '{"category": "x", "question": "q"}\n', "no column 'best_answer'"),
    ("another task's file", "truthfulqa", "train", "", "no such file: --data-dir is a folder that holds"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "split", "text", "words"), [case[1:] for case in TASK_FILES], ids=[c[0] for c in TASK_FILES]
)
def test_files_of_tasks(tmp_path: Path, task: str, split: str, text: str, words: str) -> None:
    path = tmp_path / task / f"{split}.jsonl"
    path.parent.mkdir()
    path.write_text(text, encoding="latin-1")
    sizes = Sizes() if task == "truthfulqa" else Sizes(train=0, validation=0)
    assert words in refusal(lambda: TASKS.get(task).load(data_dir=tmp_path, sizes=sizes))


# ------------------------------------------------------------------------------------------------------- records


def record(**changes: object) -> str:
    return json.dumps(RECORD | changes) + "\n"


def raw_record(name: str, value: str) -> str:
    return json.dumps(RECORD | {name: "@"}).replace('"@"', value) + "\n"


RECORDS: list[tuple[str, str | bytes, int | None, str]] = [
    ("quality of 400 digits", raw_record("quality", "1" + "0" * 400), 1, "'quality' is a number of 401 digits"),
    ("quality of -400 digits", raw_record("quality", "-1" + "0" * 400), 1, "'quality' is a number of 401 digits"),
    ("quality of 1e308", raw_record("quality", "1e308"), 1, "'quality' is 1e+308: write a number of at most 1e+150"),
    ("quality of -1e308", raw_record("quality", "-1e308"), 1, "'quality' is -1e+308: write a number of at most"),
    ("score of 400 digits", raw_record("scores", '{"s": 1%s}' % ("0" * 400)), 1, "'scores.s' is a number of 401"),
    ("score of 1e308", raw_record("scores", '{"s": 1e308}'), 1, "field 'scores.s' is 1e+308"),
    ("score of -1e308 in row 2", record() + record(item_id="b", scores={"s": -1e308}), 2, "'scores.s' is -1e+308"),
    ("score of 1e400", raw_record("scores", '{"s": 1e400}'), 1, "the number 1e400 is too large"),
    ("similarity of 1e308", record(train_similarity=1e308), 1, "field 'train_similarity' is 1e+308"),
    ("epoch of 1e308", record(epoch=1e308), 1, "field 'epoch' is 1e+308: write a number of at most 1e+09"),
    ("epoch of 400 digits", raw_record("epoch", "1" + "0" * 400), 1, "field 'epoch' is a number of 401 digits"),
    ("seed of 400 digits", raw_record("seed", "1" + "0" * 400), 1, "field 'seed' is a number of 401 digits"),
    ("5,000 digits", raw_record("seed", DIGITS), 1, "a number of 5,000 digits is too long"),
    ("model of 400 digits", raw_record("model", "1" + "0" * 400), 1, "field 'model' is the number 1"),
    ("a key twice", '{"model": "m", "model": "m"}\n', 1, "the key 'model' stands twice"),
    ("a score twice", raw_record("scores", '{"s": 1, "s": 2}'), 1, "the key 's' stands twice"),
    ("nested", raw_record("note", "[" * 50_000 + "]" * 50_000), 1, "nested too deeply"),
    ("lone surrogate", raw_record("output", '"\\ud83d"'), 1, "half of a surrogate pair"),
    ("lone surrogate in an unknown field", raw_record("note", '["\\udfff"]'), 1, "half of a surrogate pair"),
    ("a model of 9,000 letters", record(model="m" * 9000), 1, "field 'model' has 9,000 characters: shorten it"),
    ("a task of 9,000 letters", record(task="m" * 9000), 1, "field 'task' has 9,000 characters"),
    ("a setting of 9,000 letters", record(setting="m" * 9000), 1, "field 'setting' has 9,000 characters"),
    ("a score's name of 9,000 letters", record(scores={"s" * 9000: 1}), None, "a name among its scores has 9,000"),
    ("2,000 scores", record(scores={f"s{i}": i for i in range(2000)}), None, "has 2,000 scores, more than 1,000"),
    ("2,000 unknown fields", record(**{f"s{i}": i for i in range(2000)}), None, "has 2,000 fields that are not of"),
    ("a quality of text of 9,000 digits", record(quality="0" * 9000), 1, "write the number without quotes, 000"),
    ("a quality of a long text", record(quality="x" * 9000), 1, "field 'quality' is the text 'xxx"),
    ("references of a long list", record(references=[1] * 9000), 1, "field 'references' is the list [1, 1"),
    ("scores of a list", record(scores=[["s", 1]]), 1, "field 'scores' is the list [['s', 1]]"),
    ("scores of text", record(scores='{"s": 1}'), 1, "field 'scores' is the text"),
    ("a score of an object", record(scores={"s": {}}), 1, "field 'scores.s' is an object: write a number"),
    ("a boolean as text", record(selected="true"), 1, "field 'selected' is the text 'true': write true or false"),
    ("a date for an epoch", record(epoch="2025-01-01"), 1, "field 'epoch' is the text '2025-01-01': write a number"),
    ("references of null", record(references=[None]), 1, "field 'references' is the list [None]"),
    ("an output that is a list", record(output=["x"]), 1, "field 'output' is the list ['x']: write text"),
    ("a row that is empty", record() + "{}\n", 2, "the field 'model' is missing: write text"),
    ("one bad of many", "".join(record(item_id=str(i)) for i in range(20_000)) + record(item_id=""), 20_001, "empty"),
    ("one twice of many", "".join(record(item_id=str(i % 19_999)) for i in range(20_000)), 20_000, "the same record"),
    ("nothing", "", None, "no records in it"),
    ("a byte order mark alone", b"\xef\xbb\xbf\n", None, "no records in it"),
    ("a JSON list", json.dumps([RECORD]) + "\n", 1, "a JSON object is wanted"),
    ("pretty-printed", json.dumps(RECORD, indent=2) + "\n", 1, "malformed JSON"),
    ("Latin-1", record().encode() + b'{"model": "\xe9"}\n', 2, "not UTF-8 (byte 0xe9"),
    ("CSV", "model,task\nm,t\n", 1, "malformed JSON"),
    ("old Mac", (record() + record()).replace("\n", "\r"), 1, "cut short"),
    ("two items", record() + record(item_id="b"), None, "2 test items: a correlation needs at least 3"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "line", "words"), [case[1:] for case in RECORDS], ids=[c[0] for c in RECORDS])
def test_records(
    tmp_path: Path, command: Callable[..., str], raw: str | bytes, line: int | None, words: str
) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    said = command("analyze", path)
    if line is not None:
        assert said.startswith(f"{path}, line {line}: ")
    assert words in said


def marked(table: pa.Table, metadata: dict[bytes, bytes]) -> pa.Table:
    return table.replace_schema_metadata(metadata)


def marked_field(name: str, array: pa.Array) -> pa.Table:
    table = columns(**{name: array})
    field = table.schema.field(name).with_metadata({b"aftertune.encoding": b"json"})
    return table.set_column(table.schema.get_field_index(name), field, array)


S = b"aftertune.signatures"
TWO_SCORES = pa.StructArray.from_arrays([pa.array([1.0, 2.0])] * 2, names=["s", "s"])

RECORDS_PARQUET: list[tuple[str, Callable[[], pa.Table], str]] = [
    ("not UTF-8", lambda: columns(model=not_utf8(2, 1)), "the column 'model' is damaged or not UTF-8"),
    ("not UTF-8 in an unknown column", lambda: columns(x=not_utf8(2, 1)), "the column 'x' is damaged or not UTF-8"),
    ("not UTF-8 in scores", lambda: columns(scores=not_utf8(2, 1)), "the column 'scores' is damaged or not UTF-8"),
    ("columns twice", lambda: twice("quality", columns().to_pydict()), "the column 'quality' stands twice"),
    ("a score twice", lambda: columns(scores=TWO_SCORES), "a score stands twice in 'scores'"),
    ("far dates for an epoch", lambda: columns(epoch=FAR), "row 1: field 'epoch' is of type datetime"),
    ("far dates for text", lambda: columns(model=FAR.take(pa.array([1, 1]))), "'model' is not readable ("),
    ("signatures: no JSON", lambda: marked(columns(), {S: b"{"}), "its signatures (in the metadata) are damaged"),
    ("signatures: a list", lambda: marked(columns(), {S: b"[1]"}), "its signatures (in the metadata) are damaged"),
    ("signatures: numbers", lambda: marked(columns(), {S: b'{"s": 1}'}), "its signatures (in the metadata)"),
    ("signatures: null", lambda: marked(columns(), {S: b"null"}), "its signatures (in the metadata)"),
    ("signatures: not UTF-8", lambda: marked(columns(), {S: b"\xff"}), "its signatures (in the metadata)"),
    ("signatures: nested", lambda: marked(columns(), {S: b"[" * 50_000}), "its signatures (in the metadata)"),
    ("unknown field: no JSON", lambda: marked_field("x", pa.array(["1", "{"])), "row 2: field 'x' is not JSON"),
    ("unknown field: nested", lambda: marked_field("x", pa.array(["[" * 50_000, "1"])), "row 1: field 'x': "),
    ("NaN in JSON", lambda: columns(scores=pa.array(['{"s": 1}', '{"s": NaN}'])), "row 2: field 'scores': NaN is not"),
    ("infinite in JSON", lambda: columns(scores=pa.array(['{"s": 1e400}', "{}"])), "row 1: field 'scores': the number"),
    ("400 digits in JSON", lambda: columns(scores=pa.array(['{"s": 1%s}' % ("0" * 400), "{}"])), "a number of 401"),
    ("nested JSON", lambda: columns(scores=pa.array(["[" * 50_000, "{}"])), "row 1: field 'scores': malformed JSON"),
    ("a list in JSON", lambda: columns(scores=pa.array(["{}", "[]"])), "row 2: field 'scores' is the list []"),
    ("null in JSON", lambda: columns(scores=pa.array(["{}", "null"])), "row 2: field 'scores' is null"),
    ("lone surrogate in JSON", lambda: columns(scores=pa.array(['{"\\ud800": 1}', "{}"])), "half of a surrogate"),
    ("quality of 1e308", lambda: columns(quality=pa.array([1e308, 0.5])), "row 1: field 'quality' is 1e+308"),
    ("quality of -1e308", lambda: columns(quality=pa.array([0.1, -1e308])), "row 2: field 'quality' is -1e+308"),
    ("score of 1e308", lambda: columns(scores=pa.array([{"s": 1e308}, {"s": 1.0}])), "'scores.s' is 1e+308"),
    ("decimals", lambda: columns(quality=pa.array([1, 2]).cast(pa.decimal128(30, 3))), "row 1: field 'quality' is of"),
    ("dates", lambda: columns(seed=pa.array([datetime(2025, 1, 1)] * 2)), "row 1: field 'seed' is of type datetime"),
    ("booleans as text", lambda: columns(correct=pa.array(["true", "false"])), "row 1: field 'correct' is the text"),
    ("references as text", lambda: columns(references=pa.array(["x", "y"])), "row 1: field 'references' is the text"),
    ("scores of bytes", lambda: columns(scores=pa.array([b"{}", b"{}"])), "the column 'scores' is of type binary"),
    ("keys that are numbers", lambda: columns(scores=pa.array([[(1, 1.0)]] * 2, pa.map_(pa.int8(), pa.float64()))),
     "the keys of 'scores' are of type int8: write text"),
    ("2,000 columns", lambda: columns(**{f"c{i}": pa.array([1, 2]) for i in range(2000)}), "has 2,000 fields that are"),
    ("20,000 columns", lambda: columns(**{f"c{i}": pa.nulls(2) for i in range(10_001)}), "columns, more than 10,000"),
    ("too many rows", lambda: pa.table({"model": pa.nulls(20_000_001)}), "has 20,000,001 rows, more than"),
    ("no rows", lambda: columns().slice(0, 0), "no records in it"),
    ("no columns", lambda: pa.table({}), "the column 'model' is missing: write text"),
    ("data instead", lambda: pa.table(QA), "the column 'model' is missing: write text"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "words"), [case[1:] for case in RECORDS_PARQUET], ids=[c[0] for c in RECORDS_PARQUET]
)
def test_records_in_parquet(
    tmp_path: Path, command: Callable[..., str], table: Callable[[], pa.Table], words: str
) -> None:
    path = tmp_path / "records.parquet"
    pq.write_table(table(), path)
    said = command("analyze", path)
    assert str(path) in said
    assert words in said


def cut(at: float) -> Callable[[bytearray], bytes]:
    return lambda raw: bytes(raw[: int(at * len(raw))])


def flipped(at: float) -> Callable[[bytearray], bytes]:
    def change(raw: bytearray) -> bytes:
        raw[int(at * len(raw))] ^= 0x10
        return bytes(raw)

    return change


DAMAGE: dict[str, Callable[[bytearray], bytes]] = {
    "empty": cut(0),
    "cut after the first bytes": cut(0.001),
    "cut in the middle": cut(0.5),
    "cut at the end": cut(0.999),
    "another beginning": lambda raw: b"XXXX" + bytes(raw[4:]),
    "another end": lambda raw: bytes(raw[:-4]) + b"XXXX",
    "no footer": lambda raw: bytes(raw[:4] + raw[-4:]),
    "a footer of 2 GB": lambda raw: bytes(raw[:-8]) + b"\xff\xff\xff\x7fPAR1",
    "a footer of zeros": lambda raw: bytes(raw[:-200]) + bytes(192) + bytes(raw[-8:]),
    "encrypted": lambda raw: b"PARE" + bytes(raw[4:-4]) + b"PARE",
    "a bit of a page": flipped(0.3),
    "another bit of a page": flipped(0.5),
    "zeros in a page": lambda raw: bytes(raw[: len(raw) // 3]) + bytes(64) + bytes(raw[len(raw) // 3 + 64 :]),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_parquet(tmp_path: Path, command: Callable[..., str], how: str) -> None:
    path = tmp_path / "records.parquet"
    raw = damaged(path, write_page_checksum=True, compression="none")
    path.write_bytes(DAMAGE[how](raw))
    said = command("analyze", path)
    assert said.startswith(f"{path}: not a whole Parquet file: cut short, damaged, or another format (")
    assert refusal(lambda: load_file(path)) == said


def test_our_own_records_have_checksums(tmp_path: Path) -> None:
    """Every bit of what a column holds is checked on reading."""
    path = tmp_path / "records.parquet"
    damaged(path)
    write_records(read_records([path]), path)
    raw = path.read_bytes()
    column = pq.ParquetFile(path).metadata.row_group(0)
    at = [column.column(i).data_page_offset + column.column(i).total_compressed_size - 9 for i in range(3)]
    for position in at:
        spoilt = bytearray(raw)
        spoilt[position] ^= 1
        path.write_bytes(spoilt)
        assert "not a whole Parquet file" in refusal(lambda: read_records([path]))


BOMBS: dict[str, Callable[[Path], None]] = {
    "zeros": lambda path: pq.write_table(
        columns(output=pa.array(["\0" * 2**22] * 2), other=pa.array([bytes(2**22)] * 2)), path,
        compression="zstd", use_dictionary=False,
    ),
    "one long text in all rows": lambda path: pq.write_table(
        pa.table({"model": pa.array(["x" * 2**18]).dictionary_encode().take(pa.array(np.zeros(500, int)))}), path
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_decompression_bombs(
    tmp_path: Path, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Small on disk, large in memory; here a hundredth of what is refused."""
    monkeypatch.setattr("aftertune.files.parquet.MOST_BYTES", 2**22)
    path = tmp_path / "bomb.parquet"
    BOMBS[kind](path)
    assert path.stat().st_size < 2**20
    assert "divide it" in command("analyze", path)
    assert "divide it" in refusal(lambda: load_file(path))


def test_a_line_without_end(tmp_path: Path, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aftertune.files.jsonl.LONGEST_LINE", 1000)
    path = tmp_path / "records.jsonl"
    path.write_text(record() + record(output="x" * 1000))
    assert command("analyze", path).startswith(f"{path}, line 2: the line has more than 1,000 bytes")


def test_numbers_of_tokens_that_no_output_has_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(raw_record("n_tokens", "1" + "0" * 400) + record(item_id="b", n_tokens=1e308, x=[{}]))
    assert np.isnan(Lengths.of(read_records([path])).tokens).all()


def test_far_dates_in_unknown_columns_of_records_are_kept_as_text(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    pq.write_table(columns(when=FAR), path)
    assert read_records([path]).extra["when"][0] == "1970-01-01 00:00:00.000000"


# -------------------------------------------------------------------------------------------------------- judges


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'{"raw": 1}', b'{"other": "x"}', b"\xff\xfe", b"[" * 50_000, b"\x1f\x8b"]
)
def test_kept_answers_of_a_judge_that_are_damaged_are_asked_for_again(tmp_path: Path, raw: bytes) -> None:
    cache = AnswerCache(folder=tmp_path, settings="s")
    cache.put("p", "yes")
    next(tmp_path.rglob("*.json")).write_bytes(raw)
    assert AnswerCache(folder=tmp_path, settings="s").get("p") is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "unknown judge ''"),
        (":", "unknown judge ''"),
        ("rule:", "has no number after rule"),
        ("rule:1:2", "has no number after rule"),
        ("rule:inf", "the threshold of the rule is inf"),
        ("token_f1:nan", "the threshold of the judge token_f1 is nan"),
        ("chrf_plus:0.5", "its scale goes from 0 to 100"),
        ("openai:", "names no model"),
        ("openai:@http://host/v1", "names no model"),
        ("anthropic:a b", "names no model"),
        ("openai:m@http://", "is no URL"),
        ("openai:m@http://u:p@host/v1", "holds a user name, a password"),
        ("rule:" + "9" * 5000, "the threshold of the rule is inf"),
        ("x" * 100_000, "unknown judge"),
    ],
)
def test_judges(spec: str, words: str) -> None:
    assert words in refusal(lambda: judge_from(spec))
