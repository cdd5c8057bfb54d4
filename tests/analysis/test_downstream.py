"""Right and wrong answers: numbers of `analyse` against scikit-learn and by brute force, and bad input."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest
from scipy import stats
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import Analysis
from aftertune.errors import InputError
from aftertune.stats.discrimination import auroc_interval
from aftertune.types import Records
from downstream_samples import calibrating, labelled, rows_at, with_correct
from record_samples import checkpoint, same, together, with_rows

EVERYTHING = ("downstream", "downstream_change", "percentages", "review", "alerts", "chosen", "reliability")


@pytest.fixture(scope="module")
def records() -> Records:
    return labelled()


@pytest.fixture(scope="module")
def analysis(records: Records) -> Analysis:
    return analyse(records, resamples=200)


def truth(part: Records) -> np.ndarray:
    return part.correct.astype(float)


def isotonic(part: Records, score: str) -> IsotonicRegression:
    return IsotonicRegression(out_of_bounds="clip").fit(part.scores[score], truth(part))


def aurc_by_hand(confidence: np.ndarray, correct: np.ndarray) -> float:
    """No ties."""
    wrong = 1 - correct[np.argsort(-confidence)]
    return float(np.mean(np.cumsum(wrong) / np.arange(1, len(wrong) + 1)))


def ece_by_hand(chance: np.ndarray, correct: np.ndarray) -> float:
    """Ten bins of equal numbers, equal chances in the bin of their middle."""
    n, total = len(chance), 0.0
    middle = np.array([(np.sum(chance < c) + np.sum(chance <= c)) / 2 for c in chance])
    for b in range(10):
        inside = np.floor(10 * middle / n + 1e-9) == b
        if inside.any():
            total += inside.sum() / n * abs(chance[inside].mean() - correct[inside].mean())
    return total


def test_downstream_rows(records: Records, analysis: Analysis) -> None:
    places = list(itertools.product((0, 1), (0, 1, 2), ("sharp", "rough")))
    assert [(r.seed, r.epoch, r.score) for r in analysis.rows("downstream")] == places
    for row in analysis.rows("downstream"):
        test, validation = rows_at(records, "test", row.seed, row.epoch), calibrating(records, row.seed, row.epoch)
        confidence, correct = test.scores[row.score], truth(test)
        chance = isotonic(validation, row.score).predict(confidence)
        assert (row.n, row.n_correct, row.n_validation) == (120, correct.sum(), 226)
        assert (row.map, row.status, row.selected) == ("isotonic", "", row.epoch == 2)
        assert row.auroc == pytest.approx(roc_auc_score(correct, confidence))
        assert (row.auroc_ci_low, row.auroc_ci_high) == auroc_interval(confidence, correct)
        assert 0 < row.auroc_ci_low < row.auroc < row.auroc_ci_high < 1
        assert row.brier == pytest.approx(brier_score_loss(correct, chance))
        assert row.ece == pytest.approx(ece_by_hand(chance, correct))
        if row.score == "sharp":
            risk, by_score = 1 - correct.mean(), aurc_by_hand(confidence, correct)
            oracle = aurc_by_hand(correct + 1e-6 * np.arange(120), correct)
            assert row.aurc == pytest.approx(by_score)
            assert row.prr == pytest.approx((risk - by_score) / (risk - oracle))


def test_changes_of_auroc(records: Records, analysis: Analysis) -> None:
    rows = analysis.rows("downstream_change")
    pairs = [("before", "selected"), ("epoch_1", "selected")]
    expected = [
        (s, *pair, scope) for s in ("sharp", "rough") for pair in pairs for scope in ("models", "training")
    ]
    assert [(r.score, r.from_, r.to, r.ci_scope) for r in rows] == expected
    for row in rows:
        start = 0 if row.from_ == "before" else 1
        ends = [
            [
                roc_auc_score(truth(part), part.scores[row.score])
                for part in (rows_at(records, "test", s, e) for s in (0, 1))
            ]
            for e in (start, 2)
        ]
        change = np.subtract(ends[1], ends[0])
        assert (row.n_items, row.n_seeds, row.status) == (120, 2, "")
        assert (row.auroc_from, row.auroc_to) == pytest.approx(tuple(np.mean(ends, axis=1)))
        assert (row.mean, row.sd) == pytest.approx((change.mean(), change.std(ddof=1)))
        assert row.ci_low < row.mean < row.ci_high
    for pair, scope in itertools.product(pairs, ("models", "training")):
        family = [r for r in rows if (r.from_, r.to) == pair and r.ci_scope == scope]
        p = np.array([r.p_change for r in family])
        holm = np.minimum(1, np.maximum.accumulate(np.sort(p) * [2, 1]))[np.argsort(np.argsort(p))]
        assert [r.p_change_holm for r in family] == pytest.approx(holm.tolist())


def test_interval_of_a_change_agrees_with_a_plain_bootstrap() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    row = analyse(records, resamples=3000).rows("downstream_change")[0]
    before, after = (rows_at(records, "test", 0, epoch) for epoch in (0, 1))
    rng = np.random.default_rng(0)
    items = rng.integers(0, 120, size=(3000, 120))
    areas = []
    for part in (before, after):
        correct = truth(part)[items]
        right, ranks = correct.sum(axis=1), stats.rankdata(part.scores["sharp"][items], axis=1)
        areas.append(((ranks * correct).sum(axis=1) - right * (right + 1) / 2) / (right * (120 - right)))
    assert areas[0][0] == pytest.approx(roc_auc_score(truth(before)[items[0]], before.scores["sharp"][items[0]]))
    drawn = areas[1] - areas[0]
    assert (row.score, row.ci_scope, row.n_seeds) == ("sharp", "models", 1)
    assert (row.ci_low, row.ci_high) == pytest.approx(tuple(np.quantile(drawn, (0.025, 0.975))), abs=0.012)


def test_percentages(records: Records, analysis: Analysis) -> None:
    combinations = [("before", "before"), ("before", "selected"), ("selected", "selected")]
    maps = ("isotonic", "logistic", "min-max")
    expected = [
        (s, seed, m, *c) for s in ("sharp", "rough") for seed in (0, 1) for m in maps for c in combinations
    ]
    assert [(r.score, r.seed, r.map, r.fitted, r.applied) for r in analysis.rows("percentages")] == expected
    epochs = {"before": 0, "selected": 2}
    for row in analysis.rows("percentages"):
        validation = calibrating(records, row.seed, epochs[row.fitted])
        test = rows_at(records, "test", row.seed, epochs[row.applied])
        known, confidence = validation.scores[row.score], test.scores[row.score]
        if row.map == "isotonic":
            chance = isotonic(validation, row.score).predict(confidence)
        elif row.map == "min-max":
            chance = np.clip((confidence - known.min()) / (known.max() - known.min()), 0, 1)
        else:
            continue
        assert (row.n, row.n_validation, row.status) == (120, 226, "")
        assert row.used == (row.map == "isotonic")
        assert row.brier == pytest.approx(brier_score_loss(truth(test), chance))
        assert row.ece == pytest.approx(ece_by_hand(chance, truth(test)))
        assert row.brier == pytest.approx(row.miscalibration - row.discrimination + row.uncertainty)
    of_rows = {(r.seed, r.score): (r.ece, r.brier) for r in analysis.rows("downstream") if r.selected}
    again = {
        (r.seed, r.score): (r.ece, r.brier)
        for r in analysis.rows("percentages")
        if (r.map, r.fitted) == ("isotonic", "selected")
    }
    assert again == of_rows


def test_the_best_score_is_never_chosen_on_test(records: Records) -> None:
    """On test "rough" is made perfect, on validation it stays rough."""
    perfect = np.where(records.split == "test", truth(records), records.scores["rough"])
    analysis = analyse(replace(records, scores={**records.scores, "rough": perfect}), resamples=100)
    assert {a.score for a in analysis.rows("alerts")} == {"sharp"}
    assert [r.score for r in analysis.rows("reliability")] == ["sharp", "rough"]


def test_alerts_are_of_the_recommended_score_or_of_the_one_that_is_relied_on(records: Records) -> None:
    """And by name where scores are equal."""
    analysis = analyse(records, resamples=100)
    (best,) = analysis.rows("recommendation")
    assert {row.score for row in analysis.rows("chosen")} == {best.score} == {"sharp"}
    relied = analyse(records, resamples=100, rely_on="rough")
    assert {(row.score, row.chosen_by) for row in relied.rows("chosen")} == {("rough", "nothing")}
    assert {row.score for row in relied.rows("alerts")} == {"rough"}
    again = {"b": records.scores["sharp"], "a": records.scores["sharp"]}
    tied = analyse(replace(records, scores=again), resamples=100)
    assert len({row.score for row in tied.rows("chosen")}) == 1


def test_the_half_that_calibrates_does_not_choose(records: Records) -> None:
    """ "rough" is made perfect on the half that calibrates, and is not chosen."""
    calibrates = np.isin(records.item_id, calibrating(records, 0, 0).item_id)
    perfect = np.where(calibrates, truth(records), records.scores["rough"])
    analysis = analyse(replace(records, scores={**records.scores, "rough": perfect}), resamples=100)
    assert {row.score for row in analysis.rows("chosen")} == {"sharp"}


def test_items_of_a_group_are_in_one_half(records: Records) -> None:
    """Groups are named such that all items calibrate, and none is left to choose."""
    name = next(f"g{i}" for i in range(9) if hashlib.sha256(f"g{i}".encode()).digest()[0] % 2)
    group = np.full(len(records), name, dtype=object)
    analysis = analyse(replace(records, extra={**records.extra, "group": group}), resamples=100)
    assert {row.n_validation for row in analysis.rows("percentages")} == {420}
    assert analysis.rows("chosen") == ()


@pytest.mark.parametrize(("n", "by"), [(99, "test"), (100, "validation")])
def test_few_validation_items_all_calibrate_and_test_items_choose(n: int, by: str) -> None:
    """ "rough" is made perfect on test."""
    records = labelled(seeds=(0, 1), epochs=(0, 1), chosen=1, validation=n)
    perfect = np.where(records.split == "test", truth(records), records.scores["rough"])
    records = replace(records, scores={**records.scores, "rough": perfect})
    analysis = analyse(records, resamples=100)
    (row, *others) = analysis.rows("chosen")
    calibrates = n if by == "test" else len(calibrating(records, 0, 0))
    assert {r.chosen_by for r in (row, *others)} == {by}
    assert (row.score, row.n_validation) == ("rough" if by == "test" else "sharp", calibrates)
    assert row.n_choosing == (120 if by == "test" else n - calibrates)
    assert {(r.map, r.n_validation) for r in analysis.rows("downstream")} == {("logistic", calibrates)}
    assert {r.map for r in analysis.rows("percentages") if r.used} == {"logistic"}
    # The judge abstained on one item of one run: there are not enough any more.
    silent = (records.seed == 1) & (records.item_id == "validation-007")
    fewer = analyse(
        with_correct(records, [None if s else c for s, c in zip(silent, records.correct)]), resamples=100
    )
    assert {r.chosen_by for r in fewer.rows("chosen")} == {"test"}


def test_nothing_chooses_where_there_is_one_score(records: Records) -> None:
    alone = analyse(replace(records, scores={"sharp": records.scores["sharp"]}), resamples=100)
    assert {(r.chosen_by, r.n_choosing, r.n_validation) for r in alone.rows("chosen")} == {("nothing", 0, 420)}


def test_chosen_says_what_the_choice_was_by(records: Records, analysis: Analysis) -> None:
    places = [(0, "before", 0), (0, "selected", 2), (1, "before", 0), (1, "selected", 2)]
    assert [(r.seed, r.checkpoint, r.epoch) for r in analysis.rows("chosen")] == places
    for row in analysis.rows("chosen"):
        part = calibrating(records, row.seed, row.epoch)
        confidence, correct = part.scores["sharp"], truth(part)
        assert (row.score, row.n_scores, row.n_validation, row.n_correct) == ("sharp", 2, 226, correct.sum())
        assert (row.chosen_by, row.n_choosing) == ("validation", 194)
        assert row.auroc == pytest.approx(roc_auc_score(correct, confidence))
        assert (row.low, row.high) == auroc_interval(confidence, correct)


def test_a_checkpoint_with_one_class_does_not_count_and_a_score_that_lacks_one_is_left_out() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    wrong = with_correct(records, [c and e > 0 for c, e in zip(records.correct, records.epoch)])
    assert {row.score for row in analyse(wrong, resamples=100).rows("chosen")} == {"sharp"}
    lacks = (records.split == "validation") & (records.epoch == 1)
    scores = {**records.scores, "sharp": np.where(lacks, nan, records.scores["sharp"])}
    assert {row.score for row in analyse(replace(records, scores=scores), resamples=100).rows("chosen")} == {
        "rough"
    }
    never = with_correct(records, [bool(c) and s == "test" for c, s in zip(records.correct, records.split)])
    none = analyse(never, resamples=100)
    assert (none.rows("chosen"), none.rows("alerts")) == ((), ())
    assert none.notes == (
        "tiny / toy: no score has an AUROC on the validation items of every checkpoint (all are right, all are "
        "wrong, or lack the score): no alerts",
    )


def test_review_thresholds_hold_on_validation_and_are_counted_on_test(
    records: Records, analysis: Analysis
) -> None:
    combinations = [("before", "before"), ("before", "selected"), ("selected", "selected")]
    expected = [
        (s, seed, w, *c) for s in ("sharp", "rough") for seed in (0, 1) for w in (0.9, 0.8) for c in combinations
    ]
    assert [(r.score, r.seed, r.wanted, r.chosen, r.applied) for r in analysis.rows("review")] == expected
    found = [r for r in analysis.rows("review") if not isnan(r.threshold)]
    assert found
    assert all(r.status for r in analysis.rows("review") if isnan(r.threshold))
    epochs = {"before": 0, "selected": 2}
    for row in found:
        validation = calibrating(records, row.seed, epochs[row.chosen])
        kept = validation.scores[row.score] >= row.threshold
        right = int(truth(validation)[kept].sum())
        bound = stats.binomtest(right, int(kept.sum()), alternative="greater").proportion_ci(1 - row.error).low
        # Early stopping looked at the same validation items.
        assert row.error == (0.015 if row.chosen == "selected" else 0.05)
        assert row.guarantee == ("holds" if row.score == "sharp" else "if named")
        assert row.bound == pytest.approx(bound)
        assert row.bound >= row.wanted
        assert row.threshold in rows_at(records, "test", row.seed, epochs[row.chosen]).scores[row.score]
        test = rows_at(records, "test", row.seed, epochs[row.applied])
        given = test.scores[row.score] >= row.threshold
        assert (row.kept, row.n, row.coverage) == (given.sum(), 120, given.mean())
        assert row.precision == pytest.approx(truth(test)[given].mean())
        interval = stats.binomtest(int(truth(test)[given].sum()), int(given.sum())).proportion_ci(0.95)
        assert (row.ci_low, row.ci_high) == pytest.approx((interval.low, interval.high))
        assert row.without == pytest.approx(truth(test).mean())


def test_reliability_is_of_the_first_run(records: Records, analysis: Analysis) -> None:
    assert [(r.score, r.rank, r.seed, r.n_seeds) for r in analysis.rows("reliability")] == [
        ("sharp", 0, 0, 2),
        ("rough", 1, 0, 2),
    ]
    one = analysis.rows("reliability")[0]
    old = isotonic(calibrating(records, 0, 0), "sharp")
    after = rows_at(records, "test", 0, 2)
    assert one.carried.chance == pytest.approx(old.predict(after.scores["sharp"]).tolist())
    assert one.carried.correct == one.renewed.correct == tuple(after.correct)
    assert one.before.correct == tuple(rows_at(records, "test", 0, 0).correct)


def test_order_of_records_does_not_matter(records: Records, analysis: Analysis) -> None:
    mixed = records.take(np.random.default_rng(1).permutation(len(records)))
    again = analyse(mixed, resamples=200)
    for name in EVERYTHING:
        assert repr(again.rows(name)) == repr(analysis.rows(name))


def test_nothing_without_labels(records: Records) -> None:
    plain = analyse(with_correct(records, [None] * len(records)), resamples=100)
    assert [plain.rows(name) for name in EVERYTHING] == [()] * len(EVERYTHING)
    assert plain.notes == ()


def test_quality_at_least_a_threshold_is_correct_where_records_do_not_say(records: Records) -> None:
    bare = with_correct(records, [None] * len(records))
    asked = analyse(bare, resamples=100, correct_at=0.6)
    said = analyse(with_correct(records, (records.quality >= 0.6).tolist()), resamples=100)
    for name in EVERYTHING:
        assert repr(asked.rows(name)) == repr(said.rows(name))
    assert asked.notes == ("toy: correct means quality ≥ 0.6",)
    assert said.notes == ()


def test_correct_in_the_records_comes_first(records: Records, analysis: Analysis) -> None:
    both = analyse(records, resamples=200, correct_at=0.9)
    assert both.rows("downstream") == analysis.rows("downstream")
    assert both.notes == ("toy: the records say which answers are correct: correct_at is not used",)


def test_quality_of_0_and_1_is_correctness() -> None:
    records = labelled(seeds=(0,))
    exact = replace(records, quality=truth(records))
    asked = analyse(with_correct(exact, [None] * len(exact)), resamples=100)
    assert asked.rows("downstream") == analyse(exact, resamples=100).rows("downstream")
    assert asked.notes == (
        "toy: correct means quality 1: no record says `correct`, and quality is 0 or 1 everywhere",
    )
    never = replace(exact, quality=np.zeros(len(exact)))
    assert analyse(with_correct(never, [None] * len(exact)), resamples=100).rows("downstream") == ()


def test_a_threshold_must_be_a_number(records: Records) -> None:
    with pytest.raises(InputError, match=r"correct_at is nan: write a quality, such as 0\.5"):
        analyse(records, resamples=100, correct_at=nan)


def test_one_class_at_a_checkpoint() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    wrong = [False if e == 0 else c for c, e in zip(records.correct, records.epoch)]
    analysis = analyse(with_correct(records, wrong), resamples=100)
    before, after = analysis.rows("downstream")[0], analysis.rows("downstream")[2]
    undefined = (before.auroc, before.auroc_ci_low, before.auroc_ci_high, before.prr, before.ece)
    assert [isnan(value) for value in undefined] == [True] * 5
    assert (before.n_correct, before.aurc) == (0, 1.0)
    assert before.status == (
        "none of 120 answers are correct: nothing to tell apart; no percentages: of the validation items none of "
        "226 answers are correct: nothing to tell apart"
    )
    assert (after.status, isnan(after.auroc), isnan(after.ece)) == ("", False, False)
    change = analysis.rows("downstream_change")[0]
    assert [isnan(v) for v in (change.mean, change.p_change_holm, change.auroc_to)] == [True, True, False]
    assert change.status == "none of 120 answers are correct: nothing to tell apart"
    carried = next(r for r in analysis.rows("percentages") if (r.fitted, r.applied) == ("before", "selected"))
    assert isnan(carried.ece)
    assert carried.status.startswith("of the validation items none of 226")
    assert analysis.rows("reliability")[0].carried.chance == ()
    assert analysis.rows("reliability")[0].renewed.reason == ""


def test_without_validation_rows() -> None:
    records = labelled(seeds=(0,), validation=0)
    analysis = analyse(records, resamples=100)
    with_maps = analyse(labelled(seeds=(0,)), resamples=100)
    assert len(analysis.rows("downstream")) == len(with_maps.rows("downstream"))
    for row in analysis.rows("downstream"):
        part = rows_at(records, "test", 0, row.epoch)
        assert row.auroc == pytest.approx(roc_auc_score(truth(part), part.scores[row.score]))
        assert (isnan(row.ece), isnan(row.brier)) == (True, True)
        assert (row.map, row.n_validation, row.status) == ("", 0, "no percentages: no validation rows")
    assert (
        analysis.rows("percentages"),
        analysis.rows("review"),
        analysis.rows("alerts"),
        analysis.rows("reliability"),
    ) == ((), (), (), ())
    assert analysis.notes == (
        "No validation rows: AUROC, PRR and AURC alone, no percentages, alerts or review threshold",
    )


def test_validation_rows_at_one_end_only() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    lacking = records.take((records.split == "test") | (records.epoch == 1))
    analysis = analyse(lacking, resamples=100)
    assert "toy: at 1 of 2 checkpoints no validation rows: no percentages" in analysis.notes[0]
    by_ends = {(r.fitted, r.applied): r.status for r in analysis.rows("percentages") if r.map == "isotonic"}
    assert by_ends == {
        ("before", "before"): "no validation rows",
        ("before", "selected"): "no validation rows",
        ("selected", "selected"): "",
    }


def test_a_judge_that_abstained() -> None:
    """On all answers before fine-tuning, on some after it."""
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    test = records.split == "test"
    silent = (records.epoch == 0) | (test & np.char.endswith(records.item_id.astype(str), "7"))
    analysis = analyse(
        with_correct(records, [None if s else c for s, c in zip(silent, records.correct)]), resamples=100
    )
    before, after = analysis.rows("downstream")[0], analysis.rows("downstream")[2]
    assert (before.n, before.status) == (0, "no answer is judged")
    kept = rows_at(records, "test", 0, 1)
    kept = kept.take(~np.char.endswith(kept.item_id.astype(str), "7"))
    assert (after.n, after.auroc) == (108, pytest.approx(roc_auc_score(truth(kept), kept.scores["sharp"])))
    assert analysis.notes == (
        "tiny / toy: at a checkpoint all 120 answers are neither correct nor wrong (not judged, abstained on, "
        "or without quality): left out of AUROC, percentages and review",
        "tiny / toy: at 1 of 2 checkpoints no validation answer is judged: no percentages, alerts and review "
        "threshold there",
    )
    change = analysis.rows("downstream_change")[0]
    assert (change.n_items, change.status) == (
        0,
        "no item_id has a label and this score at every checkpoint compared",
    )
    told = {
        at: [a.correct for a in analysis.rows("alerts") if a.checkpoint == at] for at in ("before", "selected")
    }
    assert (told["before"], told["selected"].count(None)) == ([None] * 120, 12)


def test_a_score_that_some_items_lack() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    lacks = (records.split == "test") & (records.epoch == 1) & (records.item_id == "test-003")
    analysis = analyse(
        replace(records, scores={**records.scores, "sharp": np.where(lacks, nan, records.scores["sharp"])}),
        resamples=100,
    )
    assert [r.n for r in analysis.rows("downstream")] == [120, 120, 119, 120]
    assert [r.n_items for r in analysis.rows("downstream_change")] == [119, 120]


def test_one_checkpoint() -> None:
    analysis = analyse(labelled(seeds=(0,), epochs=(0,), chosen=9), resamples=100)
    assert {(r.fitted, r.applied) for r in analysis.rows("percentages")} == {("before", "before")}
    assert {(r.chosen, r.applied) for r in analysis.rows("review")} == {("before", "before")}
    assert analysis.rows("reliability") == ()
    assert analysis.rows("downstream_change") == ()


def test_from_epoch_1_where_there_is_no_before() -> None:
    analysis = analyse(labelled(seeds=(0,), epochs=(1, 2, 3), chosen=9), resamples=100)
    assert {(r.fitted, r.applied) for r in analysis.rows("percentages")} == {
        ("epoch_1", "epoch_1"),
        ("epoch_1", "last"),
        ("last", "last"),
    }


def test_validation_rows_are_checked(records: Records) -> None:
    validation = np.flatnonzero(records.split == "validation")
    twice = together(records, records.take(validation[:1]))
    with pytest.raises(InputError, match="epoch 0, validation: item 'validation-000' occurs twice"):
        analyse(twice, resamples=100)
    infinite = records.scores["sharp"].copy()
    infinite[validation[2]] = np.inf
    with pytest.raises(InputError, match="sharp of item 'validation-002' is infinite"):
        analyse(replace(records, scores={**records.scores, "sharp": infinite}), resamples=100)


def test_other_tables_do_not_see_labels_or_validation(records: Records, analysis: Analysis) -> None:
    bare = analyse(with_correct(records, [None] * len(records)).take(records.split == "test"), resamples=200)
    nothing = dict.fromkeys((*EVERYTHING, "checks", "recommendation"), ())
    assert same(with_rows(bare, checks=(), recommendation=()), with_rows(analysis, **nothing))


def test_tasks_are_labelled_by_themselves() -> None:
    rng = np.random.default_rng(2)
    plain = checkpoint(rng.random(40), {"sharp": rng.random(40)}, task="graded")
    analysis = analyse(together(labelled(seeds=(0,), epochs=(0,)), plain), resamples=100)
    assert {row.task for row in analysis.rows("downstream")} == {"toy"}
    assert {row.task for row in analysis.rows("correlation")} == {"toy", "graded"}
