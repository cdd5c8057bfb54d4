import numpy as np
import pytest

from aftertune.stats.bit_sets import ALL, BLOCK, NONE, WORDS, Above, members, set_of, size


@pytest.mark.parametrize("n", [1, 63, 64, 65, BLOCK])
@pytest.mark.parametrize("n_ranks", [1, 3, 2000])
def test_members_above_as_compared_one_by_one(n: int, n_ranks: int) -> None:
    rng = np.random.default_rng(n)
    block, others = rng.integers(0, n_ranks, n), rng.integers(0, n_ranks, 7)
    above = Above(block, n_ranks)
    for rank, higher, not_lower in zip(others, above.higher(others), above.not_lower(others)):
        assert members(higher) == np.flatnonzero(block > rank).tolist()
        assert members(not_lower) == np.flatnonzero(block >= rank).tolist()
    assert size(above.higher(others)) == (block > others[:, None]).sum()


def test_flags_share_their_places_with_ranks() -> None:
    flags = np.random.default_rng(0).random(100) < 0.3
    assert members(set_of(flags)) == np.flatnonzero(flags).tolist()
    assert size(set_of(np.zeros(100, dtype=bool))) == 0
    assert members(set_of(flags) & Above(np.arange(100), 100).higher(np.array([49]))[0]) == [
        i for i in np.flatnonzero(flags) if i > 49
    ]


def test_words_with_all_bits_and_with_none() -> None:
    assert size(np.full(WORDS, ALL)) == BLOCK
    assert size(np.full(WORDS, NONE)) == 0
