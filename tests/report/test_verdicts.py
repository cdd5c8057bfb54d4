"""Which rows the reader sees first, and in which words."""

from __future__ import annotations

import math
from math import nan

from aftertune.analysis.schema import Analysis
from aftertune.report.verdicts import answer, groups, scope
from report_rows import both


def test_states_and_order(one_of_each) -> None:
    (group,) = groups(one_of_each)
    assert [(o.score, o.state) for o in group.outcomes] == [
        ("lost", "degraded"),
        ("falling", "degraded"),
        ("vague", "inconclusive"),
        ("holding", "trusted"),
        ("idle", "not usable"),
        ("rising", "trusted"),
        ("absent", "undefined"),
    ]
    assert group.outcomes[-1].change.status == "confidence is constant before fine-tuning"
    assert group.n_items == [100] * 6


def test_before_and_after_are_those_of_the_comparison(make_change) -> None:
    row = make_change("s", mean=0.3, value_from=0.15, value_to=0.45)
    ((outcome,),) = [group.outcomes for group in groups(Analysis.of(change=both([row])))]
    assert (outcome.before, outcome.after) == (0.15, 0.45)
    row = make_change("s", mean=nan, verdict="undefined", status="x", value_to=0.4)
    ((outcome,),) = [group.outcomes for group in groups(Analysis.of(change=both([row])))]
    assert math.isnan(outcome.before)
    assert outcome.after == 0.4


def test_the_comparison_and_the_interval_that_are_shown(make_change) -> None:
    rows = [
        make_change("s", from_=from_, to=to, ci_scope=ci_scope)
        for from_, to in (("epoch_1", "last"), ("before", "last"), ("epoch_1", "selected"), ("before", "selected"))
        for ci_scope in ("models", "training")
    ]
    for dropped, shown in ((0, ("before", "selected")), (2, ("before", "last")), (6, ("epoch_1", "last"))):
        kept = rows[: len(rows) - dropped]
        (group,) = groups(Analysis.of(change=both(kept)))
        assert (group.from_, group.to) == shown
        assert [o.change.ci_scope for o in group.outcomes] == ["training"]
    without = [make_change("s"), make_change("s", ci_scope="training", ci_low=nan, ci_high=nan)]
    (group,) = groups(Analysis.of(change=both(without)))
    assert group.outcomes[0].change.ci_scope == "models"


def test_groups_are_kept_apart(make_change) -> None:
    rows = tuple(make_change("s", model=m, setting=k) for m in "ab" for k in ("default", "n=5"))
    names = [group.name for group in groups(Analysis.of(change=both(rows)))]
    assert names == ["a on t", "a on t (n=5)", "b on t", "b on t (n=5)"]


def test_the_answer(one_of_each) -> None:
    (group,) = groups(one_of_each)
    assert [(s.lead, s.scores) for s in answer(group)] == [
        ("2 of 7 scores survived fine-tuning and are usable", (("holding", ""), ("rising", "improved"))),
        (
            "Track quality best after fine-tuning",
            (("holding", "ρ 0.50"), ("rising", "ρ 0.40"), ("vague", "ρ 0.25")),
        ),
        ("Degraded, though still usable", (("falling", ""),)),
        ("Degraded, and not usable", (("lost", "not shown to be usable"),)),
        ("Inconclusive; so many test items would settle it with a chance of 80 %", (("vague", "1,200"),)),
        ("Not worse, but not shown to be usable", (("idle", ""),)),
        ("Nothing can be said, because confidence is constant before fine-tuning", (("absent", ""),)),
    ]


def test_falls_of_unknown_size_and_reversed_scores(make_change) -> None:
    changes = [
        make_change("slipped", verdict="fell", mean=-0.1, value_to=0.4),
        make_change("dull", verdict="fell", mean=-0.2, usable="not shown"),
        make_change("mirror", usable="reversed", value_to=-0.5),
        make_change("far", verdict="inconclusive", usable="reversed", items_needed=10_001),
    ]
    (group,) = groups(Analysis.of(change=both(changes)))
    assert [(o.score, o.state) for o in group.outcomes] == [
        ("dull", "fell"),
        ("slipped", "fell"),
        ("far", "inconclusive"),
        ("mirror", "not usable"),
    ]
    assert [(s.state, s.lead, s.scores) for s in answer(group)] == [
        (None, "Of 4 scores none is shown to have survived fine-tuning and to be usable.", ()),
        (None, "Alone tracks quality after fine-tuning", (("slipped", "ρ 0.40"),)),
        (
            "fell",
            "Fell; whether by more than the margin is not shown",
            (("dull", "not shown to be usable"), ("slipped", "")),
        ),
        (
            "inconclusive",
            "Inconclusive; so many test items would settle it with a chance of 80 %",
            (("far", "more than 10,000"),),
        ),
        (
            None,
            "Reversed: a higher value goes with worse answers (an uncertainty? analyze … --negate turns it)",
            (("far", ""), ("mirror", "")),
        ),
    ]


