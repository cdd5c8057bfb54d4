"""Where things lie in a run folder, and its manifest.

::

    RUN/
      run.json            the manifest: what was asked, and what the reports say of it
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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aftertune._version import __version__
from aftertune.errors import InputError
from aftertune.files.atomic import atomic_write_text

MARKER = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What run.json holds: what was asked of a run and, once it is finished, all that redrawing it needs.

    Attributes
    ----------
    settings : how the numbers were made, as JSON; ``command`` is always there.
    signatures : name of a score, metric or judge → its signature.
    notes : what a reader must know besides the notes of the analysis.
    sources : files of records, where they lie outside the run folder; else None.
    """

    settings: Mapping[str, Any]
    title: str = ""
    signatures: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    sources: Sequence[str] | None = None
    finished: bool = True

    @property
    def command(self) -> str:
        """The command of aftertune that made the run."""
        return self.settings["command"]

    def to_json(self) -> dict[str, Any]:
        """The content of run.json; of an unfinished run only its settings."""
        if not self.finished:
            return {"finished": False, "settings": dict(self.settings)}
        return {
            "aftertune": __version__,
            "finished": True,
            "title": self.title,
            "settings": dict(self.settings),
            "signatures": dict(self.signatures),
            "notes": list(self.notes),
            "sources": None if self.sources is None else list(self.sources),
        }

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest in a file; `InputError` where the file is none of ours."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise InputError(f"not JSON: {error.msg}", file=path, line=error.lineno) from None
        except UnicodeDecodeError:
            raise InputError("not UTF-8 text", file=path) from None
        settings = content.get("settings") if isinstance(content, dict) else None
        if not isinstance(settings, dict) or "command" not in settings or "finished" not in content:
            raise InputError("was not written by aftertune: this is no run folder", file=path)
        known = ("title", "settings", "signatures", "notes", "sources", "finished")
        return cls(**{name: content[name] for name in known if name in content})


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder: the paths of its parts, each named as in the drawing above, and its manifest."""

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
        """Write which items of a task were used: split → ids, and the other lists that `ids` names."""
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

    @property
    def is_begun(self) -> bool:
        """Whether a run lies here, finished or stopped."""
        return (self.root / MARKER).is_file()

    def check(self, command: str) -> None:
        """Refuse a file, a folder of something else, and the run of another command; change nothing."""
        if self.root.is_file():
            raise InputError(f"{self.root} is a file: give a folder with --out")
        there = next(path for path in (self.root.absolute(), *self.root.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise InputError(f"{self.root} cannot be made or written in {there}: give another one with --out")
        if not self.root.exists() or not any(self.root.iterdir()):
            return
        if not self.is_begun:
            raise InputError(f"{self.root} is not empty and not a run folder: give another one with --out")
        before = Manifest.read(self.root / MARKER).command
        if before != command:
            raise InputError(f"{self.root} holds a run of aftertune {before}: give another folder with --out")

    def make(self, settings: Mapping[str, Any]) -> None:
        """Make the folder, and mark it as ours from the beginning, so that a stopped run can resume.

        `settings` say what was asked for; those of an earlier, finished run stay until this one is finished.
        """
        if not self.is_begun:
            self.write_manifest(Manifest(settings=settings, finished=False))

    def write_manifest(self, manifest: Manifest) -> None:
        """Write run.json, whole or not at all."""
        text = json.dumps(manifest.to_json(), indent=2, ensure_ascii=False)
        atomic_write_text(self.root / MARKER, text + "\n")

    def settings(self) -> Mapping[str, Any]:
        """What was asked of the run that lies here, finished or stopped; {} where there is none."""
        return Manifest.read(self.root / MARKER).settings if self.is_begun else {}

    def manifest(self) -> Manifest:
        """What a finished run wrote; `InputError` where this is no run folder, or its run was stopped."""
        if not self.is_begun:
            raise InputError(f"{self.root} is not a run folder: it has no {MARKER}")
        manifest = Manifest.read(self.root / MARKER)
        if not manifest.finished:
            raise InputError(
                f"{self.root} is not finished: give the same aftertune {manifest.command} command again"
            )
        return manifest

    def forget_records_except(self, keys: Iterable[str]) -> None:
        """Remove records of checkpoints that the present settings do not ask for (their evidence stays)."""
        wanted = {f"{key}.parquet" for key in keys}
        for path in self.records.glob("*.parquet"):
            if path.name not in wanted:
                path.unlink()
