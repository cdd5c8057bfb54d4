import itertools
import math

import numpy as np
import pytest

from aftertune.stats.auroc import auroc
from aftertune.stats.rejection import aurc, prediction_rejection_ratio, why_no_prr


def orders(x: np.ndarray) -> list[tuple[int, ...]]:
    """All orders of the items in which confidence does not rise: most confident first."""
    return [order for order in itertools.permutations(range(len(x))) if (np.diff(x[list(order)]) <= 0).all()]


def kept_quality(q: np.ndarray, order: tuple[int, ...], m: int) -> float:
    """Mean over the last m of k = 1 … n of the mean quality of the first k."""
    n = len(q)
    return float(np.mean([np.mean(q[list(order[:k])]) for k in range(n - m + 1, n + 1)]))


def prr_by_force(x: np.ndarray, q: np.ndarray, m: int) -> float:
    everything = list(itertools.permutations(range(len(x))))
    score = np.mean([kept_quality(q, order, m) for order in orders(x)])
    chance = np.mean([kept_quality(q, order, m) for order in everything])
    best = max(kept_quality(q, order, m) for order in everything)
    return float((score - chance) / (best - chance))


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize(("max_rejection", "m"), [(1.0, 6), (0.5, 3), (0.34, 2)])
def test_prr_equals_the_average_over_all_orders_of_ties(graded: bool, max_rejection: float, m: int) -> None:
    rng = np.random.default_rng(m)
    for x in ([1, 2, 3, 4, 5, 6], [1, 1, 2, 2, 2, 3], [5, 5, 5, 5, 1, 1], [0, 0, 0, 0, 0, 1]):
        q = np.round(rng.random(6), 1) if graded else rng.permutation([0.0, 0, 1, 1, 1, 0])
        x = rng.permutation(np.array(x, dtype=float))
        found = prediction_rejection_ratio(x, q, max_rejection=max_rejection)
        assert found == pytest.approx(prr_by_force(x, q, m), abs=1e-12)


def test_aurc_equals_the_average_over_all_orders_of_ties() -> None:
    rng = np.random.default_rng(0)
    for x in ([1, 2, 3, 4, 5, 6], [1, 1, 2, 2, 2, 3], [5, 5, 5, 5, 1, 1], [1, 1, 1, 1, 1, 1]):
        for q in (rng.random(6), np.array([0.0, 1, 1, 0, 1, 0])):
            x = rng.permutation(np.array(x, dtype=float))
            expected = np.mean([1 - kept_quality(q, order, 6) for order in orders(x)])
            assert aurc(x, q) == pytest.approx(expected, abs=1e-12)


def test_the_oracle_chance_and_the_worst() -> None:
    rng = np.random.default_rng(1)
    q = np.round(rng.random(300), 1)
    for max_rejection in (1.0, 0.5):
        assert prediction_rejection_ratio(q, q, max_rejection=max_rejection) == pytest.approx(1, abs=1e-12)
        assert prediction_rejection_ratio(3 * q - 7, q, max_rejection=max_rejection) == pytest.approx(1, abs=1e-12)
        assert prediction_rejection_ratio(np.ones(300), q, max_rejection=max_rejection) == 0
        assert prediction_rejection_ratio(-q, q, max_rejection=max_rejection) < -0.5
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


def test_undefined_has_a_reason() -> None:
    assert math.isnan(prediction_rejection_ratio([1, 2, 3], [1, 1, 1]))
    assert "constant" in why_no_prr(np.ones(3))
    assert math.isnan(prediction_rejection_ratio([1, 2, 3], [1, 1, 0], max_rejection=0.5))
    assert "fewer than two" in why_no_prr(np.array([1.0, 1, 0]), max_rejection=0.5)
    assert why_no_prr(np.array([1.0, 1, 0, 0]), max_rejection=0.5) == ""
    assert math.isnan(aurc([], []))
    assert why_no_prr(np.array([])) == "no items"
    with pytest.raises(ValueError, match="max_rejection"):
        prediction_rejection_ratio([1, 2], [0, 1], max_rejection=0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        aurc([1, 2], [0, 2])
