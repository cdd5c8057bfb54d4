import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from aftertune.stats.change import spread_for_models
from aftertune.stats.correlation import (
    partial_rank_correlation,
    rank_correlation,
    rho_p_value,
    spearman_interval,
    why_undefined,
)
from aftertune.stats.effect import effects


def interval(x: np.ndarray, y: np.ndarray) -> tuple[float, float, str]:
    half = spread_for_models(effects(x[None], y).spearman.deviation[None]).half_width(0)
    return spearman_interval(x, y, rank_correlation(x, y), half)


@pytest.mark.parametrize("levels", [None, 2, 5, 30])
def test_rho_equals_scipy(levels: int | None) -> None:
    rng = np.random.default_rng(0)
    for n in (3, 10, 400):
        x, y = rng.normal(size=(2, n))
        if levels:
            y = np.floor(y * levels / 3)
            x = np.where(rng.random(n) < 0.5, y, np.floor(x * levels / 3))
            x[:2], y[:2] = (0, 1), (1, 0)
        expected = stats.spearmanr(x, y)
        assert rank_correlation(x, y) == pytest.approx(expected.statistic, abs=1e-12)
        if n > 3:
            assert rho_p_value(rank_correlation(x, y), n) == pytest.approx(expected.pvalue)
        assert effects(x[None], y).spearman.value[0] == pytest.approx(expected.statistic, abs=1e-12)


