"""Labels that do not overlap, pages, and the shorter SVG."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.optimize import minimize

from aftertune.report.figures.by_epoch import spread_out
from aftertune.report.figures.figure import compact, fit, pages


def test_labels_are_spread_as_little_as_possible() -> None:
    assert spread_out([0.1, 0.9], 0.2) == [0.1, 0.9]
    assert spread_out([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert spread_out([0.9, 0.1, 0.12], 0.1) == pytest.approx([0.9, 0.06, 0.16])
    rng = np.random.default_rng(0)
    positions = rng.random(13)
    placed = np.array(spread_out(list(positions), 0.05))
    assert np.diff(np.sort(placed)).min() > 0.05 - 1e-9
    assert (np.argsort(placed) == np.argsort(positions)).all()


@pytest.mark.parametrize("seed", range(4))
def test_labels_stay_inside(seed: int) -> None:
    """The same as a general optimiser finds under both constraints."""
    positions = np.sort(np.random.default_rng(seed).random(6) ** 3)
    placed = np.array(spread_out(list(positions), 0.15, 0.0, 1.0))
    constraints = [
        {"type": "ineq", "fun": lambda y: np.diff(y) - 0.15},
        {"type": "ineq", "fun": lambda y: np.array([y[0], 1 - y[-1]])},
    ]
    best = minimize(lambda y: ((y - positions) ** 2).sum(), np.linspace(0, 1, 6), constraints=constraints).x
    np.testing.assert_allclose(placed, best, atol=1e-5)
    assert spread_out([0.2, 0.1], 1.0, 0.0, 0.5) == [1.0, 0.0]  # no room: from the bottom


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


def test_compact_svg_is_the_same_picture() -> None:
    figure = Figure(figsize=(3, 2))
    axes = figure.add_subplot()
    axes.plot([0, 1, 2], [0.123456, 1, 0.5], "--s", color="#beefed", markerfacecolor="#facade")
    axes.fill_between([0, 1], [0, 0], [1, 1], color="#abcdef")
    axes.set_title('id="none" url(#x) href="#y"')
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    long = buffer.getvalue().decode()
    short = compact(long)
    assert len(short) < 0.8 * len(long)
    assert compact(short) == short

    assert [row[0] for row in elements(short)] == [row[0] for row in elements(long)]
    for ours, theirs in zip(elements(short), elements(long)):
        assert ours[1] == theirs[1]
        np.testing.assert_allclose(ours[2], theirs[2], atol=0.11)


def elements(svg: str) -> list[tuple[str, tuple[str, bool], list[float]]]:
    """Everything that draws, in order: its tag, its style and whether it is clipped, and its numbers."""
    root = ElementTree.fromstring(svg)
    parents = {child: parent for parent in root.iter() for child in parent}
    named = {element.get("id"): element for element in root.iter() if element.get("id")}
    found = []
    for element in root.iter():
        tag, parent = element.tag.rpartition("}")[2], parents.get(element)
        if tag not in ("use", "path") or parent is None or parent.tag.endswith(("defs", "clipPath")):
            continue
        own = [element] if tag == "path" else [element, parent]
        style, clip = ("".join(e.get(name, "") for e in own) for name in ("style", "clip-path"))
        outline, x = element.get("d", ""), element.get("x", "0")
        if tag == "use":
            outline = named[element.get("{http://www.w3.org/1999/xlink}href", "")[1:]].get("d", "")
            x = element.get("transform", f"translate({x} 0)").removeprefix("translate(").partition(" ")[0]
        numbers = [float(v) for v in (x.rstrip(")"), element.get("y", "0"), *re.findall(r"-?[0-9.]+", outline))]
        found.append((tag, (re.sub(r"\s", "", style), bool(clip)), numbers))
    return found
