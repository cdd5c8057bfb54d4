import itertools
import math
import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from aftertune.stats import auroc as auroc_module
from aftertune.stats.auroc import auroc, resampled_auroc
from aftertune.stats.bootstrap import Checkpoint, multiplicities
from aftertune.stats.labels import why_one_class


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


@pytest.mark.parametrize("n", [3, 20, 200])
@pytest.mark.parametrize("kind", ["untied", "coarse", "half equal"])
def test_equals_sklearn_on_the_expanded_resample(n: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auroc_module, "_BLOCK_VALUES", 9 * n)
    rng = np.random.default_rng(n)
    checkpoints = [
        Checkpoint(
            quality=np.r_[0.0, 1.0, rng.integers(0, 2, n - 2)],
            confidence=np.stack([confidences(rng, kind, n) for _ in range(2)]),
        )
        for _ in range(2)
    ]
    resamples = 25
    weight = multiplicities(n, resamples, np.random.default_rng(5)).astype(int)
    found = resampled_auroc(checkpoints, resamples=resamples, rng=np.random.default_rng(5))
    undefined = 0
    for checkpoint, draws in zip(checkpoints, found):
        assert draws.shape == (resamples, 2)
        for b in range(resamples):
            drawn = np.repeat(np.arange(n), weight[:, b])
            y = checkpoint.quality[drawn]
            for s, row in enumerate(checkpoint.confidence):
                if np.ptp(y) == 0:
                    undefined += 1
                    assert np.isnan(draws[b, s])
                else:
                    assert draws[b, s] == pytest.approx(roc_auc_score(y, row[drawn]), abs=1e-12)
    assert (undefined > 0) == (n == 3)


def test_the_same_score_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    one = Checkpoint(quality=rng.integers(0, 2, 30) * 1.0, confidence=rng.normal(size=(2, 30)))
    other = Checkpoint(quality=1 - one.quality, confidence=one.confidence)
    made = []
    init = auroc_module._Score.__init__
    monkeypatch.setattr(auroc_module._Score, "__init__", lambda self, *given: made.append(1) or init(self, *given))
    a, b, c = resampled_auroc([one, other, one], resamples=40, rng=np.random.default_rng(1))
    assert len(made) == 4
    np.testing.assert_array_equal(a, c)
    np.testing.assert_allclose(a + b, 1, atol=1e-12)


def test_what_cannot_be_resampled_is_refused() -> None:
    rng = np.random.default_rng(0)
    graded = Checkpoint(quality=np.array([0.0, 0.5, 1.0]), confidence=np.zeros((1, 3)))
    with pytest.raises(ValueError, match="0 or 1"):
        resampled_auroc([graded], resamples=2, rng=rng)
    pair = [Checkpoint(quality=np.ones(n), confidence=np.ones((1, n))) for n in (4, 5)]
    with pytest.raises(ValueError, match="same items"):
        resampled_auroc(pair, resamples=2, rng=rng)
    assert resampled_auroc([], resamples=2, rng=rng) == []


@pytest.mark.slow
def test_speed_of_a_whole_table() -> None:
    rng = np.random.default_rng(0)
    checkpoints = [
        Checkpoint(quality=rng.integers(0, 2, 1000) * 1.0, confidence=rng.normal(size=(13, 1000)))
        for _ in range(6)
    ]
    start = time.process_time()
    resampled_auroc(checkpoints, resamples=2000, rng=rng)
    assert time.process_time() - start < 30  # about 1 to 2 s on an idle core
