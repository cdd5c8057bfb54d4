"""Counts of falls and rises in our own changes."""

from __future__ import annotations

from math import nan

from aftertune.analysis.schema import DOWNSTREAM_CHANGE, Analysis, Row
from aftertune.report.summary import summarise
from report_rows import both


def analysis(make_change, **names: str) -> Analysis:
    """Two tasks of three scores, each in both scopes, and the other comparison, which must not be counted."""
    rows = []
    for scope in ("models", "training"):
        base = {"ci_scope": scope, "n_seeds": 3, **names}
        rows += [
            make_change("a", task="x", mean=-0.2, p_anova_holm=0.01, verdict="degraded", **base),
            make_change("b", task="x", mean=-0.1, p_anova_holm=0.05, verdict="inconclusive", **base),
            make_change("c", task="x", mean=0.0, p_anova_holm=1.0, verdict="holds", **base),
            make_change("a", task="y", mean=0.2, p_anova_holm=0.04, verdict="improved", **base),
            make_change("b", task="y", mean=0.1, p_anova_holm=nan, verdict="holds", **base),
            make_change("c", task="y", mean=nan, verdict="undefined", status="quality is constant", **base),
            make_change("a", task="x", from_="epoch_1", mean=-0.3, verdict="degraded", **base),
        ]
    return Analysis.of(change=both(rows))


SENTENCE = (
    "Before fine-tuning → selected checkpoint: by Spearman’s ρ, of 6 configurations 2 fell (1 significant by the "
    "paper’s ANOVA) and 2 rose (1 significant by the ANOVA); 1 did not change, 1 is undefined. Verdicts: 1 "
    "improved, 2 holds, 1 degraded, 1 inconclusive, 1 undefined."
)


def test_each_configuration_counts_once(make_change) -> None:
    assert list(summarise(analysis(make_change)).tallies) == [SENTENCE]


def test_families_of_settings_are_counted_apart(make_change) -> None:
    parts = [analysis(make_change, setting=s).rows("change") for s in ("default", "n=100", "n=500")]
    default, sizes = list(summarise(Analysis.of(change=sum(parts, ()))).tallies)
    assert default == SENTENCE
    assert sizes.startswith(
        "Before fine-tuning → selected checkpoint, n=*: by Spearman’s ρ, of 12 configurations 4 fell (2 signif"
    )


def test_one_group_needs_no_count(one_of_each) -> None:
    assert list(summarise(one_of_each).tallies) == []


def test_without_an_anova_nothing_is_said_of_it(make_change) -> None:
    rows = tuple(make_change("a", task=task, mean=-0.1, verdict="degraded") for task in ("x", "y"))
    assert list(summarise(Analysis.of(change=both(rows))).tallies) == [
        "Before fine-tuning → selected checkpoint: by Spearman’s ρ, of 2 configurations 2 fell and 0 rose. "
        "Verdicts: 2 degraded."
    ]


def auroc_change(score: str, mean: float, *, holm: float = 1.0, scope: str = "models", **changes: str) -> Row:
    row = DOWNSTREAM_CHANGE.row(
        model="m", task="t", setting="default", score=score, from_="before", to="selected", n_items=9, n_seeds=2,
        auroc_from=0.5, auroc_to=0.5 + mean, mean=mean, sd=0.1, ci_low=-1, ci_high=1, ci_scope=scope,
        p_change=0.5, p_change_holm=holm, status="",
    )  # fmt: skip
    return row._replace(**changes)


class TestAuroc:
    def test_configurations_by_their_decisive_scope(self) -> None:
        """A configuration is significant by the interval for another training run, where there is one."""
        rows = [
            *(auroc_change("a", -0.2, holm=p, scope=s) for p, s in ((0.01, "models"), (0.2, "training"))),
            *(auroc_change("b", -0.1, holm=p, scope=s) for p, s in ((0.3, "models"), (0.04, "training"))),
            auroc_change("c", 0.3, holm=0.01),
            auroc_change("d", 0.0),
            auroc_change("e", nan, holm=nan),
            auroc_change("f", nan, holm=nan),
            auroc_change("c", -0.3, from_="epoch_1"),
        ]
        (sentence,) = list(summarise(Analysis.of(downstream_change=tuple(rows))).auroc_tallies)
        assert sentence == (
            "AUROC, before fine-tuning → selected checkpoint: of 6 configurations 2 fell (1 significant after "
            "Holm’s correction) and 1 rose (1 significant); 1 did not change, 2 are undefined."
        )

    def test_families_and_nothing_to_say(self) -> None:
        rows = [
            auroc_change("a", -0.2, from_="epoch_1", to="last"),
            auroc_change("a", -0.2, setting="n=100"),
            auroc_change("a", 0.1, setting="n=500"),
            auroc_change("a", nan, setting="other"),
        ]
        found = list(summarise(Analysis.of(downstream_change=tuple(rows))).auroc_tallies)
        assert [sentence.partition(":")[0] for sentence in found] == [
            "AUROC, epoch 1 → last checkpoint",
            "AUROC, before fine-tuning → selected checkpoint, n=*",
        ]
        assert "of 2 configurations 1 fell" in found[1]
        assert list(summarise(Analysis.of()).auroc_tallies) == []
