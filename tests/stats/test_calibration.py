import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from aftertune.stats.calibration import BLOCK, _mean_deviation, _success_counts, calibration


def draw(n: int, seed: int, digits: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(2, 1, n), digits)
    return p, (rng.random(n) < p**2) * 1.0


@pytest.mark.parametrize("by", ["mass", "width"])
def test_bins_equal_sklearn_without_ties(by: str) -> None:
    p, y = draw(500, 0)
    found = calibration(p, y, bins=10, by=by)
    correct, stated = calibration_curve(y, p, n_bins=10, strategy="quantile" if by == "mass" else "uniform")
    np.testing.assert_allclose([b.correct for b in found.bins], correct)
    np.testing.assert_allclose([b.stated for b in found.bins], stated)
    sizes = np.array([b.n for b in found.bins])
    assert sizes.sum() == 500
    if by == "mass":
        assert (sizes == 50).all()
    assert found.ece == pytest.approx(np.sum(sizes * np.abs(correct - stated)) / 500)


@pytest.mark.parametrize("n", [7, 23, 104])
def test_bins_of_equal_mass_differ_by_one_item_at_most(n: int) -> None:
    p, y = draw(n, n)
    sizes = [b.n for b in calibration(p, y, bins=10).bins]
    assert len(sizes) == min(n, 10)
    assert max(sizes) - min(sizes) <= 1


def test_equal_probabilities_stay_together_whatever_the_order() -> None:
    rng = np.random.default_rng(0)
    p = np.repeat([0.1, 0.2, 0.3, 0.8], [40, 1, 3, 16])
    y = rng.integers(0, 2, 60) * 1.0
    found = calibration(p, y, bins=5)
    # Middles at 20, 40.5, 42.5 and 52 of 60: bins 1, 3, 3 and 4.
    assert [b.n for b in found.bins] == [40, 4, 16]
    assert [b.stated for b in found.bins] == pytest.approx([0.1, (0.2 + 3 * 0.3) / 4, 0.8])
    order = rng.permutation(60)
    again = calibration(p[order], y[order], bins=5)
    assert (again.ece, again.brier) == pytest.approx((found.ece, found.brier), abs=1e-12)
    assert [b.n for b in again.bins] == [b.n for b in found.bins]


def test_a_constant_is_one_bin() -> None:
    found = calibration(np.full(30, 0.7), np.r_[np.ones(15), np.zeros(15)])
    (only,) = found.bins
    assert (only.n, only.stated, only.correct) == (30, pytest.approx(0.7), 0.5)
    interval = binomtest(15, 30).proportion_ci(0.95, "wilson")
    assert (only.low, only.high) == pytest.approx((interval.low, interval.high))
    assert found.ece == pytest.approx(0.2)
    assert (found.miscalibration, found.discrimination, found.uncertainty) == pytest.approx((0.04, 0, 0.25))


def test_bins_of_equal_width_are_closed_above() -> None:
    p = np.array([0.0, 0.05, 0.1, 0.1000001, 1.0])
    assert [b.n for b in calibration(p, np.ones(5), bins=10, by="width").bins] == [3, 1, 1]


@pytest.mark.parametrize("digits", [1, 9])
def test_brier_and_its_parts(digits: int) -> None:
    p, y = draw(300, 3, digits)
    found = calibration(p, y)
    assert found.brier == pytest.approx(brier_score_loss(y, p))
    recalibrated = IsotonicRegression().fit(p, y).predict(p)
    assert found.discrimination == pytest.approx(y.var() - brier_score_loss(y, recalibrated))
    assert found.miscalibration > 0.01
    parts = found.miscalibration - found.discrimination + found.uncertainty
    assert parts == pytest.approx(found.brier, abs=1e-12)


def test_ece_of_calibrated_probabilities_by_all_outcomes() -> None:
    p = np.array([0.1, 0.3, 0.35, 0.6, 0.6, 0.9])
    mean = 0.0
    for y in itertools.product((0, 1), repeat=6):
        chance = np.prod(np.where(y, p, 1 - p))
        mean += chance * calibration(p, y, bins=3).ece
    assert calibration(p, np.ones(6), bins=3).ece_if_calibrated == pytest.approx(mean, abs=1e-12)


def test_numbers_of_successes_by_all_outcomes() -> None:
    p = np.array([0.0, 0.03, 0.3, 0.3, 0.71, 0.99, 1.0, 1e-12, 0.5])
    expected = np.zeros(len(p) + 1)
    for y in itertools.product((0, 1), repeat=len(p)):
        expected[sum(y)] += np.prod(np.where(y, p, 1 - p))
    np.testing.assert_allclose(_success_counts(p), expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize("n", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 200, 1000])
def test_mean_deviation_one_trial_at_a_time(n: int) -> None:
    """Trials of other probabilities one after the other; equal ones against the binomial distribution."""
    p = np.random.default_rng(n).beta(2, 1, n)
    mass = np.ones(1)
    for one in p:
        mass = np.append(mass, 0.0) * (1 - one) + np.append(0.0, mass) * one
    k = np.arange(n + 1)
    assert _mean_deviation(p) == pytest.approx(np.abs(k - p.sum()) @ mass, rel=1e-12)
    tied = np.full(n, p[0])
    assert _mean_deviation(tied) == pytest.approx(np.abs(k - n * p[0]) @ binom.pmf(k, n, p[0]), rel=1e-11)


def test_mean_deviation_of_many_near_the_normal_one() -> None:
    """sqrt(2 variance / pi), to a relative 1 / (4 · variance) or so; tails underflow without a warning."""
    p = np.random.default_rng(0).random(5000)
    variance = (p * (1 - p)).sum()
    assert _mean_deviation(p) == pytest.approx(np.sqrt(2 * variance / np.pi), rel=1 / variance)


def test_no_items_and_no_probability() -> None:
    found = calibration([], [])
    assert (found.n, found.bins) == (0, ())
    assert math.isnan(found.ece + found.brier + found.miscalibration + found.ece_if_calibrated)
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibration([1.2], [1])
