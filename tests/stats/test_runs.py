"""Welch's and the paired t test over training runs: SciPy's values, what is undefined, how often they reject."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from aftertune.stats.change import one_way_anova
from aftertune.stats.runs import constant_group, paired_p, welch_p

nan, inf = math.nan, math.inf
RUNS = np.array([0.31, 0.24, 0.4])


def test_welch_against_a_constant_group_is_the_one_sample_test() -> None:
    expected = stats.ttest_1samp(RUNS, 0.1).pvalue
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert welch_p(np.full(3, 0.1), RUNS) == pytest.approx(expected)
        assert welch_p(RUNS, np.full(5, 0.1)) == pytest.approx(expected)


def test_they_are_the_tests_of_scipy() -> None:
    before = np.array([0.2, 0.25, 0.1])
    assert welch_p(before, RUNS) == stats.ttest_ind(before, RUNS, equal_var=False).pvalue
    assert paired_p(RUNS - before) == pytest.approx(stats.ttest_rel(RUNS, before).pvalue)
    # The ANOVA of two groups is the t test with equal variances.
    assert one_way_anova([before, RUNS]).p == pytest.approx(stats.ttest_ind(before, RUNS).pvalue)


@pytest.mark.parametrize(
    ("from_", "to"),
    [
        ([0.1], [0.2, 0.3]),
        ([0.1, 0.2], []),
        ([0.1, nan], [0.2, 0.3]),
        ([0.1, 0.2], [0.2, inf]),
        ([0.1, 0.1], [0.2, 0.2]),
    ],
)
def test_undefined(from_: list[float], to: list[float]) -> None:
    assert math.isnan(welch_p(np.array(from_), np.array(to)))


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, nan], [0.1, inf], [0.1, 0.1, 0.1], [0.0, 0.0]])
def test_undefined_in_pairs(differences: list[float]) -> None:
    assert math.isnan(paired_p(np.array(differences)))


@pytest.mark.parametrize(
    ("from_", "to", "constant"),
    [
        ([0.1, 0.1], [0.2, 0.3], True),
        ([0.2, 0.3], [0.1, 0.1], True),
        ([0.1, 0.1], [0.2, 0.2], False),
        ([0.1, 0.2], [0.2, 0.3], False),
        ([0.1], [0.2], False),
    ],
)
def test_one_group_that_does_not_vary(from_: list[float], to: list[float], constant: bool) -> None:
    assert constant_group(np.array(from_), np.array(to)) is constant


@pytest.mark.thorough
@pytest.mark.parametrize(("constant", "anova"), [(True, 0.11), (False, 0.05)])
def test_rejection_rates_with_three_runs(constant: bool, anova: float) -> None:
    """Without a change. Standard errors of 1,500 data sets are at most 0.008."""
    rng = np.random.default_rng(constant)
    p = []
    for _ in range(1500):
        from_, to = np.zeros(3) if constant else rng.normal(size=3), rng.normal(size=3)
        p.append((one_way_anova([from_, to]).p, welch_p(from_, to), paired_p(to - from_)))
    of_anova, of_welch, of_paired = np.mean(np.array(p) < 0.05, axis=0)
    assert of_anova == pytest.approx(anova, abs=0.024)
    assert of_welch < 0.067
    assert of_paired == pytest.approx(0.05, abs=0.017)
