"""Lines of alerts.jsonl: what each answer is told before and after, against scikit-learn's isotonic regression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import Analysis, Row
from aftertune.stats.alerts import alert
from aftertune.stats.calibration import percent
from aftertune.types import Records
from downstream_samples import calibrating, labelled, rows_at, with_correct

NO_CHANCE = "No estimate of the chance that the answer is right: "


@pytest.fixture(scope="module")
def records() -> Records:
    return labelled()


@pytest.fixture(scope="module")
def analysis(records: Records) -> Analysis:
    return analyse(records, resamples=100)


def isotonic(part: Records) -> IsotonicRegression:
    return IsotonicRegression(out_of_bounds="clip").fit(part.scores["sharp"], part.correct.astype(float))


def at(analysis: Analysis, checkpoint: str, seed: int = 0) -> list[Row]:
    return [one for one in analysis.rows("alerts") if (one.checkpoint, one.seed) == (checkpoint, seed)]


def supported(told: list[Row]) -> np.ndarray:
    """Where the interval of the chance is at most 50 points wide."""
    return np.array([a.chance_high - a.chance_low <= 0.5 for a in told])


def two(**given) -> Records:
    return labelled(**{"seeds": (0,), "epochs": (0, 1), "chosen": 1, **given})


def test_every_item_before_and_after_it_by_run(analysis: Analysis) -> None:
    assert [(a.seed, a.item_id, a.checkpoint, a.epoch) for a in analysis.rows("alerts")] == [
        (seed, f"test-{i:03}", name, epoch)
        for seed in (0, 1)
        for i in range(120)
        for name, epoch in (("before", 0), ("selected", 2))
    ]
    assert {a.score for a in analysis.rows("alerts")} == {"sharp"}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("checkpoint", "epoch"), [("before", 0), ("selected", 2)])
def test_chance_is_of_the_map_of_its_checkpoint(
    records: Records, analysis: Analysis, seed: int, checkpoint: str, epoch: int
) -> None:
    told = at(analysis, checkpoint, seed)
    test, validation = rows_at(records, "test", seed, epoch), calibrating(records, seed, epoch)
    chance = isotonic(validation).predict(test.scores["sharp"])
    known = supported(told)
    assert 90 < known.sum() < 120
    assert [a.chance for a, k in zip(told, known) if k] == pytest.approx(chance[known].tolist())
    for a, k in zip(told, known):
        if k:
            assert a.alert == alert(a.chance, interval=(a.chance_low, a.chance_high))
            assert a.chance_low <= a.chance <= a.chance_high
        else:
            ends = f"{percent(a.chance_low)} % and {percent(a.chance_high)} %"
            assert (a.chance, a.alert) == (None, f"{NO_CHANCE}226 validation items leave it between {ends}")
    assert [a.confidence for a in told] == test.scores["sharp"].tolist()
    assert [a.correct for a in told] == test.correct.tolist()
    assert (told[5].input, told[5].references) == ("question 5?", ("reference 5",))
    assert told[5].output == f"answer 5 of epoch {epoch}"


def test_the_old_map_is_that_of_before_and_only_later_lines_have_it(records: Records, analysis: Analysis) -> None:
    old = isotonic(calibrating(records, 1, 0))
    carried = old.predict(rows_at(records, "test", 1, 2).scores["sharp"])
    said = [a.chance_by_old_map for a in at(analysis, "selected", 1)]
    known = np.array([one is not None for one in said])
    assert [one for one in said if one is not None] == pytest.approx(carried[known].tolist())
    assert 90 < known.sum() < 120
    assert {a.chance_by_old_map for a in at(analysis, "before", 1)} == {None}
    assert [a.chance_by_old_map for a in at(analysis, "selected", 1)] != [
        a.chance for a in at(analysis, "selected", 1)
    ]


def test_without_a_map_before_its_lines_say_why() -> None:
    records = two()
    wrong = [c and e > 0 for c, e in zip(records.correct, records.epoch)]
    analysis = analyse(with_correct(records, wrong), resamples=100)
    before, after = at(analysis, "before"), at(analysis, "selected")
    why = "of the validation items none of 226 answers are correct: nothing to tell apart"
    assert {(a.chance, a.alert, a.correct) for a in before} == {(None, NO_CHANCE + why, False)}
    assert [a.confidence for a in before] == rows_at(records, "test", 0, 0).scores["sharp"].tolist()
    assert supported(after).sum() > 90
    assert {a.chance_by_old_map for a in after} == {None}


def test_validation_rows_at_the_earlier_end_only() -> None:
    records = labelled(seeds=(0, 1), epochs=(0, 1), chosen=1)
    lacking = records.take((records.split == "test") | (records.epoch == 1) | (records.seed == 1))
    told = analyse(lacking, resamples=100)
    assert {a.alert for a in at(told, "before", 0)} == {f"{NO_CHANCE}no validation rows"}
    assert supported(at(told, "before", 1)).sum() > 90
    lacking = [[a.chance_by_old_map is None for a in at(told, "selected", seed)] for seed in (0, 1)]
    assert all(lacking[0])
    assert sum(lacking[1]) < 30


def test_a_later_map_that_is_undefined_leaves_what_the_old_one_says() -> None:
    """19 validation items have the score after fine-tuning, one less than a map needs."""
    records = two()
    few = (records.split == "validation") & (records.epoch == 1) & (records.item_id >= "validation-019")
    scores = {"sharp": np.where(few, np.nan, records.scores["sharp"])}
    analysis = analyse(replace(records, scores=scores), resamples=100)
    after = at(analysis, "selected")
    assert {a.chance for a in after} == {None}
    assert all(a.alert.startswith(f"{NO_CHANCE}19 validation items") for a in after)
    # One score: nothing is chosen, and all validation items calibrate.
    old = isotonic(rows_at(records, "validation", 0, 0))
    carried = old.predict(rows_at(records, "test", 0, 1).scores["sharp"])
    known = np.array([a.chance_by_old_map is not None for a in after])
    assert known.sum() > 90
    assert [a.chance_by_old_map for a, k in zip(after, known) if k] == pytest.approx(carried[known].tolist())


def test_a_run_without_any_map_has_no_lines() -> None:
    """And the others have theirs."""
    records = labelled(seeds=(0, 1), epochs=(0, 1), chosen=1)
    few = (records.split == "validation") & (records.seed == 0) & (records.item_id >= "validation-019")
    scores = {"sharp": np.where(few, np.nan, records.scores["sharp"])}
    assert {a.seed for a in analyse(replace(records, scores=scores), resamples=100).rows("alerts")} == {1}


def test_items_without_the_score_or_without_a_record() -> None:
    records = two()
    lacks = (records.split == "test") & (records.epoch == 1) & (records.item_id == "test-003")
    scores = {**records.scores, "sharp": np.where(lacks, np.nan, records.scores["sharp"])}
    kept = (records.split != "test") | (records.epoch != 0) | (records.item_id != "test-000")
    analysis = analyse(replace(records, scores=scores).take(kept), resamples=100)
    assert [(a.item_id, a.checkpoint) for a in analysis.rows("alerts")[:2]] == [
        ("test-000", "selected"),
        ("test-001", "before"),
    ]
    told = next(a for a in at(analysis, "selected") if a.item_id == "test-003")
    assert (told.confidence, told.chance, told.chance_by_old_map) == (None, None, None)
    assert told.alert == f"{NO_CHANCE}the score is undefined for it"


def test_one_checkpoint_and_epoch_1() -> None:
    one = analyse(labelled(seeds=(0,), epochs=(0,), chosen=9), resamples=100)
    assert {(a.checkpoint, a.chance_by_old_map) for a in one.rows("alerts")} == {("before", None)}
    assert len(one.rows("alerts")) == 120
    none_before = analyse(labelled(seeds=(0,), epochs=(1, 2), chosen=9), resamples=100)
    assert [a.checkpoint for a in none_before.rows("alerts")] == ["epoch_1", "last"] * 120
    said = [a.chance_by_old_map is not None for a in none_before.rows("alerts")]
    assert not any(said[::2])
    assert sum(said[1::2]) > 90
