"""The audit that README shows is what `aftertune analyze` says of its records.

After a change of words or numbers that is meant, write it again and read the difference in git:

    RENEW_EXAMPLE=1 python -m pytest tests/test_example.py
"""

from __future__ import annotations

import os
from pathlib import Path

from aftertune.cli.main import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
RECORDS = ROOT / "studies" / "results" / "squad_sentences.parquet"
BEGIN, END = "<!-- example:begin -->\n```text\n", "```\n<!-- example:end -->"


def test_readme_shows_what_the_command_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["analyze", str(RECORDS), "--out", "runs/example"]) == 0
    printed = capsys.readouterr().out
    before, rest = README.read_text("utf-8").split(BEGIN)
    shown, after = rest.split(END)
    if os.environ.get("RENEW_EXAMPLE"):
        README.write_text(f"{before}{BEGIN}{printed}{END}{after}", "utf-8")
    else:
        assert printed == shown


def test_the_records_are_small():
    assert RECORDS.stat().st_size < 500_000
