import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from aftertune.stats.bootstrap import Checkpoint, multiplicities
from aftertune.stats.change import interval_for_models, interval_for_training
from aftertune.stats.downstream_change import AurocChange, auroc_changes


def one(rng: np.random.Generator, n: int, scores: int = 2) -> Checkpoint:
    y = rng.integers(0, 2, n) * 1.0
    return Checkpoint(quality=y, confidence=np.round(rng.normal(size=(scores, n)) + y, 1))


def test_both_intervals_are_those_of_the_differences_on_shared_resamples() -> None:
    rng = np.random.default_rng(0)
    before = one(rng, 60)
    ends = [(before, one(rng, 60)) for _ in range(3)]
    found = auroc_changes(ends, resamples=100, rng=np.random.default_rng(1))
    weight = multiplicities(60, 100, np.random.default_rng(1)).astype(int)
    for s, change in enumerate(found):

        def auc(c: Checkpoint, drawn: np.ndarray, s: int = s) -> float:
            return float(roc_auc_score(c.quality[drawn], c.confidence[s][drawn]))

        everything = np.arange(60)
        np.testing.assert_allclose(change.from_, [auc(a, everything) for a, _ in ends])
        np.testing.assert_allclose(change.changes, [auc(b, everything) - auc(a, everything) for a, b in ends])
        assert change.mean == pytest.approx(change.changes.mean())
        drawn = [np.repeat(everything, weight[:, b]) for b in range(100)]
        differences = np.array([[auc(b, d) - auc(a, d) for a, b in ends] for d in drawn])
        models = interval_for_models(differences)
        training = interval_for_training(change.changes, differences, n_items=60)
        assert (change.models.low, change.models.high) == pytest.approx((models.low, models.high), abs=1e-12)
        assert change.models.p == models.p
        assert (change.training.low, change.training.p) == pytest.approx((training.low, training.p), abs=1e-9)
        assert change.n == 60


def test_one_run_says_nothing_of_another() -> None:
    rng = np.random.default_rng(0)
    (change, _) = auroc_changes([(one(rng, 50), one(rng, 50))], resamples=50, rng=rng)
    assert change.training is None
    assert change.models.low < change.mean < change.models.high


def test_undefined_has_a_reason() -> None:
    rng = np.random.default_rng(0)
    good = one(rng, 40, 1)
    hopeless = Checkpoint(quality=np.zeros(40), confidence=good.confidence)
    (change,) = auroc_changes([(good, hopeless), (good, good)], resamples=50, rng=rng)
    assert np.isnan(change.mean)
    assert change.reason == change.models.reason == "none of 40 answers are correct: nothing to tell apart"
    assert change.training is not None
    assert np.isnan(change.training.low)
    rare = Checkpoint(quality=np.r_[1.0, np.zeros(39)], confidence=good.confidence)
    (change,) = auroc_changes([(good, rare)], resamples=200, rng=rng)
    assert np.isfinite(change.mean)
    assert np.isnan(change.models.low)
    assert change.models.reason == "more than 5 % of resamples hold only correct or only wrong answers"


def test_a_constant_score_has_no_spread() -> None:
    rng = np.random.default_rng(0)
    constant = Checkpoint(quality=rng.integers(0, 2, 40) * 1.0, confidence=np.ones((1, 40)))
    (change,) = auroc_changes([(constant, constant)] * 2, resamples=50, rng=rng)
    assert (change.mean, change.from_[0]) == (0, 0.5)
    for interval in (change.models, change.training):
        assert np.isnan(interval.low)
        assert "spread is unknown" in interval.reason


def test_other_items_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="same items and scores"):
        auroc_changes([(one(rng, 40), one(rng, 41))], resamples=5, rng=rng)
    with pytest.raises(ValueError, match="at least one"):
        auroc_changes([], resamples=5, rng=rng)


def population(auc: np.ndarray, n: int, rng: np.random.Generator) -> list[Checkpoint]:
    """One checkpoint for each AUROC, on the same items: 50 % correct before, 60 % after.

    Confidence is normal, its mean higher by sqrt(2) z(AUROC) for correct answers. Half of the variance of what
    decides correctness, and of confidence, belongs to the item and is the same at every checkpoint.
    """
    share = np.r_[0.5, np.full(len(auc) - 1, 0.6)]
    item = rng.normal(size=(2, n))
    own = rng.normal(size=(2, len(auc), n))
    latent, noise = np.sqrt(0.5) * (item[:, None] + own)
    correct = (latent < norm.ppf(share)[:, None]) * 1.0
    confidence = noise + np.sqrt(2) * norm.ppf(auc)[:, None] * correct
    return [Checkpoint(quality=y, confidence=x[None]) for x, y in zip(confidence, correct)]


def simulated(
    n: int, runs: int, sd: float, to: float, simulations: int, resamples: int
) -> tuple[list[AurocChange], np.ndarray]:
    """And the true mean change of each data set's runs."""
    rng = np.random.default_rng([n, runs, int(100 * sd), int(100 * to)])
    found, truth = [], []
    for _ in range(simulations):
        auc = np.r_[0.7, np.clip(to + sd * rng.normal(size=runs), 0.01, 0.99)]
        before, *after = population(auc, n, rng)
        found += auroc_changes([(before, one) for one in after], resamples=resamples, rng=rng)
        truth.append(auc[1:].mean() - 0.7)
    return found, np.array(truth)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
def test_rejection_rate_without_a_change(n: int) -> None:
    found, _ = simulated(n, 1, 0.0, 0.7, 1000, 399)
    assert 0.03 <= np.mean([c.models.p <= 0.05 for c in found]) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("to", [0.8, 0.55])
def test_coverage_for_these_trained_models(n: int, to: float) -> None:
    found, truth = simulated(n, 3, 0.03, to, 500, 199)
    assert 0.92 <= np.mean([c.models.low <= t <= c.models.high for c, t in zip(found, truth)]) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("sd", [0.0, 0.06])
def test_coverage_for_another_training_run(n: int, sd: float) -> None:
    found, _ = simulated(n, 3, sd, 0.75, 600, 100)
    assert 0.92 <= np.mean([c.training.low <= 0.05 <= c.training.high for c in found]) <= 0.98
