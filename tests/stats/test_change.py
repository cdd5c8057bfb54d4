"""Intervals and p-values by hand and by textbook formulas, bounds for several numbers at once, and the ANOVA."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from aftertune.stats.change import (
    LEVEL,
    Simultaneous,
    Spread,
    one_way_anova,
    spread_for_models,
    spread_for_new_run,
    spread_for_training,
    spread_over_runs,
)


def of_a_mean(values: np.ndarray) -> np.ndarray:
    """(n,) deviations of the mean of (n,) values."""
    return (values - values.mean()) / math.sqrt(len(values) * (len(values) - 1))


def test_models_is_a_t_interval_of_the_mean_over_runs() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 2, 40))
    deviation = np.apply_along_axis(of_a_mean, -1, values)
    spread = spread_for_models(deviation)
    for s in (0, 1):
        means = values[:, s].mean(axis=0)  # of items, over runs
        error = stats.sem(means)
        centred = means - means.mean()
        df = 2 * np.sum(centred**2) ** 2 / np.sum(centred**4) - 1
        assert 10 < df < 39
        assert spread.half_width(s) == pytest.approx(stats.t.ppf(0.975, df) * error)
        assert spread.half_width(s, 0.01) == pytest.approx(stats.t.ppf(0.995, df) * error)
        assert spread.p_value(s, -0.3) == pytest.approx(2 * stats.t.sf(0.3 / error, df))
    together = np.corrcoef(values[:, 0].mean(axis=0), values[:, 1].mean(axis=0))
    np.testing.assert_allclose(spread.correlation, together, atol=1e-12)
    assert spread.floor.tolist() == [0, 0]


def test_degrees_of_freedom_are_those_of_the_items_that_decide() -> None:
    even = np.tile([0.01, -0.01], 25)
    few = np.r_[0.2, -0.1, -0.1, np.zeros(47)]
    one = np.r_[0.2, np.zeros(49)]
    spread = spread_for_models(np.stack([even, few, one])[None])
    assert spread.df[0] == pytest.approx([49, 2 * 0.06**2 / 0.0018 - 1, 1])


def test_training_without_item_noise_is_the_t_test() -> None:
    observed = np.array([0.1, 0.25, 0.3, 0.15])
    spread = spread_for_training(observed[:, None], np.zeros((4, 1, 100)))
    expected = stats.ttest_1samp(observed, 0)
    low, high = expected.confidence_interval(0.95)
    assert spread.half_width(0) == pytest.approx((high - low) / 2)
    assert spread.p_value(0, observed.mean()) == pytest.approx(expected.pvalue)
    assert spread.floor[0] == pytest.approx(observed.var(ddof=1) / 4)


def test_training_whose_runs_agree_is_the_shared_item_noise() -> None:
    shared = of_a_mean(np.random.default_rng(0).normal(size=200))
    spread = spread_for_training(np.full((3, 1), 0.1), np.tile(shared, (3, 1, 1)))
    models = spread_for_models(shared[None, None])
    assert spread.half_width(0) == pytest.approx(models.half_width(0))
    assert spread.p_value(0, 0.1) == pytest.approx(models.p_value(0, 0.1))
    assert spread.floor[0] == pytest.approx(0, abs=1e-18)


def test_training_by_hand() -> None:
    # Four groups of items: the runs' variances are 4 and 2 · 1e-4, their covariance 2 · 1e-4; s² = 0.005.
    deviation = np.array([[1, -1, 1, -1], [1, -1, 0, 0]])[:, None] * 0.01
    observed = np.array([[0.1], [0.2]])
    spread = spread_for_training(observed, deviation)
    shared, of_runs = 2e-4, 0.005 / 2
    # The mean over runs: 1, −1, 1/2, −1/2, so 2 · 2.5² / 2.125 − 1 is more than the 3 of four groups.
    df = (shared + of_runs) ** 2 / (shared**2 / 3 + of_runs**2 / 1)
    half = stats.t.ppf(0.975, df) * math.sqrt(shared + of_runs)
    assert half > stats.t.ppf(0.975, 3) * math.sqrt(2.5e-4)
    assert spread.half_width(0) == pytest.approx(half)
    assert spread.p_value(0, 0.15) == pytest.approx(2 * stats.t.sf(0.15 / math.sqrt(shared + of_runs), df))
    assert spread.floor[0] == pytest.approx(of_runs - (3e-4 - shared) / 2)


def test_training_is_no_surer_than_models_where_runs_agree_by_chance() -> None:
    """Equal changes of two runs whose items' noise is independent: s² = 0 and c = 0 say nothing of the items."""
    deviation = np.array([[1, -1, 1, -1], [1, 1, -1, -1]])[:, None].repeat(20, axis=2) * 0.01
    spread = spread_for_training(np.full((2, 1), 0.05), deviation)
    models = spread_for_models(deviation)
    assert spread.half_width(0) == pytest.approx(models.half_width(0))
    assert spread.half_width(0) > 0
    assert spread.p_value(0, 0.05) == pytest.approx(models.p_value(0, 0.05))


