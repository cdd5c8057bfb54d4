"""Where things lie in a run folder, its manifest, and opening it: one writer, nothing altered unnoticed.

::

    RUN/
      run.json            the manifest: what was asked, how far it is, every file with its size and SHA-256
      run.backup.json     the same; read where run.json is damaged
      files.jsonl         files that were written since run.json was
      log.jsonl           what happened, one line an event
      evidence/KEY/       what was generated at one checkpoint, in parts
      training/KEY/       history.json; the state that an interrupted training goes on from
      checkpoints/KEY/    weights that are kept
      dropout/KEY.json    what dropout "auto" stands for, and its effect
      judgements/         what a judge was asked and said
      items/TASK.json     ids of the items of each split
      records/KEY.parquet one row for each item of one checkpoint
      tables/ figures/    what analysis writes
      report.html summary.json
      damaged/            files that were not as they were written, set aside
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import shutil
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from aftertune._version import __version__
from aftertune.errors import InputError
from aftertune.files.atomic import TEMPORARY, atomic_write_text, distinct, flush_folder, remove
from aftertune.files.evidence import MERGED, PART
from aftertune.files.inventory import Content, Damage, Inventory, opened
from aftertune.files.lock import LOCK, OWNER, locked, writer_of
from aftertune.types import Check
from aftertune.visible import in_json

MARKER = "run.json"
BACKUP = "run.backup.json"
LOG = "log.jsonl"
SUMMARY = "summary.json"
DAMAGED = "damaged"
FORMAT = 2
"""Of run.json: counts up when an older version of the package could not read a newer one's. 1 had no files."""

ROOMS = ("evidence", "training", "checkpoints", "dropout", "judgements", "items", "records", "tables", "figures")
"""Folders of a run folder that hold its files."""

