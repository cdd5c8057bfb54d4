"""Verdicts by their rules, their chances by simulation, the items that settle them, and Holm's correction."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from aftertune.stats.verdict import MOST_ITEMS, VERDICTS, Needed, chances, holm, items_needed, verdict


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.19, "improved"),
        (1e-9, 2.0, "improved"),
        (0.0, 0.2, "holds"),  # a bound of 0 shows no rise
        (-0.01, 0.03, "holds"),
        (-0.099, -0.01, "holds"),  # a sure fall, but smaller than the margin
        (-0.099, 0.9, "holds"),
        (-0.1, -0.01, "fell"),  # the lower end must be above −margin, not at it
        (-0.1, 0.01, "inconclusive"),
        (-0.3, -0.101, "degraded"),
        (-0.3, -0.1, "fell"),  # the upper end must be below −margin, not at it
        (-0.3, -0.001, "fell"),
        (-0.3, 0.0, "inconclusive"),  # and below 0 for a fall
        (-0.3, 0.3, "inconclusive"),
        (-2.0, 2.0, "inconclusive"),
    ],
)
def test_rules(low: float, high: float, expected: str) -> None:
    assert verdict(low, high, margin=0.1) == expected


def test_margin() -> None:
    assert verdict(-0.09, -0.06, margin=0.05) == "degraded"
    assert verdict(-0.09, -0.06, margin=0.08) == "fell"
    assert verdict(-0.09, -0.06, margin=0.1) == "holds"
    assert [verdict(*ends, margin=0.0) for ends in ((0.0, 0.1), (0.01, 0.1), (-0.1, -0.01))] == [
        "inconclusive",
        "improved",
        "degraded",
    ]


@pytest.mark.parametrize("ends", [(math.nan, 0.2), (0.1, math.nan)])
def test_undefined_has_no_verdict(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="undefined"):
        verdict(*ends, margin=0.05)


@pytest.mark.parametrize("true", [-0.3, -0.1, -0.05, 0.0, 0.1])
@pytest.mark.parametrize(("error", "half"), [(0.01, 0.02), (0.03, 0.06), (0.05, 0.13), (0.2, 0.45)])
@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_chances_are_those_of_the_verdict(true: float, error: float, half: float, margin: float) -> None:
    found = chances(true, error, half, margin=margin)
    assert tuple(found) == VERDICTS
    assert sum(found.values()) == pytest.approx(1)
    assert min(found.values()) >= -1e-12
    means = true + error * np.random.default_rng(0).normal(size=20_000)
    said = np.array([verdict(mean - half, mean + half, margin=margin) for mean in means])
    for name, chance in found.items():
        assert chance == pytest.approx(np.mean(said == name), abs=0.012)


def test_chances_broadcast() -> None:
    found = chances(np.array([[0.0], [-0.2]]), np.array([0.01, 0.1, 0.2]), 0.1, margin=0.1)
    assert {name: chance.shape for name, chance in found.items()} == dict.fromkeys(VERDICTS, (2, 3))
    assert found["degraded"][1, 2] == chances(-0.2, 0.2, 0.1, margin=0.1)["degraded"]


def needed(
    mean: float = 0.0, error: float = 0.06, floor: float = 0.0, n: int = 150, margin: float = 0.1
) -> Needed:
    return items_needed(mean, variance=error**2, floor=floor**2, quantile=2.0, n=n, margin=margin)


@pytest.mark.parametrize(
    ("mean", "error", "floor"), [(0.0, 0.06, 0.0), (-0.02, 0.05, 0.0), (-0.15, 0.1, 0.0), (0.02, 0.07, 0.01)]
)
def test_items_needed_settle_it_with_the_chance_that_is_said(mean: float, error: float, floor: float) -> None:
    """Over the true changes that the estimate leaves possible: 85 %, and not with fewer items."""
    rng = np.random.default_rng(0)
    true = mean + error * rng.normal(size=100_000)
    luck = rng.normal(size=100_000)

    def settled(items: float) -> float:
        new = math.sqrt(floor**2 + (error**2 - floor**2) * 150 / items)
        low, high = true + new * luck - 2 * new, true + new * luck + 2 * new
        return 1 - np.mean((low <= -0.1) & (high >= 0))

    found = needed(mean, error, floor)
    assert settled(found.items) == pytest.approx(0.85, abs=0.015)
    assert settled(0.85 * found.items) < 0.85
    assert found.low <= found.items <= found.high
    assert found.low < found.high


def test_items_needed_count_from_the_items_there_are() -> None:
    """The same interval from twice as many items needs twice as many; a wider one from as many needs more."""
    assert needed(n=300).items == pytest.approx(2 * needed().items, rel=0.06)
    assert needed(error=0.08).items > needed().items
    assert needed(margin=0.2).items < needed().items


def test_a_clear_fall_or_rise_needs_fewer_items() -> None:
    found = [needed(mean, 0.1).items for mean in (-0.05, -0.2, -0.3)]
    assert found == sorted(found, reverse=True)
    assert needed(0.1, 0.1).items < needed(-0.05, 0.1).items


def test_items_needed_are_never_fewer_than_there_are_and_cut_at_the_most() -> None:
    assert needed(-0.3, 0.11).items >= 150
    assert needed(-0.05, 0.5, n=400) == (MOST_ITEMS + 1, pytest.approx(1000, rel=0.5), MOST_ITEMS + 1)
    assert needed(0.0, 0.06, n=50_000).items == MOST_ITEMS + 1


def test_no_number_of_items_settles_what_runs_leave_open() -> None:
    assert needed(0.0, 0.08, 0.079) == (None, None, None)
    assert needed(0.0, 0.08, 0.02).items > needed(0.0, 0.08).items


@pytest.mark.parametrize("m", [1, 2, 7, 60])
def test_equals_statsmodels(m: int) -> None:
    rng = np.random.default_rng(m)
    for p in (rng.random(m), rng.random(m) ** 6, np.round(rng.random(m), 1)):
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-15)


def test_undefined_is_no_test_and_stays_undefined() -> None:
    p = np.array([np.nan, 0.02, 0.5, np.nan, 0.01])
    adjusted = holm(p)
    np.testing.assert_array_equal(np.isnan(adjusted), np.isnan(p))
    np.testing.assert_allclose(adjusted[[1, 2, 4]], multipletests([0.02, 0.5, 0.01], method="holm")[1])


def test_nothing_to_correct() -> None:
    assert holm([]).shape == (0,)
    assert np.isnan(holm([np.nan, np.nan])).all()
