"""All that a reader sees of one study, word for word: the page as text, and the terminal at two widths.

After a change of words or numbers that is meant, write the stored texts again and read the difference in git:

    RENEW_GOLDEN=1 python -m pytest tests/report/test_golden.py
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

from aftertune._version import __version__
from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import Analysis
from aftertune.report.page import write_page
from aftertune.report.summary import summarise
from aftertune.report.tables import write_tables
from golden_samples import sample
from report_text import briefly, printed, visible

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(sample(), resamples=200)


def is_stored(name: str, text: str) -> None:
    """Compare with the stored text; a difference is shown line by line."""
    path = GOLDEN / name
    if os.environ.get("RENEW_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    stored = path.read_text(encoding="utf-8")
    changed = difflib.unified_diff(
        stored.splitlines(), text.splitlines(), f"golden/{name}", "now", n=1, lineterm=""
    )
    if stored != text:
        pytest.fail("\n".join([*changed, "", f"Where that is meant, {__file__} says what to do."]), pytrace=False)


def test_page(analysis: Analysis, tmp_path: Path) -> None:
    write_tables(analysis, tmp_path / "tables")
    path = write_page(
        tmp_path,
        summarise(analysis, sample()),
        sample(),
        title="A study",
        settings={"margin": "0.05", "resamples": "200"},
        signatures={"mine": "mine|version:1", "correct": "rule|similarity:token_f1|threshold:0.5|version:0.1.0"},
    )
    is_stored("page.txt", visible(path.read_text(encoding="utf-8")).replace(__version__, "VERSION"))


def test_terminal(analysis: Analysis) -> None:
    parts = [f"{f' {width} columns, --verbose ':=^{width}}\n{printed(analysis, width)}" for width in (120, 80)]
    parts.insert(0, f"{' 80 columns ':=^80}\n{briefly(summarise(analysis, sample()))}")
    is_stored("terminal.txt", "".join(f"{line.rstrip()}\n" for part in parts for line in part.splitlines()))
