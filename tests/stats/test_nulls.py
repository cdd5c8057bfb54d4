"""What no change would give: against its definitions, and in populations with and without a change."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aftertune.stats.nulls import (
    MIN_ITEMS,
    NO_PAIR,
    NOTHING_VARIES,
    TOO_FEW,
    BothWays,
    Null,
    case1_null,
    case1_of_miscorrelated_null,
    largest_fall_null,
)
from aftertune.stats.pairs import mean_shares, pair_changes, pairs_of_each
from simulate.nulls import KINDS, Cell, of_falls, of_pairs, record

NULLS = (case1_null, case1_of_miscorrelated_null)


def columns(n: int, levels: int = 0, seed: int = 0) -> list[np.ndarray]:
    """Quality and confidence at two checkpoints, correlated with one another."""
    rng = np.random.default_rng(seed)
    values = list(rng.normal(size=n) + rng.normal(size=(4, n)))
    return [np.round(levels * x) for x in values] if levels else values


def both_ways(columns_: list[np.ndarray], items: int | None = None) -> BothWays:
    found = BothWays.of(
        pair_changes(*columns_).both_ways, pairs_of_each(*(x[:items] for x in columns_)), len(columns_[0])
    )
    assert found is not None
    return found


def is_undefined(null: Null, reason: str) -> bool:
    return all(map(math.isnan, (null.value, null.low, null.high))) and null.reason == reason


def test_the_largest_fall_has_the_quantiles_of_its_steps() -> None:
    """One step of one run: a normal variable."""
    influence = np.random.default_rng(0).normal(size=(1, 1, 100))
    influence /= math.sqrt(float((influence**2).sum()) * 100 / 99)
    null = largest_fall_null(influence, n_items=100, rng=np.random.default_rng(1), draws=100_000)
    assert (null.value, null.low, null.high) == pytest.approx((0, -1.96, 1.96), abs=0.03)
    # Of three like runs it is the same, of two independent steps the smaller: −1 / √π.
    alike = largest_fall_null(
        np.repeat(influence, 3, axis=0), n_items=100, rng=np.random.default_rng(1), draws=100_000
    )
    assert (alike.low, alike.high) == pytest.approx((null.low, null.high), abs=0.03)
    apart = np.zeros((1, 2, 200))
    apart[0, 0, :100] = apart[0, 1, 100:] = influence[0, 0]
    of_two = largest_fall_null(apart, n_items=100, rng=np.random.default_rng(1), draws=100_000)
    assert of_two.value == pytest.approx(-1 / math.sqrt(math.pi), abs=0.01)


def test_no_fall_without_steps_items_or_variation() -> None:
    rng = np.random.default_rng(0)
    found = [
        largest_fall_null(np.zeros((2, 0, 50)), n_items=50, rng=rng),
        largest_fall_null(np.ones((1, 2, 50)), n_items=MIN_ITEMS - 1, rng=rng),
        largest_fall_null(np.zeros((1, 2, 50)), n_items=50, rng=rng),
    ]
    reasons = ("no step has a correlation at both ends", TOO_FEW, NOTHING_VARIES)
    assert all(map(is_undefined, found, reasons))


@pytest.mark.parametrize("levels", [0, 1])
def test_case_1_read_backwards_has_the_same_null(levels: int) -> None:
    there = columns(80, levels)
    back = [*there[2:], *there[:2]]
    shares = [mean_shares([pair_changes(*x)]) for x in (there, back)]
    for null in NULLS:
        one, other = null(both_ways(there)), null(both_ways(back))
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))
    assert case1_null(both_ways(there)).value == pytest.approx((shares[0].case1 + shares[1].case1) / 2)


def test_the_range_is_that_of_the_jackknife() -> None:
    there = columns(60, 2)

    def apart(columns_: list[np.ndarray]) -> np.ndarray:
        shares = [mean_shares([pair_changes(*x)]) for x in (columns_, [*columns_[2:], *columns_[:2]])]
        case1 = [s.case1 for s in shares]
        return np.array([case1[0] - case1[1]])

    without = np.array([apart([np.delete(x, i) for x in there]) for i in range(60)])
    sd = math.sqrt(59 / 60 * float(((without - without.mean()) ** 2).sum()))
    null = case1_null(both_ways(there))
    assert (null.high - null.low) / 2 == pytest.approx(2.001 * sd / 2, rel=1e-3)


def test_a_part_of_the_items_stands_for_all() -> None:
    there = columns(2000)
    for null in NULLS:
        whole, part = null(both_ways(there, 1024)), null(both_ways(there, 500))
        assert part.value == whole.value
        assert part.high - part.low == pytest.approx(whole.high - whole.low, rel=0.12)


def test_the_mean_of_one_transition_is_that_transition() -> None:
    both, places = both_ways(columns(50)), np.arange(50)
    for null in NULLS:
        assert null(BothWays.mean([both, both], [places, places], 70)) == null(both)


def test_case_1_without_pairs_items_or_variation() -> None:
    steps = np.arange(50.0)
    assert BothWays.of(np.zeros(6, dtype=np.int64), np.zeros((6, 40), dtype=np.int64), 40) is None
    assert all(is_undefined(null(None), NO_PAIR) for null in NULLS)
    assert all(is_undefined(null(both_ways(columns(MIN_ITEMS - 1))), TOO_FEW) for null in NULLS)
    assert is_undefined(case1_null(both_ways([steps] * 4)), NOTHING_VARIES)
    none_broken = case1_of_miscorrelated_null(both_ways([steps] * 4))
    assert is_undefined(none_broken, "no pair comes out of order, or none into order")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_change_the_largest_fall_lies_in_the_range(kind: str) -> None:
    """Standard error of a share: 0.015. The longer form is scripts/simulate/nulls.py."""
    found = record(Cell(n=100, kind=kind, rho=0.3, alike=0.8, epochs=6), of_falls, data_sets=200)["fall"]
    assert 0.9 < found.inside <= 0.995
    assert found.null == pytest.approx(found.seen, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_change_case_1_lies_in_the_range(kind: str) -> None:
    """Also where most quality is tied, and where quality rises."""
    cell = Cell(n=100, kind=kind, rho=0.6, stability=0.9, epochs=3, risen=0.4 * (kind == "right/wrong"))
    for found in record(cell, of_pairs, data_sets=200).values():
        assert 0.9 < found.inside <= 0.995
        assert found.null == pytest.approx(found.seen, abs=0.02)


@pytest.mark.slow
def test_a_real_change_lies_outside() -> None:
    fall = record(Cell(n=300, rho=0.6, lost=0.3, epochs=6), of_falls, data_sets=60)["fall"]
    assert fall.below > 0.8
    pairs = record(Cell(n=300, rho=0.6, lost=0.3, epochs=2), of_pairs, data_sets=60)
    assert pairs["case 1, one transition"].above > 0.8