def test_negative_shared_noise_counts_as_none() -> None:
    deviation = np.array([[1, -1, 1, -1], [-1, 1, -1, 1]])[:, None] * 0.01
    observed = np.array([[0.1], [0.2]])
    spread = spread_for_training(observed, deviation)
    expected = stats.ttest_1samp(observed[:, 0], 0)
    assert spread.p_value(0, 0.15) == pytest.approx(expected.pvalue)


def test_scores_are_as_correlated_over_runs_as_their_shared_noise_in_all_of_it() -> None:
    deviation = np.stack([of_a_mean(np.random.default_rng(1).normal(size=80))] * 2)[None].repeat(3, axis=0)
    calm = spread_for_training(np.full((3, 2), 0.1), deviation)
    np.testing.assert_allclose(calm.correlation, np.ones((2, 2)))
    wild = spread_for_training(np.array([[0.1, 0.3], [0.5, 0.2], [0.1, 0.9]]), deviation)
    assert 0 < wild.correlation[0, 1] < 0.5
    assert np.diagonal(wild.correlation).tolist() == [1, 1]


@pytest.mark.parametrize("runs", [3, 5, 10])
def test_new_run_is_the_prediction_interval_of_a_normal_sample(runs: int) -> None:
    observed = np.random.default_rng(runs).normal(0.1, 0.05, size=(runs, 2))
    spread = spread_for_new_run(observed)
    for s in (0, 1):
        fit = sm.OLS(observed[:, s], np.ones(runs)).fit().get_prediction([1.0])
        ((low, high),) = fit.conf_int(obs=True, alpha=0.05)
        mean = observed[:, s].mean()
        assert (mean - spread.half_width(s), mean + spread.half_width(s)) == pytest.approx((low, high))


def test_a_prediction_covers_the_next_of_normal_runs_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(0).normal(size=(4, 1500))
    spread = spread_for_new_run(drawn[:3])
    half = stats.t.ppf(0.975, 2) * np.sqrt(spread.variance[0])
    assert np.mean(np.abs(drawn[3] - drawn[:3].mean(axis=0)) < half) == pytest.approx(0.95, abs=0.017)


def test_where_nothing_varies_there_is_no_number() -> None:
    for spread in (
        spread_for_models(np.zeros((1, 1, 10))),
        spread_for_training(np.zeros((3, 1)), np.zeros((3, 1, 10))),
        spread_for_new_run(np.full((3, 1), 0.2)),
    ):
        assert math.isnan(spread.half_width(0))
        assert math.isnan(spread.p_value(0, 0.1))


