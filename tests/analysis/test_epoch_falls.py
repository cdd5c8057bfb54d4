import math

import numpy as np
import pytest
from scipy import stats

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import Analysis, Row
from record_samples import checkpoint, rho, study, together


def fall(analysis: Analysis, score: str) -> Row:
    (row,) = [row for row in analysis.rows("epoch_fall") if row.score == score]
    return row


def test_mean_spread_and_worst_of_every_score() -> None:
    records = study(epochs=(0, 1, 2, 3, 4))
    analysis = analyse(records, resamples=20)
    assert [row.score for row in analysis.rows("epoch_fall")] == ["up", "down"]
    for row in analysis.rows("epoch_fall"):
        # The step from 0 to 1 is fine-tuning itself, not an epoch-to-epoch step.
        steps = np.array([np.diff([rho(records, row.score, s, t) for t in (1, 2, 3, 4)]) for s in range(3)])
        falls = steps.min(axis=1)
        assert row.n_seeds == 3
        assert (row.mean, row.sd) == pytest.approx((falls.mean(), falls.std(ddof=1)))
        assert row.worst == pytest.approx(falls.min())
        assert row.worst_from_epoch == 1 + np.argmin(steps.min(axis=0))
    assert not any("epoch-to-epoch" in note for note in analysis.notes)


def test_a_rise_everywhere_is_reported_as_it_is() -> None:
    order = np.arange(12.0)
    shuffled = {1: np.roll(order, 6), 2: np.roll(order, 3), 3: order}
    records = together(*(checkpoint(order, {"s": values}, epoch=t) for t, values in shuffled.items()))
    row = fall(analyse(records, resamples=20), "s")
    steps = np.diff([stats.spearmanr(order, values).statistic for values in shuffled.values()])
    assert row.mean == pytest.approx(steps.min())
    assert row.mean > 0
    assert math.isnan(row.sd)


def test_only_whole_epochs_one_apart_are_steps() -> None:
    records = study(epochs=(0, 1, 2, 4, 25))
    half = study(epochs=(0, 1), chosen=9)
    half.epoch[half.epoch == 1] = 2.5
    records = together(records, half.take(half.epoch == 2.5))
    row = fall(analyse(records, resamples=20), "down")
    falls = [rho(records, "down", s, 2) - rho(records, "down", s, 1) for s in range(3)]
    assert row.mean == pytest.approx(np.mean(falls))
    assert row.worst_from_epoch == 1


@pytest.mark.parametrize("epochs", [(0, 1), (0, 2, 4), (0,), (1,)])
def test_no_row_without_steps(epochs: tuple[int, ...]) -> None:
    analysis = analyse(study(epochs=epochs), resamples=20)
    assert analysis.rows("epoch_fall") == ()
    assert not any("epoch-to-epoch" in note for note in analysis.notes)


def test_only_steps_that_all_runs_have() -> None:
    records = study(epochs=(0, 1, 2, 3, 4, 5))
    records = records.take(~((records.seed == 1) & (records.epoch > 3)))
    records = records.take(~((records.seed == 2) & (records.epoch == 1)))
    analysis = analyse(records, resamples=20)
    row = fall(analysis, "down")
    falls = [rho(records, "down", s, 3) - rho(records, "down", s, 2) for s in range(3)]
    assert row.mean == pytest.approx(np.mean(falls))
    assert row.worst_from_epoch == 2
    assert (
        "tiny / toy: left out of the largest epoch-to-epoch fall, because not every training run has them: "
        "epochs 1 → 2 and 3 → 5"
    ) in analysis.notes


def test_a_run_without_steps_is_left_out() -> None:
    records = study(epochs=(0, 1, 2))
    records = records.take(~((records.seed == 1) & (records.epoch == 1)))
    analysis = analyse(records, resamples=20)
    assert fall(analysis, "up").n_seeds == 2
    assert (
        "tiny / toy: seed 1 without two successive epochs: left out of the largest epoch-to-epoch fall"
    ) in analysis.notes


def test_runs_without_a_common_step_have_no_row() -> None:
    records = study(seeds=2, epochs=(0, 1, 2, 3))
    records = records.take(~((records.seed == 0) & (records.epoch == 3)))
    records = records.take(~((records.seed == 1) & (records.epoch == 1)))
    analysis = analyse(records, resamples=20)
    assert analysis.rows("epoch_fall") == ()
    assert any(note.endswith("not every training run has them: epochs 1 → 3") for note in analysis.notes)


@pytest.mark.parametrize("absent", [False, True])
def test_items_are_those_of_both_ends(absent: bool) -> None:
    records = study(epochs=(2, 3))
    first = (records.epoch == 2) & np.isin(records.item_id, ["item-4", "item-5"])
    second = (records.epoch == 3) & (records.item_id == "item-9")
    records.scores["up"][first | second] = np.nan
    if absent:
        records = records.take(~(first | second))
    row = fall(analyse(records, resamples=20), "up")
    kept = {f"item-{i}" for i in range(60)} - {"item-4", "item-5", "item-9"}
    falls = [rho(records, "up", s, 3, kept) - rho(records, "up", s, 2, kept) for s in range(3)]
    assert row.mean == pytest.approx(np.mean(falls))
    (note,) = [n for n in analyse(records, resamples=20).notes if "left out of what is computed" in n]
    assert "up to 3 of 60 for" in note


def test_an_undefined_step_is_left_out_for_all_runs() -> None:
    records = study(epochs=(0, 1, 2, 3, 4))
    records.scores["down"][(records.seed == 1) & (records.epoch == 2)] = 0.5
    analysis = analyse(records, resamples=20)
    falls = [rho(records, "down", s, 4) - rho(records, "down", s, 3) for s in range(3)]
    assert fall(analysis, "down").mean == pytest.approx(np.mean(falls))
    assert (
        "tiny / toy: left out of the largest epoch-to-epoch fall of down, because a training run has no "
        "correlation at an end: epochs 1 → 3"
    ) in analysis.notes


def test_nothing_but_undefined_steps() -> None:
    records = study()
    records.scores["down"][:] = 0.5
    row = fall(analyse(records, resamples=20), "down")
    assert np.isnan([row.mean, row.sd, row.worst]).all()
    assert (row.n_seeds, row.worst_from_epoch) == (3, None)


def test_what_no_change_would_give_stands_beside_the_fall() -> None:
    records = study(epochs=(0, 1, 2, 3, 4))
    for row in analyse(records, resamples=20).rows("epoch_fall"):
        assert row.null_low < row.null < row.null_high < 0.2
        assert row.null_status == ""
    order = np.random.default_rng(0).permutation(len(records))
    assert analyse(records.take(order), resamples=20).rows("epoch_fall") == analyse(records, resamples=20).rows(
        "epoch_fall"
    )


def test_no_null_of_a_fall_with_few_items() -> None:
    row = fall(analyse(study(n=29, epochs=(1, 2, 3)), resamples=20), "up")
    assert math.isfinite(row.mean)
    assert math.isnan(row.null)
    assert row.null_status == "no range with fewer than 30 items"
