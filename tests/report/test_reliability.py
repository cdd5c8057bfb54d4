"""Reliability diagrams: what is drawn of which numbers."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from aftertune.analysis.schema import RELIABILITY, JudgedItems, Row
from aftertune.report.figures.figure import Drawing, style
from aftertune.report.figures.reliability import MOST_ROWS, columns, reliability
from aftertune.report.palette import looks
from aftertune.stats.calibration import calibration
from report_text import words

NONE = JudgedItems(chance=(), correct=(), reason="no validation item is right")


def judged(seed: int, n: int = 120, power: float = 1.0, digits: int = 6) -> JudgedItems:
    rng = np.random.default_rng(seed)
    chance = np.round(rng.random(n), digits)
    return JudgedItems(chance=tuple(chance), correct=tuple(rng.random(n) < chance**power))


def row(**change) -> Row:
    given = {"before": judged(0), "carried": judged(1, power=3), "renewed": judged(2)}
    given |= {"model": "t5", "task": "truthfulqa", "setting": "default", "seed": 0, "n_seeds": 1, "rank": 0}
    given |= {"score": "beam_ratio", "from_": "before", "to": "selected"}
    return RELIABILITY.row(**given | change)


def drawn(*rows: Row) -> Drawing:
    with style():
        return reliability(
            "reliability",
            rows,
            looks(one.score for one in rows),
            stages=("before fine-tuning", "selected checkpoint"),
        )


@pytest.mark.parametrize("digits", [6, 1])
def test_dots_whiskers_and_bars_are_the_numbers(figures: dict[str, Figure], digits: int) -> None:
    shown = row(carried=judged(1, power=3, digits=digits))
    drawn(shown)
    _, above, _, _, beneath, _ = figures["reliability"].axes
    found = calibration(shown.carried.chance, shown.carried.correct)
    dots = [line for line in above.get_lines() if line.get_marker() == "o"]
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in dots]
    assert places == [(b.stated, b.correct) for b in found.bins]
    areas = np.array([line.get_markersize() ** 2 for line in dots])
    sizes = np.array([b.n for b in found.bins])
    np.testing.assert_allclose(areas / areas.max(), np.maximum(sizes / sizes.max(), (2.8 / 5.2) ** 2))
    (ends,) = [line for line in above.get_lines() if len(line.get_xdata()) == 3 * len(found.bins)]
    kept = np.isfinite(ends.get_ydata())
    assert ends.get_ydata()[kept].tolist() == [end for b in found.bins for end in (b.low, b.high)]
    heights = np.array([patch.get_height() for patch in beneath.patches])
    right, wrong = heights[:20], heights[20:]
    expected = np.bincount(
        (np.round(np.array(shown.carried.chance) * 1e6) // 50_000).astype(int).clip(max=19), minlength=20
    )
    np.testing.assert_array_equal(right + wrong, expected)
    assert right.sum() == sum(shown.carried.correct)
    (most,) = [text.get_text() for text in beneath.texts]
    assert most == str(expected.max())


def test_ece_and_brier_are_written() -> None:
    shown = row()
    said = words(drawn(shown))
    for one in columns(shown):
        found = calibration(one.chance, one.correct)
        numbers = f"ECE {found.ece:.2f} (by chance {found.ece_if_calibrated:.2f}),  Brier {found.brier:.3f}"
        assert numbers in said
    assert "beam_ratio, t5 on truthfulqa" in said
    assert sum(word == "over-confident" for word in said) == 1


@pytest.mark.parametrize(
    ("earlier", "fitted"), [("before fine-tuning", "map fitted before"), ("epoch 1", "map fitted at epoch 1")]
)
def test_columns_say_which_checkpoints(earlier: str, fitted: str) -> None:
    with style():
        shown = reliability("r", [row()], looks(["beam_ratio"]), stages=(earlier, "last checkpoint"))
    assert {earlier, "after, with the old map", "after, with a new map"} <= set(words(shown))
    assert {f"last checkpoint, {fitted}", "last checkpoint, map fitted there"} <= set(words(shown))
    assert f"{earlier} → last checkpoint" in shown.caption


def test_what_is_undefined_says_why_and_takes_no_numbers() -> None:
    said = words(drawn(row(renewed=NONE)))
    assert "no validation item is right" in " ".join(said)
    assert sum("ECE" in word for word in said) == 2
    nothing = drawn(row(before=NONE, carried=NONE, renewed=NONE))
    assert not any("ECE" in word for word in words(nothing))
    assert "of the test items in up to" in nothing.caption


def test_percentages_of_0_and_1_are_inside(figures: dict[str, Figure]) -> None:
    extreme = JudgedItems(chance=(0.0,) * 30 + (1.0,) * 30, correct=(False,) * 30 + (True,) * 29 + (False,))
    drawn(row(before=extreme))
    heights = [patch.get_height() for patch in figures["reliability"].axes[3].patches]
    assert (heights[0], heights[19], heights[20], heights[39]) == (0, 29, 30, 1)


def test_a_page_holds_three_rows_and_the_files_are_always_the_same() -> None:
    assert MOST_ROWS == 3
    three = [row(score=score) for score in ("beam_ratio", "mine $x$", "cocoa_msp")]
    first, second = drawn(*three), drawn(*three)
    assert first == second
    tall, wide = matplotlib.image.imread(io.BytesIO(first.png)).shape[:2]
    assert wide == 1400
    assert tall <= 9.6 * 200
    assert r"mine $x$, t5 on truthfulqa" in [word.replace("\\", "") for word in words(first)]
    assert "(120)" in first.caption
