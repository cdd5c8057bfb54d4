from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from aftertune.analysis.analyse import analyse
from aftertune.types import Records
from record_samples import rho, study, together


def sizes(*names: str, seeds: int = 3, task: str = "toy", epochs: tuple[int, ...] = (0, 1, 3)) -> Records:
    """Each setting with data of its own (`study` makes the same for every name, so the items are shifted)."""
    parts = []
    for i, name in enumerate(names):
        part = study(n=40 + 5 * i, seeds=seeds, epochs=epochs, setting=name, task=task)
        part.scores["up"][:] += (i - 1) * part.quality * (part.epoch > 0)
        parts.append(part)
    return together(*parts)


def at(records: Records, setting: str) -> Records:
    return records.take(records.setting == setting)


def test_anova_over_the_last_checkpoints_of_each_size() -> None:
    names = ("n=1000", "n=100", "n=500")
    records = sizes(*names)
    rows = analyse(records, resamples=20).rows("sample_size")
    assert [(r.setting, r.score, r.settings) for r in rows] == [
        ("n=*", score, "n=100; n=500; n=1000") for score in ("up", "down")
    ]
    for row in rows:
        groups = [[rho(at(records, name), row.score, seed, 3) for seed in range(3)] for name in names]
        expected = stats.f_oneway(*groups)
        assert (row.f, row.p_anova) == pytest.approx((expected.statistic, expected.pvalue))


def test_families_agree_in_all_but_n_and_each_has_its_own_holm() -> None:
    names = ("n=100", "n=500", "n=100,steps=2500", "n=500,steps=2500", "n=500,steps=9", "default", "lr=1")
    records = together(sizes(*names), sizes("n=100", "n=500", task="zoo"))
    rows = analyse(records, resamples=20).rows("sample_size")
    assert [(r.task, r.setting, r.settings, r.score) for r in rows] == [
        (task, family, settings, score)
        for task, family, settings in (
            ("toy", "n=*", "n=100; n=500"),
            ("toy", "n=*,steps=2500", "n=100,steps=2500; n=500,steps=2500"),
            ("zoo", "n=*", "n=100; n=500"),
        )
        for score in ("up", "down")
    ]
    for family, count in (("n=*", 4), ("n=*,steps=2500", 2)):
        own = [r for r in rows if r.setting == family]
        assert len(own) == count
        expected = multipletests([r.p_anova for r in own], method="holm")[1]
        np.testing.assert_allclose([r.p_anova_holm for r in own], expected)


def test_a_size_with_an_undefined_rho_is_left_out() -> None:
    records = sizes("n=100", "n=500", "n=1000")
    last = (records.setting == "n=500") & (records.seed == 2) & (records.epoch == 3)
    records.scores["up"][last] = 1.0
    analysis = analyse(records, resamples=20)
    up, down = analysis.rows("sample_size")
    assert (up.settings, down.settings) == ("n=100; n=1000", "n=100; n=500; n=1000")
    groups = [[rho(at(records, name), "up", seed, 3) for seed in range(3)] for name in ("n=100", "n=1000")]
    assert up.p_anova == pytest.approx(stats.f_oneway(*groups).pvalue)
    assert (
        "tiny / toy / n=*: n=500 is left out of the comparison of sample sizes for up: no correlation at the last "
        "checkpoint of a training run"
    ) in analysis.notes


def test_a_size_with_one_training_run_is_left_out() -> None:
    records = sizes("n=100", "n=500", "n=1000")
    records = records.take(~((records.setting == "n=100") & (records.seed > 0)))
    analysis = analyse(records, resamples=20)
    assert {r.settings for r in analysis.rows("sample_size")} == {"n=500; n=1000"}
    assert (
        "tiny / toy / n=*: n=100 is left out of the comparison of sample sizes for every score: one training run"
    ) in analysis.notes


def test_one_size_left_is_no_test() -> None:
    analysis = analyse(sizes("n=100", "n=500", seeds=1), resamples=20)
    for row in analysis.rows("sample_size"):
        assert row.settings == ""
        assert np.isnan([row.f, row.p_anova, row.p_anova_holm]).all()


def test_a_size_that_was_never_trained_is_no_member() -> None:
    records = sizes("n=100", "n=500")
    records = records.take((records.setting == "n=500") | (records.epoch == 0))
    assert analyse(records, resamples=20).rows("sample_size") == ()


def test_runs_end_at_epochs_of_their_own() -> None:
    records = sizes("n=100", "n=500", epochs=(0, 1, 2))
    late = (records.setting == "n=100") & (records.epoch == 2)
    records.epoch[late] = 25.5 + records.seed[late]
    (row, _) = analyse(records, resamples=20).rows("sample_size")
    groups = [
        [rho(at(records, "n=100"), "up", seed, 25.5 + seed) for seed in range(3)],
        [rho(at(records, "n=500"), "up", seed, 2) for seed in range(3)],
    ]
    assert row.f == pytest.approx(stats.f_oneway(*groups).statistic)


def test_runs_that_do_not_vary_are_undefined() -> None:
    first = sizes("n=100", "n=500", seeds=1)
    records = together(*(replace(first, seed=np.full(len(first), seed)) for seed in range(3)))
    row = analyse(records, resamples=20).rows("sample_size")[0]
    assert row.settings == "n=100; n=500"
    assert np.isnan([row.f, row.p_anova, row.p_anova_holm]).all()
