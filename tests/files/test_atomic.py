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
