"""Quantiles of a score over the items, by epoch."""

from __future__ import annotations

from math import nan

import numpy as np

from aftertune.analysis.schema import Analysis
from aftertune.report.item_spread import item_spreads
from aftertune.report.series import panels


def spreads(make_items, make_correlation, values, *, selected=(), scores=("s",)):
    records = make_items({at: [0.0] * len(own) for at, own in values.items()}, {"s": values}, selected=selected)
    rows = [
        make_correlation("s", epoch, 0.1, seed=seed, selected=(seed, epoch) in selected) for seed, epoch in values
    ]
    return item_spreads(records, panels(Analysis.of(correlation=tuple(rows))), scores)


def test_quantiles_by_hand(make_items, make_correlation) -> None:
    values = {
        (0, 0): list(range(21)),  # quantiles of 0 … 20 at 5, 25, 50, 75, 95 %: 1, 5, 10, 15, 19
        (1, 0): [10.0 + k for k in range(21)],
        (0, 1): [2.0, nan, 4.0],  # 2.1, 2.5, 3, 3.5, 3.9
        (0, 2): [7.0, 7.0, 7.0],
    }
    (found,) = spreads(make_items, make_correlation, values)
    np.testing.assert_array_equal(found.epoch, [0, 1, 2])
    np.testing.assert_allclose(
        found.quantiles, [[6, 10, 15, 20, 24], [2.1, 2.5, 3, 3.5, 3.9], [7, 7, 7, 7, 7]], atol=1e-12
    )
    assert found.n_items == (2, 21)


def test_three_whole_epochs_are_needed(make_items, make_correlation) -> None:
    three = {(0, epoch): [1.0, 2.0, 3.0] for epoch in (0, 0.5, 1, 2)}
    (found,) = spreads(make_items, make_correlation, three)
    np.testing.assert_array_equal(found.epoch, [0, 0.5, 1, 2])
    assert spreads(make_items, make_correlation, {at: v for at, v in three.items() if at[1] != 1}) == ()
    undefined = three | {(0, 1): [nan, nan, nan]}
    assert spreads(make_items, make_correlation, undefined) == ()
    assert spreads(make_items, make_correlation, three, scores=("another",)) == ()


def test_a_late_epoch_is_left_out(make_items, make_correlation) -> None:
    values = {(seed, epoch): [1.0, 2.0] for seed in (0, 1) for epoch in (0, 1, 2)} | {(1, 9): [5.0, 6.0]}
    (found,) = spreads(make_items, make_correlation, values, selected=[(0, 1), (1, 9)])
    np.testing.assert_array_equal(found.epoch, [0, 1, 2])
    few = {at: v for at, v in values.items() if at[1] != 2}
    assert spreads(make_items, make_correlation, few, selected=[(0, 1), (1, 9)]) == ()


def test_an_epoch_without_the_score_is_undefined(make_items, make_correlation) -> None:
    values = {(0, epoch): [1.0, 2.0] for epoch in (0, 1, 2, 3)} | {(0, 1): [nan, nan]}
    (found,) = spreads(make_items, make_correlation, values)
    assert np.isnan(found.quantiles[1]).all()
    assert np.isfinite(found.quantiles[[0, 2, 3]]).all()
