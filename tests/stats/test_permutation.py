import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.stats import rankdata

from aftertune.stats import permutation
from aftertune.stats.permutation import Checkpoint, swap_test


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Checkpoint(quality=np.array([0.0, np.nan]), confidence=np.zeros((1, 2)))
    with pytest.raises(ValueError, match="shape"):
        Checkpoint(quality=np.zeros(3), confidence=np.zeros((1, 2)))


Ends = list[tuple[Checkpoint, Checkpoint]]


def random_ends(n: int, runs: int, scores: int, rng: np.random.Generator, tied: bool) -> Ends:
    def checkpoint() -> Checkpoint:
        quality = rng.normal(size=n)
        confidence = 0.5 * quality + rng.normal(size=(scores, n))
        if tied:
            quality, confidence = np.round(quality), np.maximum(np.round(confidence), 0)
        return Checkpoint(quality=quality, confidence=confidence)

    return [(checkpoint(), checkpoint()) for _ in range(runs)]


def change_after_swap(ends: Ends, score: int, swap: np.ndarray) -> float:
    """One permutation, the long way."""
    found = []
    for from_, to in ends:
        ranks = [(rankdata(c.quality), rankdata(c.confidence[score])) for c in (from_, to)]
        first, second = ([np.where(swap, b, a) for a, b in zip(one, other)] for one, other in (ranks, ranks[::-1]))
        found.append(stats.pearsonr(*second).statistic - stats.pearsonr(*first).statistic)
    return float(np.mean(found))


def swaps(n: int, permutations: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, size=(permutations, n), dtype=np.int8).astype(bool)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("runs", [1, 3])
def test_equals_brute_force(runs: int, tied: bool) -> None:
    n, scores, permutations = 25, 2, 60
    ends = random_ends(n, runs, scores, np.random.default_rng(runs), tied)
    found = swap_test(ends, permutations=permutations, rng=np.random.default_rng(7))
    for score in range(scores):
        observed = change_after_swap(ends, score, np.zeros(n, dtype=bool))
        rho = [[stats.spearmanr(c.confidence[score], c.quality).statistic for c in pair] for pair in ends]
        assert observed == pytest.approx(np.mean(np.diff(rho)))
        others = [change_after_swap(ends, score, swap) for swap in swaps(n, permutations, 7)]
        extreme = np.count_nonzero(np.abs(others) >= abs(observed) - 1e-12)
        assert found[score] == pytest.approx((1 + extreme) / (1 + permutations))


def test_estimates_the_share_of_all_swaps() -> None:
    n = 8
    ends = random_ends(n, 2, 1, np.random.default_rng(3), tied=False)
    observed = abs(change_after_swap(ends, 0, np.zeros(n, dtype=bool)))
    every = [
        abs(change_after_swap(ends, 0, np.array(swap))) for swap in itertools.product((False, True), repeat=n)
    ]
    exact = np.mean([other >= observed - 1e-12 for other in every])
    (p,) = swap_test(ends, permutations=40_000, rng=np.random.default_rng(0))
    assert p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 40_000) + 1e-4)


def test_equal_checkpoints_have_p_one() -> None:
    ((one, _),) = random_ends(30, 1, 2, np.random.default_rng(0), tied=True)
    rescaled = Checkpoint(quality=3 * one.quality - 1, confidence=np.exp(one.confidence))
    np.testing.assert_array_equal(swap_test([(one, rescaled)], permutations=50, rng=np.random.default_rng(0)), 1)


def test_a_clear_change_is_found() -> None:
    rng = np.random.default_rng(0)
    quality = rng.normal(size=200)
    from_ = Checkpoint(quality=quality, confidence=(quality + rng.normal(size=200))[None])
    to = Checkpoint(quality=quality, confidence=rng.normal(size=(1, 200)))
    (p,) = swap_test([(from_, to)], permutations=499, rng=rng)
    assert p == pytest.approx(1 / 500)


def test_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = random_ends(20, 2, 3, np.random.default_rng(1), tied=True)
    whole = swap_test(ends, permutations=70, rng=np.random.default_rng(2))
    monkeypatch.setattr(permutation, "_SWAP_BLOCK_VALUES", 100)
    np.testing.assert_array_equal(whole, swap_test(ends, permutations=70, rng=np.random.default_rng(2)))


def test_undefined_rho_has_no_p() -> None:
    ((from_, to),) = random_ends(20, 1, 2, np.random.default_rng(1), tied=False)
    flat = Checkpoint(quality=to.quality, confidence=np.stack([to.confidence[0], np.ones(20)]))
    found = swap_test([(from_, flat)], permutations=50, rng=np.random.default_rng(0))
    assert np.isfinite(found).tolist() == [True, False]
    nothing = Checkpoint(quality=np.ones(20), confidence=to.confidence)
    assert np.isnan(swap_test([(from_, nothing)], permutations=50, rng=np.random.default_rng(0))).all()


def test_ranks_that_become_constant_leave_no_number() -> None:
    # One item stands out at each end, and another one: a swap of one of the two leaves an end without variation.
    first, second = np.eye(6)[0], np.eye(6)[1]
    from_ = Checkpoint(quality=first, confidence=(first + 0.5 * second)[None])
    to = Checkpoint(quality=second, confidence=(second + 0.5 * first)[None])
    assert np.isnan(swap_test([(from_, to)], permutations=200, rng=np.random.default_rng(0))).all()


def test_many_items_stay_exact() -> None:
    n = 20_000
    rng = np.random.default_rng(5)
    ends = random_ends(n, 1, 1, rng, tied=True)
    swap = swaps(n, 1, 3)[0]
    (p,) = swap_test(ends, permutations=1, rng=np.random.default_rng(3))
    still = abs(change_after_swap(ends, 0, np.zeros(n, dtype=bool)))
    assert p == (1 if abs(change_after_swap(ends, 0, swap)) >= still else 0.5)


def test_different_items_are_refused() -> None:
    ((a, _),), ((b, _),) = (random_ends(n, 1, 1, np.random.default_rng(0), tied=False) for n in (5, 6))
    with pytest.raises(ValueError, match="same items"):
        swap_test([(a, b)], permutations=5, rng=np.random.default_rng(0))
