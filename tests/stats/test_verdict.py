import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from aftertune.stats.verdict import holm, items_needed, verdict


@pytest.mark.parametrize(
    ("mean", "low", "high", "expected"),
    [
        (0.10, 0.01, 0.19, "improved"),
        (0.01, -0.01, 0.03, "holds"),
        (-0.03, -0.049, -0.01, "holds"),  # a sure fall, but smaller than the margin
        (-0.04, -0.05, -0.03, "inconclusive"),  # the lower end must be above −margin, not at it
        (-0.10, -0.20, -0.01, "degraded"),
        (-0.10, -0.20, 0.0, "inconclusive"),
        (-0.05, -0.09, -0.01, "inconclusive"),  # mean not below −margin
        (0.10, 0.0, 0.2, "holds"),
        (0.00, -0.30, 0.30, "inconclusive"),
    ],
)
def test_rules(mean: float, low: float, high: float, expected: str) -> None:
    assert verdict(mean, low, high, margin=0.05) == expected


def test_margin() -> None:
    assert verdict(-0.06, -0.09, -0.03, margin=0.05) == "degraded"
    assert verdict(-0.06, -0.09, -0.03, margin=0.1) == "holds"


def test_undefined_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="undefined"):
        verdict(0.1, math.nan, 0.2, margin=0.05)


@pytest.mark.parametrize(
    ("mean", "half", "floor"),
    [(0.0, 0.1, 0.0), (0.03, 0.09, 0.0), (-0.07, 0.2, 0.0), (-0.04, 0.05, 0.0), (0.02, 0.2, 0.05)],
)
def test_items_needed_is_the_least_number_that_settles_it(mean: float, half: float, floor: float) -> None:
    n = 150
    needed = items_needed(mean, mean - half, mean + half, n=n, margin=0.05, floor=floor)
    assert needed is not None

    def outcome(items: int) -> str:
        width = math.sqrt(floor**2 + (half**2 - floor**2) * n / items)
        return verdict(mean, mean - width, mean + width, margin=0.05)

    assert outcome(n) == "inconclusive"
    assert outcome(needed) != "inconclusive"
    assert outcome(needed - 1) == "inconclusive"


def test_items_needed_uses_the_side_that_decides() -> None:
    # Mean above −margin: the lower end, 0.1 below the mean, must come within 0.05 of it: four times as many.
    assert items_needed(0.0, -0.1, 0.7, n=100, margin=0.05) == 401
    # Mean below −margin: the upper end, 0.2 above it, must come within 0.1.
    assert items_needed(-0.1, -0.9, 0.1, n=100, margin=0.05) == 401


def test_no_number_of_items_settles_it() -> None:
    assert items_needed(-0.05, -0.1, 0.0, n=100, margin=0.05) is None
    assert items_needed(0.0, -0.1, 0.1, n=100, margin=0.05, floor=0.05) is None
    assert items_needed(0.0, -0.1, 0.1, n=100, margin=0.05, floor=0.2) is None


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
