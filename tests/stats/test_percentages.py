import json
import math

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.isotonic import IsotonicRegression

from aftertune.stats.percentages import (
    FITS,
    MIN_ITEMS,
    Logistic,
    MinMax,
    NoMap,
    fit_isotonic,
    fit_logistic,
    fit_min_max,
    from_json,
    percent,
    to_json,
)


def validation(n: int, seed: int, kind: str = "untied") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-1.5 * x))) * 1.0
    if kind == "coarse":
        x = np.round(x)
    if kind == "inverted":
        x = -x
    if kind == "far away":
        x = -5e4 + 1e-3 * x
    if kind == "heavy tail":
        x = np.exp(4 * x)
    return x, y


KINDS = ["untied", "coarse", "inverted", "far away", "heavy tail"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [20, 300])
def test_isotonic_equals_sklearn(kind: str, n: int) -> None:
    x, y = validation(n, n, kind)
    found = fit_isotonic(x, y)
    reference = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1).fit(x, y)
    width = np.ptp(x)
    new = np.r_[x, np.linspace(x.min() - width, x.max() + width, 301)]
    # Interpolation far from 0 loses digits of the distances.
    np.testing.assert_allclose(found(new), reference.predict(new), atol=1e-6 if kind == "far away" else 1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [20, 300])
def test_logistic_equals_statsmodels_on_platts_targets(kind: str, n: int) -> None:
    x, y = validation(n, n, kind)
    right = y.sum()
    target = np.where(y == 1, (right + 1) / (right + 2), 1 / (n - right + 2))
    z = (x - x.mean()) / x.std()
    reference = sm.GLM(target, sm.add_constant(z), family=sm.families.Binomial()).fit(tol=1e-12, maxiter=200)
    np.testing.assert_allclose(fit_logistic(x, y)(x), reference.fittedvalues, atol=1e-7)


def test_logistic_where_confidence_divides_right_from_wrong() -> None:
    x = np.linspace(0, 1, 40)
    found = fit_logistic(x, (x > 0.5) * 1.0)
    assert isinstance(found, Logistic)
    assert 0 < found(0.0) < 0.1
    assert 0.9 < found(1.0) < 1
    assert found(0.5) == pytest.approx(0.5, abs=1e-6)
    # The mean of the targets is that of the fit: a property of the maximum.
    assert found(x).mean() == pytest.approx(0.5)


def test_isotonic_says_0_and_1_where_all_are_wrong_and_right() -> None:
    x = np.arange(30.0)
    y = np.r_[np.zeros(10), [1, 0] * 5, np.ones(10)]
    found = fit_isotonic(x, y)
    assert (found(-5.0), found(9.0), found(21.0), found(99.0)) == (0, 0, 1, 1)
    assert found(15.0) == 0.5
    assert [percent(float(found(c))) for c in (-5.0, 99.0)] == [1, 99]


def test_a_constant_confidence_gets_the_share_correct() -> None:
    y = np.r_[np.ones(30), np.zeros(10)]
    assert fit_isotonic(np.full(40, 3.0), y)([3.0, 9.0]).tolist() == [0.75, 0.75]
    smoothed = (30 * 31 / 32 + 10 / 12) / 40
    np.testing.assert_allclose(fit_logistic(np.full(40, 3.0), y)([3.0, 9.0]), smoothed)
    found = fit_min_max(np.full(40, 3.0))
    assert isinstance(found, NoMap)
    assert "constant" in found.reason


@pytest.mark.parametrize("fit", FITS.values())
def test_no_map_has_a_reason(fit) -> None:
    x = np.arange(40.0)
    for confidence, correct, reason in (
        (x[: MIN_ITEMS - 1], x[: MIN_ITEMS - 1] % 2, "19 validation items: a map needs 20"),
        (x, np.ones(40), "all 40 answers are correct"),
        (x, np.zeros(40), "none of 40 answers are correct"),
    ):
        found = fit(confidence, correct)
        assert isinstance(found, NoMap)
        assert reason in found.reason
        assert np.isnan(found([1.0, 2.0])).all()
    assert not isinstance(fit(x[:MIN_ITEMS], x[:MIN_ITEMS] % 2), NoMap)


def test_min_max_of_the_paper() -> None:
    found = fit_min_max([-4.0, -2.0, 0.0])
    assert found == MinMax(lowest=-4.0, highest=0.0)
    np.testing.assert_array_equal(found([-4, -3, 0, -9, 9]), [0, 0.25, 1, 0, 1])
    assert isinstance(fit_min_max([]), NoMap)
    with pytest.raises(ValueError, match="finite"):
        fit_min_max([1.0, math.nan])


@pytest.mark.parametrize("kind", KINDS)
def test_through_json_and_back(kind: str) -> None:
    x, y = validation(100, 7, kind)
    for fitted in (*(fit(x, y) for fit in FITS.values()), fit_min_max(x), fit_min_max([])):
        again = from_json(json.loads(json.dumps(to_json(fitted))))
        assert again == fitted
        np.testing.assert_array_equal(again(x), fitted(x))


def test_what_is_no_map_is_refused() -> None:
    for wrong in ({}, {"map": "min-max", "lowest": 0.0}, {"map": "x"}, {"map": "none", "reason": "", "n": 1}):
        with pytest.raises(ValueError, match="no map"):
            from_json(wrong)


def test_undefined_confidence_stays_undefined_and_shapes_are_kept() -> None:
    x, y = validation(100, 1)
    for fitted in (*(fit(x, y) for fit in FITS.values()), fit_min_max(x), NoMap(reason="")):
        found = fitted([[math.nan, 0.0], [1.0, 2.0]])
        assert found.shape == (2, 2)
        assert np.isnan(found[0, 0])
        assert np.isfinite(found.ravel()[1:]).all() != isinstance(fitted, NoMap)


@pytest.mark.parametrize("fit", FITS.values())
def test_a_map_makes_new_items_calibrated(fit) -> None:
    found = fit(*validation(4000, 1))
    x, y = validation(20000, 2)
    for low, high in ((0.1, 0.3), (0.4, 0.6), (0.7, 0.9)):
        inside = (found(x) > low) & (found(x) < high)
        assert y[inside].mean() == pytest.approx(found(x)[inside].mean(), abs=0.04)


def test_no_chance_has_no_percent() -> None:
    for wrong in (-0.01, 1.01, math.nan):
        with pytest.raises(ValueError, match="no chance"):
            percent(wrong)
