"""run.json, typed: what is written, what is read again, and what is refused."""

from __future__ import annotations

import json

import pytest

from aftertune._version import __version__
from aftertune.errors import InputError
from aftertune.files.runfolder import Manifest, RunFolder

SETTINGS = {"command": "audit", "beams": 4, "items": {"of": ["a"]}}


def test_a_finished_run_reads_as_it_was_written(tmp_path):
    folder = RunFolder(tmp_path / "run")
    manifest = Manifest(
        title="t", settings=SETTINGS, signatures={"beam_sum": "beam_sum|k:4"}, notes=["one"], sources=["a.jsonl"]
    )
    folder.write_manifest(manifest)
    assert folder.manifest() == manifest
    written = json.loads((folder.root / "run.json").read_text(encoding="utf-8"))
    assert list(written) == ["aftertune", "finished", "title", "settings", "signatures", "notes", "sources"]
    assert (written["aftertune"], written["finished"], written["settings"]) == (__version__, True, SETTINGS)
    folder.make({"command": "audit", "beams": 9})  # an earlier run stays until this one is finished
    assert folder.manifest() == manifest


def test_a_run_that_was_stopped(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert (folder.is_begun, folder.settings()) == (False, {})
    folder.make(SETTINGS)
    assert json.loads((folder.root / "run.json").read_text(encoding="utf-8")) == {
        "finished": False, "settings": SETTINGS
    }  # fmt: skip
    assert folder.settings() == SETTINGS
    with pytest.raises(InputError, match="is not finished: give the same aftertune audit command again"):
        folder.manifest()
    folder.check("audit")
    with pytest.raises(InputError, match="holds a run of aftertune audit"):
        folder.check("run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "line 1: not JSON"),
        (b"\xff", "not UTF-8 text"),
        (b"[]", "was not written by aftertune"),
        (b'{"finished": true, "settings": {}}', "was not written by aftertune"),
    ],
)
def test_files_that_are_not_ours(tmp_path, text, message):
    (tmp_path / "run.json").write_bytes(text)
    with pytest.raises(InputError, match=message):
        RunFolder(tmp_path).manifest()
