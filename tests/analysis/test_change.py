"""Rows of a change: effects and questions, families of scores, groups of items, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from aftertune.analysis.analyse import analyse
from aftertune.analysis.checkpoints import number, settings_of
from aftertune.analysis.schema import Analysis, Row
from aftertune.errors import InputError
from aftertune.types import Records
from downstream_samples import with_correct
from record_samples import change, checkpoint, study, together


def slope(confidence: np.ndarray, quality: np.ndarray) -> float:
    """Of the midranks: tie-adjusted rho."""
    return float(stats.linregress(stats.rankdata(quality), stats.rankdata(confidence)).slope)


def drawn(
    n: int = 200,
    scores: Sequence[str] = ("a", "b", "c"),
    *,
    seeds: int = 1,
    after: float = 1.0,
    right: Sequence[float] | None = None,
    extra: dict[str, list] | None = None,
    noise: float = 0.7,
) -> Records:
    """Before and after fine-tuning; each score is its strength times quality, plus noise that scores half share.

    With `right`, shares of right answers before and after, quality is 0 or 1 and AUROC .80 at strength 1.
    """
    rng = np.random.default_rng(7)
    parts = []
    item = rng.normal(size=n)
    for seed in range(seeds):
        for epoch in (0, 1):
            latent = math.sqrt(0.5) * (item + rng.normal(size=n))
            quality = latent
            if right is not None:
                quality = (stats.norm.cdf(latent) < right[epoch]) * math.sqrt(2) * stats.norm.ppf(0.8)
            common = rng.normal(size=n)
            strength = 1.0 if epoch == 0 else after
            own = {
                name: strength * quality + (1.0 if right else noise / math.sqrt(0.5))
                * (math.sqrt(0.5) * common + math.sqrt(0.5) * rng.normal(size=n))
                for name in scores
            }  # fmt: skip
            parts.append(
                checkpoint(
                    quality > 0 if right is not None else quality,
                    own,
                    seed=seed,
                    epoch=epoch,
                    selected=epoch == 1,
                    extra=extra,
                )
            )
    records = together(*parts)
    return replace(records, quality=records.quality.astype(float))


def rows(analysis: Analysis, **wanted: object) -> list[Row]:
    return [r for r in analysis.rows("change") if all(getattr(r, k) == v for k, v in wanted.items())]


def half(row: Row) -> float:
    return (row.ci_high - row.ci_low) / 2


def test_both_effects_at_both_ends_with_ties() -> None:
    records = drawn(80, seeds=3, right=(0.4, 0.8))
    analysis = analyse(records, resamples=100)
    for row in analysis.rows("change"):
        one = slope if row.effect == "adjusted" else lambda x, y: float(stats.spearmanr(x, y).statistic)
        found = np.empty((3, 2))
        for seed in range(3):
            for epoch in (0, 1):
                at = (records.seed == seed) & (records.epoch == epoch)
                found[seed, epoch] = one(records.scores[row.score][at], records.quality[at])
        from_, to = found.T
        assert (row.value_from, row.value_to) == pytest.approx(tuple(found.mean(axis=0)))
        assert (row.mean, row.sd) == pytest.approx(((to - from_).mean(), (to - from_).std(ddof=1)))
        tests = stats.f_oneway(from_, to), stats.ttest_ind(from_, to, equal_var=False), stats.ttest_rel(from_, to)
        assert (row.p_anova, row.p_welch, row.p_paired) == pytest.approx(tuple(test.pvalue for test in tests))


def test_the_new_run_is_predicted() -> None:
    records = drawn(80, seeds=4)
    analysis = analyse(records, resamples=100, margin=0.02)
    found = rows(analysis, ci_scope="new_run", effect="adjusted")
    assert [row.score for row in found] == ["a", "b", "c"]
    for row in found:
        error = row.sd * math.sqrt(1 + 1 / 4)
        assert half(row) == pytest.approx(stats.t.ppf(0.975, 3) * error)
        assert row.p_beyond_margin == pytest.approx(stats.t(3, row.mean, error).cdf(-0.02))
        assert math.isnan(row.p_change)
        assert not row.simultaneous
        training = change(analysis, score=row.score, ci_scope="training")
        assert training.mean == row.mean
        assert half(row) > half(training)


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.3])
def test_intervals_and_p_values_say_the_same(margin: float) -> None:
    for after in (0.2, 0.6, 0.8, 1.0, 2.0):
        analysis = analyse(drawn(60, seeds=2, after=after), resamples=300, margin=margin)
        for row in analysis.rows("change"):
            assert (row.p_change < 0.05) == (row.ci_low > 0 or row.ci_high < 0)
            assert (row.p_beyond_margin < 0.05) == (row.ci_low > -margin or row.ci_high < -margin)


def test_scores_that_are_judged_together_have_wider_intervals_and_one_alone_has_not() -> None:
    records = drawn()
    together_ = analyse(records, resamples=2000)
    for row in together_.rows("change"):
        alone = analyse(replace(records, scores={row.score: records.scores[row.score]}), resamples=500)
        (single,) = [r for r in alone.rows("change") if r.effect == row.effect]
        assert (row.simultaneous, single.simultaneous) == (True, False)
        # Between no correction and Bonferroni's for three.
        assert 1.05 < half(row) / half(single) < stats.norm.isf(0.025 / 3) / stats.norm.isf(0.025) * 1.05
        assert row.p_change > single.p_change
        assert row.p_beyond_margin > single.p_beyond_margin


def test_the_score_that_is_relied_on_is_judged_by_itself() -> None:
    records = drawn()
    named = analyse(records, resamples=500, rely_on="b")
    alone = analyse(replace(records, scores={"b": records.scores["b"]}), resamples=500)
    for effect in ("adjusted", "spearman"):
        assert repr(change(named, score="b", effect=effect)) == repr(change(alone, score="b", effect=effect))
    others = analyse(replace(records, scores={n: records.scores[n] for n in "ac"}), resamples=500)
    for score in "ac":
        row, expected = change(named, score=score), change(others, score=score)
        assert row.simultaneous
        assert half(row) == pytest.approx(half(expected), rel=0.03)
    with pytest.raises(InputError, match="no score is called 'unknown': rely on one of a, b, c"):
        analyse(records, resamples=500, rely_on="unknown")


def test_the_same_score_twice_is_judged_together_and_needs_no_correction() -> None:
    records = drawn(scores=("a",))
    twice = replace(records, scores={"a": records.scores["a"], "again": np.exp(records.scores["a"])})
    row, single = (change(analyse(given, resamples=2000), score="a") for given in (twice, records))
    assert (row.simultaneous, single.simultaneous) == (True, False)
    assert half(single) <= half(row) < 1.1 * half(single)


def test_a_score_without_a_correlation_is_no_member_of_the_family() -> None:
    records = drawn()
    flat = replace(records, scores={**records.scores, "flat": np.zeros(len(records))})
    with_flat, without = analyse(flat, resamples=500), analyse(records, resamples=500)
    for score in "abc":
        assert repr(change(with_flat, score=score)) == repr(change(without, score=score))
    row = change(with_flat, score="flat")
    assert (row.verdict, row.usable, row.simultaneous) == ("undefined", "", False)
    assert np.isnan([row.value_from, row.mean, row.ci_low, row.p_change]).all()


@pytest.mark.parametrize(("n", "verdict"), [(29, "undefined"), (30, "degraded")])
def test_too_few_items_have_numbers_and_no_verdict(n: int, verdict: str) -> None:
    analysis = analyse(drawn(n, after=-2.0), resamples=100)
    for row in analysis.rows("change"):
        assert row.verdict == verdict
        assert np.isfinite([row.mean, row.ci_low, row.ci_high, row.p_change]).all()
        if n < 30:
            assert (row.usable, row.items_needed) == ("", None)
            assert row.status == "too few items for a verdict (29; 30 are needed)"


def test_groups_are_counted_not_items() -> None:
    many = {"group": [f"article {i // 3}" for i in range(87)]}
    row = change(analyse(drawn(87, extra=many), resamples=100), score="a")
    assert (row.n_items, row.verdict) == (87, "undefined")
    assert row.status == "too few groups of items for a verdict (29; 30 are needed)"
    more = {"group": [i // 3 for i in range(90)]}
    assert change(analyse(drawn(90, extra=more), resamples=100), score="a").verdict != "undefined"


def clustered(groups: bool) -> Records:
    """60 articles with five questions each; what makes an article easy, and confidence in it, is the article's."""
    rng = np.random.default_rng(1)
    of_item = np.repeat(np.arange(60), 5)
    parts = []
    for epoch in (0, 1):
        shared = rng.normal(size=(2, 60))[:, of_item]
        quality = shared[0] + 0.3 * rng.normal(size=300)
        confidence = quality + shared[1] + 0.3 * rng.normal(size=300)
        extra = {"group": of_item.tolist()} if groups else None
        parts.append(checkpoint(quality, {"s": confidence}, epoch=epoch, selected=epoch == 1, extra=extra))
    return together(*parts)


