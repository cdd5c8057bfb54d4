"""What is left on the screen by a command that ends well, and the page that it opens."""

from __future__ import annotations

import re
import webbrowser
from pathlib import Path

import pytest
import typer

from aftertune.cli.main import app, main
from aftertune.commands.analyze import Result, analyze
from record_samples import study
from samples import write_jsonl


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> Result:
    """Of an analysis, made once."""
    out = tmp_path_factory.mktemp("analysis") / "run"
    return analyze(_records(out.parent), out=out, resamples=200)


@pytest.fixture
def analysis(result: Result, monkeypatch) -> Path:
    """Its folder; to redraw it takes no time."""
    monkeypatch.setattr("aftertune.commands.analyze.redraw", lambda run, **settings: result)
    return result.out


def _records(folder: Path) -> Path:
    found = study()
    names = ("model", "task", "setting", "seed", "epoch", "selected", "split", "item_id", "quality")
    lines = []
    for i in range(len(found)):
        row = {name: getattr(found, name)[i] for name in names}
        row = {name: value.item() if hasattr(value, "item") else value for name, value in row.items()}
        lines.append(row | {"scores": {name: float(values[i]) for name, values in found.scores.items()}})
    return write_jsonl(folder / "records.jsonl", lines)


def test_brief_and_verbose(analysis: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["report", str(analysis)]) == 0
    brief = capsys.readouterr().out.splitlines()
    assert main(["report", str(analysis), "--verbose"]) == 0
    verbose = capsys.readouterr().out.splitlines()
    assert len(brief) <= 30
    assert len(brief) < len(verbose)
    assert brief[-1] == f"more: aftertune report {analysis} --verbose"
    assert brief[-3:-1] == verbose[-2:]
    for line in (*brief, *verbose):
        assert line == line.strip()
        assert "\x1b" not in line


def test_as_wide_as_the_terminal_says(analysis: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    main(["report", str(analysis)])
    lines = [line for line in capsys.readouterr().out.splitlines() if str(analysis) not in line]
    assert 80 < max(map(len, lines)) <= 120


def test_the_page_is_opened(analysis: Path, capsys, monkeypatch) -> None:
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    monkeypatch.chdir(analysis.parent)
    assert main(["report", analysis.name]) == 0
    assert opened == []
    assert main(["report", analysis.name, "--open"]) == 0
    assert opened == [(analysis / "report.html").as_uri()]
    assert (analysis / "report.html").is_file()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("how", ["says no", "raises"])
def test_without_a_browser_there_is_a_line(analysis: Path, capsys, monkeypatch, how: str) -> None:
    def none(url: str) -> bool:
        if how == "raises":
            raise webbrowser.Error("could not locate runnable browser")
        return False

    monkeypatch.setattr(webbrowser, "open", none)
    assert main(["report", str(analysis), "--open"]) == 0
    why = " (could not locate runnable browser)" if how == "raises" else ""
    assert capsys.readouterr().err == f"note: no browser could be opened{why}: open {analysis}/report.html\n"


def test_every_command_with_a_result_has_both_options() -> None:
    found = {
        command.name: {option for parameter in command.params for option in parameter.opts}
        for command in typer.main.get_command(app).commands.values()  # pyright: ignore[reportAttributeAccessIssue]
    }
    both = {name for name, options in found.items() if {"--verbose", "--open"} <= options}
    assert both == {"quickstart", "audit", "run", "analyze", "report"}


def test_an_analysis_names_its_records(analysis: Path, tmp_path: Path, capsys) -> None:
    """Where records are wanted: it has none of its own."""
    said = f"aftertune: {analysis}: an analysis, without records of its own: give its sources, "
    for command in (["plan", "--like", str(analysis)], ["analyze", str(analysis), "--out", str(tmp_path / "out")]):
        assert main(command) == 2
        assert capsys.readouterr().err == f"{said}{analysis.parent / 'records.jsonl'}\n"


def test_a_notebook_shows_scores_of_use_first(result: Result) -> None:
    scores = re.findall("<td>(up|down)</td>", result._repr_html_())
    assert list(dict.fromkeys(scores)) == ["up", "down"]
    assert len(scores) == (result.tables["change"]["effect"] == "adjusted").sum()
