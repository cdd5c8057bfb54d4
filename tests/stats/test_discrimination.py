import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from aftertune.stats.discrimination import (
    aurc,
    auroc,
    auroc_interval,
    prediction_rejection_ratio,
    why_one_class,
)

HALF_EQUAL = {0.5: 0.0, 0.7: 0.8724067, 0.9: 2.1772240, 0.97: 3.2897730}
"""AUROC → distance of two normal distributions that have it once the lower half of all values is made equal."""


def confidences(rng: np.random.Generator, kind: str, n: int) -> np.ndarray:
    x = rng.normal(size=n)
    return {"untied": x, "coarse": np.round(x), "half equal": np.maximum(x, 0), "constant": np.ones(n)}[kind]


@pytest.mark.parametrize("kind", ["untied", "coarse", "half equal", "constant"])
@pytest.mark.parametrize("n", [2, 5, 50, 400])
def test_equals_sklearn_and_all_pairs(kind: str, n: int) -> None:
    rng = np.random.default_rng(n)
    x = confidences(rng, kind, n)
    y = np.r_[0.0, 1.0, rng.integers(0, 2, n - 2)]
    found = auroc(x, y)
    assert found == pytest.approx(roc_auc_score(y, x), abs=1e-12)
    right, wrong = x[y == 1], x[y == 0]
    pairs = [(a > b) + 0.5 * (a == b) for a, b in itertools.product(right, wrong)]
    assert found == pytest.approx(np.mean(pairs), abs=1e-12)
    assert auroc(-x, y) == pytest.approx(1 - found, abs=1e-12)
    if kind == "constant":
        assert found == 0.5


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        ([1, 1, 1], "all 3 answers are correct"),
        ([0, 0], "none of 2 answers are correct"),
        ([], "no items"),
    ],
)
def test_one_class_is_undefined_with_a_reason(y: list[float], reason: str) -> None:
    assert math.isnan(auroc(np.arange(len(y)), y))
    assert why_one_class(np.array(y, dtype=float)).startswith(reason)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1.0, math.nan], [0, 1], "values must be finite"),
        ([1.0, 2.0], [0, 0.5], "0 or 1"),
        ([1.0, 2.0], [0, math.nan], "between 0 and 1"),
        ([1.0, 2.0], [0, 1, 1], "shape"),
    ],
)
def test_what_has_no_value_or_judgement_is_refused(x: list[float], y: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        auroc(x, y)


def newcombe_5(a: float, m: int, n: int) -> tuple[float, float]:
    """Ends of Method 5 as roots of its polynomial; h = (m + n) / 2 − 1:
    m n (a − t)² (2 − t) (1 + t) = z² t (1 − t) (2 + h + (1 + 2 h) t (1 − t)).
    """
    t, h = np.polynomial.Polynomial([0, 1]), (m + n) / 2 - 1
    u = t * (1 - t)
    equation = m * n * (a - t) ** 2 * (2 - t) * (1 + t) - norm.ppf(0.975) ** 2 * u * (2 + h + (1 + 2 * h) * u)
    roots = equation.roots()
    real = np.sort(roots.real[(np.abs(roots.imag) < 1e-7) & (roots.real > -1e-7) & (roots.real < 1 + 1e-7)])
    return float(real[real <= a + 1e-7].min()), float(real[real >= a - 1e-7].max())


def of_the_sample(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Wilson's interval of a share A of 1 / v items, v by all pairs."""
    pairs = np.array([[(a > b) + 0.5 * (a == b) for b in x[y == 0]] for a in x[y == 1]])
    a, most = pairs.mean(), pairs.mean() * (1 - pairs.mean())
    v = 0.0
    for share in (pairs.mean(axis=1), pairs.mean(axis=0)):
        n = len(share)
        v += ((sum((share - a) ** 2) / most if most else 0) + 2) / n / (n + 1)
    z2 = norm.ppf(0.975) ** 2
    half = np.sqrt(z2 * v * most + z2**2 * v**2 / 4)
    return (a + z2 * v / 2 - half) / (1 + z2 * v), (a + z2 * v / 2 + half) / (1 + z2 * v)


@pytest.mark.parametrize("kind", ["untied", "coarse", "half equal", "constant", "perfect", "reversed"])
@pytest.mark.parametrize(("n", "n_right"), [(2, 1), (20, 1), (73, 2), (73, 36), (73, 72), (400, 20), (400, 200)])
def test_interval_is_the_union_of_two_by_other_means(kind: str, n: int, n_right: int) -> None:
    rng = np.random.default_rng([n, n_right])
    y = np.r_[np.ones(n_right), np.zeros(n - n_right)]
    x = {"perfect": y, "reversed": -y}[kind] if kind in ("perfect", "reversed") else confidences(rng, kind, n) + y
    if kind == "constant":
        x = np.ones(n)
    one, other = newcombe_5(auroc(x, y), n_right, n - n_right), of_the_sample(x, y)
    low, high = auroc_interval(x, y)
    assert (low, high) == pytest.approx((min(one[0], other[0]), max(one[1], other[1])), abs=1e-6)
    assert 0 <= low <= auroc(x, y) <= high <= 1
    assert high - low > 0.008
    order = rng.permutation(n)
    assert auroc_interval(np.exp(x[order]), y[order]) == pytest.approx((low, high), abs=1e-12)
    assert auroc_interval(-x, y) == pytest.approx((1 - high, 1 - low), abs=1e-9)
    assert auroc_interval(-x, 1 - y) == pytest.approx((low, high), abs=1e-9)


def test_the_sample_widens_what_method_5_supposes() -> None:
    # Half of the correct answers above all wrong ones, half below: Method 5 sees AUROC 0.5, supposes less spread.
    y = np.r_[np.ones(20), np.zeros(200)]
    x = np.r_[np.full(10, 2.0), np.full(10, -2.0), np.linspace(-1, 1, 200)]
    low, high = auroc_interval(x, y)
    expected, supposed = of_the_sample(x, y), newcombe_5(0.5, 20, 200)
    assert (low, high) == pytest.approx(expected, abs=1e-9)
    assert high - low > 1.4 * (supposed[1] - supposed[0])


def test_few_right_answers_say_little_however_high_the_auroc() -> None:
    x = np.arange(73.0)
    two = np.isin(x, (72, 64)) * 1.0
    assert auroc(x, two) == pytest.approx(0.951, abs=0.001)
    assert auroc_interval(x, two) == pytest.approx((0.38, 1.0), abs=0.01)
    perfect = {k: auroc_interval(x, x >= 73 - k) for k in (1, 2, 4, 36)}
    assert [high for _, high in perfect.values()] == [1.0] * 4
    assert [low for low, _ in perfect.values()] == pytest.approx([0.206, 0.438, 0.722, 0.945], abs=0.001)
    assert auroc_interval(x, two, level=0.5)[0] > auroc_interval(x, two)[0] > auroc_interval(x, two, level=0.99)[0]


@pytest.mark.parametrize("y", [[1, 1, 1], [0, 0], []])
def test_interval_of_one_class_is_undefined(y: list[float]) -> None:
    assert np.isnan(auroc_interval(np.arange(len(y)), y)).all()
    with pytest.raises(ValueError, match="0 or 1"):
        auroc_interval([1.0, 2.0], [0, 0.5])


@pytest.mark.slow
@pytest.mark.parametrize(("n", "n_right"), [(20, 10), (73, 1), (73, 4), (400, 40)])
@pytest.mark.parametrize("kind", ["normal", "half equal", "two values", "wide"])
def test_coverage_of_the_interval(n: int, n_right: int, kind: str) -> None:
    rng = np.random.default_rng([n, n_right])
    y = np.r_[np.ones(n_right), np.zeros(n - n_right)]
    simulations = 500
    covered = []
    for true in HALF_EQUAL:
        intervals = [auroc_interval(_drawn(kind, true, y, rng), y) for _ in range(simulations)]
        covered.append(np.mean([_covers(low, high, true) for low, high in intervals]))
    # In 20,000 samples at least 0.920 in each of these cells; the standard error is 0.012.
    assert min(covered) > 0.88
    assert n_right < 40 or np.mean(covered) < 0.985


def test_the_simulated_confidences_have_the_auroc_that_they_should_have() -> None:
    y = np.arange(100_000) % 2 * 1.0
    for kind in ("normal", "half equal", "two values", "wide"):
        for true in HALF_EQUAL:
            assert auroc(_drawn(kind, true, y, np.random.default_rng(1)), y) == pytest.approx(true, abs=0.006)


def _covers(low: float, high: float, true: float) -> bool:
    return low - 1e-9 <= true <= high + 1e-9


def _drawn(kind: str, true: float, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Confidences whose AUROC in the population is `true`."""
    if kind == "two values":
        return (rng.random(len(y)) < np.where(y == 1, true, 1 - true)) * 1.0
    sd = np.where(y == 1, 3.0, 1.0) if kind == "wide" else np.ones(len(y))
    distance = HALF_EQUAL[true] if kind == "half equal" else norm.ppf(true) * np.sqrt(10 if kind == "wide" else 2)
    x = distance * y + sd * rng.normal(size=len(y))
    return np.maximum(x, distance / 2) if kind == "half equal" else x


def orders(x: np.ndarray) -> list[tuple[int, ...]]:
    """All orders of the items in which confidence does not rise: most confident first."""
    return [order for order in itertools.permutations(range(len(x))) if (np.diff(x[list(order)]) <= 0).all()]


def kept_quality(q: np.ndarray, order: tuple[int, ...]) -> float:
    """Mean over k = 1 … n of the mean quality of the first k."""
    return float(np.mean([np.mean(q[list(order[:k])]) for k in range(1, len(q) + 1)]))


def prr_by_force(x: np.ndarray, q: np.ndarray) -> float:
    everything = list(itertools.permutations(range(len(x))))
    score = np.mean([kept_quality(q, order) for order in orders(x)])
    chance = np.mean([kept_quality(q, order) for order in everything])
    best = max(kept_quality(q, order) for order in everything)
    return float((score - chance) / (best - chance))


@pytest.mark.parametrize("graded", [False, True])
def test_prr_equals_the_average_over_all_orders_of_ties(graded: bool) -> None:
    rng = np.random.default_rng(6)
    for x in ([1, 2, 3, 4, 5, 6], [1, 1, 2, 2, 2, 3], [5, 5, 5, 5, 1, 1], [0, 0, 0, 0, 0, 1]):
        q = np.round(rng.random(6), 1) if graded else rng.permutation([0.0, 0, 1, 1, 1, 0])
        x = rng.permutation(np.array(x, dtype=float))
        assert prediction_rejection_ratio(x, q) == pytest.approx(prr_by_force(x, q), abs=1e-12)


def test_aurc_equals_the_average_over_all_orders_of_ties() -> None:
    rng = np.random.default_rng(0)
    for x in ([1, 2, 3, 4, 5, 6], [1, 1, 2, 2, 2, 3], [5, 5, 5, 5, 1, 1], [1, 1, 1, 1, 1, 1]):
        for q in (rng.random(6), np.array([0.0, 1, 1, 0, 1, 0])):
            x = rng.permutation(np.array(x, dtype=float))
            expected = np.mean([1 - kept_quality(q, order) for order in orders(x)])
            assert aurc(x, q) == pytest.approx(expected, abs=1e-12)


def test_the_oracle_chance_and_the_worst() -> None:
    rng = np.random.default_rng(1)
    q = np.round(rng.random(300), 1)
    assert prediction_rejection_ratio(q, q) == pytest.approx(1, abs=1e-12)
    assert prediction_rejection_ratio(3 * q - 7, q) == pytest.approx(1, abs=1e-12)
    assert prediction_rejection_ratio(np.ones(300), q) == 0
    assert prediction_rejection_ratio(-q, q) < -0.5
    shuffled = [prediction_rejection_ratio(rng.random(300), q) for _ in range(400)]
    assert np.mean(shuffled) == pytest.approx(0, abs=4 * np.std(shuffled) / 20)
    assert aurc(np.ones(300), q) == pytest.approx(1 - q.mean())


def test_prr_is_aurc_rescaled_and_affine_maps_of_quality_change_nothing() -> None:
    rng = np.random.default_rng(2)
    x, q = np.round(rng.normal(size=200), 1), rng.random(200)
    risk = 1 - q.mean()
    found = prediction_rejection_ratio(x, q)
    assert found == pytest.approx((risk - aurc(x, q)) / (risk - aurc(q, q)), abs=1e-12)
    assert prediction_rejection_ratio(np.exp(x), 0.2 + 0.5 * q) == pytest.approx(found, abs=1e-12)
    order = rng.permutation(200)
    assert prediction_rejection_ratio(x[order], q[order]) == pytest.approx(found, abs=1e-12)


def test_the_curve_of_the_errors_that_remain_has_nothing_that_auroc_has_not() -> None:
    # Why Malinin and Gales' curve is not ours: k answers kept leave (wrong among them) / n errors.
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 80) * 1.0
    x = y + rng.normal(size=80)

    def area(score: np.ndarray) -> float:
        errors = np.r_[0, np.cumsum(1 - y[np.argsort(-score)])] / 80
        return float(np.mean((errors[1:] + errors[:-1]) / 2))

    chance = (1 - y.mean()) / 2
    assert (chance - area(x)) / (chance - area(y)) == pytest.approx(2 * auroc(x, y) - 1)
    assert prediction_rejection_ratio(x, y) != pytest.approx(2 * auroc(x, y) - 1, abs=0.01)


def test_without_items_or_with_constant_quality_there_is_no_number() -> None:
    assert math.isnan(prediction_rejection_ratio([1, 2, 3], [1, 1, 1]))
    assert math.isnan(prediction_rejection_ratio([], []))
    assert math.isnan(aurc([], []))
    with pytest.raises(ValueError, match="between 0 and 1"):
        aurc([1, 2], [0, 2])
