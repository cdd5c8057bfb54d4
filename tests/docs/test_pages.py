"""What the pages of docs/ and README.md show works; the rest is checked when the site is built."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import typer.main

import pages
from aftertune.cli.main import app
from aftertune.scores import SCORES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def lines(page: Path) -> list[list[str]]:
    """The words of every command that a page shows."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 150
    example = text.partition("<!-- example:begin -->")[2].partition("<!-- example:end -->")[0]
    assert 3 < len(example.splitlines()) <= 34


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_has_these_options(page):
    commands = typer.main.get_command(app).commands
    for words in lines(page):
        if words[0].endswith("python") and words[1:3] == ["-m", "aftertune"]:
            words = ["aftertune", *words[3:]]
        if Path(words[0]).name == "aftertune":
            commands[words[1]].make_context(words[1], words[2:])


def test_every_make_target_of_a_page_exists():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    wanted = {words[1] for page in PAGES for words in lines(page) if words[0] == "make" and len(words) > 1}
    assert {"quickstart", "test"} <= wanted <= targets


def test_log_probs_from_elsewhere():
    record, evidence = blocks(ROOT / "docs/elsewhere.md", "python")
    done = subprocess.run([sys.executable, "-c", record + evidence], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert '"quality": 1.0, "n_tokens": 2, "hit_limit": false, "scores": {"mean_token_logprob": -0.12}' in first
    assert "'mean_token_logprob': array([-0.12,   nan])" in second


def test_a_score_in_ten_lines():
    (code,) = blocks(ROOT / "docs/extend.md", "python")
    code += textwrap.dedent(
        """
        from aftertune.scores import score_items
        from aftertune.types import Evidence

        greedy = Greedy(
            text=["a b", ""], n_tokens=[2, 0],
            token_logprob=[[-1.0, -3.0], [np.nan, np.nan]], token_entropy=[[0.5, 0.5], [np.nan, np.nan]],
        )
        found = score_items(Evidence(item_ids=["x", "y"], greedy=greedy), ["least_token_logprob"])
        print(found["least_token_logprob"].value.tolist(), found["least_token_logprob"].reason.tolist())
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[-3.0, nan] [None, 'the output is empty']\n", "")


def test_the_page_of_scores_has_them_all():
    page = pages.scores()
    for name, entry in SCORES.items():
        assert f"| [`{name}`](#{name}) |" in page
        assert f"```text\n{entry.formula}\n```" in page
        assert entry.when


def test_the_page_of_commands_has_them_all():
    page = pages.commands()
    for name in typer.main.get_command(app).commands:
        assert f"## `aftertune {name}`" in page
    assert "Example:\n\n```sh\naftertune quickstart --fast" in page


@pytest.mark.parametrize(
    ("target", "source", "wanted"),
    [
        ("docs/start.md#install", "README.md", "start.md#install"),
        ("../README.md#limits", "docs/start.md", "index.md#limits"),
        ("../statistics.md", "docs/notebooks/audit.md", "../statistics.md"),
        ("notebooks/audit.py", "docs/start.md", "notebooks/audit.md"),
        ("docs/images/report.png", "README.md", "images/report.png"),
        ("../studies/paper.yaml", "docs/studies.md", f"{pages.REPOSITORY}/studies/paper.yaml"),
        ("../studies/none.yaml", "docs/studies.md", "../studies/none.yaml"),  # for mkdocs to complain about
        ("https://example.org/a.md", "docs/studies.md", "https://example.org/a.md"),
        ("#here", "README.md", "#here"),
    ],
)
def test_links(target, source, wanted):
    assert pages.link(target, source) == wanted
