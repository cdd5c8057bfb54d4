import numpy as np
import pytest
from scipy import stats

from aftertune.stats import bootstrap
from aftertune.stats.bootstrap import Checkpoint, multiplicities, resampled_spearman


def values(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    if kind == "untied":
        return rng.normal(size=shape)
    if kind == "binary":
        return rng.integers(0, 2, size=shape).astype(float)
    return np.maximum(np.round(rng.normal(size=shape), 1), 0.0)


@pytest.mark.parametrize("n", [3, 4, 33, 200, 1100])
@pytest.mark.parametrize("confidence", ["untied", "binary", "half zero"])
@pytest.mark.parametrize("quality", ["untied", "binary", "half zero"])
def test_equals_scipy_on_the_expanded_resample(n: int, confidence: str, quality: str) -> None:
    rng = np.random.default_rng(n)
    checkpoints = [
        Checkpoint(quality=values(rng, quality, (n,)), confidence=values(rng, confidence, (2, n)))
        for _ in range(2)
    ]
    resamples = 11
    weight = multiplicities(n, resamples, np.random.default_rng(5)).astype(int)
    for checkpoint, rho in zip(
        checkpoints, resampled_spearman(checkpoints, resamples=resamples, rng=np.random.default_rng(5))
    ):
        for b in range(resamples):
            drawn = np.repeat(np.arange(n), weight[:, b])
            y = checkpoint.quality[drawn]
            for s, row in enumerate(checkpoint.confidence):
                x = row[drawn]
                if np.ptp(x) == 0 or np.ptp(y) == 0:
                    assert np.isnan(rho[b, s])
                else:
                    assert rho[b, s] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-10)


def test_ranks_stay_exact_with_many_items() -> None:
    n = 20_000
    rng = np.random.default_rng(0)
    checkpoint = Checkpoint(quality=np.round(rng.normal(size=n), 2), confidence=rng.normal(size=(1, n)))
    (rho,) = resampled_spearman([checkpoint], resamples=2, rng=np.random.default_rng(1))
    weight = multiplicities(n, 2, np.random.default_rng(1)).astype(int)
    drawn = np.repeat(np.arange(n), weight[:, 1])
    expected = stats.spearmanr(checkpoint.confidence[0, drawn], checkpoint.quality[drawn]).statistic
    assert rho[1, 0] == pytest.approx(expected, abs=1e-12)


def test_resamples_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    checkpoint = Checkpoint(quality=rng.normal(size=37), confidence=rng.normal(size=(1, 37)))
    (whole,) = resampled_spearman([checkpoint], resamples=50, rng=np.random.default_rng(3))
    monkeypatch.setattr(bootstrap, "_BLOCK_VALUES", 1)
    (small,) = resampled_spearman([checkpoint], resamples=50, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(whole, small)


def test_checkpoints_share_their_resamples() -> None:
    rng = np.random.default_rng(4)
    one = Checkpoint(quality=rng.normal(size=30), confidence=rng.normal(size=(2, 30)))
    other = Checkpoint(quality=rng.normal(size=30), confidence=one.confidence[1:])
    a, _, again = resampled_spearman([one, other, one], resamples=20, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(a, again)
    (alone,) = resampled_spearman([one], resamples=20, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(a, alone)


def test_equal_checkpoints_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    first, second = (
        Checkpoint(quality=rng.normal(size=30), confidence=rng.normal(size=(2, 30))) for _ in range(2)
    )
    mixed = Checkpoint(quality=first.quality, confidence=np.stack([second.confidence[1], first.confidence[0]]))
    made: list[int] = []
    rho = bootstrap._Block._rho
    monkeypatch.setattr(bootstrap._Block, "_rho", lambda *given: made.append(1) or rho(*given))
    found = resampled_spearman([first, second, first, mixed], resamples=20, rng=np.random.default_rng(0))
    assert len(made) == 2 + 2 + 1
    monkeypatch.undo()
    for checkpoint, draws in zip((first, second, first, mixed), found):
        (alone,) = resampled_spearman([checkpoint], resamples=20, rng=np.random.default_rng(0))
        np.testing.assert_array_equal(draws, alone)


def test_multiplicities_are_a_resample_with_replacement() -> None:
    weight = multiplicities(50, 4000, np.random.default_rng(0))
    assert weight.shape == (50, 4000)
    np.testing.assert_array_equal(weight.sum(axis=0), 50)
    np.testing.assert_allclose(weight.mean(axis=1), 1, atol=5 / np.sqrt(4000))
    # Binomial(50, 1/50): variance 0.98, P(0) = 0.98^50.
    assert weight.var() == pytest.approx(0.98, abs=0.02)
    assert (weight == 0).mean() == pytest.approx(0.98**50, abs=0.005)


def test_spread_of_resamples_is_that_of_rho() -> None:
    # Independent variables: var(rho) = 1 / (n − 1).
    rng = np.random.default_rng(1)
    checkpoints = [
        Checkpoint(quality=rng.normal(size=200), confidence=rng.normal(size=(1, 200))) for _ in range(60)
    ]
    draws = resampled_spearman(checkpoints, resamples=200, rng=rng)
    assert np.mean([d.var() for d in draws]) == pytest.approx(1 / 199, rel=0.1)


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Checkpoint(quality=np.array([0.0, np.nan]), confidence=np.zeros((1, 2)))
    with pytest.raises(ValueError, match="shape"):
        Checkpoint(quality=np.zeros(3), confidence=np.zeros((1, 2)))
    pair = [Checkpoint(quality=np.arange(n) * 1.0, confidence=np.ones((1, n))) for n in (4, 5)]
    with pytest.raises(ValueError, match="same items"):
        resampled_spearman(pair, resamples=2, rng=np.random.default_rng(0))
