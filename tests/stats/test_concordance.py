"""Concordance against all pairs, and the coverage of its interval."""

from __future__ import annotations

import numpy as np
import pytest

from aftertune.stats.change import spread_for_models
from aftertune.stats.concordance import concordances, share_interval, wins
from aftertune.stats.effect import concordance


@pytest.mark.parametrize("n", [2, 3, 7, 200])
@pytest.mark.parametrize("levels", [2, 4, 1000])
def test_wins_are_those_of_all_pairs(n, levels):
    rng = np.random.default_rng(n * levels)
    quality, confidence = rng.integers(0, levels, n).astype(float), rng.integers(0, 9, n).astype(float)
    better = np.sign(quality[:, None] - quality)
    surer = np.sign(confidence[:, None] - confidence)
    won, pairs = wins(confidence, quality)
    assert np.array_equal(pairs, (better != 0).sum(axis=1))
    assert np.array_equal(won, ((better * surer > 0) + 0.5 * ((better != 0) & (surer == 0))).sum(axis=1))


def test_value_is_the_other_functions_and_deviations_the_jackknifes():
    rng = np.random.default_rng(0)
    n = 40
    quality, confidence = rng.integers(0, 5, n) / 4, rng.normal(size=(2, n)).round(1)
    found = concordances(confidence, quality)
    for s in range(2):
        assert found.value[s] == pytest.approx(concordance(confidence[s], quality), abs=1e-12)
        without = [concordance(np.delete(confidence[s], i), np.delete(quality, i)) for i in range(n)]
        jackknife = (found.value[s] - np.array(without)) * np.sqrt((n - 1) / n)
        assert found.deviation[s] == pytest.approx(jackknife, abs=1e-12)
        assert found.weight[s].sum() == pytest.approx(1)


def test_one_quality_has_no_concordance():
    found = concordances(np.ones((1, 3)), np.ones(3))
    assert np.isnan(found.value).all()
    assert np.isnan(share_interval(float(found.value[0]), [0.0], [2.0], found.weight[0])).all()


def test_a_perfect_order_is_not_certain():
    quality = np.repeat([0.0, 1.0], 10)
    found = concordances(np.arange(20.0)[None], quality)
    low, high = _interval(found)
    assert 0.5 < low < 0.9
    assert high == 1


def _interval(found):
    spread = spread_for_models(found.deviation[None])
    return share_interval(float(found.value[0]), spread.variance[:, 0], spread.df[:, 0], 2 * found.weight[0])


@pytest.mark.parametrize("right", [0.1, 0.5, 0.9, None])
@pytest.mark.parametrize("strength", [0.3, 0.95])
def test_coverage(right, strength):
    rng = np.random.default_rng(5)

    def drawn(n):
        latent, other = rng.normal(size=(2, n))
        quality = latent if right is None else (latent > np.quantile(latent, 1 - right)).astype(float)
        return (strength * latent + np.sqrt(1 - strength**2) * other)[None], quality

    truth = concordances(*drawn(50_000)).value[0]
    hits = []
    for _ in range(400):
        low, high = _interval(concordances(*drawn(50)))
        hits.append(low <= truth <= high)
    assert np.mean(hits) >= 0.93
