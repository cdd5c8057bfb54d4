"""A run folder: its manifest, its one writer, and what becomes of files that are not as they were written."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from aftertune._version import __version__
from aftertune.errors import InputError
from aftertune.files import lock
from aftertune.files.atomic import atomic_folder, atomic_write_text, remove
from aftertune.files.inventory import JOURNAL
from aftertune.files.runfolder import BACKUP, FORMAT, RunFolder

SETTINGS = {"command": "audit", "beams": 4, "items": {"of": ["a"]}}
FILES = {
    "records/a.parquet": "ra",
    "evidence/k/all.evidence.parquet": "evidence",
    "evidence/k/prompts.parquet": "prompts",
    "evidence/k/similarity-1.parquet": "near",
    "training/k/history.json": "history",
    "training/k/notes.json": "notes",
    "checkpoints/k/selected/model.safetensors": "weights",
    "checkpoints/k/selected/config.json": "config",
    "judgements/ab/x.json": "yes",
    "tables/change.csv": "table",
    "report.html": "page",
}


def begun(root: Path) -> RunFolder:
    """A finished run with one file of each kind."""
    folder = RunFolder(root)
    with folder.writing("audit"):
        folder.begin(SETTINGS)
        for name, text in FILES.items():
            atomic_write_text(root / name, text)
        folder.recorded("a.parquet")
        folder.change(state="finished")
    return folder


def reopened(folder: RunFolder) -> list[str]:
    notes: list[str] = []
    with folder.writing("audit", notes.append):
        pass
    return notes


def names(root: Path) -> set[str]:
    hidden = (lock.LOCK, lock.OWNER, "log.jsonl", "run.json", BACKUP)
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and p.name not in hidden}


class TestManifest:
    def test_reads_as_it_was_written(self, tmp_path):
        folder = begun(tmp_path / "run")
        assert reopened(folder) == []
        manifest = folder.read()
        assert (manifest.settings, manifest.state, manifest.records) == (SETTINGS, "finished", ["a.parquet"])
        assert set(manifest.files) == set(FILES) == names(folder.root)
        assert {path: content.size for path, content in manifest.files.items()} == {
            path: len(text) for path, text in FILES.items()
        }
        written = json.loads((folder.root / "run.json").read_text(encoding="utf-8"))
        assert (written["format"], written["aftertune"]) == (FORMAT, __version__)

    def test_a_newer_one_is_refused_and_format_1_is_taken_over(self, tmp_path):
        folder = RunFolder(tmp_path)
        text = {
            "finished": True,
            "settings": SETTINGS,
            "title": "t",
            "signatures": {},
            "notes": ["n"],
            "sources": None,
        }
        (tmp_path / "run.json").write_text(json.dumps(text), encoding="utf-8")
        (tmp_path / "records").mkdir()
        (tmp_path / "records" / "old.parquet").write_text("x")
        assert folder.record_paths() == [tmp_path / "records" / "old.parquet"]
        assert reopened(folder) == []
        assert (folder.read().title, folder.read().records, list(folder.read().files)) == (
            "t", ["old.parquet"], ["records/old.parquet"],
        )  # fmt: skip
        newer = json.loads((tmp_path / "run.json").read_text(encoding="utf-8")) | {"format": FORMAT + 1}
        for name in ("run.json", BACKUP):
            (tmp_path / name).write_text(json.dumps(newer), encoding="utf-8")
        with pytest.raises(InputError, match="written by a newer aftertune"):
            folder.read()

    @pytest.mark.parametrize("place", range(0, 100, 7))
    def test_one_bit_of_it_is_noticed_and_its_copy_takes_its_place(self, tmp_path, place):
        folder = begun(tmp_path / "run")
        path = folder.root / "run.json"
        content = bytearray(path.read_bytes())
        content[len(content) * place // 100] ^= 1
        path.write_bytes(content)
        before = folder.read()
        (note,) = reopened(folder)
        assert "it is written again from its copy" in note
        assert reopened(folder) == []
        assert folder.read().files == before.files

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (b"{", "line 1: not JSON"),
            (b"\xff", "not UTF-8 text"),
            (b"[]", "was not written by aftertune"),
            (b'{"finished": true, "settings": {}}', "was not written by aftertune"),
        ],
    )
    def test_files_that_are_not_ours(self, tmp_path, text, message):
        (tmp_path / "run.json").write_bytes(text)
        with pytest.raises(InputError, match=message):
            RunFolder(tmp_path).read()

    def test_how_far_it_is(self, tmp_path):
        folder = RunFolder(tmp_path / "run")
        for error, state, said in (
            (KeyboardInterrupt(), "interrupted", ""),
            (InputError("too long"), "failed", "too long"),
            (ZeroDivisionError("by zero"), "failed", "by zero"),
        ):
            with suppress(type(error)), folder.writing("audit"):
                folder.begin(SETTINGS)
                assert folder.read().state == "running"
                raise error
            assert (folder.read().state, folder.read().error) == (state, said)
        with folder.writing("audit"):
            folder.begin(SETTINGS)
            folder.recorded("a")
            folder.recorded("a")
            assert folder.read().records == ["a"]
            folder.begin(SETTINGS | {"beams": 5})
            assert folder.read().records == []  # of other settings
        assert (folder.root / "log.jsonl").read_text(encoding="utf-8").count('"event": "error"') == 2


class TestFolder:
    def test_refused(self, tmp_path):
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "mine.txt").touch()
        begun(tmp_path / "run")
        (tmp_path / "run" / "tables" / "link").symlink_to(tmp_path)
        for folder, command, message in (
            ("other", "audit", "not empty and not a run folder"),
            ("other/mine.txt", "audit", "is a file"),
            ("run", "run", "holds a run of aftertune audit"),
            ("run", "audit", "is a link"),
        ):
            with pytest.raises(InputError, match=message), RunFolder(tmp_path / folder).writing(command):
                pass

    def test_nothing_is_left_where_nothing_was_begun(self, tmp_path):
        with pytest.raises(InputError), RunFolder(tmp_path / "a" / "b").writing("audit"):
            raise InputError("x")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_whose_owner_was_killed_at_once_is_as_good_as_empty(self, tmp_path):
        for name in (lock.LOCK, lock.OWNER, ".run.0123456789ab.tmp.json"):
            (tmp_path / name).write_text("{}")
        folder = begun(tmp_path)
        assert names(tmp_path) == set(FILES)
        assert reopened(folder) == []


class TestDamage:
    @pytest.mark.parametrize("how", ["truncated", "empty", "one bit", "deleted"])
    @pytest.mark.parametrize("name", FILES)
    def test_each_is_noticed_and_set_aside(self, tmp_path, name, how):
        folder = begun(tmp_path / "run")
        path = folder.root / name
        content = path.read_bytes()
        if how == "deleted":
            path.unlink()
        else:
            path.write_bytes(
                {"truncated": content[:-1], "empty": b""}.get(how, bytes([content[0] ^ 1]) + content[1:])
            )
        if name == "records/a.parquet":
            with pytest.raises(InputError, match="give the same aftertune audit command again"):
                folder.record_paths()
        assert [damage.path for damage in folder.damaged()] == [name]
        (note,) = reopened(folder)
        drawn = name.startswith(("tables", "report"))
        assert ("1 file of tables, figures and report was missing or not as written" if drawn else name) in note
        assert not path.exists()
        assert reopened(folder) == []
        kept = {part for part in names(folder.root) if not part.startswith("damaged/")}
        room = name.split("/")[0]
        gone = {name}
        if room in ("training", "checkpoints"):
            gone = {one for one in FILES if one.startswith(f"{room}/")}
        if name == "evidence/k/prompts.parquet":  # the rest becomes a part again: what lies beside it is made anew
            gone |= {"evidence/k/all.evidence.parquet"}
            assert (folder.root / "evidence/k/part-00000.evidence.parquet").read_text() == "evidence"
            kept -= {"evidence/k/part-00000.evidence.parquet"}
        assert kept == set(FILES) - gone

    def test_killed_between_the_journal_and_the_file(self, tmp_path, monkeypatch):
        folder = begun(tmp_path / "run")
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt), folder.writing("audit"):
            patch.setattr("aftertune.files.atomic.os.replace", lambda *paths: _raise(KeyboardInterrupt()))
            atomic_write_text(folder.root / "tables" / "change.csv", "another")
        assert (folder.root / JOURNAL).exists()
        assert reopened(folder) == []  # the old content is as good
        assert (folder.root / "tables" / "change.csv").read_text() == "table"

    def test_half_a_line_of_the_journal(self, tmp_path):
        folder = begun(tmp_path / "run")
        with folder.writing("audit"):
            atomic_write_text(folder.root / "tables" / "new.csv", "new")
        with (folder.root / JOURNAL).open("a") as journal:
            journal.write('\n{"path": "tables/ne')
        assert reopened(folder) == []
        assert "tables/new.csv" in folder.read().files

    def test_removed_files_are_not_missed(self, tmp_path):
        folder = begun(tmp_path / "run")
        with folder.writing("audit"):
            remove(folder.root / "checkpoints" / "k")
            remove(folder.root / "report.html")
            with atomic_folder(folder.root / "checkpoints" / "new") as made:
                (made / "model").write_text("w")
        assert reopened(folder) == []
        assert {name for name in folder.read().files if "checkpoints" in name} == {"checkpoints/new/model"}

    def test_litter_goes_and_files_of_others_stay(self, tmp_path):
        folder = begun(tmp_path / "run")
        litter = [".x.0123456789ab.tmp.parquet", "evidence/k/part-00003.evidence.parquet"]
        others = ["records/mine.parquet", "notes.txt", "evidence/k/part-mine.evidence.parquet", ".x.tmp"]
        for name in (*litter, *others):
            (folder.root / name).write_text("?")
        assert reopened(folder) == []
        assert names(folder.root) == {*FILES, *others}
        assert [path.name for path in folder.record_paths()] == ["a.parquet"]


CHILD = """
import sys, time
from pathlib import Path
from aftertune.files.runfolder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
with folder.writing("audit"):
    folder.begin({"command": "audit"})
    print("open", flush=True)
    time.sleep(60)
