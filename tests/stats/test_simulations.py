"""Do the intervals cover, and do the tests reject, as often as they say? In a population that we know.

Quality and confidence of an item are latent bivariate normal with a Pearson correlation chosen for the
wanted Spearman correlation. A share `common` of the variance of either belongs to the item (the same at every
checkpoint and in every training run), the rest to the checkpoint.
"""

from __future__ import annotations

import numpy as np
import pytest
from aftertune.stats.resampling import Checkpoint, resampled_spearman, swap_test
from scipy.stats import rankdata

from aftertune.stats.change import interval_for_models, interval_for_training
from aftertune.stats.correlation import spearman_of_checkpoints
from aftertune.stats.verdict import holm


def latent(rho: np.ndarray) -> np.ndarray:
    """Pearson correlation of a bivariate normal with Spearman correlation `rho`."""
    return 2 * np.sin(np.pi * rho / 6)


def population(rho: np.ndarray, n: int, common: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(…, C) Spearman correlations → confidence and quality (…, C, n); items are shared along C."""
    pearson = latent(rho)[..., None]
    item = rng.normal(size=(2, *rho.shape[:-1], 1, n))
    own = rng.normal(size=(2, *rho.shape, n))
    quality, rest = np.sqrt(common) * item + np.sqrt(1 - common) * own
    return pearson * quality + np.sqrt(1 - pearson**2) * rest, quality


def f1_like(quality: np.ndarray) -> np.ndarray:
    """40 % zeros and 20 % ones."""
    return np.clip((quality + 0.2533) / (0.2533 + 0.8416), 0, 1)


def observed_rho(confidence: np.ndarray, quality: np.ndarray) -> np.ndarray:
    x, y = (rankdata(v, axis=-1) - (v.shape[-1] + 1) / 2 for v in (confidence, quality))
    return (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1))


def resampled(confidence: np.ndarray, quality: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """(M, C, n) → (M, B, C)."""
    checkpoints = [
        Checkpoint(quality=y, confidence=x[None])
        for x, y in zip(confidence.reshape(-1, confidence.shape[-1]), quality.reshape(-1, quality.shape[-1]))
    ]
    draws = np.hstack(resampled_spearman(checkpoints, resamples=resamples, rng=rng))
    return draws.reshape(resamples, *confidence.shape[:2]).transpose(1, 0, 2)


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n", [100, 300])
def test_rejection_rate_of_the_bootstrap_under_the_null(n: int, tied: bool) -> None:
    simulations = 1000
    rng = np.random.default_rng(n + tied)
    confidence, quality = population(np.full((simulations, 2), 0.4), n, 0.5, rng)
    if tied:
        confidence, quality = np.round(confidence, 0), f1_like(quality)
    draws = resampled(confidence, quality, 399, rng)
    intervals = [interval_for_models(d[:, 1:] - d[:, :1]) for d in draws]
    assert 0.03 <= np.mean([i.p <= 0.05 for i in intervals]) <= 0.07
    assert 0.03 <= np.mean([i.low > 0 or i.high < 0 for i in intervals]) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("to", ["another scale", "both tied", "tied"])
def test_rejection_rate_of_the_label_swap_under_the_null(to: str) -> None:
    # The last is no null of the labels, only one of rho: at the second checkpoint alone there are many ties.
    simulations, n = 1000, 100
    rng = np.random.default_rng(5)
    rho = 0.0 if to == "tied" else 0.4
    confidence, quality = population(np.full((simulations, 2), rho), n, 0.5, rng)
    if to == "both tied":
        confidence, quality = np.maximum(np.round(confidence), 0), f1_like(quality)
    if to == "tied":
        confidence[:, 1], quality[:, 1] = np.maximum(np.round(confidence[:, 1]), 0), f1_like(quality[:, 1])
    confidence[:, 1], quality[:, 1] = np.exp(2 * confidence[:, 1]) - 7, 10 * quality[:, 1]
    p = [
        swap_test(
            [tuple(Checkpoint(quality=y[c], confidence=x[c][None]) for c in (0, 1))],
            permutations=199,
            rng=rng,
        )[0]
        for x, y in zip(confidence, quality)
    ]
    assert 0.03 <= np.mean(np.array(p) <= 0.05) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("sd", [0.0, 0.02, 0.15])
def test_coverage_for_these_trained_models(n: int, sd: float) -> None:
    # Covered must be the mean change of the three runs at hand, whatever they are; other items would vary.
    simulations, runs, before = 500, 3, 0.4
    rng = np.random.default_rng([n, int(100 * sd)])
    rho = np.full((simulations, 1 + runs), before)
    rho[:, 1:] = np.clip(0.55 + sd * rng.normal(size=(simulations, runs)), -0.98, 0.98)
    target = rho[:, 1:].mean(axis=1) - before
    confidence, quality = population(rho, n, 0.5, rng)
    draws = resampled(confidence, quality, 200, rng)
    intervals = [interval_for_models(d[:, 1:] - d[:, :1]) for d in draws]
    covered = [i.low <= change <= i.high for i, change in zip(intervals, target)]
    assert 0.92 <= np.mean(covered) <= 0.98


@pytest.mark.slow
def test_family_wise_error_of_holm_over_dependent_tests() -> None:
    # 20 scores whose rho does not change, on the same items: half of a score's noise is common to all.
    simulations, n, scores = 200, 100, 20
    rng = np.random.default_rng(3)
    smallest, corrected = [], []
    for _ in range(simulations):
        checkpoints = []
        item = rng.normal(size=n)
        for _ in range(2):
            quality = np.sqrt(0.5) * item + np.sqrt(0.5) * rng.normal(size=n)
            noise = np.sqrt(0.5) * rng.normal(size=n) + np.sqrt(0.5) * rng.normal(size=(scores, n))
            checkpoints.append(Checkpoint(quality=quality, confidence=0.5 * quality + noise))
        before, after = resampled_spearman(checkpoints, resamples=899, rng=rng)
        p = [interval_for_models((after - before)[:, [s]]).p for s in range(scores)]
        smallest.append(min(p))
        corrected.append(holm(p).min())
    assert np.mean(np.array(smallest) <= 0.05) > 0.25
    assert np.mean(np.array(corrected) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / simulations)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("runs", [3, 5])
@pytest.mark.parametrize("sd", [0.0, 0.02, 0.15])
def test_coverage_for_another_training_run(n: int, runs: int, sd: float) -> None:
    # Three runs that spread widely are the hardest case (0.93 in the long run): more data sets, less noise.
    simulations = 2000 if (runs, sd) == (3, 0.15) else 600
    before, after = 0.4, 0.55
    rng = np.random.default_rng([n, runs, int(100 * sd)])
    # One model before fine-tuning, shared by all runs; the runs' correlations spread around `after`.
    rho = np.full((simulations, 1 + runs), before)
    rho[:, 1:] = np.clip(after + sd * rng.normal(size=(simulations, runs)), -0.98, 0.98)
    confidence, quality = population(rho, n, 0.5, rng)
    observed = observed_rho(confidence, quality)
    draws = resampled(confidence, quality, 100, rng)
    intervals = [
        interval_for_training(o[1:] - o[0], d[:, 1:] - d[:, :1], n_items=n) for o, d in zip(observed, draws)
    ]
    assert 0.92 <= np.mean([i.low <= after - before <= i.high for i in intervals]) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("ties", ["none", "quality", "both"])
def test_coverage_of_the_interval_of_a_correlation(ties: str) -> None:
    simulations, n = 600, 200
    rng = np.random.default_rng(11)
    confidence, quality = population(np.full((simulations, 1), 0.5), n, 0.5, rng)
    large, truth_quality = population(np.array([0.5]), 1_000_000, 0.5, rng)
    if ties != "none":
        quality, truth_quality = f1_like(quality), f1_like(truth_quality)
    if ties == "both":
        confidence, large = np.maximum(confidence, 0), np.maximum(large, 0)
    truth = observed_rho(large, truth_quality)[0]
    estimates = [
        spearman_of_checkpoints([([x], y)], resamples=300, seed=i)[0][0]
        for i, (x, y) in enumerate(zip(confidence[:, 0], quality[:, 0]))
    ]
    assert {e.status for e in estimates} == {"ci: bootstrap" if ties == "both" else "ci: bonett-wright"}
    assert 0.92 <= np.mean([e.low <= truth <= e.high for e in estimates]) <= 0.98
