import math

import pytest
from scipy.stats import binomtest

from aftertune.stats.proportion import clopper_pearson, wilson


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (499, 1000)])
def test_equal_to_scipy(k: int, n: int, level: float) -> None:
    for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        expected = binomtest(k, n).proportion_ci(level, method)
        assert ours(k, n, level=level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_items_and_no_share() -> None:
    for interval in (clopper_pearson, wilson):
        assert all(math.isnan(end) for end in interval(0, 0))
        with pytest.raises(ValueError, match="no share"):
            interval(3, 2)
