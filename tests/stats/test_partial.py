import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from aftertune.stats.correlation import rank_correlation
from aftertune.stats.partial import partial_rank_correlation


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
