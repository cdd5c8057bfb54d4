"""Freeze what the commands write, and compare with it after a change that should not change it.

    python scripts/oracle.py freeze FOLDER     make the runs with the code that is installed
    python scripts/oracle.py check FOLDER      analyse them again, and go on with them, with that code

`check` works on copies. Each table (CSV, JSONL, TeX) must be the same to the byte, and nothing may be decoded.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

STUDY = """
name: oracle
models:
  - {name: tiny-t5, path: "embedded:tiny-t5-qa", learning_rate: 1.0e-3, tasks: [toy_qa]}
  - {name: tiny-llama, path: "embedded:tiny-llama-translation", learning_rate: 1.0e-3, tasks: [toy_translation]}
tasks:
  - {name: toy_qa, judge: token_f1}
  - {name: toy_translation}
seeds: [0, 1]
sizes: {train: 120, validation: 30, test: 60}
experiments:
  before_after: {epochs: 3, patience: null}
  by_epoch: {epochs: 3}
  by_samples: {samples: [40, 120], epochs: 2}
evaluation: {batch_size: 60, beams: 4}
"""


def commands(folder: Path) -> dict[str, list[str]]:
    """Name of a run → its command without `--out`. Paths are those of the frozen folder, also for `check`."""
    models = folder / "inputs"
    return {
        "quickstart": ["quickstart"],
        "study": ["run", str(models / "study.yaml")],
        "audit": [
            "audit", "embedded:tiny-t5-qa", str(models / "tuned"), "--data", str(models / "test.jsonl"),
            "--validation", str(models / "validation.jsonl"), "--judge", "token_f1:0.5", "--beams", "4",
        ],
        "analyze": ["analyze", str(folder / "study" / "records"), "--permutation", "--correct-at", "0.5"],
    }  # fmt: skip


def make_inputs(folder: Path) -> None:
    from aftertune.models.load import load, save
    from aftertune.tasks import TASKS, Sizes

    inputs = folder / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    (inputs / "study.yaml").write_text(STUDY, encoding="utf-8")
    splits = TASKS.get("toy_qa").load(sizes=Sizes(train=0, validation=40, test=60), seed=0)
    for name in ("test", "validation"):
        rows = [{"id": e.id, "input": e.prompt, "target": list(e.references)} for e in getattr(splits, name)]
        (inputs / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    loaded = load("embedded:tiny-t5-qa")
    for parameter in loaded.model.parameters():
        parameter.data.mul_(1.0 + 0.05 * parameter.data.sin())
    save(loaded, inputs / "tuned")


def call(command: list[str], out: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "aftertune", *command, "--out", str(out)], capture_output=True, text=True
    )
    text = done.stdout + "\n---\n" + done.stderr + f"\n--- {done.returncode}\n"
    return re.sub(r"\d+ (?:min )?\d* ?s\b", "N s", text).replace(str(out), "OUT")


def tables(run: Path) -> dict[str, bytes]:
    found = [path for path in sorted(run.rglob("*")) if path.suffix in (".csv", ".jsonl", ".tex", ".md", ".html")]
    return {str(path.relative_to(run)): path.read_bytes() for path in found if "evidence" not in path.parts}


def text_of_page(html: bytes) -> str:
    text = re.sub(r"(?s)<(svg|style|script).*?</\1>|data:[^\"']*", " ", html.decode())
    return "\n".join(line.strip() for line in re.sub(r"<[^>]+>", "\n", text).splitlines() if line.strip())


def _difference(a: str, b: str) -> list[str]:
    return list(difflib.unified_diff(a.splitlines(), b.splitlines(), "frozen", "now", lineterm="", n=0))


def freeze(folder: Path) -> None:
    make_inputs(folder)
    for name, command in commands(folder).items():
        text = call(command, folder / name)
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        print(name, text.splitlines()[-1])


def check(folder: Path, names: list[str], full: bool) -> int:
    bad = 0
    for name, command in commands(folder).items():
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / name
            shutil.copytree(folder / name, copy, copy_function=shutil.copy2)
            decoded = {str(p.relative_to(copy)): p.stat().st_mtime_ns for p in copy.glob("evidence/*/*")}
            before = tables(copy)
            for path in before:
                if path.endswith((".csv", ".tex", ".md", ".html")):
                    (copy / path).unlink()
            text = call(command, copy)
            after = tables(copy)
            again = {str(p.relative_to(copy)): p.stat().st_mtime_ns for p in copy.glob("evidence/*/*")}
            if again != decoded:
                bad += 1
                print(f"{name}: evidence was written anew: {sorted(set(again) ^ set(decoded))[:3]}")
            for path in sorted({*before, *after}):
                old, new = before.get(path), after.get(path)
                if old == new:
                    continue
                is_page = path.endswith((".html", ".md"))
                bad += not is_page
                if old is None or new is None:
                    print(f"{name}/{path}: only {'after' if old is None else 'before'}")
                    continue
                a, b = (text_of_page(x) if path.endswith(".html") else x.decode() for x in (old, new))
                changes = list(
                    difflib.unified_diff(a.splitlines(), b.splitlines(), "frozen", "now", lineterm="", n=0)
                )
                print(f"{name}/{path}: differs ({len(changes)} lines)")
                print("\n".join(changes if full else changes[:8]))
            frozen = (folder / f"{name}.txt").read_text(encoding="utf-8")
            changes = list(
                difflib.unified_diff(frozen.splitlines(), text.splitlines(), "frozen", "now", lineterm="", n=0)
            )
            print(f"{name}: {len(before)} files compared; terminal: {len(changes)} lines differ")
            print("\n".join(changes if full else changes[:12]))
    print("DIFFERENT" if bad else "THE SAME")
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("freeze", "check"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    if given.what == "freeze":
        freeze(given.folder.resolve())
    else:
        sys.exit(check(given.folder.resolve(), given.names, given.full))
