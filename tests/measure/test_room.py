"""Room on disk and in memory is looked at before anything is made."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import psutil
import pytest

from aftertune.errors import InputError
from aftertune.measure import room


def test_a_disk_that_is_clearly_too_small(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000_000))
    room.check_room(tmp_path / "new" / "run", 2_000_000_000)
    with pytest.raises(InputError, match=r"about 2\.5 GB will be written, and 1\.0 GB are free there"):
        room.check_room(tmp_path / "new" / "run", 2_500_000_000)


def test_weights_larger_than_memory(monkeypatch):
    assert room.weights_size("embedded:tiny-t5-qa") > 100_000
    room.check_memory("embedded:tiny-t5-qa", "cpu")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=100_000))
    room.check_memory("owner/on-the-hub", "cpu")
    with pytest.raises(
        InputError, match=r"embedded:tiny-t5-qa: its weights take 1\.\d+ MB, and there are 0\.10 MB"
    ):
        room.check_memory("embedded:tiny-t5-qa", "cpu")
