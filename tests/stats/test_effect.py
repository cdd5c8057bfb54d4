"""Tie-adjusted rho and concordance by their definitions, and the influence of items against what it stands for."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from aftertune.stats.correlation import rank_correlation
from aftertune.stats.effect import adjusted_rho, by_group, concordance, effects

KINDS = ("untied", "f1", "coarse", "right or wrong", "rarely right")


def drawn(kind: str, n: int, rng: np.random.Generator, strength: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and quality of n items."""
    latent = rng.normal(size=n)
    confidence = strength * latent + math.sqrt(1 - strength**2) * rng.normal(size=n)
    quality = {
        "untied": latent,
        "f1": np.clip((latent + 0.25) / 1.1, 0, 1),
        "coarse": np.round(latent),
        "right or wrong": (latent > 0) * 1.0,
        "rarely right": (latent > np.sort(latent)[-max(n // 10, 2) - 1]) * 1.0,
    }[kind]
    return np.round(confidence, 1) if kind == "coarse" else confidence, quality


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [4, 33, 500])
def test_adjusted_rho_is_the_slope_of_midranks(kind: str, n: int) -> None:
    confidence, quality = drawn(kind, n, np.random.default_rng(n))
    covariance = np.cov(stats.rankdata(confidence), stats.rankdata(quality))
    found = adjusted_rho(confidence, quality)
    assert found == pytest.approx(covariance[0, 1] / covariance[1, 1], abs=1e-12)
    plain = stats.spearmanr(confidence, quality).statistic
    assert found == pytest.approx(plain * math.sqrt(covariance[0, 0] / covariance[1, 1]), abs=1e-12)
    ties = np.unique(quality, return_counts=True)[1].astype(float)
    largest = math.sqrt(1 - np.sum(ties**3 - ties) / (n**3 - n))
    if kind != "coarse":  # confidence is not tied
        assert found == pytest.approx(plain / largest, abs=1e-12)
    if kind == "untied":
        assert found == pytest.approx(plain, abs=1e-12)
    if set(quality) == {0.0, 1.0}:
        assert found == pytest.approx(2 * roc_auc_score(quality, confidence) - 1, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [4, 33, 120])
def test_concordance_is_a_share_of_pairs(kind: str, n: int) -> None:
    confidence, quality = drawn(kind, n, np.random.default_rng(n + 1))
    better = quality[:, None] > quality[None, :]
    order = np.sign(confidence[:, None] - confidence[None, :])
    found = concordance(confidence, quality)
    assert found == pytest.approx((1 + order[better].mean()) / 2, abs=1e-12)
    assert found == pytest.approx((1 + stats.somersd(quality, confidence).statistic) / 2, abs=1e-12)
    if set(quality) == {0.0, 1.0}:
        assert found == pytest.approx(roc_auc_score(quality, confidence), abs=1e-12)
        assert found == pytest.approx((1 + adjusted_rho(confidence, quality)) / 2, abs=1e-12)


def test_one_is_reached_exactly_where_confidence_never_contradicts_quality() -> None:
    """Every order of four items with up to three values each."""
    values = (0.0, 1.0, 2.0)
    reached = 0
    for quality in itertools.combinations_with_replacement(values, 4):
        for confidence in itertools.product(values, repeat=4):
            if len(set(confidence)) == 1 or len(set(quality)) == 1:
                continue
            pairs = itertools.combinations(zip(confidence, quality), 2)
            never = all(x < y for (x, a), (y, b) in pairs if a < b)
            one = np.array(confidence), np.array(quality)
            found = adjusted_rho(*one)
            assert (found == 1) == (concordance(*one) == 1) == never
            assert -1 <= found <= 1
            reached += never
    assert reached > 20


def test_perfect_order_is_exactly_one_and_minus_one_at_any_size() -> None:
    rng = np.random.default_rng(0)
    for n in (3, 97, 20_000):
        quality = np.sort(np.r_[0.0, 1.0, np.round(rng.random(n - 2), 1)])
        confidence = np.arange(n) / 7
        assert (adjusted_rho(confidence, quality), concordance(confidence, quality)) == (1.0, 1.0)
        assert (adjusted_rho(-confidence, quality), concordance(-confidence, quality)) == (-1.0, 0.0)


def test_ties_of_confidence_are_the_scores_own() -> None:
    quality = np.array([0.0, 1.0, 2.0, 3.0])
    assert adjusted_rho(np.array([0.0, 0.0, 1.0, 1.0]), quality) == pytest.approx(0.8)
    assert concordance(np.array([0.0, 0.0, 1.0, 1.0]), quality) == pytest.approx(5 / 6)


def test_the_share_of_right_answers_moves_plain_rho_alone() -> None:
    """AUROC .80 at every share: method 9.1's example, rho .52 at .5 and .31 at .9."""
    n, distance = 200_000, math.sqrt(2) * stats.norm.ppf(0.8)
    found = {}
    for share in (0.5, 0.9):
        rng = np.random.default_rng(1)
        right = (rng.random(n) < share) * 1.0
        confidence = rng.normal(size=n) + distance * right
        found[share] = adjusted_rho(confidence, right), rank_correlation(confidence, right)
    assert found[0.5] == pytest.approx((0.6, 0.52), abs=0.01)
    assert found[0.9] == pytest.approx((0.6, 0.31), abs=0.01)


def plain(confidence: np.ndarray, quality: np.ndarray) -> float:
    return float(stats.spearmanr(confidence, quality).statistic)


@pytest.mark.parametrize("kind", KINDS)
def test_deviations_are_those_of_the_delete_one_jackknife(kind: str) -> None:
    n = 150
    confidence, quality = drawn(kind, n, np.random.default_rng(3))
    both = effects(confidence[None], quality)
    for found, one in ((both.adjusted, adjusted_rho), (both.spearman, plain)):
        assert found.value[0] == pytest.approx(one(confidence, quality), abs=1e-12)
        without = np.array([one(np.delete(confidence, i), np.delete(quality, i)) for i in range(n)])
        component = math.sqrt((n - 1) / n) * (without.mean() - without)
        assert np.corrcoef(found.deviation[0], component)[0, 1] > 0.9999
        assert math.sqrt((found.deviation[0] ** 2).sum() / (component**2).sum()) == pytest.approx(1, abs=0.03)
        assert found.deviation[0].sum() == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("kind", KINDS[:4])
def test_standard_errors_and_correlations_are_those_of_a_bootstrap(kind: str) -> None:
    n, resamples, rng = 200, 600, np.random.default_rng(4)
    confidence, quality = drawn(kind, n, rng)
    scores = np.stack([confidence, confidence + rng.normal(size=n)])
    both = effects(scores, quality)
    draws = np.empty((2, resamples, 2))
    for b in range(resamples):
        items = rng.integers(0, n, n)
        for s in (0, 1):
            one = scores[s, items], quality[items]
            draws[:, b, s] = adjusted_rho(*one), rank_correlation(*one)
    for found, drawn_ones in zip((both.adjusted, both.spearman), draws):
        error = np.sqrt((found.deviation**2).sum(axis=1))
        np.testing.assert_allclose(error, drawn_ones.std(axis=0, ddof=1), rtol=0.1)
        together = found.deviation[0] @ found.deviation[1] / error.prod()
        assert together == pytest.approx(np.corrcoef(drawn_ones.T)[0, 1], abs=0.1)


def delong(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """DeLong's covariance of AUROCs: S10 / m + S01 / n, of the shares of pairs that each answer wins."""
    won = [
        np.sign(score[right == 1][:, None] - score[right == 0][None, :]) / 2 + 0.5 for score in scores
    ]  # (m, n) each
    of_right = np.cov([one.mean(axis=1) for one in won])
    of_wrong = np.cov([one.mean(axis=0) for one in won])
    return of_right / (right == 1).sum() + of_wrong / (right == 0).sum()


@pytest.mark.parametrize(("n", "n_right"), [(100, 50), (300, 240), (400, 20), (100, 5)])
@pytest.mark.parametrize("tied", [False, True])
def test_covariance_is_delongs_where_quality_is_right_or_wrong(n: int, n_right: int, tied: bool) -> None:
    """DeLong's takes the shares as given; where one is rare, of m answers, ours is up to m / (m − 1) of it."""
    rng = np.random.default_rng([n, n_right])
    right = np.r_[np.ones(n_right), np.zeros(n - n_right)]
    scores = right + rng.normal(size=(1, n)) + np.array([[0.3], [1.0]]) * rng.normal(size=(2, n))
    if tied:
        scores = np.maximum(np.round(scores, 1), 0)
    deviation = effects(scores, right).adjusted.deviation / 2
    ratio = deviation @ deviation.T / delong(scores, right)
    rarer = min(n_right, n - n_right)
    assert (ratio > 0.985).all()
    assert (ratio < (1.03 if rarer >= 50 else 1.01 * rarer / (rarer - 1))).all()


def test_groups_are_summed_by_hand() -> None:
    deviation = np.array([[0.1, -0.2, 0.3, 0.0], [0.0, 0.1, 0.1, -0.2]])
    summed = by_group(deviation, np.array([0, 2, 2, 4]), 5)
    # Three of five groups have items: 3 / 2 in the place of 4 / 3.
    expected = np.array([[0.1, 0, 0.1, 0, 0.0], [0.0, 0, 0.2, 0, -0.2]]) * math.sqrt(3 / 2 * 3 / 4)
    np.testing.assert_allclose(summed, expected, atol=1e-15)
    np.testing.assert_allclose(by_group(deviation, np.arange(4), 4), deviation, atol=1e-15)


def test_items_that_stand_there_three_times_are_as_sure_as_once() -> None:
    confidence, quality = drawn("f1", 100, np.random.default_rng(0))
    once = effects(confidence[None], quality).adjusted
    thrice = effects(np.tile(confidence, 3)[None], np.tile(quality, 3)).adjusted
    assert thrice.value[0] == pytest.approx(once.value[0], abs=1e-12)
    grouped = by_group(thrice.deviation, np.tile(np.arange(100), 3), 100)
    assert (grouped**2).sum() == pytest.approx((once.deviation**2).sum(), rel=0.02)
    assert (thrice.deviation**2).sum() == pytest.approx((once.deviation**2).sum() / 3, rel=0.02)


def test_groups_are_as_uncertain_as_a_bootstrap_of_groups_says() -> None:
    rng = np.random.default_rng(6)
    n_groups, size = 60, 5
    group = np.repeat(np.arange(n_groups), size)
    shared = rng.normal(size=(2, n_groups))[:, group]
    quality = shared[0] + 0.5 * rng.normal(size=len(group))
    confidence = quality + shared[1] + 0.5 * rng.normal(size=len(group))
    deviation = effects(confidence[None], quality).adjusted.deviation
    draws = []
    for _ in range(800):
        items = (rng.integers(0, n_groups, n_groups)[:, None] * size + np.arange(size)).ravel()
        draws.append(adjusted_rho(confidence[items], quality[items]))
    error = math.sqrt((by_group(deviation, group, n_groups) ** 2).sum())
    assert error == pytest.approx(np.std(draws, ddof=1), rel=0.1)
    assert error > 1.5 * math.sqrt((deviation**2).sum())


def test_undefined_is_nan_for_the_score_alone() -> None:
    quality = np.array([0.0, 1.0, 2.0, 1.0])
    scores = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 4.0, 3.0]])
    both = effects(scores, quality)
    for found in (both.adjusted, both.spearman):
        assert np.isnan(found.value).tolist() == [True, False]
        assert np.isnan(found.deviation).all(axis=1).tolist() == [True, False]
        assert np.isfinite(found.deviation[1]).all()
    for confidence, bad in ((scores[0], quality), (scores[1], np.ones(4)), (scores[1][:2], quality[:2])):
        assert math.isnan(adjusted_rho(confidence, bad))
        assert math.isnan(concordance(confidence, bad))
        assert np.isnan(effects(confidence[None], bad).adjusted.value).all()
    nothing = effects(np.empty((2, 0)), np.empty(0)).adjusted
    assert np.isnan(nothing.value).tolist() == [True, True]
    assert by_group(nothing.deviation, np.empty(0, dtype=int), 3).tolist() == [[0, 0, 0]] * 2
