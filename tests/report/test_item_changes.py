"""Changes of single items, on the items that all training runs have."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from aftertune.report.featured import featured
from aftertune.report.item_changes import item_changes

KEY = ("m", "t", "default")


def test_two_seeds_by_hand(make_items) -> None:
    records = make_items(
        {(0, 1): [0, 1, 1, 0, 1], (0, 2): [1, 0, 1, 0, 1], (1, 1): [0, 1, 0, 0], (1, 2): [1, 0, nan, 0]},
        {"s": {(0, 1): [5, 5, 5, 5, 5], (0, 2): [4, 6, 7, 8, 9], (1, 1): [5, 5, 5, 5], (1, 2): [6, 7, 8, 5]}},
        selected=[(0, 2)],
    )
    (found,) = item_changes(records, [KEY, ("other", "t", "default")], "epoch_1", "last")
    # i2 has no quality in seed 1, i4 is not in seed 1: i0, i1 and i3 of both seeds are left
    assert (found.key, found.score, found.n_items, found.n_seeds) == (KEY, "s", 3, 2)
    np.testing.assert_array_equal(found.dq, [1, -1, 0, 1, -1, 0])
    np.testing.assert_array_equal(found.dc, [-1, 1, 3, 1, 2, 0])
    q = found.quadrants
    shares = (q.overconfident_share, q.underconfident_share, q.concordant_share, q.tied_share)
    assert shares == pytest.approx((2 / 6, 1 / 6, 3 / 6, 2 / 6))
    assert item_changes(records, [KEY], "before", "selected") == ()


def test_only_runs_that_have_both_checkpoints(make_items) -> None:
    quality = {(0, 0): [0, 0], (0, 3): [1, 0], (1, 3): [0, 0]}
    records = make_items(quality, {"s": quality}, selected=[(0, 3), (1, 3)])
    (found,) = item_changes(records, [KEY], "before", "selected")
    assert (found.n_seeds, found.n_items, found.dq.tolist()) == (1, 2, [1.0, 0.0])


def test_one_checkpoint_is_no_change(make_items) -> None:
    quality = {(0, 1): [0, 1], (1, 1): [1, 0]}
    records = make_items(quality, {"s": quality}, selected=[(0, 1), (1, 1)])
    assert item_changes(records, [KEY], "epoch_1", "last") == ()
    before = {(0, 0): [0, 1]}
    assert item_changes(make_items(before, {"s": before}, selected=[(0, 0)]), [KEY], "before", "selected") == ()


def test_no_item_in_common_or_no_value(make_items) -> None:
    quality = {(0, 1): [0, 1], (0, 2): [1, 0]}
    nothing = {at: [nan, nan] for at in quality}
    records = make_items(quality, {"none": nothing, "s": quality})
    assert [found.score for found in item_changes(records, [KEY], "epoch_1", "last")] == ["s"]
    apart = {(0, 1): [0, 1], (0, 2): [1, 0], (1, 1): [0, 1], (1, 2): [1, 0]}
    ids = np.array([f"seed {k // 4} item {k % 2}" for k in range(8)], dtype=object)
    assert item_changes(make_items(apart, {"s": apart}, item_id=ids), [KEY], "epoch_1", "last") == ()


def changes(make_items, **dc: list[float]):
    """Quality of four items falls, falls, rises, rises."""
    quality = {(0, 1): [1, 1, 0, 0], (0, 2): [0, 0, 1, 1]}
    scores = {name: {(0, 1): [0] * 4, (0, 2): values} for name, values in dc.items()}
    return item_changes(make_items(quality, scores), [KEY], "epoch_1", "last")


def test_the_papers_scores_are_featured(make_items) -> None:
    up, down = [1.0] * 4, [-1.0] * 4
    found = featured(changes(make_items, a=up, dropout_bleu_variance=up, mean_token_logprob=up, b=down))
    assert found.scores == ("mean_token_logprob", "dropout_bleu_variance")
    assert found.remarks == {}


def test_else_those_that_went_wrong_most(make_items) -> None:
    over, under, concordant = [1.0, 1, 1, 1], [-1.0, -1, -1, -1], [-1.0, -1, 1, 1]
    found = featured(changes(make_items, c=concordant, u=under, o=over))
    assert found.scores == ("o", "u")
    assert "over-confident" in found.remarks["o"]
    assert "under-confident" in found.remarks["u"]
    found = featured(changes(make_items, c=concordant, u=under, dropout_bleu_variance=over))
    assert found.scores == ("c", "dropout_bleu_variance")  # neither c nor u has an over-confident item: by name
    assert featured(changes(make_items, only=over)).scores == ("only",)
    assert featured(changes(make_items, only=over)).remarks == {}
    assert featured([]).scores == ()
