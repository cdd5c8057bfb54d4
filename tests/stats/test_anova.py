import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from aftertune.stats.anova import one_way_anova


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
