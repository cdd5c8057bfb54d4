"""What review gains: ties exactly, and the coverage of its intervals."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from aftertune.stats.change import spread_for_models
from aftertune.stats.concordance import share_interval
from aftertune.stats.review import carried_sum, cut_at, found_wrong, kept_quality, reviewed_sum, sent


def test_ties_at_the_cut_are_the_mean_over_all_orders():
    confidence = np.array([1.0, 2.0, 2.0, 2.0, 3.0])
    wrong = np.array([1.0, 1.0, 0.0, 0.0, 1.0])
    found, kept = [], []
    for order in permutations(range(5)):
        least = sorted(order, key=lambda i: confidence[i])[:2]  # a stable sort: ties in the order given
        found.append(wrong[least].sum() / wrong.sum())
        kept.append(np.delete(1 - wrong, least).mean())
    cut = cut_at(confidence, 0.4)
    assert found_wrong(confidence, wrong, cut, refitted=True).value == pytest.approx(np.mean(found))
    assert kept_quality(confidence, 1 - wrong, cut).value == pytest.approx(np.mean(kept))


def test_a_constant_score_finds_what_chance_finds():
    confidence, wrong = np.ones(10), np.arange(10) % 2.0
    cut = cut_at(confidence, 0.2)
    assert found_wrong(confidence, wrong, cut, refitted=True).value == pytest.approx(0.2)
    assert kept_quality(confidence, wrong, cut).value == pytest.approx(0.5)
    assert sent(confidence, cut).value == pytest.approx(0.2)


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_many_cuts_at_once_are_the_single_ones(decimals):
    rng = np.random.default_rng(decimals)
    before, after, values = rng.normal(size=(3, 40)).round(decimals)
    shares = np.arange(101) / 100
    cuts = [cut_at(before, share) for share in shares]
    assert reviewed_sum(before, values, shares) == pytest.approx([cut.reviewed(before) @ values for cut in cuts])
    assert carried_sum(before, after, values, shares) == pytest.approx(
        [cut.reviewed(after) @ values for cut in cuts]
    )


def test_nothing_wrong():
    confidence = np.arange(10.0)
    found = found_wrong(confidence, np.zeros(10), cut_at(confidence, 0.2), refitted=True)
    assert np.isnan(found.value)


def test_a_threshold_on_shifted_confidence_sends_none_or_all():
    confidence = np.arange(10.0)
    cut = cut_at(confidence, 0.2)
    assert [sent(confidence + shift, cut).value for shift in (0, 20, -20)] == [0.2, 0, 1]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("right", [0.5, 0.9])
def test_coverage(right, tied):
    rng = np.random.default_rng(3)

    def drawn(n):
        latent, other = rng.normal(size=(2, n))
        confidence = 0.6 * latent + 0.8 * other
        confidence = np.round(2 * confidence) / 2 if tied else confidence
        return confidence, (latent <= np.quantile(latent, 1 - right)).astype(float)

    def gains(n):
        confidence, wrong = drawn(n)
        cut = cut_at(confidence, 0.2)
        return found_wrong(confidence, wrong, cut, refitted=True), kept_quality(confidence, 1 - wrong, cut)

    truth = [gain.value for gain in gains(100_000)]
    hits = np.zeros(2)
    for _ in range(400):
        for k, gain in enumerate(gains(60)):
            spread = spread_for_models(gain.deviation[None, None])
            low, high = share_interval(gain.value, spread.variance[:, 0], spread.df[:, 0], gain.weight)
            hits[k] += low <= truth[k] <= high
    assert (hits / 400 >= 0.92).all()


@pytest.mark.parametrize("tied", [False, True])
def test_coverage_of_the_share_that_an_old_threshold_sends(tied):
    rng = np.random.default_rng(4)

    def drawn(n):
        shared, a, b = rng.normal(size=(3, n))
        was, now = 0.7 * shared + 0.7 * a, 0.7 * shared + 0.7 * b - 0.4
        return (np.round(2 * was) / 2, np.round(2 * now) / 2) if tied else (was, now)

    now = drawn(200_000)[1]
    hits = []
    for _ in range(400):
        some, then = drawn(80)
        cut = cut_at(some, 0.2)
        gain = sent(then, cut)
        spread = spread_for_models(gain.deviation[None, None])
        low, high = share_interval(gain.value, spread.variance[:, 0], spread.df[:, 0], gain.weight)
        hits.append(low <= sent(now, cut).value <= high)
    assert np.mean(hits) >= 0.92
