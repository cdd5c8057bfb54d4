import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom, binomtest
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from aftertune.stats.calibration import (
    _BLOCK,
    FITS,
    MIN_ITEMS,
    Logistic,
    MinMax,
    NoMap,
    _mean_deviation,
    _success_counts,
    calibration,
    clopper_pearson,
    fit_isotonic,
    fit_logistic,
    fit_min_max,
    map_for,
    percent,
    supported,
    venn_abers,
    wilson,
)


def draw(n: int, seed: int, digits: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(2, 1, n), digits)
    return p, (rng.random(n) < p**2) * 1.0


def test_bins_equal_sklearn_without_ties() -> None:
    p, y = draw(500, 0)
    found = calibration(p, y, bins=10)
    correct, stated = calibration_curve(y, p, n_bins=10, strategy="quantile")
    np.testing.assert_allclose([b.correct for b in found.bins], correct)
    np.testing.assert_allclose([b.stated for b in found.bins], stated)
    sizes = np.array([b.n for b in found.bins])
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


@pytest.mark.parametrize("n", [1, 2, _BLOCK - 1, _BLOCK, _BLOCK + 1, 3 * _BLOCK, 200, 1000])
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


def refitted(x: np.ndarray, y: np.ndarray, new: float, label: int) -> tuple[float, int, int]:
    """Isotonic regression with one item more: its value there, and the right ones and items of its block."""
    more, labels = np.append(x, new), np.append(y, label)
    fit = IsotonicRegression().fit_transform(more, labels)
    block = np.abs(fit - fit[-1]) < 1e-9
    return fit[-1], int(labels[block].sum()), int(block.sum())


@pytest.mark.parametrize("kind", ["untied", "coarse", "inverted"])
@pytest.mark.parametrize("n", [20, 21, 60])
def test_venn_abers_equals_a_refit_for_each_answer(kind: str, n: int) -> None:
    x, y = validation(n, n + 1, kind)
    found, width = venn_abers(x, y), np.ptp(x)
    for new in [*x, *(x[1:] + x[:-1]) / 2, x.min() - width, x.max() + width]:
        (p0, *of_low), (p1, *of_high) = (refitted(x, y, new, label) for label in (0, 1))
        assert found(new) == pytest.approx((p0, p1), abs=1e-9)
        expected = wilson(*of_low)[0], wilson(*of_high)[1]
        assert found.interval(new) == pytest.approx(expected, abs=1e-12)
        assert found.interval(new)[0] <= p0 <= p1 <= found.interval(new)[1]


def test_the_isotonic_map_lies_in_the_interval() -> None:
    for seed in range(20):
        x, y = validation(40, seed, "coarse" if seed % 2 else "untied")
        new = np.linspace(x.min() - 1, x.max() + 1, 200)
        p0, p1 = venn_abers(x, y)(new)
        chance = fit_isotonic(x, y)(new)
        assert ((p0 <= chance + 1e-12) & (chance <= p1 + 1e-12)).all()
        assert (np.diff(p0) >= -1e-12).all()
        assert (np.diff(p1) >= -1e-12).all()


def test_venn_abers_of_undefined_confidence_and_without_a_map() -> None:
    x, y = validation(40, 1)
    for ends in (venn_abers(x, y)([[math.nan, 0.0]]), venn_abers(x, y).interval([[math.nan, 0.0]])):
        assert [np.isnan(end).tolist() for end in ends] == [[[True, False]]] * 2
    none = venn_abers(x[:19], y[:19])
    assert isinstance(none, NoMap)
    assert none.reason == "19 validation items: a map needs 20"


def test_percentages_whose_interval_is_too_wide_are_not_told() -> None:
    chance, low = np.array([0.5, 0.5, 0.95, 0.1, math.nan]), np.array([0.2, 0.25, 0.5, 0.2, math.nan])
    high = np.array([0.71, 0.75, 0.9, 0.6, math.nan])
    np.testing.assert_array_equal(supported(chance, low, high), [math.nan, 0.5, 0.9, 0.2, math.nan])


@pytest.mark.slow
@pytest.mark.parametrize(("n", "within"), [(50, (0.35, 0.6)), (400, (0.1, 0.35))])
def test_how_often_the_chance_is_in_the_interval(n: int, within: tuple[float, float]) -> None:
    """Of Venn–Abers alone it is seldom; of the interval that is shown at least as often as said."""
    rng, share, shift = np.random.default_rng(n), 0.5, 0.75
    inside, covered, told, off = [], [], [], []
    for _ in range(60):
        y = (rng.random(n) < share) * 1.0
        x = shift * y + rng.normal(size=n)
        new = shift * (rng.random(40) < share) + rng.normal(size=40)
        true = 1 / (1 + np.exp(shift**2 / 2 - shift * new))
        found = venn_abers(x, y)
        (p0, p1), (low, high) = found(new), found.interval(new)
        inside += ((p0 <= true) & (true <= p1)).tolist()
        covered += ((low <= true) & (true <= high)).tolist()
        chance = supported(FITS[map_for(n)](x, y)(new), low, high)
        told += np.isfinite(chance).tolist()
        off += np.abs(chance - true)[np.isfinite(chance)].tolist()
    assert within[0] < np.mean(inside) < within[1]
    assert np.mean(covered) > 0.93
    assert np.mean(told) > (0.3 if n == 50 else 0.9)
    assert np.mean(np.array(off) > 0.2) < 0.06


def test_min_max_of_the_paper() -> None:
    found = fit_min_max([-4.0, -2.0, 0.0])
    assert found == MinMax(lowest=-4.0, highest=0.0)
    np.testing.assert_array_equal(found([-4, -3, 0, -9, 9]), [0, 0.25, 1, 0, 1])
    assert isinstance(fit_min_max([]), NoMap)
    with pytest.raises(ValueError, match="finite"):
        fit_min_max([1.0, math.nan])


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


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (499, 1000)])
def test_equal_to_scipy(k: int, n: int, level: float) -> None:
    for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        expected = binomtest(k, n).proportion_ci(level, method)
        assert ours(k, n, level=level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_items_and_no_share() -> None:
    for interval in (clopper_pearson, wilson):
        assert all(math.isnan(end) for end in interval(0, 0))
        with pytest.raises(ValueError, match="no share"):
            interval(3, 2)
