"""The item level: tables on the page, items that are shown, and what the figures draw."""

from __future__ import annotations

import math
from math import nan

import numpy as np
import pytest

from aftertune.analysis.checkpoints import settings_of
from aftertune.analysis.schema import CASE1, PAIRS, SIMILARITY, Analysis, Row
from aftertune.report.items import (
    PairsOfItems,
    examples,
    featured,
    item_changes,
    item_spreads,
    pairs_of_items,
    prevalence_sentences,
    similarities,
    unchanged_shares,
)
from aftertune.report.series import panels
from aftertune.report.summary import summarise
from aftertune.report.verdicts import groups
from aftertune.stats.pairs import PairShares
from report_rows import both, row


def pair(from_: float, to: float, *counts: int, **values: object) -> Row:
    cells = dict(zip(("stays", "case1", "both_flip", "case2", "n_tied"), counts, strict=True))
    return row(PAIRS, from_epoch=from_, to_epoch=to, n_correlated=sum(counts), **cells, **values)


def case1(from_: float, n: int, output: int | None, quality: int) -> Row:
    counts = {"n_case1": n, "output_unchanged": output, "quality_unchanged": quality}
    return row(CASE1, from_epoch=from_, to_epoch=from_ + 1, **counts)


def similarity(seed: int, epoch: float, rho: float, **values: object) -> Row:
    base = {"n": 50, "p": 0.01, "p_holm": 0.04, "quality_spearman": 0.5, "quality_given_similarity": 0.4}
    return row(SIMILARITY, **base | values, seed=seed, epoch=epoch, spearman=rho)


def test_means_over_transitions_from_epoch_1() -> None:
    rows = [
        pair(0, 1, 90, 5, 5, 0, 0),  # from before fine-tuning: not counted
        pair(1, 2, 6, 2, 1, 1, 10),
        pair(2, 3, 5, 0, 0, 0, 0),
        pair(1, 2, 1, 1, 0, 2, 4, seed=1),
        pair(2, 3, 0, 0, 0, 0, 8, seed=1),  # nothing but ties: no share, but a part of "tied"
        pair(3, 4, 0, 0, 0, 0, 0, seed=1),  # no relatively correlated pair
        pair(3, 17, 9, 9, 9, 9, 9),  # a late checkpoint
        pair(1.5, 2.5, 9, 9, 9, 9, 9),
    ]
    (found,) = pairs_of_items(rows)
    assert (found.key, found.score, found.mean.transitions) == (("m", "t", "default"), "s", 3)
    assert (found.mean.stays, found.mean.case1, found.mean.both_flip, found.mean.case2) == pytest.approx(
        ((0.6 + 1 + 0.25) / 3, (0.2 + 0 + 0.25) / 3, 0.1 / 3, (0.1 + 0.5) / 3)
    )
    assert found.tied == pytest.approx((10 / 20 + 0 + 4 / 8 + 8 / 8) / 4)
    assert found.case1_share == pytest.approx(0.45 / 1.05)
    assert pairs_of_items([pair(0, 1, 1, 1, 1, 1, 1)]) == []


def test_nothing_but_ties_is_undefined() -> None:
    (found,) = pairs_of_items([pair(1, 2, 0, 0, 0, 0, 3)])
    assert math.isnan(found.mean.stays)
    assert math.isnan(found.case1_share)
    assert found.tied == 1
    (found,) = pairs_of_items([pair(1, 2, 3, 0, 0, 0, 0)])
    assert math.isnan(found.case1_share)


def test_prevalence_of_case_1() -> None:
    def shares(score: str, case1: float, case2: float) -> PairsOfItems:
        mean = PairShares(transitions=1, stays=0.5, case1=case1, both_flip=0.0, case2=case2)
        return PairsOfItems(key=("m", "t", "n"), score=score, mean=mean, tied=0.0)

    rows = [shares("s", 0.3, 0.1), shares("s", 0.1, 0.1), shares("s", nan, nan), shares("u", 0.1, 0.2)]
    assert list(prevalence_sentences(rows, ["s", "u"])) == [
        "By s, case 1 is larger than case 2 in 1 and as large in 1 of 2 rows, and on average 62.5 % of the pairs "
        "that became miscorrelated."
    ]


def test_case_1_without_change() -> None:
    rows = [case1(1, 4, 1, 2), case1(2, 10, 10, 10), case1(3, 0, 0, 0), case1(0, 2, 2, 2)]
    (found,) = unchanged_shares(rows)
    assert (found.output, found.quality, found.n_transitions) == pytest.approx((0.625, 0.75, 2))
    (found,) = unchanged_shares([case1(1, 4, None, 2)])
    assert math.isnan(found.output)
    assert found.quality == 0.5


def test_similarity_at_the_last_checkpoint_of_each_seed() -> None:
    rows = [
        similarity(0, 0, 0.9),
        similarity(0, 10, 0.1, p_holm=0.2),
        similarity(1, 8, 0.3),
        similarity(2, 10, nan, p=nan, p_holm=nan, status="confidence is constant"),
    ]
    (found,), reasons = similarities(rows)
    assert (found.rho, found.n_significant, found.n_seeds) == (pytest.approx(0.2), 1, 2)
    assert (found.quality_rho, found.given_similarity) == pytest.approx((0.5, 0.4))
    assert math.isnan(found.p)
    assert reasons == ["m on t: confidence is constant"]
    (found,), reasons = similarities(rows[:1])
    assert (found.p, reasons) == (0.01, [])


def items(analysis: Analysis):
    return summarise(analysis).items


# Items that moved most.


