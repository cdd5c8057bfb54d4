"""The items that moved apart, by hand and against a plain search."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from aftertune.analysis.analyse import analyse
from aftertune.types import Records
from record_samples import checkpoint, study, together


def four() -> Records:
    """Before and after: B becomes over-confident, C under-confident; A stays, D falls in both."""
    ids = list("ABCD")
    before = checkpoint(
        np.array([1.0, 4.0, 2.0, 3.0]),
        {"s": np.array([1.0, 2.0, 4.0, 3.0])},
        ids=ids,
        output=["a", "b", "c", "d"],
        references=[("ra",), ("rb", "rb2"), ("rc",), ("rd",)],
        extra={"input": ["qa", "qb", "qc", 7]},
    )
    after = checkpoint(
        np.array([1.0, 0.0, 4.0, 2.0]),
        {"s": np.array([1.0, 5.0, 0.0, 2.0])},
        ids=ids,
        epoch=1,
        selected=True,
        output=["a", "b!", "c!", "d!"],
    )
    return together(before, after)


def test_by_hand() -> None:
    over, under = analyse(four(), resamples=20).rows("moved_items")
    assert (over.from_, over.to, over.side, over.seed) == ("before", "selected", "overconfident", 0)
    assert (over.item_id, over.input, over.references) == ("B", "qb", ("rb", "rb2"))
    assert (over.output_from, over.output_to) == ("b", "b!")
    assert (over.quality_from, over.quality_to, over.confidence_from, over.confidence_to) == (4, 0, 2, 5)
    ranks = over.quality_rank_from, over.quality_rank_to, over.confidence_rank_from, over.confidence_rank_to
    assert ranks == pytest.approx((1, 0, 1 / 3, 1))
    assert over.move == pytest.approx(2 / 3)
    assert (under.item_id, under.side) == ("C", "underconfident")
    ranks = under.quality_rank_from, under.quality_rank_to, under.confidence_rank_from, under.confidence_rank_to
    assert ranks == pytest.approx((1 / 3, 1, 1, 0))
    assert under.move == pytest.approx(2 / 3)


def test_texts_that_are_not_there() -> None:
    records = four()
    records.output[:] = None
    records.references[:] = None
    records.extra["input"][:] = None
    over, _ = analyse(records, resamples=20).rows("moved_items")
    assert (over.input, over.references, over.output_from, over.output_to) == (None, (), None, None)


@pytest.mark.parametrize(
    ("chosen", "pairs"),
    [
        (2, [("before", "selected"), ("epoch_1", "last")]),
        (3, [("before", "selected"), ("epoch_1", "selected")]),
        (-1, [("before", "last"), ("epoch_1", "last")]),
    ],
)
def test_two_pairs_of_checkpoints_five_a_side(chosen: int, pairs: list[tuple[str, str]]) -> None:
    moved = analyse(study(chosen=chosen), resamples=20).rows("moved_items")
    assert [(m.score, m.from_, m.to, m.side) for m in moved] == [
        (score, *pair, side)
        for score in ("up", "down")
        for pair in sorted(pairs, key=lambda pair: pair[1] == "last" and pair[0] == "epoch_1")
        for side in ("overconfident", "underconfident")
        for _ in range(5)
    ]


def test_against_a_plain_search_over_all_runs() -> None:
    records = study(n=40)
    moved = [
        m for m in analyse(records, resamples=20).rows("moved_items") if (m.score, m.to) == ("up", "selected")
    ]
    best: dict[tuple[str, str], tuple[float, int]] = {}
    for seed in range(3):
        ends = [(records.seed == seed) & (records.epoch == epoch) for epoch in (0, 2)]
        c, q = ([values[at] for at in ends] for values in (records.scores["up"], records.quality))
        rank = {name: [(rankdata(v) - 1) / 39 for v in values] for name, values in (("c", c), ("q", q))}
        for i in range(40):
            rise, fall = rank["c"][1][i] - rank["c"][0][i], rank["q"][0][i] - rank["q"][1][i]
            if c[1][i] > c[0][i] and q[1][i] < q[0][i] and rise > 0 and fall > 0:
                side = "overconfident"
            elif c[1][i] < c[0][i] and q[1][i] > q[0][i] and rise < 0 and fall < 0:
                side = "underconfident"
            else:
                continue
            key = side, f"item-{i}"
            best[key] = max(best.get(key, (0.0, 0)), (rise * fall, seed))
    for side in ("overconfident", "underconfident"):
        expected = sorted(
            ((move, item, seed) for (s, item), (move, seed) in best.items() if s == side), reverse=True
        )
        found = [(m.move, m.item_id, m.seed) for m in moved if m.side == side]
        assert [item for _, item, _ in found] == [item for _, item, _ in expected[:5]]
        assert [seed for *_, seed in found] == [seed for *_, seed in expected[:5]]
        assert [move for move, *_ in found] == pytest.approx([move for move, *_ in expected[:5]])


def test_the_order_of_records_does_not_matter() -> None:
    records = four()
    shuffled = records.take(np.random.default_rng(1).permutation(len(records)))
    assert analyse(shuffled, resamples=20).rows("moved_items") == analyse(records, resamples=20).rows(
        "moved_items"
    )
