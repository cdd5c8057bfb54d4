"""Shares of pairs and what else the page says of item-level tables."""

from __future__ import annotations

import math
from math import nan

import pytest

from aftertune.analysis.schema import CASE1, DIRECTION, PAIRS, SIMILARITY, Analysis, Row
from aftertune.report.dynamics import (
    MOST_ROWS,
    PairShares,
    dynamics,
    pair_shares,
    prevalence_sentences,
    similarities,
    unchanged_shares,
)

BASE = {"model": "m", "task": "t", "setting": "default", "score": "s", "seed": 0}


def pair(from_: float, to: float, *counts: int, **values: object) -> Row:
    stays, case1, both_flip, case2, n_tied = counts
    return PAIRS.row(
        **BASE
        | {"from_epoch": from_, "to_epoch": to, "n_correlated": sum(counts), "stays": stays, "case1": case1,
           "both_flip": both_flip, "case2": case2, "n_tied": n_tied}
        | values
    )  # fmt: skip


def case1(from_: float, n: int, output: int | None, quality: int, **values: object) -> Row:
    return CASE1.row(
        **BASE
        | {"from_epoch": from_, "to_epoch": from_ + 1, "n_case1": n, "output_unchanged": output,
           "quality_unchanged": quality}
        | values
    )  # fmt: skip


def similarity(seed: int, epoch: float, rho: float, **values: object) -> Row:
    return SIMILARITY.row(
        **BASE
        | {"seed": seed, "epoch": epoch, "n": 50, "spearman": rho, "p": 0.01, "p_holm": 0.04,
           "quality_spearman": 0.5, "quality_given_similarity": 0.4, "status": ""}
        | values
    )  # fmt: skip


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
    (found,) = pair_shares(rows)
    assert (found.name, found.score, found.n_transitions) == ("m on t", "s", 3)
    assert (found.stays, found.case1, found.both_flip, found.case2) == pytest.approx(
        ((0.6 + 1 + 0.25) / 3, (0.2 + 0 + 0.25) / 3, 0.1 / 3, (0.1 + 0.5) / 3)
    )
    assert found.tied == pytest.approx((10 / 20 + 0 + 4 / 8 + 8 / 8) / 4)
    assert found.case1_share == pytest.approx(0.45 / 1.05)
    assert pair_shares([pair(0, 1, 1, 1, 1, 1, 1)]) == []


def test_nothing_but_ties_is_undefined() -> None:
    (found,) = pair_shares([pair(1, 2, 0, 0, 0, 0, 3)])
    assert math.isnan(found.stays)
    assert math.isnan(found.case1_share)
    assert found.tied == 1
    (found,) = pair_shares([pair(1, 2, 3, 0, 0, 0, 0)])
    assert math.isnan(found.case1_share)


def test_prevalence_of_case_1() -> None:
    def shares(score: str, case1: float, case2: float) -> PairShares:
        return PairShares(
            name="n", score=score, stays=0.5, case1=case1, both_flip=0.0, case2=case2, tied=0.0, n_transitions=1
        )

    rows = [shares("s", 0.3, 0.1), shares("s", 0.1, 0.1), shares("s", nan, nan), shares("u", 0.1, 0.2)]
    assert prevalence_sentences(rows, ["s", "u"]) == [
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


def test_long_tables_show_the_papers_scores_first() -> None:
    rows = tuple(
        DIRECTION.row(
            model=f"m{i}", task="t", setting="default", score=score, n=1, confidence_not_increased=50.0,
            increased_quality_not_improved=25.0, both_increased=25.0, n_transitions=1,
        )
        for i in range(MOST_ROWS)
        for score in ("a", "mean_token_logprob")
    )  # fmt: skip
    found = dynamics(Analysis.of(direction=rows))
    assert {row.score for row in found.directions.shown} == {"mean_token_logprob"}
    assert len(found.directions.shown) == MOST_ROWS
    assert found.directions.all == rows
    few = dynamics(Analysis.of(direction=rows[:MOST_ROWS])).directions
    assert (few.shown, few.all) == (rows[:MOST_ROWS], ())
    others = tuple(row for row in rows if row.score == "a")
    assert len(dynamics(Analysis.of(direction=others * 2)).directions.shown) == MOST_ROWS
    assert not dynamics(Analysis.of())
    assert found