def shown(changes, items) -> list[tuple[str, str]]:
    analysis = Analysis.of(change=both(changes), moved_items=tuple(items))
    return [(item.item_id, item.side) for item in examples(analysis, groups(analysis))]


def test_one_to_each_side_by_the_most_degraded_score(make_change, make_moved) -> None:
    changes = [
        make_change("s", verdict="degraded", mean=-0.1),
        make_change("worst", verdict="degraded", mean=-0.3),
        make_change("lower", verdict="inconclusive", mean=-0.5),
    ]
    items = [
        make_moved("i1", "overconfident", 0.4, score="worst"),
        make_moved("i2", "overconfident", 0.5, score="worst"),
        make_moved("i3", "overconfident", 0.9, score="s"),
        make_moved("i4", "underconfident", 0.1, score="s"),
        make_moved("i5", "underconfident", 0.9, score="lower"),
    ]
    assert shown(changes, items) == [("i2", "overconfident"), ("i4", "underconfident")]
    assert shown(changes[2:], items) == [("i5", "underconfident")]


def test_only_of_the_comparison_and_with_both_outputs(make_change, make_moved) -> None:
    items = [
        make_moved("i1", "overconfident", 0.9, output_from=None),
        make_moved("i2", "overconfident", 0.8, output_to=None),
        make_moved("i3", "overconfident", 0.7, from_="epoch_1", to="last"),
        make_moved("i4", "overconfident", 0.6, task="another"),
        make_moved("i5", "overconfident", 0.5, output_to=""),
    ]
    assert shown([make_change("s")], items) == [("i5", "overconfident")]
    assert shown([make_change("s")], items[:4]) == []
    assert shown([], items) == []


# Changes of single items, on the items that all training runs have.


KEY = ("m", "t", "default")


def test_two_seeds_by_hand(make_items) -> None:
    records = make_items(
        {(0, 1): [0, 1, 1, 0, 1], (0, 2): [1, 0, 1, 0, 1], (1, 1): [0, 1, 0, 0], (1, 2): [1, 0, nan, 0]},
        {"s": {(0, 1): [5, 5, 5, 5, 5], (0, 2): [4, 6, 7, 8, 9], (1, 1): [5, 5, 5, 5], (1, 2): [6, 7, 8, 5]}},
        selected=[(0, 2)],
    )
    (found,) = item_changes(settings_of(records), "epoch_1", "last")
    # i2 has no quality in seed 1, i4 is not in seed 1: i0, i1 and i3 of both seeds are left
    assert (found.key, found.score, found.n_items, found.n_seeds) == (KEY, "s", 3, 2)
    np.testing.assert_array_equal(found.dq, [1, -1, 0, 1, -1, 0])
    np.testing.assert_array_equal(found.dc, [-1, 1, 3, 1, 2, 0])
    q = found.quadrants
    shares = (q.overconfident_share, q.underconfident_share, q.concordant_share, q.tied_share)
    assert shares == pytest.approx((2 / 6, 1 / 6, 3 / 6, 2 / 6))
    assert item_changes(settings_of(records), "before", "selected") == ()


def test_only_runs_that_have_both_checkpoints(make_items) -> None:
    quality = {(0, 0): [0, 0], (0, 3): [1, 0], (1, 3): [0, 0]}
    records = make_items(quality, {"s": quality}, selected=[(0, 3), (1, 3)])
    (found,) = item_changes(settings_of(records), "before", "selected")
    assert (found.n_seeds, found.n_items, found.dq.tolist()) == (1, 2, [1.0, 0.0])


def test_one_checkpoint_is_no_change(make_items) -> None:
    quality = {(0, 1): [0, 1], (1, 1): [1, 0]}
    records = make_items(quality, {"s": quality}, selected=[(0, 1), (1, 1)])
    assert item_changes(settings_of(records), "epoch_1", "last") == ()
    before = {(0, 0): [0, 1]}
    assert (
        item_changes(settings_of(make_items(before, {"s": before}, selected=[(0, 0)])), "before", "selected") == ()
    )


def test_no_item_in_common_or_no_value(make_items) -> None:
    quality = {(0, 1): [0, 1], (0, 2): [1, 0]}
    nothing = {at: [nan, nan] for at in quality}
    records = make_items(quality, {"none": nothing, "s": quality})
    assert [found.score for found in item_changes(settings_of(records), "epoch_1", "last")] == ["s"]
    apart = {(0, 1): [0, 1], (0, 2): [1, 0], (1, 1): [0, 1], (1, 2): [1, 0]}
    ids = np.array([f"seed {k // 4} item {k % 2}" for k in range(8)], dtype=object)
    assert item_changes(settings_of(make_items(apart, {"s": apart}, item_id=ids)), "epoch_1", "last") == ()


def changes(make_items, **dc: list[float]):
    """Quality of four items falls, falls, rises, rises."""
    quality = {(0, 1): [1, 1, 0, 0], (0, 2): [0, 0, 1, 1]}
    scores = {name: {(0, 1): [0] * 4, (0, 2): values} for name, values in dc.items()}
    return item_changes(settings_of(make_items(quality, scores)), "epoch_1", "last")


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


# Quantiles of a score over the items, by epoch.


def spreads(make_items, make_correlation, values, *, selected=(), scores=("s",)):
    records = make_items({at: [0.0] * len(own) for at, own in values.items()}, {"s": values}, selected=selected)
    rows = [
        make_correlation("s", epoch, 0.1, seed=seed, selected=(seed, epoch) in selected) for seed, epoch in values
    ]
    (panel,), (setting,) = panels(Analysis.of(correlation=tuple(rows))), settings_of(records)
    return item_spreads([(panel, setting)], scores)


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
