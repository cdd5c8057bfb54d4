"""Counts of pairs against a plain double loop over all pairs, and what must and must not change them."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aftertune.report.paper.tables import printed
from aftertune.stats import pairs as module
from aftertune.stats.pairs import (
    ALL,
    BLOCK,
    NONE,
    WORDS,
    Above,
    PairChanges,
    case1_prevalence,
    mean_shares,
    pair_changes,
    pairs_of_each,
    set_of,
    size,
)
from eight_items import CONFIDENCE, MEAN_PAIR_SHARES, PAIRS, QUALITY, output_same, quality_same

CELLS = ("stays", "case1", "both_flip", "case2")


def brute_force(q_from, c_from, q_to, c_to, output_same, quality_same) -> PairChanges:
    """The definitions, pair by pair."""
    found = dict.fromkeys(
        (*CELLS, "n_tied", "output_unchanged", "quality_unchanged", "case1_back", "case2_back"), 0
    )
    for a in range(len(q_from)):
        for b in range(len(q_from)):
            if q_to[a] < q_to[b] and c_to[a] < c_to[b]:
                found["case1_back"] += bool(q_from[a] < q_from[b] and c_from[a] > c_from[b])
                found["case2_back"] += bool(q_from[a] > q_from[b] and c_from[a] < c_from[b])
            if not (q_from[a] < q_from[b] and c_from[a] < c_from[b]):
                continue
            if q_to[a] == q_to[b] or c_to[a] == c_to[b]:
                found["n_tied"] += 1
            elif q_to[a] < q_to[b]:
                found["stays" if c_to[a] < c_to[b] else "case1"] += 1
            else:
                found["case2" if c_to[a] < c_to[b] else "both_flip"] += 1
            if q_to[a] < q_to[b] and c_to[a] > c_to[b]:
                for name, same in (("output_unchanged", output_same), ("quality_unchanged", quality_same)):
                    worse_rose = same[a] and c_to[a] > c_from[a]
                    better_fell = same[b] and c_to[b] < c_from[b]
                    found[name] += bool(worse_rose or better_fell)
    return PairChanges(**found)


def count(q_from, c_from, q_to, c_to, output_same, quality_same) -> PairChanges:
    return pair_changes(q_from, c_from, q_to, c_to, output_same=output_same, quality_same=quality_same)


def columns(values: st.SearchStrategy[float], max_size: int = 40) -> st.SearchStrategy[list[np.ndarray]]:
    """Quality and confidence at two checkpoints, and two columns of flags, of as many items."""
    item = st.tuples(values, values, values, values, st.booleans(), st.booleans())
    return st.lists(item, max_size=max_size).map(_transposed)


def _transposed(items: list[tuple]) -> list[np.ndarray]:
    numbers = np.array([item[:4] for item in items], dtype=float).reshape(-1, 4).T
    flags = np.array([item[4:] for item in items], dtype=bool).reshape(-1, 2).T
    return [*numbers, *flags]


TIED = columns(st.integers(0, 4).map(float))
VARIED = columns(st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 1.0]), max_size=15)


@pytest.mark.parametrize("epochs", PAIRS, ids=str)
def test_eight_items_by_hand(epochs: tuple[int, int]) -> None:
    before, after = epochs
    found = count(
        QUALITY[before],
        CONFIDENCE[before],
        QUALITY[after],
        CONFIDENCE[after],
        output_same(before, after),
        quality_same(before, after),
    )
    assert {name: getattr(found, name) for name in PAIRS[epochs]} == PAIRS[epochs]


def test_mean_shares_of_eight_items_by_hand() -> None:
    found = mean_shares(pair_changes(QUALITY[t], CONFIDENCE[t], QUALITY[t + 1], CONFIDENCE[t + 1]) for t in (1, 2))
    assert asdict(found) == pytest.approx(MEAN_PAIR_SHARES)


@given(TIED)
@settings(max_examples=300, deadline=None)
def test_equals_brute_force_with_heavy_ties(given_columns: list[np.ndarray]) -> None:
    assert count(*given_columns) == brute_force(*given_columns)


@given(VARIED)
@settings(max_examples=200, deadline=None)
def test_equals_brute_force_with_few_ties(given_columns: list[np.ndarray]) -> None:
    assert count(*given_columns) == brute_force(*given_columns)


@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 300])
@pytest.mark.parametrize("levels", [2, 40, 10_000])
def test_over_several_blocks(n: int, levels: int) -> None:
    """All pairs at once, as n × n arrays."""
    rng = np.random.default_rng(n + levels)
    q, c, q_to, c_to = rng.integers(0, levels, (4, n)).astype(float)
    same = rng.random((2, n)) < 0.4
    a, b = np.nonzero((q[:, None] < q) & (c[:, None] < c))
    dq, dc = np.sign(q_to[b] - q_to[a]), np.sign(c_to[b] - c_to[a])
    later = (q_to[:, None] < q_to) & (c_to[:, None] < c_to)
    q_before, c_before = np.sign(q - q[:, None])[later], np.sign(c - c[:, None])[later]
    case1 = (dq > 0) & (dc < 0)
    unchanged = [int((case1 & ((s & (c_to > c))[a] | (s & (c_to < c))[b])).sum()) for s in same]
    assert count(q, c, q_to, c_to, *same) == PairChanges(
        stays=int(((dq > 0) & (dc > 0)).sum()),
        case1=int(case1.sum()),
        both_flip=int(((dq < 0) & (dc < 0)).sum()),
        case2=int(((dq < 0) & (dc > 0)).sum()),
        n_tied=int((dq * dc == 0).sum()),
        output_unchanged=unchanged[0],
        quality_unchanged=unchanged[1],
        case1_back=int(((q_before > 0) & (c_before < 0)).sum()),
        case2_back=int(((q_before < 0) & (c_before > 0)).sum()),
    )


def test_small_blocks_give_the_same_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    given_columns = [*rng.integers(0, 9, (4, 200)).astype(float), *(rng.random((2, 200)) < 0.5)]
    whole = count(*given_columns)
    monkeypatch.setattr(module, "BLOCK", 7)
    assert count(*given_columns) == whole


def test_where_nothing_changes_all_pairs_stay_as_kendall_counts_them() -> None:
    rng = np.random.default_rng(2)
    q, c = rng.normal(size=(2, 150))
    found = pair_changes(q, c, q, c)
    # Without ties, tau = (concordant − discordant) / all.
    n_pairs = 150 * 149 / 2
    assert found.stays == found.n_correlated == round(n_pairs * (1 + stats.kendalltau(q, c).statistic) / 2)


@given(TIED, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_of_items_does_not_matter(given_columns: list[np.ndarray], random) -> None:
    order = list(range(len(given_columns[0])))
    random.shuffle(order)
    assert count(*(column[order] for column in given_columns)) == count(*given_columns)


@given(TIED)
@settings(deadline=None)
def test_increasing_transforms_change_nothing(given_columns: list[np.ndarray]) -> None:
    """Of each column by itself; for the unchanged pairs, of confidence by one and the same transform."""
    q, c, q_to, c_to, *same = given_columns
    assert count(np.exp(q), c**3 - 5, q_to + 100, c_to**3 - 5, *same) == count(*given_columns)
    by_itself = pair_changes(q, np.exp(c), q_to, 7 * c_to - 100)
    assert by_itself == replace(count(*given_columns), output_unchanged=None, quality_unchanged=None)


@given(TIED)
@settings(deadline=None)
def test_what_other_orders_of_the_same_items_exchange(given_columns: list[np.ndarray]) -> None:
    q, c, q_to, c_to, *_ = given_columns
    there = pair_changes(q, c, q_to, c_to)
    # Time turned around: a pair that stays was correlated at both ends; one of which both flip is correlated at
    # the other end with its items exchanged. Case 1 and 2 are not correlated at the other end.
    back = pair_changes(q_to, c_to, q, c)
    assert (back.stays, back.both_flip) == (there.stays, there.both_flip)
    assert (back.case1, back.case2) == (there.case1_back, there.case2_back)
    assert (back.case1_back, back.case2_back) == (there.case1, there.case2)
    # Everything upside down: the items of each pair are exchanged.
    assert pair_changes(-q, -c, -q_to, -c_to) == there
    # Quality and confidence exchanged: so are the cases.
    assert pair_changes(c, q, c_to, q_to) == replace(
        there,
        case1=there.case2,
        case2=there.case1,
        case1_back=there.case2_back,
        case2_back=there.case1_back,
    )
    # Confidence of the other checkpoint upside down: what kept its order flips.
    turned = replace(there, stays=there.case1, case1=there.stays, both_flip=there.case2, case2=there.both_flip)
    found = pair_changes(q, c, q_to, -c_to)
    assert replace(found, case1_back=there.case1_back, case2_back=there.case2_back) == turned


def test_constant_quality_or_confidence_has_no_pairs() -> None:
    flat, steps = np.zeros(5), np.arange(5.0)
    for found in (pair_changes(flat, steps, steps, steps), pair_changes(steps, flat, steps, steps)):
        assert found.n_correlated == 0
    for found in (pair_changes(steps, steps, flat, steps), pair_changes(steps, steps, steps, flat)):
        assert (found.n_correlated, found.n_tied) == (10, 10)
        assert math.isnan(mean_shares([found]).stays)


@pytest.mark.parametrize("n", [0, 1])
def test_without_pairs(n: int) -> None:
    one, flags = np.zeros(n), np.zeros(n, dtype=bool)
    found = count(one, one, one, one, flags, flags)
    assert set(asdict(found).values()) == {0}


@given(TIED)
@settings(deadline=None)
def test_pairs_of_each_item_are_all_pairs_twice(given_columns: list[np.ndarray]) -> None:
    of_each = pairs_of_each(*given_columns[:4])
    assert of_each.shape == (6, len(given_columns[0]))
    assert (of_each.sum(axis=1) == 2 * pair_changes(*given_columns[:4]).both_ways).all()


def test_pairs_of_one_item_are_those_lost_without_it() -> None:
    columns_of_40 = np.random.default_rng(3).integers(0, 6, (4, 40)).astype(float)
    all_pairs, of_each = pair_changes(*columns_of_40).both_ways, pairs_of_each(*columns_of_40)
    for i in range(40):
        without = pair_changes(*np.delete(columns_of_40, i, axis=1)).both_ways
        assert (all_pairs - without == of_each[:, i]).all()


def test_mean_shares_leave_transitions_without_untied_pairs_out() -> None:
    empty = PairChanges(stays=0, case1=0, both_flip=0, case2=0, n_tied=4)
    one = PairChanges(stays=1, case1=1, both_flip=1, case2=1, n_tied=0)
    many = PairChanges(stays=700, case1=200, both_flip=100, case2=0, n_tied=9)
    found = mean_shares([one, empty, many])
    assert found.transitions == 2
    shares = (found.stays, found.case1, found.both_flip, found.case2)
    assert shares == pytest.approx((0.475, 0.225, 0.175, 0.125))
    nothing = mean_shares([empty])
    assert nothing.transitions == 0
    assert all(math.isnan(getattr(nothing, cell)) for cell in CELLS)


def test_what_was_not_given_is_not_counted() -> None:
    q, c, q_to, c_to = QUALITY[1], CONFIDENCE[1], QUALITY[2], CONFIDENCE[2]
    by_quality = pair_changes(q, c, q_to, c_to, quality_same=quality_same(1, 2))
    assert (by_quality.output_unchanged, by_quality.quality_unchanged) == (None, 2)
    by_output = pair_changes(q, c, q_to, c_to, output_same=output_same(1, 2))
    assert (by_output.output_unchanged, by_output.quality_unchanged) == (1, None)


def test_what_is_refused() -> None:
    x = np.arange(3.0)
    with pytest.raises(ValueError, match="finite"):
        pair_changes(x, x, [0.0, np.nan, 1.0], x)
    with pytest.raises(ValueError, match="shape"):
        pair_changes(x, x, x, x[:2])
    with pytest.raises(ValueError, match=r"must be \(3,\) booleans"):
        pair_changes(x, x, x, x, output_same=[True, False])
    with pytest.raises(ValueError, match="booleans"):
        pair_changes(x, x, x, x, quality_same=[0, 1, 2])


def members(bits: np.ndarray) -> list[int]:
    return np.flatnonzero(np.unpackbits(bits.view(np.uint8))).tolist()


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


@pytest.mark.parametrize(("number", "mean", "larger"), [(4, 0.686, 9), (10, 0.526, 6)])
def test_the_paper_s_printed_tables(number: int, mean: float, larger: int) -> None:
    """Tables 4 and 10; the text says 68.5 % and 10 of 12, 52.1 % and 6 of 12."""
    found = case1_prevalence(printed(number)["case1"], printed(number)["case2"])
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
def test_what_is_refused_of_cases(case1: list, case2: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        case1_prevalence(case1, case2)
