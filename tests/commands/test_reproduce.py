"""What the report says makes a run again: the command line's own parser gets the same settings from it."""

from __future__ import annotations

import html
import re
import shlex
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import aftertune
from aftertune.cli.main import main
from aftertune.commands import analyze, audit, run
from aftertune.commands.reproduce import command_line, python_call, unusual
from aftertune.options import DEFAULTS, AuditOptions
from aftertune.records.records import write_records
from record_samples import study

HOSTILE = "-o' $(touch x) `y` \"<script>\n\\ é;"
OTHERS: dict[str, Any] = {
    "dropout": "attention:0.1", "chat": "off", "long_prompts": "drop", "scores": ["beam_sum", "cocoa_ppl"],
    "judge": "token_f1:0.5", "dtype": "bfloat16", "device": "cuda:1",
}  # fmt: skip


class Parsed(Exception):
    """What a command was called with."""


def parsed(text: str, module: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple, dict[str, Any]]:
    """Arguments of the function that the command line calls for this command."""
    name, *arguments = shlex.split(text)
    assert name == "aftertune"

    def stop(*args: Any, **settings: Any) -> None:
        settings.pop("reporter", None)
        seen.append((args, settings))
        raise Parsed

    seen: list[tuple[tuple, dict[str, Any]]] = []
    monkeypatch.setattr(module, arguments[0], stop)
    assert main(arguments) == 3
    return seen[0]


def other(name: str) -> Any:
    """A value of the setting that is not its default."""
    default = getattr(DEFAULTS, name)
    if name in OTHERS:
        return OTHERS[name]
    if isinstance(default, bool):
        return not default
    if isinstance(default, int | float):
        return default + 1
    return 7 if name in ("items", "max_new_tokens", "batch_size") else HOSTILE


@pytest.mark.parametrize("names", [[f.name for f in fields(AuditOptions)], ["scores", "margin"], []])
def test_audit(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(DEFAULTS, **{name: other(name) for name in names})
    before, after = (HOSTILE, ["a=b c", HOSTILE]) if names else ("base", ["tuned"])
    text = command_line("audit", before, *after, data=HOSTILE, task=None, **unusual(options), out="o <i>")
    args, settings = parsed(text, audit, monkeypatch)
    assert args == (before, after)
    found = settings.pop("options")
    folder = found.data_dir if found.data_dir is None else str(found.data_dir)
    assert replace(found, data_dir=folder) == options
    assert settings == {"task": None, "data": Path(HOSTILE), "out": Path("o <i>")}


def test_a_study_and_the_quickstarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my study.yaml"
    shutil.copy(Path(run.__file__).with_name("quickstart.yaml"), file)
    folder = analyze.RunFolder(tmp_path / "run $1")
    text = run._made_by(file, folder, "cpu", True)
    wanted = {"out": folder.root, "device": "cpu", "trust_remote_code": True}
    assert text is not None
    assert parsed(text, run, monkeypatch) == ((file,), wanted)
    for name, fast in (("quickstart", False), ("quickstart-fast", True)):
        text = run._made_by(Path(run.__file__).with_name(f"{name}.yaml"), folder, None, False)
        assert text is not None
        assert parsed(text, run, monkeypatch) == ((), {"out": folder.root, "fast": fast})


def test_analyze_and_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "<script>x' .parquet"
    write_records(study(n=40, seeds=1, epochs=(0, 1), chosen=1), file)
    given = {"margin": 0.2, "seed": 3, "negate": ["up"], "rely_on": "down", "correct_at": -0.5, "resamples": 200}
    result = aftertune.analyze(file, out=tmp_path / "out", **given)
    page = result.report.read_text(encoding="utf-8")
    shown = re.findall(r'<pre id="reproduce">(.*?)</pre>', page, re.DOTALL)
    assert len(shown) == 1
    assert "<" not in shown[0]
    args, settings = parsed(html.unescape(shown[0]), analyze, monkeypatch)
    assert args == ([file],)
    asked = {"out": tmp_path / "out", "permutation": False, "allow_other_items": False, "paper": False}
    assert settings == given | asked


def test_the_call_of_a_callback() -> None:
    given = {"self": None, "data": ("an example",), "out": Path("runs/it's"), "beams": 4, "epochs": [1, 3]}
    given |= {"tokenizer": object(), "before": True}
    text = python_call(aftertune.ConfidenceCallback.__init__, "f", given)
    assert text == "f(data=['an example'], out=\"runs/it's\", epochs=[1, 3], beams=4, tokenizer=…)"
    examples = python_call(aftertune.ConfidenceCallback.__init__, "f", {"data": [object()], "out": "o"})
    assert examples == "f(data=…, out='o')"
