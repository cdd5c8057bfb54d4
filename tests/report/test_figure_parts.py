"""Words that fit, and pages."""

from __future__ import annotations

import re

from aftertune.report.figures.figure import fit, pages


def test_long_names_get_smaller_letters_and_then_fewer() -> None:
    assert fit("short", 1.4, 7) == ("short", 7)
    assert fit("$", 1.4, 7) == (r"\$", 7)
    words, size = fit("x" * 27, 1.4, 7)
    assert words == "x" * 27
    assert 5.5 < size < 7
    words, size = fit("abcdefghij" * 10, 1.4, 7)
    assert size == 5.5
    assert len(words) == int(1.4 * 72 / (0.62 * 5.5)) == 29
    assert re.fullmatch("abcdefghijabcd…ghijabcdefghij", words)


def test_pages_have_different_names() -> None:
    found = pages("f", [("a b", 1), ("a/b", 2), ("a b", 3), ("/", 4)], lambda panel: panel[0], most=2)
    assert found == [
        ("f_a-b", [("a b", 1), ("a b", 3)]),
        ("f_a-b_2", [("a/b", 2)]),
        ("f_unnamed", [("/", 4)]),
    ]
    assert pages("f", [], str, most=2) == []
