import os
import stat
from pathlib import Path

import pytest

from aftertune.files.atomic import atomic_path, atomic_write_bytes, atomic_write_text


def test_text_is_utf8_with_its_own_line_ends(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / "new" / "a.csv", "é\r\nb\n")
    assert (tmp_path / "new" / "a.csv").read_bytes() == b"\xc3\xa9\r\nb\n"


def test_bytes_replace_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"a longer old content")
    atomic_write_bytes(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_temporary_path_keeps_folder_and_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "figure.png") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert not (tmp_path / "figure.png").exists()
        temporary.write_bytes(b"x")
    assert (tmp_path / "figure.png").read_bytes() == b"x"


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
class TestPermissions:
    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444, 0o755])
    def test_of_what_is_replaced_are_kept(self, tmp_path: Path, mode: int) -> None:
        target = tmp_path / "report.html"
        target.write_text("old")
        target.chmod(mode)
        atomic_write_text(target, "new")
        atomic_write_text(target, "newer")
        assert target.read_text() == "newer"
        assert stat.S_IMODE(target.stat().st_mode) == mode

    @pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
    def test_of_what_is_new_are_the_umasks(self, tmp_path: Path, umask: int, mode: int) -> None:
        before = os.umask(umask)
        try:
            atomic_write_text(tmp_path / "report.html", "new")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "report.html").stat().st_mode) == mode

    def test_a_link_is_replaced_by_a_file_as_closed_as_what_it_led_to(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").write_text("old")
        (tmp_path / "elsewhere").chmod(0o600)
        (tmp_path / "report.html").symlink_to(tmp_path / "elsewhere")
        atomic_write_text(tmp_path / "report.html", "new")
        assert not (tmp_path / "report.html").is_symlink()
        assert stat.S_IMODE((tmp_path / "report.html").stat().st_mode) == 0o600
        assert (tmp_path / "elsewhere").read_text() == "old"

    def test_a_disk_without_permissions(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError

        monkeypatch.setattr("os.chmod", refuse)
        atomic_write_text(tmp_path / "a", "old")
        atomic_write_text(tmp_path / "a", "new")
        assert (tmp_path / "a").read_text() == "new"
