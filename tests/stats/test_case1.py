import math

import numpy as np
import pytest

from aftertune.stats.case1 import case1_prevalence
from paper.claims import table


@pytest.mark.parametrize(("number", "mean", "larger"), [(4, 0.686, 9), (10, 0.526, 6)])
def test_the_paper_s_printed_tables(number: int, mean: float, larger: int) -> None:
    """Tables 4 and 10; the text says 68.5 % and 10 of 12, 52.1 % and 6 of 12."""
    found = case1_prevalence(table(number)["case1"], table(number)["case2"])
    assert (found.rows, found.larger, found.tied) == (12, larger, 1)
    assert found.mean_share == pytest.approx(mean, abs=0.0005)


def test_by_hand() -> None:
    # 3/4, 1/2, 1/4 and 2/2; a row without miscorrelated pairs has no share.
    found = case1_prevalence([3, 1, 1, 2, 0], [1, 1, 3, 0, 0])
    assert (found.rows, found.larger, found.tied) == (4, 2, 1)
    assert found.mean_share == 0.625


def test_rows_count_alike() -> None:
    assert case1_prevalence([1, 900], [3, 100]).mean_share == pytest.approx((0.25 + 0.9) / 2)


@pytest.mark.parametrize("rows", [[], [0, 0]])
def test_without_miscorrelated_pairs_the_mean_is_undefined(rows: list) -> None:
    found = case1_prevalence(rows, rows)
    assert (found.rows, found.larger, found.tied) == (0, 0, 0)
    assert math.isnan(found.mean_share)


@pytest.mark.parametrize(
    ("case1", "case2", "said"), [([0.1], [0.1, 0.2], "shape"), ([np.nan], [0.1], "0 or more"), ([-1], [1], "0 or")]
)
def test_what_is_refused(case1: list, case2: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        case1_prevalence(case1, case2)
