import math

import numpy as np
import pytest

from aftertune.stats.items import Direction, direction, mean_direction, quadrants
from eight_items import CONFIDENCE, DIRECTION, MEAN_DIRECTION, QUADRANTS, QUALITY


@pytest.mark.parametrize("epochs", QUADRANTS, ids=str)
def test_quadrants_of_eight_items_by_hand(epochs: tuple[int, int]) -> None:
    before, after = epochs
    found = quadrants(CONFIDENCE[after] - CONFIDENCE[before], QUALITY[after] - QUALITY[before])
    assert {name: getattr(found, name) for name in QUADRANTS[epochs]} == QUADRANTS[epochs]
    for name in ("concordant", "overconfident", "underconfident", "tied"):
        assert getattr(found, f"{name}_share") == QUADRANTS[epochs][name] / 8


def test_each_of_the_nine_pairs_of_signs() -> None:
    """Sign of dc in rows, of dq in columns: over-confident is (+, −), under-confident (−, +), tied has a 0."""
    signs = (-1.0, 0.0, 1.0)
    found = {(dc, dq): quadrants([dc], [dq]) for dc in signs for dq in signs}
    assert [pair for pair, one in found.items() if one.overconfident] == [(1, -1)]
    assert [pair for pair, one in found.items() if one.underconfident] == [(-1, 1)]
    assert [pair for pair, one in found.items() if one.tied] == [(-1, 0), (0, -1), (0, 0), (0, 1), (1, 0)]
    assert [pair for pair, one in found.items() if not one.concordant] == [(-1, 1), (1, -1)]


def test_only_signs_matter_and_turning_time_around_exchanges_the_quadrants() -> None:
    rng = np.random.default_rng(0)
    dc, dq = rng.integers(-2, 3, (2, 300)).astype(float)
    found, order = quadrants(dc, dq), rng.permutation(300)
    assert found == quadrants(dc[order], dq[order]) == quadrants(1e-9 * dc**3, np.arctan(dq))
    back = quadrants(-dc, -dq)
    assert (back.overconfident, back.underconfident) == (found.underconfident, found.overconfident)
    assert (back.concordant, back.tied) == (found.concordant, found.tied)
    assert found.overconfident != found.underconfident


def test_a_constant_added_to_confidence_at_both_checkpoints_changes_nothing() -> None:
    """Integers, so that the sums are exact."""
    before, after = CONFIDENCE[1] + 1000, CONFIDENCE[3] + 1000
    dq = QUALITY[3] - QUALITY[1]
    assert quadrants(after - before, dq) == quadrants(CONFIDENCE[3] - CONFIDENCE[1], dq)


def test_without_items_shares_are_undefined() -> None:
    found = quadrants([], [])
    assert (found.n, found.concordant, found.tied) == (0, 0, 0)
    shares = (found.concordant_share, found.overconfident_share, found.underconfident_share, found.tied_share)
    assert all(math.isnan(share) for share in shares)


@pytest.mark.parametrize(
    ("dc", "dq", "said"),
    [
        ([0.1, np.nan], [0.0, 0.0], "finite"),
        ([0.1, 0.2], [0.0, np.inf], "finite"),
        ([0.1], [0.0, 0.1], "shape"),
        ([[0.1]], [[0.1]], "shape"),
    ],
)
def test_what_is_refused(dc: list, dq: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        quadrants(dc, dq)


def of_eight_items(before: int, after: int) -> Direction:
    return direction(CONFIDENCE[after] - CONFIDENCE[before], QUALITY[after] - QUALITY[before])


@pytest.mark.parametrize("epochs", DIRECTION, ids=str)
def test_direction_of_eight_items_by_hand(epochs: tuple[int, int]) -> None:
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
