"""README and the page about the example show what `aftertune analyze` says of its records.

After a change of words or numbers that is meant, write them again and read the difference in git:

    RENEW_EXAMPLE=1 python -m pytest -m "" tests/test_example.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from aftertune.cli.main import main
from drawing import without_drawing

ROOT = Path(__file__).parents[1]
README, PAGE = ROOT / "README.md", ROOT / "docs" / "example.md"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder with the records where they are in a clone, at 80 columns."""
    (tmp_path / "studies").symlink_to(ROOT / "studies")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    without_drawing(monkeypatch)


def shown_as_printed(page: Path, mark: str, printed: str) -> None:
    begin, end = f"<!-- {mark}:begin -->\n```text\n", f"```\n<!-- {mark}:end -->"
    before, rest = page.read_text("utf-8").split(begin)
    shown, after = rest.split(end)
    if os.environ.get("RENEW_EXAMPLE"):
        page.write_text(f"{before}{begin}{printed}{end}{after}", "utf-8")
    else:
        assert printed == shown


def test_readme(capsys):
    assert main(["analyze", "studies/results/squad_sentences.parquet"]) == 0
    shown_as_printed(README, "example", capsys.readouterr().out)


@pytest.mark.thorough
def test_another_metric(capsys):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert code is not None
    exec(code[1], {})
    assert main(["analyze", "recall.parquet", "--out", "runs/recall"]) == 0
    shown_as_printed(PAGE, "recall", capsys.readouterr().out)