State = Literal["running", "interrupted", "failed", "recorded", "finished"]
"""Recorded: all records are there, and tables and report are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What run.json holds: what was asked of a run, how far it is, and all that redrawing it needs.

    Attributes
    ----------
    settings : how the numbers were made, as JSON; ``command`` is always there.
    signatures : name of a score, metric or judge → its signature.
    notes : what a reader must know besides the notes of the analysis.
    checks : those that were made while measuring.
    sources : files of records, where they lie outside the run folder; else None.
    error : why it failed; "" where it did not.
    records : names of the files of records that belong to these settings; None in format 1: all that there are.
    checkpoints : how many are wanted; None where that is not known.
    used : files and folders that these settings need besides; None where that is not known.
    files : path → content, of every file of the run; `RunFolder.write` fills it.
    """

    settings: Mapping[str, Any]
    title: str = ""
    signatures: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    checks: Sequence[Check] = ()
    sources: Sequence[str] | None = None
    state: State = "finished"
    error: str = ""
    updated: str = ""
    records: Sequence[str] | None = ()
    checkpoints: int | None = None
    used: Sequence[str] | None = None
    files: Mapping[str, Content] = field(default_factory=dict)

    @property
    def command(self) -> str:
        return self.settings["command"]

    def to_text(self) -> str:
        """JSON; its last entry is the digest of what stands before it."""
        content = {
            "format": FORMAT,
            "aftertune": __version__,
            "state": self.state,
            "error": self.error,
            "updated": datetime.now().astimezone().isoformat(timespec="seconds"),
            "title": self.title,
            "settings": dict(self.settings),
            "signatures": dict(self.signatures),
            "notes": list(self.notes),
            "checks": [_as_json(check) for check in self.checks],
            "sources": None if self.sources is None else list(self.sources),
            "checkpoints": self.checkpoints,
            "used": None if self.used is None else list(self.used),
            "records": None if self.records is None else list(self.records),
            "files": {path: [one.size, one.sha256] for path, one in self.files.items()},
        }
        return json.dumps(content | {"sha256": _digest(content)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """`InputError` where the file is none of ours, is damaged, or was written by a newer version."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise InputError(f"not JSON: {error.msg}", file=path, line=error.lineno) from None
        except UnicodeDecodeError:
            raise InputError("not UTF-8 text", file=path) from None
        if not isinstance(content, dict) or "command" not in _mapping(content.get("settings")):
            raise InputError("was not written by aftertune: this is no run folder", file=path)
        if "format" not in content:
            return cls._of_format_1(content, path)
        if not isinstance(content["format"], int) or content["format"] > FORMAT:
            raise InputError(
                f"was written by a newer aftertune ({content.get('aftertune')}): use that one, or another folder",
                file=path,
            )
        if content.pop("sha256", None) != _digest(content):
            raise InputError("is damaged: it is not what was written", file=path)
        files = {name: Content(*entry) for name, entry in content.pop("files").items()}
        for name in ("format", "aftertune"):
            content.pop(name)
        checks = [Check(**{**one, "value": _number(one["value"])}) for one in content.pop("checks", ())]
        return cls(**content, checks=checks, files=files)

    @classmethod
    def _of_format_1(cls, content: Mapping[str, Any], path: Path) -> Manifest:
        if not isinstance(content.get("finished"), bool):
            raise InputError("was not written by aftertune: this is no run folder", file=path)
        known = {name: content[name] for name in ("title", "signatures", "notes", "sources") if name in content}
        state = "finished" if content["finished"] else "interrupted"
        return cls(settings=content["settings"], state=state, records=None, **known)


def _as_json(check: Check) -> dict[str, Any]:
    return asdict(check) | {"value": check.value if math.isfinite(check.value) else None}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
    def summary(self) -> Path:
        return self.root / SUMMARY

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def judgements(self) -> Path:
        return self.root / "judgements"

    def write_items(self, task: str, ids: dict[str, list[str]]) -> None:
        """Keep which items of a task were used: split → ids, and "selected" of those that it chose from."""
        atomic_write_text(self.items(task), json.dumps(ids, ensure_ascii=False, indent=1) + "\n")

    def items(self, task: str) -> Path:
        return self.root / "items" / f"{distinct(task)}.json"

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

    def name(self, path: Path) -> str:
        """Path within the folder, with "/"."""
        return path.relative_to(self.root).as_posix()

    @property
    def is_begun(self) -> bool:
        """Whether a run lies here, finished or not."""
        return (self.root / MARKER).is_file() or (self.root / BACKUP).is_file()

    # The manifest

    def read(self) -> Manifest:
        """The manifest, with the files written since; `InputError` where this is no run folder.

        Where run.json is damaged, its copy is read.
        """
        if not self.is_begun:
            raise InputError(f"{self.root} is not a run folder: it has no {MARKER}")
        try:
            manifest = Manifest.read(self.root / MARKER)
        except (InputError, OSError) as error:
            try:
                manifest = Manifest.read(self.root / BACKUP)
            except (InputError, OSError):
                if isinstance(error, InputError):
                    raise error from None
                raise InputError(f"cannot be read: {error.strerror}", file=self.root / MARKER) from None
        return manifest

    def damaged_manifests(self) -> Iterator[Damage]:
        """run.json or its copy, where it is missing or not as it was written."""
        for name in (MARKER, BACKUP):
            try:
                Manifest.read(self.root / name)
            except FileNotFoundError:
                yield Damage(path=name, what="is missing")
            except (InputError, OSError):
                yield Damage(path=name, what="is not what was written")

    def state(self) -> State:
        """How far the run is: `running` only while a process writes to it."""
        state = self.read().state
        return "interrupted" if state == "running" and writer_of(self.root) is None else state

    def settings(self) -> Mapping[str, Any]:
        """Those of the run that lies here; {} where there is none."""
        return self.read().settings if self.is_begun else {}

    def write(self, manifest: Manifest) -> None:
        """Write run.json and its copy; their list of files is that of what is written so far."""
        inventory = self._inventory() if self.is_begun else Inventory(self.root, {})
        text = replace(manifest, files=inventory.listed()).to_text()
        for name in (MARKER, BACKUP):
            atomic_write_text(self.root / name, text)
        flush_folder(self.root)
        inventory.fold()

    def change(self, **changes: Any) -> None:
        """Write run.json with other values of some attributes."""
        self.write(replace(self.read(), **changes))

    def _inventory(self, manifest: Manifest | None = None) -> Inventory:
        if manifest is None:
            manifest = self.read()
        return Inventory(self.root, manifest.files)

    # Opening it

    def check(self, command: str) -> None:
        """Refuse a file, a folder of something else, and the run of another command; change nothing."""
        if self.root.is_file():
            raise InputError(f"{self.root} is a file: give a folder with --out")
        there = next(path for path in (self.root.absolute(), *self.root.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise InputError(f"{self.root} cannot be made or written in {there}: give another one with --out")
        names = {path.name for path in self.root.iterdir()} if self.root.exists() else set()
        if all(name in (LOCK, OWNER, LOG) or TEMPORARY.fullmatch(name) for name in names):
            return
        if not self.is_begun:
            raise InputError(f"{self.root} is not empty and not a run folder: give another one with --out")
        before = self.read().command
        if before != command:
            raise InputError(f"{self.root} holds a run of aftertune {before}: give another folder with --out")

    @contextmanager
    def writing(
        self,
        command: str,
        note: Callable[[str], None] = lambda text: None,
        *,
        wait: float = 0.0,
        makes: bool = True,
    ) -> Iterator[None]:
        """Open the folder for the one process that writes to it; what it writes is listed with its content.

        First what a killed process left is swept, and what is not as it was written is set aside, so that it is
        made again. In the end the manifest says how far the run is: interrupted, or failed and why. A folder in
        which nothing was begun (`begin`) is removed again.

        Parameters
        ----------
        note : told what was set aside, and that an owner died.
        wait : seconds to wait for another process that writes to it.
        makes : whether the command makes evidence and records: damaged files are then set aside, and the manifest
            says how far the run is. Else only tables, figures and report are written.

        Raises
        ------
        InputError
            As `check`; another process writes to the folder; it holds links.
        """
        self.check(command)
        made = [path for path in (self.root, *self.root.parents) if not path.exists()]
        self.root.mkdir(parents=True, exist_ok=True)
        ours = begun = False
        try:
            with locked(self.root, wait=wait) as died:
                ours = True
                try:
                    self.check(command)
                    self._refuse_links()
                    inventory = self._opened_inventory(note) if makes or not self.is_begun else self._inventory()
                    if makes and died is not None and self.is_begun and self.read().state == "running":
                        note(f"{self.root} was left by {died}, which ended without finishing: it is taken over")
                    with opened(inventory), self._state_kept() if makes else nullcontext():
                        yield
                finally:
                    begun = self.is_begun
                    if not begun:
                        for name in (OWNER, LOG, LOCK):
                            (self.root / name).unlink(missing_ok=True)
        finally:
            if ours and not begun:
                for path in made:
                    with suppress(OSError):
                        path.rmdir()

    def listing(self) -> AbstractContextManager[None]:
        """List what is written, beside a process that writes to the folder: tables and figures of a reader."""
        return opened(self._inventory())

    @contextmanager
    def _state_kept(self) -> Iterator[None]:
        show = warnings.showwarning

        def logged(message: Warning | str, *where: Any, **more: Any) -> None:
            self.log("warning", message=str(message))
            show(message, *where, **more)

        warnings.showwarning = logged
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)
            said = "" if stopped else str(error) or type(error).__name__
            self.log("stopped" if stopped else "error", message=said, traceback=traceback.format_exc())
            with suppress(OSError, InputError):  # a full disk: the first error is told
                if self.is_begun and self.read().state in ("running", "recorded"):
                    self.change(state="interrupted" if stopped else "failed", error=said)
            raise
        finally:
            warnings.showwarning = show

    def begin(
        self, settings: Mapping[str, Any], checkpoints: int | None = None, checks: Sequence[Check] = ()
    ) -> None:
        """Say that a run with these settings is under way; its records are those `recorded` from now on.

        Parameters
        ----------
        checks : made so far, for a report before the run is at its end.
        """
        self.write(Manifest(settings=settings, state="running", checkpoints=checkpoints, checks=checks))
        self.log("begun", settings=dict(settings))

    def recorded(self, name: str) -> None:
        """One more file of records belongs to the settings of the run."""
        manifest = self.read()
        if name not in (manifest.records or ()):
            self.write(replace(manifest, records=[*(manifest.records or ()), name]))
            self.log("recorded", file=name)

    def log(self, event: str, **details: Any) -> None:
        """Add a line to the log of the run."""
        line = {"time": datetime.now().astimezone().isoformat(timespec="milliseconds"), "event": event, **details}
        with suppress(OSError), (self.root / LOG).open("a", encoding="utf-8") as file:
            file.write(in_json(json.dumps(line, ensure_ascii=False, default=str)) + "\n")

    # Files

    def record_paths(self) -> list[Path]:
        """The files of records that belong to the settings of the run, as they were written.

        Raises
        ------
        InputError
            This is no run folder, has no records yet, or one of them is damaged.
        """
        manifest = self.read()
        if manifest.records is None:
            names = self._record_names()
        else:
            names = list(manifest.records)
        again = f"give the same aftertune {manifest.command} command again"
        if not names:
            raise InputError(f"{self.root} has no records yet ({self.state()}): {again}")
        inventory, paths = self._inventory(manifest), [self.records / name for name in names]
        for path in paths:
            if not path.exists():
                raise InputError(f"is missing: {again}, which makes it anew", file=path)
        for damage in inventory.damaged([name for path in paths if (name := self.name(path)) in inventory]):
            raise InputError(f"{damage.what}: {again}, which makes it anew", file=self.root / damage.path)
        return paths

    def damaged(self, *, thorough: bool = True) -> list[Damage]:
        """Files of the run that are missing or not as they were written; those of format 1 are not known."""
        manifest = self.read()
        lists = [] if manifest.records is None else self.damaged_manifests()
        return [*lists, *self._inventory(manifest).damaged(thorough=thorough)]

    def damage_of(self, path: Path) -> str:
        """How a file of the run differs from what was written; "" where it does not, or is none of the run's."""
        inventory, name = self._inventory(), self.name(path)
        return next((one.what for one in inventory.damaged([name])), "") if name in inventory else ""

    def orphans(self) -> list[Path]:
        """Files of the run that nothing needs: set aside, or of other settings.

        Raises
        ------
        InputError
            This is no run folder, or its run is not finished: what it needs is not known.
        """
        manifest = self.read()
        if manifest.state != "finished":
            raise InputError(
                f"{self.root} is {self.state()}: give the same aftertune {manifest.command} command again first"
            )
        needed = {f"records/{name}" for name in manifest.records or ()}
        rooms = ["records"]
        if manifest.used is not None:
            needed.update(manifest.used)
            rooms += ["evidence", "training", "checkpoints", "dropout"]
        found = [
            self.root / name
            for name in self._inventory(manifest).paths()
            if name.split("/")[0] in rooms and not any(name == one or name.startswith(f"{one}/") for one in needed)
        ]
        aside = self.root / DAMAGED
        return [*found, *(path for path in sorted(aside.rglob("*")) if path.is_file())]

    def remove_orphans(self) -> None:
        """Remove them; the folder must be open for writing."""
        for path in self.orphans():
            remove(path)
            with suppress(OSError):  # not empty yet
                path.parent.rmdir()
        self.write(self.read())

    def links(self) -> list[Path]:
        """Links in the folder: none belongs there."""
        found = (Path(at, name) for at, folders, files in os.walk(self.root) for name in (*folders, *files))
        return [path for path in found if path.is_symlink()]

    def _refuse_links(self) -> None:
        for path in self.links():
            raise InputError("is a link, and a run folder holds files alone: remove it", file=path)

    def _opened_inventory(self, note: Callable[[str], None]) -> Inventory:
        """The inventory, after litter is swept and damaged files are set aside."""
        self._sweep()
        if not self.is_begun:
            return Inventory(self.root, {})
        manifest = self.read()
        inventory = self._inventory(manifest)
        if manifest.records is not None:
            for damage in self.damaged_manifests():
                note(f"{self.root / damage.path} {damage.what}: it is written again from its copy")
        else:  # format 1
            for path in self._files_in_rooms():
                inventory.add(inventory.name(path), Content.of(path))
            manifest = replace(manifest, records=self._record_names())
        for name in inventory.never_there():
            inventory.remove(name)
        drawn = 0
        for damage in list(inventory.damaged()):
            if damage.path in inventory:
                becomes = self._set_aside(inventory, damage.path)
                if damage.path.split("/")[0] in ("tables", "figures", "report.html", SUMMARY):
                    drawn += 1
                else:
                    note(f"{self.root / damage.path} {damage.what}: {becomes}")
        if drawn:
            what = "1 file" if drawn == 1 else f"{drawn} files"
            were = "was" if drawn == 1 else "were"
            note(f"{what} of tables, figures and report {were} missing or not as written: made again")
        self.write(manifest)
        return self._inventory()

    def _sweep(self) -> None:
        """Remove what killed processes left: temporary files, and parts of evidence that is merged."""
        for at, folders, files in os.walk(self.root):
            for name in [name for name in folders if TEMPORARY.fullmatch(name)]:
                shutil.rmtree(Path(at, name))
                folders.remove(name)
            for name in files:
                if TEMPORARY.fullmatch(name) or (PART.fullmatch(name) and MERGED in files):
                    Path(at, name).unlink()

    def _record_names(self) -> list[str]:
        return sorted(path.name for path in self.records.glob("*.parquet") if not path.name.startswith("."))

    def _files_in_rooms(self) -> Iterator[Path]:
        for room in ROOMS:
            for path in sorted((self.root / room).rglob("*")):
                if path.is_file() and "state" not in path.relative_to(self.root).parts:
                    yield path

    def _set_aside(self, inventory: Inventory, name: str) -> str:
        """Move a file, with what is of no use without it, out of the way; returns what becomes of it."""
        room, *inner = name.split("/")
        folder = self.root.joinpath(room, *inner[:-1])
        whole = {"training": 1, "checkpoints": 2}.get(room)
        if whole is not None:
            self._move(inventory, self.root.joinpath(room, *inner[:whole]))
            return "set aside with what belongs to it; it is trained again if it is needed"
        self._move(inventory, self.root / name)
        merged = folder / MERGED
        if room == "evidence" and not inner[-1].startswith("similarity-") and merged.exists():
            # A part again, so that what lies beside it is made anew without decoding.
            part = folder / "part-00000.evidence.parquet"
            inventory.add(inventory.name(part), Content.of(merged))
            inventory.remove(inventory.name(merged))
            merged.rename(part)
        if room == "judgements":
            return "set aside; the judge is asked again if that answer is needed"
        return "set aside and made again"

    def _move(self, inventory: Inventory, path: Path) -> None:
        name = inventory.name(path)
        if path.exists():
            aside = self.root / DAMAGED / f"{name.replace('/', '~')}.{secrets.token_hex(3)}"
            aside.parent.mkdir(exist_ok=True)
            path.rename(aside)
        inventory.remove(name)
        inventory.remove_below(name)
