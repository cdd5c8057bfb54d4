import math

import numpy as np
import pytest
from scipy import stats

from aftertune.stats.change import (
    Interval,
    interval_for_models,
    interval_for_training,
    spread_over_runs,
)


def test_models_is_the_percentile_interval_of_the_mean_over_runs() -> None:
    means = np.arange(1, 101) / 100 - 0.1
    apart = np.linspace(-0.3, 0.3, 100)
    interval = interval_for_models(np.stack([means - apart, means + apart], axis=1))
    assert interval.low == pytest.approx(-0.09 + 0.025 * 99 / 100)
    assert interval.high == pytest.approx(-0.09 + 0.975 * 99 / 100)
    # 10 of 100 are at or below 0: −0.09, …, 0.00.
    assert interval.p == pytest.approx(2 * 11 / 101)
    assert (interval.floor, interval.reason) == (0, "")


def test_p_has_a_floor_and_a_ceiling() -> None:
    assert interval_for_models(np.full((99, 1), 0.2)).p == pytest.approx(2 / 100)
    assert interval_for_models(np.zeros((99, 3))).p == 1


def test_undefined_resamples_are_left_out_up_to_five_per_cent() -> None:
    draws = np.random.default_rng(0).normal(size=(100, 2))
    draws[:5, 0] = np.nan
    interval = interval_for_models(draws)
    assert interval.low == pytest.approx(np.quantile(draws[5:].mean(axis=1), 0.025))
    draws[5, 1] = np.nan
    for undefined in (interval_for_models(draws), interval_for_training(np.ones(2), draws, n_items=9)):
        assert math.isnan(undefined.low)
        assert math.isnan(undefined.p)
        assert undefined.reason == "confidence or quality is constant in more than 5 % of resamples"


def test_training_without_item_noise_is_the_t_test() -> None:
    observed = np.array([0.1, 0.25, 0.3, 0.15])
    interval = interval_for_training(observed, np.tile(observed, (50, 1)), n_items=100)
    expected = stats.ttest_1samp(observed, 0)
    low, high = expected.confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.p == pytest.approx(expected.pvalue)
    assert interval.floor == pytest.approx((high - low) / 2)


def test_training_without_spread_of_runs_is_the_item_noise() -> None:
    shared = np.random.default_rng(0).normal(0, 0.04, size=400)
    interval = interval_for_training(np.full(3, 0.1), np.tile(shared[:, None], (1, 3)), n_items=200)
    half = stats.t.ppf(0.975, 199) * shared.std(ddof=1)
    assert (interval.low, interval.high) == pytest.approx((0.1 - half, 0.1 + half))
    assert interval.p == pytest.approx(2 * stats.t.sf(0.1 / shared.std(ddof=1), 199))
    assert interval.floor == 0


def test_training_by_hand() -> None:
    # Resampled covariance [[2, 1], [1, 2]] · 1e-4 · 4/3 from four rows; observed 0.1 and 0.2: s² = 0.005.
    draws = np.array([[1, 1], [-1, -1], [1, 0], [-1, 0]]) * 0.01
    covariance = np.cov(draws.T)
    shared = covariance[0, 1]
    of_runs = 0.005 / 2
    df = (shared + of_runs) ** 2 / (shared**2 / 49 + of_runs**2 / 1)
    half = stats.t.ppf(0.975, df) * math.sqrt(shared + of_runs)
    interval = interval_for_training(np.array([0.1, 0.2]), draws, n_items=50)
    assert (interval.low, interval.high) == pytest.approx((0.15 - half, 0.15 + half))
    unshared = (np.trace(covariance) / 2 - shared) / 2
    assert interval.floor == pytest.approx(stats.t.ppf(0.975, 1) * math.sqrt(of_runs - unshared))


def test_training_needs_two_runs_and_something_that_varies() -> None:
    with pytest.raises(ValueError, match="at least two"):
        interval_for_training(np.array([0.1]), np.zeros((10, 1)), n_items=10)
    nothing = interval_for_training(np.zeros(3), np.zeros((10, 3)), n_items=10)
    assert math.isnan(nothing.low)
    assert nothing.reason == "nothing varies over runs or resamples"


def test_spread_over_runs() -> None:
    assert spread_over_runs(np.array([0.1, 0.2, 0.6])) == pytest.approx(math.sqrt(0.07))
    assert math.isnan(spread_over_runs(np.array([0.1])))


def test_training_is_no_surer_than_models_where_runs_agree_by_chance() -> None:
    """Equal changes of two runs whose items' noise is independent: s² = 0 and c = 0 say nothing of the items."""
    draws = np.array([[1, 1], [-1, 1], [1, -1], [-1, -1]] * 25) * 0.1
    interval = interval_for_training(np.array([0.05, 0.05]), draws, n_items=80)
    variance = np.var(draws.mean(axis=1), ddof=1)
    half = stats.t.ppf(0.975, 79) * math.sqrt(variance)
    assert (interval.low, interval.high) == pytest.approx((0.05 - half, 0.05 + half))


def test_an_interval_is_cut_where_the_mean_cannot_be() -> None:
    wide = Interval(low=-2.26, high=1.5, p=0.8, floor=2.0)
    assert wide.within(2.0) == Interval(low=-2.0, high=1.5, p=0.8, floor=2.0)
    assert wide.within(1.0) == Interval(low=-1.0, high=1.0, p=0.8, floor=2.0)
    assert wide.within(3.0) == wide
    nan = float("nan")
    undefined = Interval(low=nan, high=nan, p=nan, floor=nan, reason="nothing varies")
    assert undefined.within(1.0) is undefined
