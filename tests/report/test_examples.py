"""Which items that moved most are shown."""

from __future__ import annotations

from aftertune.analysis.schema import Analysis
from aftertune.report.examples import examples
from aftertune.report.outcome import groups


def shown(changes, items) -> list[tuple[str, str]]:
    analysis = Analysis.of(change=tuple(changes), moved_items=tuple(items))
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
