"""Where things lie in a run folder.

::

    RUN/
      run.json            what was asked: command, settings, versions, signatures
      evidence/KEY/       what was generated at one checkpoint, in parts
      training/KEY/       history.json; the state that an interrupted training goes on from
      checkpoints/KEY/    weights that are kept
      records/KEY.parquet one row for each item of one checkpoint
      tables/ figures/    what analysis writes
      report.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aftertune.errors import InputError
from aftertune.store.atomic import atomic_write_text

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

    def evidence(self, key: str) -> Path:
        return self.root / "evidence" / key

    def training(self, key: str) -> Path:
        return self.root / "training" / key

    def checkpoints(self, key: str) -> Path:
        return self.root / "checkpoints" / key

    def record_file(self, key: str) -> Path:
        return self.records / f"{key}.parquet"

    def open(self) -> None:
        """Make the folder, or accept one that an earlier run made; refuse any other that is not empty."""
        if self.root.is_file():
            raise InputError(f"{self.root} is a file: give a folder with --out")
        if self.root.exists() and any(self.root.iterdir()) and not (self.root / MARKER).exists():
            raise InputError(f"{self.root} is not empty and not a run folder: give another one with --out")
        self.root.mkdir(parents=True, exist_ok=True)

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        atomic_write_text(self.root / MARKER, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")

    def manifest(self) -> dict[str, Any]:
        """What `write_manifest` wrote; `InputError` where this is no run folder."""
        path = self.root / MARKER
        if not path.is_file():
            raise InputError(f"{self.root} is not a run folder: it has no {MARKER}")
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise InputError(f"not JSON: {error.msg}", file=path, line=error.lineno) from None

    def forget_records_except(self, keys: Iterable[str]) -> None:
        """Remove records of checkpoints that the present settings do not ask for (their evidence stays)."""
        wanted = {f"{key}.parquet" for key in keys}
        for path in self.records.glob("*.parquet"):
            if path.name not in wanted:
                path.unlink()
