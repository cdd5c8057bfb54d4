import math

import numpy as np
import pytest

from aftertune.stats.direction import Direction, direction, mean_direction
from eight_items import CONFIDENCE, DIRECTION, MEAN_DIRECTION, QUALITY


def of_eight_items(before: int, after: int) -> Direction:
    return direction(CONFIDENCE[after] - CONFIDENCE[before], QUALITY[after] - QUALITY[before])


@pytest.mark.parametrize("epochs", DIRECTION, ids=str)
def test_eight_items_by_hand(epochs: tuple[int, int]) -> None:
    assert of_eight_items(*epochs) == Direction(**DIRECTION[epochs])


def test_mean_of_eight_items_by_hand() -> None:
    found = mean_direction([of_eight_items(1, 2), of_eight_items(2, 3)])
    assert {name: getattr(found, name) for name in MEAN_DIRECTION} == MEAN_DIRECTION


def test_each_item_is_in_one_of_the_three() -> None:
    signs = (-1.0, 0.0, 1.0)
    found = {(dc, dq): direction([dc], [dq]) for dc in signs for dq in signs}
    assert all(one.n == 1 for one in found.values())
    assert [pair for pair, one in found.items() if one.both_increased] == [(1, 1)]
    assert [pair for pair, one in found.items() if one.increased_quality_not_improved] == [(1, -1), (1, 0)]


def test_transitions_count_alike_and_empty_ones_do_not_count() -> None:
    one, many = direction([1.0], [1.0]), direction([-1.0] * 3 + [1.0], [0.0] * 4)
    found = mean_direction([one, direction([], []), many])
    # (0 + 75) / 2, (0 + 25) / 2, (100 + 0) / 2; pooled they would be 60, 20, 20.
    shares = (found.confidence_not_increased, found.increased_quality_not_improved, found.both_increased)
    assert shares == (37.5, 12.5, 50.0)
    assert (found.transitions, found.n) == (2, 5)


def test_without_transitions_shares_are_undefined() -> None:
    for found in (mean_direction([]), mean_direction([direction([], [])])):
        assert (found.transitions, found.n) == (0, 0)
        assert math.isnan(found.confidence_not_increased)
        assert math.isnan(found.increased_quality_not_improved)
        assert math.isnan(found.both_increased)


def test_undefined_changes_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        direction([np.nan], [1.0])
