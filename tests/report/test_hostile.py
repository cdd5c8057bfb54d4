"""Names and texts from outside are shown, and obeyed by nobody who reads what we write."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import TABLES
from aftertune.cli import main as cli
from aftertune.cli.progress import ProgressBars, text_console
from aftertune.errors import InputError
from aftertune.report.figures import draw
from aftertune.report.page import write_page
from aftertune.report.summary import summarise
from aftertune.report.tables import cell, write_tables
from aftertune.report.terminal import print_verdicts
from aftertune.visible import visible
from hostile_names import FORMULA, NAMES, OBEYED, as_it_was
from record_samples import checkpoint, together


def records_of(name: str):
    rng = np.random.default_rng(0)
    n = 12
    ids = [f"{name}{i}" for i in range(n)]
    parts = []
    for seed in (0, 1):
        for epoch in (0, 1, 2):
            quality = (rng.random(n) < 0.5).astype(float)
            scores = {name: quality + rng.normal(size=n), "beam_sum": rng.normal(size=n)}
            parts.append(
                checkpoint(
                    quality, scores, model=name, task=name, setting=name, seed=seed, epoch=epoch,
                    selected=epoch == 2, ids=ids, output=[f"{name} {i}" for i in range(n)],
                    references=[(name,)] * n,
                )
            )  # fmt: skip
    return together(*parts)


TOGETHER = {
    "controls": "colour title link clear C1 back return other_lines zero delete",
    "lines": "lines override isolate marks unseen",
    "html": "html entity markup no_markup emoji",
    "markdown": "pipes markdown template",
    "tex": "tex mathtext",
    "comment": "comment",
    **{name: name for name in ("formula", "minus", "at", "tab", "apostrophe", "another_separator", "wide")},
}
"""What is looked at in one report; a spreadsheet reads the beginning alone."""


@pytest.fixture(scope="module", params=TOGETHER)
def written(request, tmp_path_factory):
    """(The name, the folder with tables, figures and page, and what the terminal showed)."""
    name = " ".join(NAMES[one.replace("_", " ")] for one in TOGETHER[request.param].split())
    out = tmp_path_factory.mktemp("run")
    records = records_of(name)
    analysis = analyse(records, resamples=200)
    write_tables(analysis, out / "tables")
    summary = summarise(analysis, records)
    for figure in draw(summary):
        figure.save(out / "figures")
    write_page(out, summary, records, title=name, settings={name: name}, signatures={name: name})
    shown = []
    for width, encoding in ((120, "utf-8"), (80, "ascii")):
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        print_verdicts(Console(file=file, width=width, force_terminal=True, color_system=None), summary)
        file.flush()
        shown.append(file.buffer.getvalue().decode(encoding))  # pyright: ignore[reportAttributeAccessIssue]
    return name, out, shown


@pytest.mark.thorough
class TestEverywhere:
    """One kind after the other; test_hostile_run.py has them all at once."""

    def test_the_page(self, written):
        name, out, _ = written
        page = (out / "report.html").read_text(encoding="utf-8")
        assert len(re.findall(r"<script\b", page)) == 4  # the data, two libraries and the page's own
        page = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
        assert not OBEYED.search(page.replace("\r", ""))
        assert "alert(1)</script>" not in page
        assert not re.search(r"<img|<u>|<b>red", page)
        if "\n" not in name and not OBEYED.search(name):
            assert name in "".join(ElementTree.fromstring(f"<p>{_title(page)}</p>").itertext())

    def test_figures(self, written):
        _, out, _ = written
        figures = list((out / "figures").glob("*.svg"))
        assert len(figures) >= 3
        for file in figures:
            text = file.read_text(encoding="utf-8")
            ElementTree.fromstring(text)  # well-formed
            assert not OBEYED.search(text)
            assert "<script" not in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
            assert file.with_suffix(".png").stat().st_size > 1000

    def test_the_terminal(self, written):
        for text in written[2]:
            assert not OBEYED.search(text)
            assert "\nnote: all is well" not in text

    def test_markdown(self, written):
        _, out, _ = written
        for file in (out / "tables").glob("*.md"):
            text = file.read_text(encoding="utf-8")
            assert not OBEYED.search(text)
            header, rule, *lines = text.removesuffix("\n").split("\n")
            columns = len(re.findall(r"(?<!\\)(?:\\\\)*\|", header))
            for line in [rule, *lines]:
                assert len(_bars(line)) == columns
            bare = re.sub(r"\\.", "", text)
            assert not re.search(r"[<&\[`]", bare)

    def test_latex(self, written):
        _, out, _ = written
        files = list((out / "tables").glob("*.tex"))
        assert len(files) >= 3
        for file in files:
            text = file.read_text(encoding="utf-8")
            assert not OBEYED.search(text)
            assert not re.search(r"\\(input|write|frac|undefined)\b", re.sub(r"(?m)^%.*", "", text))

    def test_csv_is_no_program_and_is_what_it_was(self, written):
        name, out, _ = written
        seen = 0
        for file in (out / "tables").glob("*.csv"):
            texts = {c.name for c in TABLES[file.stem].columns if c.kind.rstrip("?") == "text"}
            with file.open(encoding="utf-8", newline="") as lines:
                for row in csv.DictReader(lines):
                    for column, value in row.items():
                        if column in texts:
                            assert not FORMULA.search(value)
                            seen += as_it_was(value) == name
                        else:
                            assert not value.startswith("'")
        assert seen > 20


def _title(page: str) -> str:
    return re.search(r"<h1>(.*?)</h1>", page, re.DOTALL)[1]  # pyright: ignore[reportOptionalSubscript]


def _bars(line: str) -> list[str]:
    """The bars of a line that part cells: those with an even number of backslashes before them."""
    return [found for found in re.findall(r"\\*\|", line) if len(found) % 2]


class TestWhatIsShown:
    @pytest.mark.parametrize("name", [name for name in NAMES.values() if OBEYED.search(name)])
    def test_nothing_is_lost(self, name):
        shown = visible(name)
        assert not OBEYED.search(shown)
        again = re.sub(r"⟨U\+([0-9A-F]{4,5})⟩", lambda found: chr(int(found[1], 16)), shown)
        assert again == name

    @pytest.mark.parametrize(
        "text",
        ["plain", "é ß 模型 עברית العربية", "می\u200cخواهم", "👩\u200d🔬", "a\u00a0b\u3000c", "ρ − ⟨x⟩"],
    )
    def test_all_scripts_stay(self, text):
        assert visible(text) == text

    def test_lines_of_outputs_stay_where_they_are_wanted(self):
        assert visible("a\n\tb\r\x1b", keep="\n\t") == "a\n\tb⟨U+000D⟩⟨U+001B⟩"

    def test_half_a_character_can_be_printed(self):
        assert visible("a\ud800b").encode() == "a⟨U+D800⟩b".encode()


class TestProgress:
    @pytest.mark.parametrize("name", NAMES.values())
    @pytest.mark.parametrize("terminal", [True, False])
    def test_stages_and_notes(self, name, terminal):
        file = io.StringIO()
        console = Console(file=file, force_terminal=terminal, color_system=None, width=300)
        with ProgressBars(console) as bars:
            bars.plan(3, 0)
            bars.stage(f"{name} · seed 0: decoding", 3)
            bars.advance(1)
            bars.note(f"judge {name}: 2 checkpoints")
        text = re.sub(r"\x1b\[(\?25[lh]|[0-9]*[AK])|\r", "", file.getvalue())  # rich's own
        assert not OBEYED.search(text)
        assert f"note: judge {visible(name)}: 2 checkpoints\n" in text
        assert f"{visible(name)} · seed 0: decoding" in text

    @pytest.mark.parametrize("name", NAMES.values())
    def test_whatever_else_a_command_prints(self, name, capsys):
        console = text_console()
        table = Table(title=name)
        table.add_column(name)
        table.add_row(name)
        console.print(name, soft_wrap=True)
        console.print(table)
        assert not OBEYED.search(capsys.readouterr().out)


class TestErrors:
    @pytest.mark.parametrize("name", NAMES.values())
    def test_one_line(self, name):
        message = str(InputError(f"no such model: {name}: write another", file=f"data/{name}.jsonl", line=3))
        assert not OBEYED.search(message)
        assert "\n" not in message

    @pytest.mark.parametrize("name", [name for name in NAMES.values() if "\0" not in name])
    def test_on_the_command_line(self, name, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for arguments in (
            ["analyze", f"./{name}"],
            ["run", f"{name}.yaml"],
            ["list", name],
            [name],
            [f"--{name}"],
        ):
            assert cli.main(arguments) == 2
            stderr = capsys.readouterr().err
            assert not OBEYED.search(stderr)
            assert stderr.count("\n") == 1

    def test_a_fault_of_ours(self, capsys, monkeypatch):
        def fail(**_):
            raise RuntimeError("\x1b[2J\u202e")

        monkeypatch.setattr(cli, "app", fail)
        assert cli.main(["list", "scores"]) == 3
        stderr = capsys.readouterr().err
        assert "RuntimeError: ⟨U+001B⟩[2J⟨U+202E⟩\n" in stderr
        assert not OBEYED.search(stderr)


def test_numbers_in_tables_are_as_they_were():
    assert [cell(value) for value in (-0.5, 1e-9, -3, True)] == ["-0.5", "1e-09", "-3", "true"]


def test_what_a_file_in_the_folder_of_tables_is_called(tmp_path: Path):
    """The page lists what lies there."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "\x1b<b>\u202e.csv").write_text("")
    records = records_of("m")
    page = write_page(
        tmp_path, summarise(analyse(records, resamples=200), records), title="t", settings={}, signatures={}
    )
    assert "⟨U+001B⟩&lt;b&gt;⟨U+202E⟩.csv" in page.read_text(encoding="utf-8")