def test_by_hand_with_ties() -> None:
    # Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: centred products 2.25 + 0 + 0 + 2.25; squares 4.5 and 5.
    rho = rank_correlation(np.array([0.0, 5.0, 5.0, 9.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert rho == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_bonett_wright_by_hand() -> None:
    x = np.arange(20.0)
    y = np.r_[x[10:], x[:10]]
    y[3] += 0.5
    rho = rank_correlation(x, y)
    low, high, status = interval(x, y)
    half = 1.959963984540054 * math.sqrt((1 + rho**2 / 2) / 17)
    assert (math.atanh(low), math.atanh(high)) == pytest.approx((math.atanh(rho) - half, math.atanh(rho) + half))
    assert status == "ci: bonett-wright"


@pytest.mark.parametrize(
    ("confidence", "quality", "reason"),
    [
        ([], [], "fewer than 3 items (0): no correlation"),
        ([1.0, 2.0], [1.0, 2.0], "fewer than 3 items (2): no correlation"),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], "confidence is constant: no correlation"),
        ([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0], "quality is constant: no correlation"),
    ],
)
def test_undefined_says_why(confidence: list, quality: list, reason: str) -> None:
    x, y = np.array(confidence), np.array(quality)
    assert math.isnan(rank_correlation(x, y))
    assert why_undefined(x, y) == reason
    low, high, status = spearman_interval(x, y, math.nan, math.nan)
    assert np.isnan([low, high]).all()
    assert status == reason
    assert why_undefined(np.arange(3.0), np.arange(3.0)) == ""


def test_no_interval_from_three_items_or_a_perfect_order() -> None:
    low, _, status = interval(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))
    assert math.isnan(low)
    assert status == "ci: none (fewer than 4 items)"
    for x in (np.arange(9.0), np.arange(9.0) // 4):
        low, _, status = interval(x, x)
        assert math.isnan(low)
        assert status.startswith("ci: none (the order is perfect")


def test_influence_only_where_both_are_heavily_tied() -> None:
    rng = np.random.default_rng(0)
    fine = rng.normal(size=200)
    binary = (fine + rng.normal(size=200) > 0).astype(float)
    three = np.digitize(fine, [-1, 1]).astype(float)
    assert interval(fine, binary)[2] == interval(binary, fine)[2] == "ci: bonett-wright"
    low, high, status = interval(three, binary)
    assert status == "ci: influence"
    assert (low + high) / 2 == pytest.approx(rank_correlation(three, binary))
    # The delete-one jackknife knows another way to the standard error.
    deleted = [rank_correlation(np.delete(three, i), np.delete(binary, i)) for i in range(200)]
    error = math.sqrt(199**2 / 200 * np.var(deleted, ddof=1))
    assert high - low == pytest.approx(2 * 1.97 * error, rel=0.03)
    assert interval(three[:19], binary[:19])[2] == "ci: bonett-wright"


def test_an_interval_by_influence_is_cut_at_one() -> None:
    rare = np.r_[np.ones(3), np.zeros(37)]
    low, high, status = interval(rare, np.roll(rare, 1))
    assert (low > -1, high, status) == (True, 1.0, "ci: influence")


def confounded(n: int, levels: int | None, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    length = rng.poisson(8, n).astype(float)
    x, y = -0.3 * length + rng.normal(size=(2, n))
    return (x, y, length) if levels is None else (np.round(x * levels / 6), np.round(y * levels / 6), length)


@pytest.mark.parametrize("levels", [None, 12, 4])
@pytest.mark.parametrize("n", [5, 40, 500])
def test_is_the_correlation_of_residuals_of_ranks(n: int, levels: int | None) -> None:
    x, y, z = confounded(n, levels, seed=n)
    design = sm.add_constant(stats.rankdata(z))
    left = [sm.OLS(stats.rankdata(v), design).fit().resid for v in (x, y)]
    assert partial_rank_correlation(x, y, z) == pytest.approx(stats.pearsonr(*left).statistic, abs=1e-10)


@pytest.mark.parametrize("levels", [None, 4])
def test_is_the_formula_of_the_three_correlations_and_the_inverse_of_their_matrix(levels: int | None) -> None:
    x, y, z = confounded(200, levels)
    xy, xz, yz = (stats.spearmanr(a, b).statistic for a, b in ((x, y), (x, z), (y, z)))
    found = partial_rank_correlation(x, y, z)
    assert found == pytest.approx((xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2)))
    # pingouin.partial_corr: from the inverse of the covariance of the ranks.
    inverse = np.linalg.inv(np.cov(stats.rankdata([x, y, z], axis=1)))
    assert found == pytest.approx(-inverse[0, 1] / math.sqrt(inverse[0, 0] * inverse[1, 1]))


def test_removes_what_length_alone_explains() -> None:
    x, y, z = confounded(4000, None)
    assert rank_correlation(x, y) > 0.3
    assert abs(partial_rank_correlation(x, y, z)) < 0.05


def test_constant_length_is_the_plain_rho() -> None:
    x, y, _ = confounded(30, 6)
    assert partial_rank_correlation(x, y, np.full(30, 7.0)) == pytest.approx(rank_correlation(x, y), abs=1e-15)


def test_by_hand() -> None:
    # r_xy = 0.8; ranks of z (1, 2.5, 2.5, 4): r_xz = 4.5 / sqrt(5 · 4.5) = r_yz = sqrt(0.9).
    x, y, z = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4]), np.array([0.0, 5, 5, 9])
    assert partial_rank_correlation(x, y, z) == pytest.approx((0.8 - 0.9) / 0.1)


@pytest.mark.parametrize("n", [4, 997, 30_000])
def test_nothing_is_left_where_length_gives_the_order(n: int) -> None:
    rng = np.random.default_rng(n)
    length, other = rng.random(n) * 7, rng.random(n)
    for sure in (np.exp(length), -length / 3):
        assert math.isnan(partial_rank_correlation(sure, other, length))
        assert math.isnan(partial_rank_correlation(other, sure, length))


def test_undefined_where_the_plain_rho_is() -> None:
    ones, ranks = np.ones(5), np.arange(5.0)
    assert math.isnan(partial_rank_correlation(ones, ranks, ranks))
    assert math.isnan(partial_rank_correlation(ranks, ones, ranks))
    assert math.isnan(partial_rank_correlation(ranks[:2], ranks[:2], ranks[:2]))


def test_never_outside_one() -> None:
    x = np.arange(8.0)
    z = np.array([1.0, 0, 3, 2, 5, 4, 7, 6])
    assert partial_rank_correlation(x, 2 * x, z) == 1
    assert partial_rank_correlation(x, -x, z) == -1
