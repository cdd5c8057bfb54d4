"""What the figures draw, before anything is drawn."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
from scipy import stats

from aftertune.analysis.schema import Analysis
from aftertune.report.series import interval_over_runs, panels, size_panels, what_over


def analysis(*rows) -> Analysis:
    return Analysis.of(correlation=rows)


def test_series_are_means_over_seeds(make_correlation) -> None:
    rows = [
        make_correlation("s", epoch, 0.1 * epoch + 0.2 * seed, seed=seed, selected=epoch == 1)
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    ]
    rows[1] = make_correlation("s", 1, nan, seed=0, ci_low=nan, ci_high=nan, selected=True)
    (panel,) = panels(analysis(*rows))
    (series,) = panel.series
    np.testing.assert_allclose(series.rho, [0.1, 0.3, 0.3])
    np.testing.assert_allclose(series.low, [0.0, 0.2, 0.2])
    np.testing.assert_allclose(series.high, [0.2, 0.4, 0.4])
    assert series.chosen.rho == pytest.approx(0.3)
    assert panel.selected == {1.0: (0, 1)}
    assert panel.epochs == [0, 1, 2]
    assert (panel.late, panel.checkpoints) == ((), 3)


@pytest.mark.parametrize(
    ("runs", "late"),
    [
        ([(range(11), 4)], ()),
        ([(range(11), 10)], ()),
        ([([*range(11), 11], 11)], ()),  # one more of the same steps
        ([([*range(11), 17], 17)], (17,)),
        ([([*range(11), 11], 11), ([*range(11), 12], 12)], (11, 12)),
        ([([*range(11), 17], 17), (range(11), 3)], (17,)),
        ([(range(6), 3), (range(8), 5)], ()),  # stopped at different epochs, all of them measured
        ([([0, 1, 7], 7)], (7,)),
        ([([1], 1)], ()),
    ],
)
def test_late_epochs(make_correlation, runs, late) -> None:
    rows = [
        make_correlation("s", epoch, 0.01 * epoch + seed, seed=seed, selected=epoch == chosen)
        for seed, (epochs, chosen) in enumerate(runs)
        for epoch in epochs
    ]
    (panel,) = panels(analysis(*rows))
    assert panel.late == late
    at_chosen = np.mean([0.01 * chosen + seed for seed, (_, chosen) in enumerate(runs)])
    assert panel.series[0].chosen.rho == pytest.approx(at_chosen)


def test_interval_over_runs() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 5):
        runs = rng.normal(0.2, 0.03, n)
        expected = stats.t.interval(0.95, n - 1, loc=runs.mean(), scale=stats.sem(runs))
        np.testing.assert_allclose(interval_over_runs(runs), expected)
    assert interval_over_runs([0.9, -0.9]) == (-1, 1)
    assert np.isnan(interval_over_runs([0.5])).all()
    assert interval_over_runs([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_sizes_take_the_last_checkpoint_of_each_run(make_correlation, make_sample_size) -> None:
    rows = [
        make_correlation("s", epoch, rho, seed=seed, setting=setting)
        for setting, seed, epoch, rho in (
            ("n=1000", 0, 1, 0.9),
            ("n=1000", 0, 10, 0.1),
            ("n=1000", 1, 8, 0.2),
            ("n=50", 1, 10, 0.4),
            ("n=50", 0, 10, nan),
            ("default", 0, 10, 0.7),
        )
    ]
    test = make_sample_size("s", "n=*", 0.01)
    (panel,) = size_panels(Analysis.of(correlation=tuple(rows), sample_size=(test,)))
    assert (panel.family, panel.sizes, panel.epoch, panel.steps) == ("n=*", (50, 1000), None, "")
    assert [point.runs for point in panel.scores["s"]] == [(0.4,), (0.1, 0.2)]
    assert panel.scores["s"][1].items == pytest.approx((0.05, 0.25))
    assert panel.tests == {"s": test}
    assert what_over([panel]) == "runs"


def test_a_family_needs_two_sizes_with_a_correlation(make_correlation) -> None:
    rows = [make_correlation("s", 10, 0.1, setting="n=50"), make_correlation("s", 10, nan, setting="n=100")]
    assert size_panels(analysis(*rows)) == ()
    rows.append(make_correlation("s", 10, 0.2, setting="n=200"))
    (panel,) = size_panels(analysis(*rows))
    assert panel.sizes == (50, 100, 200)
    assert panel.epoch == 10
    assert what_over([panel]) == "items"
