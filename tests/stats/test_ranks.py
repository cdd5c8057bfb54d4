import numpy as np
import pytest
from scipy.stats import rankdata

from aftertune.stats.ranks import centred_ranks, share_below


@pytest.mark.parametrize("levels", [1, 2, 7, 10_000])
@pytest.mark.parametrize("n", [0, 1, 2, 50, 1001])
def test_equals_scipy(n: int, levels: int) -> None:
    values = np.random.default_rng(n).integers(0, levels, n) - 0.5
    ranks = centred_ranks(values)
    np.testing.assert_array_equal(ranks, 2 * rankdata(values) - (n + 1))
    assert ranks.dtype == np.int64
    assert ranks.sum() == 0


def test_both_zeros_are_equal() -> None:
    assert centred_ranks(np.array([0.0, -0.0, 1.0])).tolist() == [-1, -1, 2]


@pytest.mark.parametrize("levels", [1, 4, 10_000])
@pytest.mark.parametrize("n", [1, 2, 60])
def test_share_below_counts_the_other_items(n: int, levels: int) -> None:
    values = np.random.default_rng(n).integers(0, levels, n) * 1.0
    below = [(np.sum(values < one) + (np.sum(values == one) - 1) / 2) / max(n - 1, 1) for one in values]
    np.testing.assert_allclose(share_below(values), below, atol=1e-15)
