"""The sections of the page: which rows each shows, in which order, what charts draw and sentences say."""

from __future__ import annotations

from math import nan

import pytest

from aftertune.analysis.schema import (
    DIRECTION,
    EPOCH_FALL,
    PAIR_MEANS,
    PAIRS,
    QUADRANTS,
    SIMILARITY,
    Analysis,
)
from aftertune.report import leads
from aftertune.report.by_setting import by_setting
from aftertune.report.overview import overviews
from aftertune.report.page_data import charts, sizes
from aftertune.report.summary import summarise
from report_rows import both, row

ENDS = {"from_": "before", "to": "selected"}


@pytest.fixture
def analysis(make_change, make_correlation) -> Analysis:
    """Two scores in two settings; in "n=50" there is nothing but the change."""
    null = {"null": -0.1, "null_low": -0.2, "null_high": 0.0}
    shares = {"concordant": 0.7, "overconfident": 0.1, "underconfident": 0.2, "tied": 0.3, "n": 100, "n_seeds": 1}
    rho = {"p": 0.01, "p_holm": 0.04, "quality_spearman": 0.5, "quality_given_similarity": 0.4, "epoch": 1.0}
    counts = {"n_correlated": 100, "stays": 60, "case1": 20, "both_flip": 4, "case2": 16}
    of_case1 = {"case1_share": 0.2, "case1_null": 0.15, "case1_null_low": 0.1, "case1_null_high": 0.22}
    changes = [make_change(s, value_to=v) for s, v in (("worse", 0.1), ("better", 0.5))]
    changes += [make_change("better", setting="n=50"), make_change("better", setting="n=50", to="last")]
    correlations = [
        make_correlation(s, epoch, v, spearman_given_length=v / 2, length_unit="tokens", selected=epoch == 1)
        for s, v in (("worse", 0.1), ("better", 0.5))
        for epoch in (0, 1)
    ]
    correlations += [make_correlation("better", 2, nan, status="constant", setting="n=50")]
    return Analysis.of(
        change=both(changes),
        correlation=correlations,
        epoch_fall=[
            row(EPOCH_FALL, score="worse", mean=-0.3, **null),
            row(EPOCH_FALL, score="better", mean=-0.1, **null),
        ],
        quadrants=[
            row(QUADRANTS, score="better", from_="epoch_1", to="last", **shares),
            *(row(QUADRANTS, score=s, **ENDS, **shares) for s in ("worse", "better")),
        ],
        direction=[row(DIRECTION, score=s) for s in ("worse", "better")],
        pairs=[row(PAIRS, score=s, from_epoch=1.0, to_epoch=2.0, **counts) for s in ("worse", "better")],
        pair_means=[row(PAIR_MEANS, score="better", **of_case1)],
        similarity=[
            row(SIMILARITY, score="worse", spearman=-0.3, **rho),
            row(SIMILARITY, score="better", spearman=0.1, **rho | {"p_holm": 0.2}),
        ],
    )


def test_rows_stand_in_the_order_of_the_first_screen(analysis) -> None:
    summary = summarise(analysis)
    found = overviews(summary)
    rows = by_setting(summary, found)
    order = [line.score for line in found[0].every]
    own = rows["m", "t", "default"]
    assert order == ["better", "worse"]
    for name in ("falls", "lengths", "moved", "directions", "pairs", "similarities"):
        assert [one.score for one in getattr(own, name)] == order, name
    assert [(one.from_, one.score) for one in own.quadrants if one.score == "better"] == [
        ("epoch_1", "better"),
        ("before", "better"),
    ]
    other = rows["m", "t", "n=50"]
    assert (other.falls, other.moved, other.pairs, len(other.changes)) == ([], [], [], 2)
    assert [(one.reason, one.n) for one in other.undefined] == [("constant", 1)]


def test_charts_hold_what_the_tables_hold(analysis) -> None:
    summary = summarise(analysis)
    rows = by_setting(summary, overviews(summary))
    found = {chart: dict(own) for chart, own in charts(rows["m", "t", "default"]).items()}
    assert {chart: list(own) for chart, own in found.items()} == {key: ["better", "worse"] for key in found}
    assert {chart: own["better"] for chart, own in found.items()} == {
        "falls": [-0.1, -0.1, -0.2, 0.0],
        "lengths": [0.5, 0.25],
        "quadrants": pytest.approx([0.1, 0.4, 0.3, 0.2]),
        "pairs": [0.6, 0.2, 0.04, 0.16, 0.15, 0.1, 0.22],
        "similarity": [0.1, 0.5, 0.4, 0.0],
    }
    assert found["pairs"]["worse"] == [0.6, 0.2, 0.04, 0.16, None, None, None]
    assert found["similarity"]["worse"][3] == 1.0
    assert charts(rows["m", "t", "n=50"]) == {key: [] for key in found}


def test_what_sections_say(analysis) -> None:
    summary = summarise(analysis)
    found = overviews(summary)
    rows = by_setting(summary, found)
    one, own = found[0], rows["m", "t", "default"]
    assert leads.falls(one, own) == (
        "m on t: in 1 of 2 scores ρ falls further from one epoch to the next than it would if nothing changed; "
        "furthest by worse, −0.30 (no change: [−0.20, +0.00])."
    )
    assert leads.lengths(one, own) == (
        "m on t: with the length of the output removed, ρ goes for better from 0.50 to 0.25."
    )
    assert "by better, 60 % of the pairs" in leads.pairs(one, own)
    assert "confidence alone turns 20 % (no change would give 15 %), quality alone 16 %" in leads.pairs(one, own)
    assert "1 of 2 scores follow similarity" in leads.similarity(one, own)
    assert "the strongest is worse, with ρ −0.30" in leads.similarity(one, own)
    assert leads.undefined(one, own) == "m on t: every correlation is defined."
    one, own = found[1], rows["m", "t", "n=50"]
    assert leads.undefined(one, own) == "m on t (n=50): 1 correlation of 1 score is undefined, and nowhere a 0."
    for lead in (leads.falls, leads.lengths, leads.pairs, leads.similarity, leads.moves):
        assert any(word in lead(one, own) for word in ("not known", "not measured", "no pair", "no item")), lead


def test_sizes(make_sizes) -> None:
    summary = summarise(make_sizes(tasks=("t", "u"), seeds=(0, 1), n=(100, 500)))
    found = sizes(summary.size_panels, ("m", "u", "n=100"))
    assert [one["name"] for one in found] == ["10 epochs", "2,500 steps"]
    assert dict(found[0]["scores"]) == {
        "beam_sum": [[100, 0.0, 0.01], [500, 0.1, 0.11]],
        "mean_token_entropy": [[100, 0.1, 0.11], [500, 0.2, 0.21]],
    }
    assert sizes(summary.size_panels, ("m", "x", "default")) == []
    rows = [row for row in summary.sample_sizes if row.task == "u"]
    assert leads.sizes("m on u", rows) == (
        "m on u: ρ after fine-tuning differs between numbers of training items in 2 of 4 cases (2 scores in 2 "
        "experiments; ANOVA, p below 0.05 after Holm’s correction)."
    )
