"""Where things lie in a run folder.

::

    RUN/
      run.json            what was asked: command, settings, versions, signatures
      evidence/KEY/       what was generated at one checkpoint, in parts
      training/KEY/       history.json; the state that an interrupted training goes on from
      checkpoints/KEY/    weights that are kept
      dropout/KEY.json    what dropout "auto" stands for, and its effect
      judgements/         what a judge was asked and said
      items/TASK.json     ids of the items of each split
      records/KEY.parquet one row for each item of one checkpoint
      tables/ figures/    what analysis writes
      report.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aftertune.errors import InputError
from aftertune.files.atomic import atomic_write_text

MARKER = "run.json"


@dataclass(frozen=True, slots=True)
class RunFolder:
    root: Path

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def judgements(self) -> Path:
        return self.root / "judgements"

    def write_items(self, task: str, ids: dict[str, list[str]]) -> None:
        """Keep which items of a task were used: split → ids, and "selected" of those that it chose from."""
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in task)
        atomic_write_text(
            self.root / "items" / f"{name}.json", json.dumps(ids, ensure_ascii=False, indent=1) + "\n"
        )

    def evidence(self, key: str) -> Path:
        return self.root / "evidence" / key

    def training(self, key: str) -> Path:
        return self.root / "training" / key

    def checkpoints(self, key: str) -> Path:
        return self.root / "checkpoints" / key

    def dropout(self, key: str) -> Path:
        return self.root / "dropout" / f"{key}.json"

    def record_file(self, key: str) -> Path:
        return self.records / f"{key}.parquet"

    def check(self, command: str) -> None:
        """Refuse a file, a folder of something else, and the run of another command; change nothing."""
        if self.root.is_file():
            raise InputError(f"{self.root} is a file: give a folder with --out")
        there = next(path for path in (self.root.absolute(), *self.root.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise InputError(f"{self.root} cannot be made or written in {there}: give another one with --out")
        if not self.root.exists() or not any(self.root.iterdir()):
            return
        if not (self.root / MARKER).exists():
            raise InputError(f"{self.root} is not empty and not a run folder: give another one with --out")
        before = self._read()["settings"]["command"]
        if before != command:
            raise InputError(f"{self.root} holds a run of aftertune {before}: give another folder with --out")

    def make(self, settings: Mapping[str, Any]) -> None:
        """Make the folder, and mark it as ours from the beginning, so that a stopped run can go on.

        `settings` say what was asked for; those of an earlier, finished run stay until this one is finished.
        """
        if not (self.root / MARKER).exists():
            self.write_manifest({"finished": False, "settings": dict(settings)})

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        atomic_write_text(self.root / MARKER, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")

    def settings(self) -> dict[str, Any]:
        """Those of the run that lies here, finished or stopped; {} where there is none."""
        return self._read()["settings"] if (self.root / MARKER).is_file() else {}

    def manifest(self) -> dict[str, Any]:
        """What a finished run wrote; `InputError` where this is no run folder, or its run was stopped."""
        manifest = self._read()
        if not manifest["finished"]:
            command = manifest["settings"]["command"]
            raise InputError(f"{self.root} is not finished: give the same aftertune {command} command again")
        return manifest

    def _read(self) -> dict[str, Any]:
        path = self.root / MARKER
        if not path.is_file():
            raise InputError(f"{self.root} is not a run folder: it has no {MARKER}")
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise InputError(f"not JSON: {error.msg}", file=path, line=error.lineno) from None
        except UnicodeDecodeError:
            raise InputError("not UTF-8 text", file=path) from None
        settings = manifest.get("settings") if isinstance(manifest, dict) else None
        if not isinstance(settings, dict) or "command" not in settings or "finished" not in manifest:
            raise InputError("was not written by aftertune: this is no run folder", file=path)
        return manifest

    def forget_records_except(self, keys: Iterable[str]) -> None:
        """Remove records of checkpoints that the present settings do not ask for (their evidence stays)."""
        wanted = {f"{key}.parquet" for key in keys}
        for path in self.records.glob("*.parquet"):
            if path.name not in wanted:
                path.unlink()