def test_undefined_scores_leave_the_others_alone() -> None:
    rng = np.random.default_rng(0)
    deviation = rng.normal(size=(3, 2, 30)) / 100
    observed = rng.normal(size=(3, 2)) / 10
    alone = spread_for_training(observed[:, :1], deviation[:, :1])
    deviation[1, 1], observed[1, 1] = np.nan, np.nan
    spread = spread_for_training(observed, deviation)
    assert spread.half_width(0) == pytest.approx(alone.half_width(0))
    assert np.isnan([spread.half_width(1), spread.p_value(1, 0.1)]).all()
    assert math.isnan(spread_for_models(deviation).half_width(1))


def test_spread_over_runs() -> None:
    assert spread_over_runs(np.array([0.1, 0.2, 0.6])) == pytest.approx(math.sqrt(0.07))
    assert math.isnan(spread_over_runs(np.array([0.1])))


def simultaneous(correlation: np.ndarray, draws: int = 40_000) -> Simultaneous:
    return Simultaneous(correlation, draws=draws, rng=np.random.default_rng(0))


def test_one_number_is_a_family_of_one() -> None:
    for family in (Simultaneous(np.eye(1)), simultaneous(np.eye(1)), simultaneous(np.empty((0, 0)))):
        assert (family.level, family.several) == (LEVEL, False)
        assert family.corrected(0.03) == 0.03


@pytest.mark.parametrize("m", [2, 5, 13])
def test_independent_numbers_are_corrected_as_by_sidak(m: int) -> None:
    family = simultaneous(np.eye(m))
    assert family.level == pytest.approx(1 - 0.95 ** (1 / m), rel=0.06)
    for p in (0.001, 0.01, 0.2):
        expected = 1 - (1 - p) ** m
        assert family.corrected(p) == pytest.approx(expected, abs=4 * math.sqrt(expected / 40_000))


@pytest.mark.parametrize("correlation", [0.3, 0.8])
def test_correlated_numbers_stay_inside_together(correlation: float) -> None:
    together = np.full((5, 5), correlation) + (1 - correlation) * np.eye(5)
    family = simultaneous(together)
    z = stats.norm.isf(family.level / 2) * np.ones(5)
    inside = stats.multivariate_normal(cov=together).cdf(z, lower_limit=-z)
    assert inside == pytest.approx(0.95, abs=0.004)
    assert 1 - 0.95 ** (1 / 5) < family.level < LEVEL


@pytest.mark.parametrize("draws", [100, 999, 2000])
def test_equal_numbers_need_no_correction(draws: int) -> None:
    """And chance of the draws never makes many looks better than one."""
    for seed in range(20):
        family = Simultaneous(np.ones((4, 4)), draws=draws, rng=np.random.default_rng(seed))
        assert family.level <= LEVEL
        assert all(family.corrected(p) >= p for p in (0.001, 0.04, 0.5, 1.0))
    assert simultaneous(np.ones((4, 4))).level == pytest.approx(LEVEL, rel=0.04)


def test_mirrored_numbers_count_once() -> None:
    assert simultaneous(np.array([[1.0, -1.0], [-1.0, 1.0]])).level == pytest.approx(LEVEL, rel=0.04)


@pytest.mark.parametrize("draws", [39, 100, 999, 2000])
def test_corrected_p_is_below_the_level_where_the_interval_excludes_the_hypothesis(draws: int) -> None:
    rng = np.random.default_rng(draws)
    deviation = rng.normal(size=(3, 6, 50)) / 100
    observed = 0.03 * rng.normal(size=(3, 6))
    for spread in (spread_for_models(deviation), spread_for_training(observed, deviation)):
        family = Simultaneous(spread.correlation, draws=draws, rng=rng)
        for s in range(6):
            half = spread.half_width(s, family.level)
            for distance in half * np.r_[np.linspace(0, 2, 40), 1 - 1e-9, 1 + 1e-9]:
                p = family.corrected(spread.p_value(s, distance))
                assert (p < LEVEL) == (distance > half), (distance / half, p)


