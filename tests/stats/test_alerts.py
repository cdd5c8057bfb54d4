import math

import numpy as np
import pytest
from scipy.stats import binom

from aftertune.stats.alerts import alert, candidate_thresholds, review, review_threshold
from aftertune.stats.calibration import clopper_pearson


def test_the_sentences() -> None:
    assert alert(0.5) == "There is an estimated 50 % chance the answer is right"
    assert "1 %" in alert(0.0)
    assert "99 %" in alert(1.0)
    assert alert(math.nan) == "No estimate of the chance that the answer is right"
    assert alert(math.nan, "one beam").endswith("right: one beam")
    said = "There is an estimated 78 % chance [64–99 %] the answer is right"
    assert alert(0.78, interval=(0.64, 1.0)) == said
    assert alert(0.5, interval=(math.nan, 0.9)) == alert(0.5)


def test_a_sequence_by_hand() -> None:
    # Right among the most confident: 10 of 10, 19 of 20, 24 of 30, 34 of 40. Wanted 70 %, error 10 %.
    y = np.concatenate([np.ones(10), [0], np.ones(9), [0] * 5, np.ones(5), np.ones(10)])
    x = -np.arange(40.0)
    p = [binom.sf(k - 1, m, 0.7) for k, m in ((10, 10), (19, 20), (24, 30), (34, 40))]
    assert [one <= 0.1 for one in p] == [True, True, False, True]
    found = review_threshold(x, y, [-9.0, -39.0, -29.0, -19.0], precision=0.7, error=0.1)
    # The third ends the search although the fourth would pass.
    assert (found.value, found.n, found.kept, found.correct, found.tested) == (-19.0, 40, 20, 19, 3)
    assert found.bound == pytest.approx(clopper_pearson(19, 20, level=0.8)[0])
    assert found.bound >= 0.7
    assert found.reason == ""


def test_none_has_a_reason() -> None:
    x, y = np.arange(40.0), np.r_[np.ones(20), np.zeros(20)]
    worst = review_threshold(x, y, candidate_thresholds(x, 40, precision=0.8), precision=0.8)
    assert math.isnan(worst.value)
    assert (worst.kept, worst.tested) == (0, 1)
    assert worst.reason == "not even the most confident answers are shown to be 80 % right"
    few = review_threshold(x, y, candidate_thresholds(x, 40, precision=0.99), precision=0.99)
    assert few.reason == "40 validation items: 99 % right cannot be shown with fewer than 473"
    assert math.isnan(few.value)
    assert review_threshold(x, y, [], precision=0.5).reason == "no candidate thresholds"
    empty = review_threshold([], [], [1.0], precision=0.5)
    assert math.isnan(empty.value)


def test_what_is_asked_for_must_make_sense() -> None:
    for wrong in ({"precision": 1.0}, {"precision": 0.5, "error": 0.0}):
        with pytest.raises(ValueError, match="between 0 and 1"):
            review_threshold([1.0], [1], [0.5], **wrong)
    with pytest.raises(ValueError, match="finite"):
        review_threshold([1.0], [1], [math.nan], precision=0.5)


def test_candidates() -> None:
    rng = np.random.default_rng(0)
    elsewhere = rng.normal(size=500)
    found = candidate_thresholds(elsewhere, 100, precision=0.8)
    assert len(found) == 20
    assert found == sorted(found, reverse=True)
    assert found[-1] == elsewhere.min()
    # One wrong of 22 is the least that shows 80 %: 1 − 0.8^22 … as scipy has it.
    m = next(m for m in range(2, 99) if binom.sf(m - 2, m, 0.8) <= 0.05)
    assert m == 22
    assert np.sum(elsewhere >= found[0]) == math.ceil(500 * m / 100)
    assert candidate_thresholds(elsewhere, 21, precision=0.8) == []
    assert len(candidate_thresholds(elsewhere, 22, precision=0.8)) == 1
    assert candidate_thresholds([], 100, precision=0.8) == []
    assert candidate_thresholds(np.ones(50), 100, precision=0.8) == [1.0]


def test_ties_are_kept_together() -> None:
    x = np.repeat([1.0, 2.0], 30)
    y = np.r_[np.zeros(30), np.ones(30)]
    found = review_threshold(x, y, candidate_thresholds(x, 60, precision=0.8), precision=0.8)
    assert (found.value, found.kept, found.correct) == (2.0, 30, 30)


def test_review_of_other_items() -> None:
    x = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    y = np.array([1, 1, 0, 0, 1])
    found = review(x, y, 0.7)
    assert (found.n, found.kept, found.correct, found.without) == (5, 3, 2, 0.6)
    assert (found.coverage, found.precision) == pytest.approx((0.6, 2 / 3))
    assert (found.low, found.high) == clopper_pearson(2, 3)
    nothing = review(x, y, math.nan)
    assert (nothing.kept, nothing.coverage, nothing.reason) == (0, 0, "all answers are sent to review")
    assert math.isnan(nothing.precision + nothing.low)
    assert review([], [], 0.5).reason == "no items"


def tells_nothing(x: np.ndarray) -> np.ndarray:
    """Share correct at each confidence, in (0, 1): always just below 0.75."""
    return np.full_like(x, 0.7499)


def good(x: np.ndarray) -> np.ndarray:
    return 0.4 + 0.6 * x


def most_confident_are_wrong(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0.93, 0.2, 0.3 + 0.7 * x)


def precision_above(share, threshold: float) -> float:
    grid = np.linspace(threshold, 1, 20001)
    return float(share(grid).mean())


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 150, 400])
@pytest.mark.parametrize("share", [tells_nothing, good, most_confident_are_wrong])
def test_the_guarantee_holds_as_often_as_stated(share, n: int) -> None:
    # Confidence is uniform; how often is a threshold named above which less than 75 % are right?
    simulations, wanted, error = 2000, 0.75, 0.1
    rng = np.random.default_rng(n)
    failed = named = 0
    for _ in range(simulations):
        x = rng.random(n)
        y = (rng.random(n) < share(x)) * 1.0
        candidates = candidate_thresholds(rng.random(150), n, precision=wanted, error=error)
        found = review_threshold(x, y, candidates, precision=wanted, error=error)
        if not math.isnan(found.value):
            named += 1
            failed += precision_above(share, found.value) < wanted
    slack = 3 * math.sqrt(error * (1 - error) / simulations)
    assert failed / simulations <= error + slack
    if share is good and n >= 150:
        assert named / simulations > 0.7
    if share is tells_nothing:
        # Not vacuous: the level is used, as far as a binomial test of few items can.
        assert failed / simulations > 0.03


@pytest.mark.slow
def test_the_largest_coverage_whose_bound_is_met_has_no_such_guarantee() -> None:
    simulations, n, wanted, error = 1000, 150, 0.75, 0.05
    rng = np.random.default_rng(0)
    m = np.arange(1, n + 1)
    needed = binom.isf(error, m, wanted) + 1  # P(Bin(m, wanted) ≥ needed) ≤ error
    failed = fixed = 0
    for _ in range(simulations):
        x = rng.random(n)
        y = (rng.random(n) < 0.7499) * 1.0
        failed += bool((np.cumsum(y[np.argsort(-x)]) >= needed).any())
        candidates = candidate_thresholds(rng.random(n), n, precision=wanted, error=error)
        fixed += not math.isnan(review_threshold(x, y, candidates, precision=wanted, error=error).value)
    assert failed / simulations > 0.15
    assert fixed / simulations <= error + 3 * math.sqrt(error * (1 - error) / simulations)