def test_groups_of_items_make_intervals_wider() -> None:
    items, groups = (change(analyse(clustered(given), resamples=100), score="s") for given in (False, True))
    assert (groups.mean, groups.value_to) == (items.mean, items.value_to)
    assert 1.7 < half(groups) / half(items) < 2.6  # five items that are as one: sqrt(5) at most
    first, second = (analyse(clustered(given), resamples=100).rows("correlation")[0] for given in (False, True))
    assert second.adjusted_high - second.adjusted_low > 1.7 * (first.adjusted_high - first.adjusted_low)


def test_duplicates_count_once() -> None:
    """The same input and references under other ids: as if they stood there once."""
    n = 60
    once = drawn(n, extra={"input": [f"question {i}?" for i in range(n)]})
    twice = together(once, replace(once, item_id=np.array([f"{i} again" for i in once.item_id], dtype=object)))
    single, double = (change(analyse(records, resamples=100), score="a") for records in (once, twice))
    assert double.n_items == 2 * single.n_items
    assert double.mean == pytest.approx(single.mean)
    assert half(double) == pytest.approx(half(single), rel=0.03)
    blind = {name: values for name, values in twice.extra.items() if name != "input"}
    wrong = change(analyse(replace(twice, extra=blind), resamples=100), score="a")
    assert half(wrong) == pytest.approx(half(single) / math.sqrt(2), rel=0.05)