def test_corrected_p_rises_with_p_and_undefined_stays_undefined() -> None:
    family = simultaneous(0.5 + 0.5 * np.eye(3), draws=500)
    found = [family.corrected(p) for p in np.geomspace(1e-12, 1, 200)]
    assert (np.diff(found) >= 0).all()
    assert found[0] == 1 / 501
    assert found[-1] == 1
    assert math.isnan(family.corrected(math.nan))


def test_bounds_depend_on_the_seed_alone() -> None:
    one, again = (Simultaneous(np.eye(3), draws=200, rng=np.random.default_rng(3)) for _ in range(2))
    other = Simultaneous(np.eye(3), draws=200, rng=np.random.default_rng(4))
    assert one.level == again.level != other.level


def test_the_widest_estimate_counts() -> None:
    spread = Spread(
        variance=np.array([[0.01], [0.02]]), df=np.array([[2.0], [50.0]]), floor=np.zeros(1), correlation=np.eye(1)
    )
    assert spread.half_width(0) == pytest.approx(stats.t.ppf(0.975, 2) * 0.1)
    assert spread.half_width(0, 0.8) == pytest.approx(stats.t.ppf(0.6, 50) * math.sqrt(0.02))
    assert spread.p_value(0, 0.5) == pytest.approx(2 * stats.t.sf(5, 2))


@pytest.mark.parametrize("sizes", [(3, 3), (3, 3, 3, 3), (2, 5, 3), (4, 2)])
def test_equals_scipy_and_statsmodels(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(sizes))
    groups = [rng.normal(0.4 + 0.1 * i, 0.1, size) for i, size in enumerate(sizes)]
    found = one_way_anova(groups)
    expected = stats.f_oneway(*groups)
    assert (found.f, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    table = pd.DataFrame({"rho": np.concatenate(groups), "size": np.repeat(np.arange(len(sizes)), sizes)})
    row = anova_lm(ols("rho ~ C(size)", table).fit()).loc["C(size)"]
    assert (found.f, found.p) == pytest.approx((row["F"], row["PR(>F)"]))


def test_by_hand() -> None:
    # Means 2, 4, 6 around 4: between 3 · (4 + 0 + 4) / 2 = 12; within 3 · 2 / 6 = 1.
    found = one_way_anova([np.array([1.0, 2, 3]), np.array([3.0, 4, 5]), np.array([5.0, 6, 7])])
    assert found.f == pytest.approx(12)
    assert found.p == pytest.approx((1 + 12 / 3) ** -3)  # on 2 and 6 degrees of freedom


def test_two_groups_are_the_t_test() -> None:
    before, after = np.array([0.1, 0.2, 0.15]), np.array([0.3, 0.25, 0.5])
    expected = stats.ttest_ind(before, after)
    found = one_way_anova([before, after])
    assert (found.f, found.p) == pytest.approx((expected.statistic**2, expected.pvalue))


def test_one_constant_group_is_no_obstacle() -> None:
    # F = 3 (mean − 0.1)² / (s² / 2) / 2 on 1 and 4 degrees of freedom.
    after = np.array([0.3, 0.25, 0.5])
    f = 3 * (after.mean() - 0.1) ** 2 / after.var(ddof=1)
    found = one_way_anova([np.full(3, 0.1), after])
    assert (found.f, found.p) == pytest.approx((f, stats.f.sf(f, 1, 4)))


@pytest.mark.parametrize(
    "groups",
    [
        [],
        [[0.1, 0.2]],
        [[0.1], [0.2]],
        [[0.1, 0.3], [0.2]],
        [[0.1, 0.1], [0.2, 0.2]],
        [[0.1, 0.1], [0.1, 0.1], [0.1, 0.1]],
        [[0.1, np.nan], [0.2, 0.3]],
    ],
)
def test_undefined(groups: list[list[float]]) -> None:
    found = one_way_anova([np.array(group) for group in groups])
    assert math.isnan(found.f)
    assert math.isnan(found.p)
