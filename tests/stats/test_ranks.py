import numpy as np
import pytest
from scipy.stats import rankdata

from aftertune.stats.ranks import centred_ranks


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
