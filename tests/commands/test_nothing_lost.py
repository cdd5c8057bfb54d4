"""A run survives: killed anywhere, damaged in any file, begun several times at once, on a machine that is short.

Every test runs the commands themselves on the embedded models. `nightly` has every point; what runs each time is a
sample of them.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from crashes import Done, command, start

KINDS = ("audit", "run", "analyze")
LITTER = re.compile(r"\..*\.tmp|\.owner\.json|files\.jsonl|part-.*|damaged")
STUDY = {
    "name": "small",
    "models": [
        {"name": "t5", "path": "embedded:tiny-t5-qa", "learning_rate": 1e-3, "dropout": "residual:0.1"},
    ],
    "tasks": [{"name": "toy_qa", "judge": "token_f1", "max_new_tokens": 4}],
    "seeds": [0],
    "sizes": {"train": 16, "validation": 10, "test": 12},
    "experiments": {"before_after": {"epochs": 2, "patience": None}},
    "evaluation": {"batch_size": 6, "beams": 2, "dropout_samples": 2},
    "keep_checkpoints": "selected",
    "resamples": 200,
}
AUDIT = [
    *("audit", "embedded:tiny-t5-qa", "embedded:tiny-t5-sums", "--allow-other-base", "--task", "toy_qa"),
    *("--items", 12, "--beams", 2, "--dropout-samples", 2, "--dropout", "residual:0.1"),
    *("--max-new-tokens", 4, "--batch-size", 6, "--resamples", 200),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("lost")


def arguments(place: Path, kind: str, out: Path) -> list[object]:
    """The command of a kind, into `out`."""
    if kind == "audit":
        return [*AUDIT, "--out", out]
    if kind == "run":
        study = place / "study.yaml"
        study.write_text(json.dumps(STUDY), encoding="utf-8")
        return ["run", study, "--out", out]
    return ["analyze", place / "whole-audit", "--resamples", 200, "--out", out]


def whole(place: Path, kind: str) -> tuple[Path, int]:
    """A folder of a run that nothing disturbed, made once; and how many file operations it took."""
    out, count = place / f"whole-{kind}", place / f"{kind}.operations"
    if not count.exists():
        if kind == "analyze":
            whole(place, "audit")
        done = command(arguments(place, kind, out), place, root=out)
        assert done.code == 0, done.text
        count.write_text(str(done.operations))
    return out, int(count.read_text())


def content(folder: Path) -> dict[str, object]:
    """Name → what a file holds, without times, of all that makes a run."""
    names = [path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "log.jsonl")]
    return {path.relative_to(folder).as_posix(): _timeless(path) for path in names}


def _timeless(path: Path) -> object:
    if path.suffix != ".json":
        return path.read_bytes()
    found = json.loads(path.read_text(encoding="utf-8"))
    if path.name in ("run.json", "run.backup.json"):
        files = {name: None if name.startswith("training/") else one for name, one in found["files"].items()}
        return found | {"updated": "", "sha256": "", "files": files}
    if path.name == "history.json":
        return _without(found, "seconds")
    return found


def _without(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(one, name) for key, one in value.items() if key != name}
    return [_without(one, name) for one in value] if isinstance(value, list) else value


def faults(folder: Path, original: Path, place: Path, *, litter: re.Pattern[str] = LITTER) -> list[str]:
    """What is not as in a run that nothing disturbed."""
    found = [str(p.relative_to(folder)) for p in folder.rglob("*") if litter.fullmatch(p.name)]
    mine, theirs = content(folder), content(original)
    names = [name for name in {*mine, *theirs} if not name.startswith("damaged/")]
    found += [f"differs: {name}" for name in sorted(names) if mine.get(name) != theirs.get(name)]
    verified = command(["verify", folder], place)
    return found + ([] if verified.code == 0 else [verified.text])


class TestKilled:
    """Killed before a file operation, or at any moment, the same command goes on to the same end."""

    def survives(self, place: Path, kind: str, n: int) -> list[str]:
        original, _ = whole(place, kind)
        out = place / f"killed-{kind}"
        killed = command(arguments(place, kind, out), place, root=out, die_before=n)
        if killed.code != -9:
            return [f"ended with {killed.code}: {killed.text}"]
        again = command(arguments(place, kind, out), place)
        found = [] if again.code == 0 else [f"exit {again.code}: {again.text}"]
        found += faults(out, original, place) if again.code == 0 else []
        shutil.rmtree(out)
        return [f"{kind}, before operation {n}: {one}" for one in found]

    def every(self, place: Path, kind: str, step: int) -> None:
        _, operations = whole(place, kind)
        points = range(1 + random.Random(operations).randrange(step), operations + 1, step)
        found = [fault for n in points for fault in self.survives(place, kind, n)]
        print(f"{kind}: {len(points)} points of {operations}")
        assert not found, "\n".join(found)

    @pytest.mark.slow
    @pytest.mark.parametrize(("kind", "step"), [("audit", 90), ("run", 200), ("analyze", 100)])
    def test_sample_of_operations(self, place, kind, step):
        self.every(place, kind, step)

    @pytest.mark.nightly
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_operation(self, place, kind):
        self.every(place, kind, int(os.environ.get("AFTERTUNE_TEST_STEP", "1")))