def test_every_score_stands_in_the_answer(one_of_each, make_change) -> None:
    """Once each, or as one that is reversed."""
    more = (
        make_change("runs", verdict="inconclusive", ci_scope="training"),
        make_change("rest", verdict="inconclusive"),
        make_change("dull", verdict="degraded", mean=-0.2, usable=""),
        make_change("slipped", verdict="fell", mean=-0.1, usable="reversed"),
        make_change("mirror", usable="reversed"),
    )
    analysis = Analysis.of(change=(*one_of_each.rows("change"), *both(more)))
    (group,) = groups(analysis)
    told = [score for sentence in answer(group) if sentence.state for score, _ in sentence.scores]
    assert sorted([*told, "mirror"]) == sorted({row.score for row in analysis.rows("change")})
    (reversed_,) = [s.scores for s in answer(group) if s.lead.startswith("Reversed")]
    assert [score for score, _ in reversed_] == ["slipped", "mirror"]


def test_nothing_to_trust(make_change) -> None:
    (group,) = groups(Analysis.of(change=both([make_change("s", usable="not shown")])))
    lead = "Of 1 score none is shown to have survived fine-tuning and to be usable."
    assert answer(group)[0].lead == lead
    nothing = {"mean": nan, "verdict": "undefined", "usable": "", "status": "quality is constant"}
    rows = [make_change(s, **nothing) for s in "ab"]
    (group,) = groups(Analysis.of(change=both(rows)))
    assert [s.lead for s in answer(group)] == [
        "Nothing can be said, because quality is constant: all 2 scores undefined."
    ]
    assert scope(group) == ""
    still = make_change("c", value_to=0.7, **nothing | {"usable": "yes", "status": "no scores before"})
    (group,) = groups(Analysis.of(change=both([*rows, still])))
    assert [s.lead for s in answer(group)] == [
        "Nothing can be said, because quality is constant",
        "Nothing can be said, because no scores before",
        "Alone tracks quality after fine-tuning",
    ]


def test_what_was_not_measured_is_said(make_change) -> None:
    def said(*rows) -> str:
        (group,) = groups(Analysis.of(change=both(rows)))
        return scope(group)

    assert said(make_change("s")) == (
        "One training run was measured: whether another run would end the same way was not."
    )
    assert said(make_change("s", n_seeds=3)) == (
        "The intervals are for these 3 trained models, not for training runs like these."
    )
    training = make_change("s", n_seeds=3, ci_scope="training")
    assert said(training) == (
        "The intervals are for the mean over training runs (3 seeds); one more run may lie outside (new_run in "
        "tables/change.csv)."
    )
    assert "except where the table says “these models”" in said(training, make_change("u", n_seeds=3))
    together = [make_change(s, simultaneous=True) for s in "ab"]
    sentence = " The intervals hold for all 2 scores at once with 95 % confidence."
    assert said(*together).endswith(sentence)
    assert said(*together, make_change("c")).endswith(sentence)


def test_the_prediction_is_kept_apart(make_change) -> None:
    """And never decides: not by its rows, nor where the other intervals are undefined."""
    base = {"n_seeds": 3, "mean": -0.2}
    rows = [make_change("s", ci_scope=scope, **base) for scope in ("models", "training")]
    rows.append(make_change("s", ci_scope="new_run", ci_low=-0.5, ci_high=0.1, p_beyond_margin=0.7, **base))
    for used in (rows, rows[::-1], [row._replace(ci_low=nan) for row in rows[:2]] + rows[2:]):
        ((outcome,),) = [group.outcomes for group in groups(Analysis.of(change=both(used)))]
        assert (outcome.change.ci_scope, outcome.change.effect) == ("training", "adjusted")
        assert (outcome.plain.ci_scope, outcome.plain.effect) == ("training", "spearman")
        assert outcome.new_run is not None
        assert (outcome.new_run.p_beyond_margin, outcome.new_run.effect) == (0.7, "adjusted")