def test_which_items_are_a_group() -> None:
    def groups(**columns: list) -> list[int] | None:
        references = columns.pop("references", None)
        part = checkpoint(np.arange(4.0), {"s": np.arange(4.0)}, references=references, extra=columns)
        (setting,) = settings_of(part)
        return None if setting.groups is None else setting.groups.tolist()

    assert groups() is None
    assert groups(input=["a", "b", "c", "d"]) is None
    assert groups(input=["a", "b", "a", None]) == [0, 1, 0, 2]
    assert groups(input=["a"] * 4, references=[("x",), ("y",), ("x",), ("x", "y")]) == [0, 1, 0, 2]
    assert groups(input=["a"] * 4, group=["1", "2", "1", "3"]) == [0, 1, 0, 2]
    assert groups(group=[1, 2, "1", None]) == [0, 1, 0, 2]
    assert groups(group=[None, True, {}, [1]]) is None
    assert groups(group=["a", "b", "c", "d"]) is None


def test_a_reversed_score_is_named() -> None:
    records = drawn()
    negated = replace(records, scores={name: -values for name, values in records.scores.items()})
    analysis = analyse(negated, resamples=200)
    assert {row.usable for row in analysis.rows("change")} == {"reversed"}
    assert {row.usable for row in analyse(records, resamples=200).rows("change")} == {"yes"}
    noise = analyse(drawn(after=0.0), resamples=200)
    assert {(row.usable, row.verdict) for row in noise.rows("change")} == {("not shown", "degraded")}


def test_the_margin_is_one_of_the_adjusted_rho() -> None:
    records = drawn(400, ("a",), after=0.6)
    row = change(analyse(records, resamples=100), score="a")
    assert row.ci_low < row.mean < row.ci_high < 0
    said = {m: change(analyse(records, resamples=100, margin=m), score="a").verdict for m in (0.0, 0.5)}
    assert said == {0.0: "degraded", 0.5: "holds"}
    between = (row.mean + row.ci_high) / 2
    assert change(analyse(records, resamples=100, margin=-between), score="a").verdict == "fell"


