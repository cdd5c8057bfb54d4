"""The first screen: which score stands first, which are folded, what to do next, and the sections' sentences."""

from __future__ import annotations

import base64
import gzip
import json
from math import nan

import numpy as np
import pytest

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import RECOMMENDATION, Analysis
from aftertune.report import leads
from aftertune.report.by_setting import by_setting
from aftertune.report.overview import by_use, near_duplicates, next_step, overviews
from aftertune.report.page_data import UNDEFINED, packed, page_data
from aftertune.report.recommendation import recommendations
from aftertune.report.summary import summarise
from aftertune.report.verdicts import groups
from report_rows import both, row


def recommendation(**values: object):
    base = {
        "from_": "before", "to": "selected", "role": "recommended", "score": "holding",
        "chosen_on": "cross-fitting", "n_scores": 7, "n_choice": 100, "n_items": 100, "n_seeds": 1, "graded": True,
        "verdict": "holds",
        "usable": "yes", "concordance": 0.7, "concordance_low": 0.6, "concordance_high": 0.8, "review_share": 0.2,
        "wrong_found": nan, "wrong_found_low": nan, "wrong_found_high": nan, "wrong_among_reviewed": nan,
        "quality_all": 0.5, "quality_kept": 0.6, "quality_kept_low": 0.5, "quality_kept_high": 0.7,
        "quality_kept_oracle": 0.8,
    }  # fmt: skip
    return row(RECOMMENDATION, **base | values)


def said_of(analysis: Analysis, *rows):
    (one,) = recommendations(Analysis.of(change=analysis.rows("change"), recommendation=rows))
    return one


def test_usable_ones_that_survived_stand_first_and_reversed_ones_late(one_of_each, make_change):
    (group,) = groups(one_of_each)
    order = [o.score for o in by_use(group, None)]
    assert order.index("holding") < order.index("vague") < order.index("lost") < order.index("absent")
    assert by_use(group, said_of(one_of_each, recommendation(score="vague")))[0].score == "vague"
    rows = [
        make_change("up"),
        make_change("down", usable="reversed", value_to=-0.9),
        make_change("none", usable="not shown"),
    ]
    (group,) = groups(Analysis.of(change=both(rows)))
    assert [o.score for o in by_use(group, None)] == ["up", "none", "down"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (recommendation(), "Send the least confident answers by holding to review."),
        (recommendation(score="falling", verdict="degraded"), "falling is weaker than before"),
        (recommendation(score="vague", verdict="inconclusive"), "would settle whether it survived"),
        (
            recommendation(chosen_on="", score="", status="no score is usable"),
            "Do not let any of these scores decide",
        ),
        (
            recommendation(chosen_on="", score="vague", status="no score is usable", items_needed=1234),
            "or measure about 1,200 test items",
        ),
    ],
)
def test_what_to_do_next(one_of_each, row, expected):
    (group,) = groups(one_of_each)
    assert expected in next_step(said_of(one_of_each, row), group.outcomes)


def unpacked(text: str):
    return json.loads(gzip.decompress(base64.b64decode(text)))


def array(text: str, dtype: str):
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


def two_checkpoints(make_items, n: int = 100):
    rng = np.random.default_rng(5)
    quality = {(0, float(epoch)): rng.random(n) for epoch in (0, 1)}
    good = {at: values + 0.2 * rng.normal(size=n) for at, values in quality.items()}
    scores = {
        "good": good,
        "twin": {at: values * 3 + 0.001 * rng.normal(size=n) for at, values in good.items()},
        "noise": {at: rng.normal(size=n) for at in quality},
    }
    scores["noise"][0, 1.0][3] = nan
    return make_items(quality, scores, selected=[(0, 1.0)])


def test_near_duplicates_are_folded(make_items):
    records = two_checkpoints(make_items)
    summary = summarise(analyse(records), records)
    (one,) = overviews(summary)
    assert near_duplicates(summary.settings[0], summary.groups[0]) == {frozenset(("good", "twin"))}
    twin = {"good": "twin", "twin": "good"}[one.first]
    assert [(line.score, line.alike) for line in one.lines] == [(one.first, (twin,)), ("noise", ())]
    assert [line.score for line in one.every[:1]] == [one.first]
    assert one.headline == f"Use {one.first}."
    for line in one.lines:
        assert 0 <= line.place.before <= 100
        assert 0 <= line.place.after <= 100


def test_what_is_packed_is_what_the_records_say(make_items):
    records = two_checkpoints(make_items)
    summary = summarise(analyse(records), records)
    data = unpacked(packed(page_data(summary, overviews(summary), records, np.full(len(records), nan))))
    (setting,) = data["settings"]
    place = {name: k for k, name in enumerate(setting["scores"])}
    order = np.argsort([f"i{k}" for k in range(100)])  # items stand in the order of their ids
    assert setting["ids"] == [f"i{k}" for k in order]
    after = setting["checkpoints"][1]
    quality, good, noise = (
        column[100:][order] for column in (records.quality, records.scores["good"], records.scores["noise"])
    )
    assert array(after["quality"], "<f4") == pytest.approx(quality, abs=1e-6)
    ranks = array(after["ranks"][place["noise"]], "<u2")
    lost = int(np.flatnonzero(order == 3)[0])
    assert ranks[lost] == UNDEFINED
    for k in {0, 7, 99} - {lost}:
        assert ranks[k] == pytest.approx(1000 * (np.delete(noise, [lost, k]) < noise[k]).mean(), abs=0.51)
    outputs = [data["texts"][text] for text in array(after["output"], "<i4")]
    assert outputs == [f"out 1 i{k}" for k in order]
    kept = quality[np.argsort(good)[20:]].mean()
    assert setting["review"][place["good"]]["after"][20] == pytest.approx(kept, abs=1e-5)
    moved = good - records.scores["good"][:100][order]
    assert array(setting["ends"][0]["dc"][place["good"]], "<f4") == pytest.approx(moved, abs=1e-6)


def test_each_section_says_what_it_shows_here(make_items):
    records = two_checkpoints(make_items)
    summary = summarise(analyse(records), records)
    (one,) = overviews(summary)
    assert "before fine-tuning and" in leads.epochs(one, summary.panels[0])
    rows = by_setting(summary, [one])[one.key]
    quadrants = next(r for r in rows.moved if r.score == one.first)
    assert (quadrants.from_, quadrants.to) == ("before", "selected")
    assert f"{100 * quadrants.overconfident:.0f} % of the items became over-confident" in leads.moves(one, rows)
    better = (records.quality[100:] > records.quality[:100]).mean()
    assert f"of 100 test items {100 * better:.0f} % got a better answer" in leads.items(one)
    assert "reviewing the least confident 20 %" in leads.act(one, None)