"""


class TestOneWriter:
    @pytest.fixture
    def other(self, tmp_path):
        """A process that writes to tmp_path / "run"."""
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, tmp_path / "run"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()
        process.wait()
        process.stdout.close()

    def test_a_second_is_told_who_the_first_is_and_takes_over_when_it_is_dead(self, tmp_path, other):
        folder = RunFolder(tmp_path / "run")
        with pytest.raises(
            InputError, match=f"written by process {other.pid} on {socket.gethostname()}, since 20"
        ):
            reopened(folder)
        assert folder.read().state == "running"  # readers work
        other.send_signal(signal.SIGKILL)
        other.wait()
        (note,) = reopened(folder)
        assert f"was left by process {other.pid} on" in note
        assert reopened(folder) == []

    def test_of_a_process_on_another_machine_the_last_sign_of_life_decides(self, tmp_path):
        folder = begun(tmp_path / "run")
        owner = folder.root / lock.OWNER
        owner.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "2026-01-01T00:00:00+00:00"}))
        with pytest.raises(InputError, match="written by process 1 on elsewhere"):
            reopened(folder)
        assert owner.exists()
        long_ago = time.time() - lock.DEAD_AFTER - 5
        os.utime(owner, (long_ago, long_ago))
        reopened(folder)
        assert not owner.exists()

    def test_signs_of_life(self, tmp_path, monkeypatch):
        monkeypatch.setattr(lock, "HEARTBEAT", 0.05)
        with begun(tmp_path / "run").writing("audit"):
            os.utime(tmp_path / "run" / lock.OWNER, (1, 1))
            time.sleep(0.5)
            assert (tmp_path / "run" / lock.OWNER).stat().st_mtime > 1


def _raise(error: BaseException) -> None:
    raise error


def test_a_file_that_never_got_its_name_is_not_missing(tmp_path, monkeypatch):
    """Killed just before the rename: what lies beside it, such as the state of a training, stays."""
    folder = begun(tmp_path / "run")
    state = folder.root / "training" / "new" / "state"
    state.mkdir(parents=True)
    with folder.writing("audit"):
        monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
        with suppress(KeyboardInterrupt):
            atomic_write_text(folder.training("new") / "history.json", "{}")
        monkeypatch.undo()
    assert folder.damaged() == []
    assert reopened(folder) == []
    assert state.exists()
    assert "training/new/history.json" not in folder.read().files
