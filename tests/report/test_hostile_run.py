"""One hostile file of records through `analyze`: every file that is written, and what is printed, is looked into.

The page has its own tests in a browser.
"""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from aftertune.cli.main import main
from hostile_names import FORMULA, NAMES, OBEYED, as_it_was
from samples import write_jsonl

EVERY = list(NAMES.values())
ALL = " ".join(EVERY)
MODEL = NAMES["formula"] + NAMES["colour"] + NAMES["title"] + NAMES["markdown"] + NAMES["pipes"]
TASK, SETTING = NAMES["html"] + NAMES["override"] + NAMES["lines"], NAMES["at"] + NAMES["link"] + NAMES["marks"]
SCORES = ("mean_token_logprob", NAMES["command"] + NAMES["C1"], NAMES["tex"] + NAMES["markup"] + NAMES["return"])
LONG = (ALL + "\u202e\x1b[2J=cmd()") * (1_000_000 // len(ALL))
N = 40
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?")


def records(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = []
    for split, epoch in ((split, epoch) for split in ("test", "validation") for epoch in (0, 1, 2)):
        for i in range(N):
            right = bool(rng.random() < 0.6)
            values = (right + rng.normal(), rng.normal(), right + 0.2 * rng.normal())
            place = {"model": MODEL, "task": TASK, "setting": SETTING, "seed": 0, "epoch": epoch, "split": split}
            texts = {
                "output": LONG if i == 0 and split == "test" else f"{ALL} {i}",
                "references": [ALL, NAMES["tex"]],
            }
            values = {"quality": float(right), "correct": right, "scores": dict(zip(SCORES, values))}
            own = {"item_id": f"{EVERY[i % len(EVERY)]}{i}{split}", "group": f"{EVERY[i % len(EVERY)]}{i}"}
            more = {"input": f"{ALL} {i}", NAMES["html"]: ALL, "selected": epoch == 2}
            lines.append(place | texts | values | own | more)
    return write_jsonl(folder / "records.jsonl", lines)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    assert main(["analyze", str(records(folder)), "--out", str(folder / "run"), "--resamples", "200"]) == 0
    return folder / "run"


def of(run: Path, *suffixes: str) -> list[Path]:
    return sorted(path for path in run.rglob("*") if path.is_file() and path.suffix in suffixes)


def test_every_kind_of_file_is_looked_into(run: Path) -> None:
    kinds = {path.suffix for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    assert kinds == {".csv", ".html", ".json", ".jsonl", ".md", ".png", ".svg", ".tex"}
    assert len(of(run, ".csv")) > 15
    for path in run.rglob("*"):
        assert re.fullmatch(r"[0-9A-Za-z._-]+", path.name)  # names of files hold no name from outside as it is


def test_csv_runs_nothing_and_loses_nothing(run: Path) -> None:
    found = set()
    for path in of(run, ".csv"):
        with path.open(encoding="utf-8", newline="") as lines:
            header, *rows = csv.reader(lines)
        for row in rows:
            assert len(row) == len(header), path
            for value in row:
                assert NUMBER.fullmatch(value) or not FORMULA.search(value), (path, value)
                found.add(as_it_was(value))
    assert {*SCORES, MODEL, TASK, SETTING} <= found


def test_markdown_is_text(run: Path) -> None:
    for path in of(run, ".md"):
        text = path.read_text(encoding="utf-8")
        assert not OBEYED.search(text.replace("\n", ""))
        assert not re.search(r"[<&\[`]", re.sub(r"\\.", "", text))
        if path.parent.name == "tables":
            bars = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in text.splitlines()}
            assert len(bars) == 1


def test_latex_reads_no_command_of_theirs(run: Path) -> None:
    files = of(run, ".tex")
    assert len(files) > 3
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not OBEYED.search(text.replace("\n", ""))
        code = re.sub(r"(?m)^%.*", "", text)
        assert not re.search(r"\\(input|include|write|immediate|openin|catcode|csname|frac|undefined)\b", code)
        assert "/etc/passwd" in text  # the name is there, as text
        bare = re.sub(r"\\[\\%$&#_{}]", "", code)
        assert len(re.findall(r"\$", bare)) % 2 == 0
        assert bare.count("{") == bare.count("}")


def test_pictures_hold_no_script(run: Path) -> None:
    for path in of(run, ".svg"):
        text = path.read_text(encoding="utf-8")
        assert not OBEYED.search(text.replace("\n", ""))
        for element in ElementTree.fromstring(text).iter():
            assert element.tag.rpartition("}")[2] not in ("script", "foreignObject", "image", "a")
            for name, value in element.attrib.items():
                assert not name.startswith("on")
                assert "href" not in name or value.startswith("#")


def test_json_holds_them_as_data(run: Path) -> None:
    seen = ""
    for path in of(run, ".json", ".jsonl"):
        text = path.read_text(encoding="utf-8")
        assert not OBEYED.search(text.replace("\n", ""))
        for line in text.splitlines() if path.suffix == ".jsonl" else [text]:
            seen += str(json.loads(line))[:10_000]
    assert (run / "summary.json").read_text(encoding="utf-8").isascii()
    assert repr(MODEL)[1:-1] in seen


@pytest.mark.parametrize(("columns", "options"), [("80", []), ("200", ["--verbose"])])
def test_the_terminal_obeys_nothing(run: Path, capsys, monkeypatch, options: list[str], columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("aftertune.commands.analyze.write_page", lambda *arguments, **settings: None)
    monkeypatch.setattr("aftertune.report.figures.draw", lambda summary: ())
    assert main(["report", str(run), *options]) == 0
    out, err = capsys.readouterr()
    assert not OBEYED.search(out.replace("\n", "") + err.replace("\n", ""))
    assert "note: all is well" not in out.splitlines()
    for line in out.splitlines():
        assert line == line.strip()
    if not options:
        assert len(out.splitlines()) <= 30
        assert "[bold red]" in out or "[/" not in out
