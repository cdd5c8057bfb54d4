import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from aftertune.stats.change import (
    AurocChange,
    Interval,
    auroc_changes,
    interval_for_models,
    interval_for_training,
    one_way_anova,
    spread_over_runs,
)
from aftertune.stats.resampling import Checkpoint, multiplicities


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


def one(rng: np.random.Generator, n: int, scores: int = 2) -> Checkpoint:
    y = rng.integers(0, 2, n) * 1.0
    return Checkpoint(quality=y, confidence=np.round(rng.normal(size=(scores, n)) + y, 1))


def test_both_intervals_are_those_of_the_differences_on_shared_resamples() -> None:
    rng = np.random.default_rng(0)
    before = one(rng, 60)
    ends = [(before, one(rng, 60)) for _ in range(3)]
    found = auroc_changes(ends, resamples=40, rng=np.random.default_rng(1))
    weight = multiplicities(60, 40, np.random.default_rng(1)).astype(int)
    for s, change in enumerate(found):

        def auc(c: Checkpoint, drawn: np.ndarray, s: int = s) -> float:
            return float(roc_auc_score(c.quality[drawn], c.confidence[s][drawn]))

        everything = np.arange(60)
        np.testing.assert_allclose(change.from_, [auc(a, everything) for a, _ in ends])
        np.testing.assert_allclose(change.changes, [auc(b, everything) - auc(a, everything) for a, b in ends])
        assert change.mean == pytest.approx(change.changes.mean())
        drawn = [np.repeat(everything, weight[:, b]) for b in range(40)]
        differences = np.array([[auc(b, d) - auc(a, d) for a, b in ends] for d in drawn])
        models = interval_for_models(differences)
        training = interval_for_training(change.changes, differences, n_items=60)
        assert (change.models.low, change.models.high) == pytest.approx((models.low, models.high), abs=1e-12)
        assert change.models.p == models.p
        assert (change.training.low, change.training.p) == pytest.approx((training.low, training.p), abs=1e-9)
        assert change.n == 60


def test_one_run_says_nothing_of_another() -> None:
    rng = np.random.default_rng(0)
    (change, _) = auroc_changes([(one(rng, 50), one(rng, 50))], resamples=50, rng=rng)
    assert change.training is None
    assert change.models.low < change.mean < change.models.high


def test_undefined_has_a_reason() -> None:
    rng = np.random.default_rng(0)
    good = one(rng, 40, 1)
    hopeless = Checkpoint(quality=np.zeros(40), confidence=good.confidence)
    (change,) = auroc_changes([(good, hopeless), (good, good)], resamples=50, rng=rng)
    assert np.isnan(change.mean)
    assert change.reason == change.models.reason == "none of 40 answers are correct: nothing to tell apart"
    assert change.training is not None
    assert np.isnan(change.training.low)
    rare = Checkpoint(quality=np.r_[1.0, np.zeros(39)], confidence=good.confidence)
    (change,) = auroc_changes([(good, rare)], resamples=200, rng=rng)
    assert np.isfinite(change.mean)
    assert np.isnan(change.models.low)
    assert change.models.reason == "more than 5 % of resamples hold only correct or only wrong answers"


def test_a_constant_score_has_no_spread() -> None:
    rng = np.random.default_rng(0)
    constant = Checkpoint(quality=rng.integers(0, 2, 40) * 1.0, confidence=np.ones((1, 40)))
    (change,) = auroc_changes([(constant, constant)] * 2, resamples=50, rng=rng)
    assert (change.mean, change.from_[0]) == (0, 0.5)
    for interval in (change.models, change.training):
        assert np.isnan(interval.low)
        assert "spread is unknown" in interval.reason


def test_other_items_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="same items and scores"):
        auroc_changes([(one(rng, 40), one(rng, 41))], resamples=5, rng=rng)
    with pytest.raises(ValueError, match="at least one"):
        auroc_changes([], resamples=5, rng=rng)


def population(auc: np.ndarray, n: int, rng: np.random.Generator) -> list[Checkpoint]:
    """One checkpoint for each AUROC, on the same items: 50 % correct before, 60 % after.

    Confidence is normal, its mean higher by sqrt(2) z(AUROC) for correct answers. Half of the variance of what
    decides correctness, and of confidence, belongs to the item and is the same at every checkpoint.
    """
    share = np.r_[0.5, np.full(len(auc) - 1, 0.6)]
    item = rng.normal(size=(2, n))
    own = rng.normal(size=(2, len(auc), n))
    latent, noise = np.sqrt(0.5) * (item[:, None] + own)
    correct = (latent < norm.ppf(share)[:, None]) * 1.0
    confidence = noise + np.sqrt(2) * norm.ppf(auc)[:, None] * correct
    return [Checkpoint(quality=y, confidence=x[None]) for x, y in zip(confidence, correct)]


def simulated(
    n: int, runs: int, sd: float, to: float, simulations: int, resamples: int
) -> tuple[list[AurocChange], np.ndarray]:
    """And the true mean change of each data set's runs."""
    rng = np.random.default_rng([n, runs, int(100 * sd), int(100 * to)])
    found, truth = [], []
    for _ in range(simulations):
        auc = np.r_[0.7, np.clip(to + sd * rng.normal(size=runs), 0.01, 0.99)]
        before, *after = population(auc, n, rng)
        found += auroc_changes([(before, one) for one in after], resamples=resamples, rng=rng)
        truth.append(auc[1:].mean() - 0.7)
    return found, np.array(truth)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
def test_rejection_rate_without_a_change(n: int) -> None:
    found, _ = simulated(n, 1, 0.0, 0.7, 1000, 399)
    assert 0.03 <= np.mean([c.models.p <= 0.05 for c in found]) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("to", [0.8, 0.55])
def test_coverage_for_these_trained_models(n: int, to: float) -> None:
    found, truth = simulated(n, 3, 0.03, to, 500, 199)
    assert 0.92 <= np.mean([c.models.low <= t <= c.models.high for c, t in zip(found, truth)]) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("sd", [0.0, 0.06])
def test_coverage_for_another_training_run(n: int, sd: float) -> None:
    found, _ = simulated(n, 3, sd, 0.75, 600, 100)
    assert 0.92 <= np.mean([c.training.low <= 0.05 <= c.training.high for c in found]) <= 0.98


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