def test_inconclusive_says_how_many_items_would_do() -> None:
    analysis = analyse(drawn(40), resamples=500)
    found = rows(analysis, effect="adjusted")
    assert {row.verdict for row in found} == {"inconclusive"}
    for row in found:
        assert row.items_needed > 40
        assert row.items_needed_low <= row.items_needed <= row.items_needed_high
    plain = rows(analysis, effect="spearman")
    assert [r.items_needed for r in plain] == [r.items_needed for r in found]
    settled = analyse(drawn(40, after=-2.0), resamples=500).rows("change")
    assert {(r.verdict, r.items_needed, r.items_needed_low) for r in settled} == {("degraded", None, None)}


def test_more_right_answers_with_the_same_auroc_are_no_fall() -> None:
    """Plain rho falls, because right answers became the rule; the adjusted one does not, and the note says so."""
    records = drawn(4000, ("s",), right=(0.5, 0.9))
    analysis = analyse(records, resamples=200)
    adjusted, plain = (change(analysis, score="s", effect=effect) for effect in ("adjusted", "spearman"))
    assert abs(adjusted.mean) < 0.04
    assert plain.ci_high < -0.15
    assert adjusted.verdict == plain.verdict == "holds"
    (note,) = [note for note in analysis.notes if "go apart" in note]
    before, after = (records.quality[records.epoch == epoch].mean() for epoch in (0, 1))
    means = [number(row.mean, "+.2f") for row in (plain, adjusted)]
    assert note == (
        f"tiny / toy, before → selected: of s plain and tie-adjusted rho go apart ({means[0]} and {means[1]}), "
        f"because mean quality went from {before:.2f} to {after:.2f}, and with it how "
        "many answers are equally good; verdicts are about the adjusted one, which ties in quality do not move"
    )


def test_no_note_where_both_say_the_same() -> None:
    def apart(analysis: Analysis) -> list[str]:
        return [note for note in analysis.notes if "go apart" in note]

    assert apart(analyse(drawn(300, right=(0.5, 0.6)), resamples=50)) == []
    assert apart(analyse(drawn(300, after=-1.0), resamples=50)) == []
    # Both fall by more than the margin, one by much more.
    assert apart(analyse(drawn(1000, ("s",), right=(0.5, 0.9), after=0.3), resamples=50)) == []
    several = apart(analyse(drawn(3000, right=(0.5, 0.9)), resamples=50))
    assert len(several) == 1
    assert " and 2 more plain and tie-adjusted rho go apart" in several[0]


def test_adjusted_and_concordance_of_correlations() -> None:
    records = drawn(90, right=(0.3, 0.7))
    for row in analyse(records, resamples=50).rows("correlation"):
        at = records.epoch == row.epoch
        x, y = records.scores[row.score][at], records.quality[at]
        assert row.adjusted == pytest.approx(slope(x, y))
        assert row.concordance == pytest.approx(roc_auc_score(y, x))
        assert row.adjusted == pytest.approx(2 * row.concordance - 1)
        assert row.adjusted_low < row.adjusted < row.adjusted_high <= 1
        assert (row.adjusted_low + row.adjusted_high) / 2 == pytest.approx(row.adjusted)


def test_change_of_auroc_is_half_that_of_the_adjusted_rho() -> None:
    records = drawn(150, ("s",), seeds=2, right=(0.4, 0.7), after=0.5)
    labelled = with_correct(records, (records.quality == 1).tolist())
    analysis = analyse(labelled, resamples=100)
    found = analysis.rows("downstream_change")
    assert [row.ci_scope for row in found] == ["models", "training"]
    for row in found:
        rho = change(analysis, score="s", ci_scope=row.ci_scope)
        expected = [
            (1 + rho.value_from) / 2,
            (1 + rho.value_to) / 2,
            rho.mean / 2,
            rho.ci_low / 2,
            rho.ci_high / 2,
        ]
        assert [row.auroc_from, row.auroc_to, row.mean, row.ci_low, row.ci_high] == pytest.approx(expected)
        assert row.p_change == pytest.approx(rho.p_change)


def test_the_anova_is_marked_where_one_end_does_not_vary() -> None:
    def marked(records: Records) -> int:
        return sum(note.startswith("p_anova, the paper’s test") for note in analyse(records, resamples=50).notes)

    assert marked(together(study(task="a"), study(task="b"))) == 1  # seeds share the checkpoint before
    assert marked(drawn(60, seeds=3)) == 0
    assert marked(study(seeds=1)) == 0
