"""similarity.csv from records, against SciPy, statsmodels and pingouin's formula."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import Row
from aftertune.errors import InputError
from aftertune.stats.correlation import rho_p_value
from aftertune.types import Records
from record_samples import checkpoint, study, together

RNG = np.random.default_rng(3)


def records(n: int = 50, epochs: tuple[int, ...] = (0, 1, 2), seeds: int = 2) -> Records:
    """ "near" follows similarity, "far" follows quality; similarity has ties."""
    rng = np.random.default_rng(1)
    parts = []
    for seed in range(seeds):
        for epoch in epochs:
            similarity, quality = np.round(rng.uniform(size=n), 1), np.round(rng.normal(size=n), 1)
            scores = {"near": similarity + 0.3 * rng.normal(size=n), "far": quality + rng.normal(size=n)}
            parts.append(checkpoint(quality, scores, seed=seed, epoch=epoch, similarity=similarity))
    return together(*parts)


def rows(given: Records) -> tuple[Row, ...]:
    return analyse(given, resamples=20).rows("similarity")


def residual_correlation(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
    """Correlation of what least squares on the rank of z leaves of the ranks of x and y."""
    x, y, z = map(stats.rankdata, (x, y, z))
    design = np.column_stack([np.ones(len(z)), z])
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    return stats.pearsonr(*left).statistic


def test_every_number_against_other_libraries() -> None:
    given = records()
    found = rows(given)
    assert [(r.seed, r.epoch, r.score) for r in found] == [
        (seed, epoch, score) for seed in (0, 1) for epoch in (0, 1, 2) for score in ("near", "far")
    ]
    for row in found:
        at = (given.seed == row.seed) & (given.epoch == row.epoch)
        x, y, z = given.scores[row.score][at], given.quality[at], given.train_similarity[at]
        expected = stats.spearmanr(x, z)
        assert (row.n, row.status) == (50, "")
        assert row.spearman == pytest.approx(expected.statistic)
        assert row.p == pytest.approx(expected.pvalue, rel=1e-9)
        assert row.quality_spearman == pytest.approx(stats.spearmanr(x, y).statistic)
        assert row.quality_given_similarity == pytest.approx(residual_correlation(x, y, z))
    np.testing.assert_allclose([r.p_holm for r in found], multipletests([r.p for r in found], method="holm")[1])
    assert all(r.p_holm < 0.05 for r in found if r.score == "near")


@pytest.mark.parametrize("n", [3, 4, 10, 1000])
def test_p_is_that_of_scipy(n: int) -> None:
    x = RNG.normal(size=n)
    for y in (RNG.normal(size=n), x + RNG.normal(size=n), np.round(RNG.normal(size=n) - x)):
        expected = stats.spearmanr(x, y)
        assert rho_p_value(expected.statistic, n) == pytest.approx(expected.pvalue, rel=1e-7, abs=1e-300)
    assert rho_p_value(-1.0, n) == 0
    assert isnan(rho_p_value(float("nan"), n))
    assert isnan(rho_p_value(1.0, 2))


def test_holm_is_over_the_whole_table() -> None:
    first, second = records(seeds=1, epochs=(0, 1)), records(n=30, seeds=1, epochs=(0, 1))
    second.setting[:] = "n=500"
    found = rows(together(first, second))
    assert len(found) == 8
    np.testing.assert_allclose([r.p_holm for r in found], multipletests([r.p for r in found], method="holm")[1])


def test_without_similarity_the_last_checkpoint_of_each_run_says_so() -> None:
    found = rows(study(n=20, seeds=2))
    assert [(r.seed, r.epoch, r.score) for r in found] == [
        (s, 3, score) for s in (0, 1) for score in ("up", "down")
    ]
    assert {(r.n, r.status) for r in found} == {(0, "no train_similarity")}
    for r in found:
        assert np.isnan([r.spearman, r.p, r.p_holm, r.quality_spearman, r.quality_given_similarity]).all()


def test_a_checkpoint_without_similarity_among_others_says_so() -> None:
    given = records(seeds=1)
    given.train_similarity[given.epoch == 1] = np.nan
    assert [r.status for r in rows(given)] == ["", "", *["no train_similarity"] * 2, "", ""]


def test_items_without_similarity_are_left_out_with_a_note() -> None:
    given = records(seeds=1)
    given.train_similarity[(given.epoch == 1) & np.isin(given.item_id, ["item-1", "item-2"])] = np.nan
    analysis = analyse(given, resamples=20)
    assert [r.n for r in analysis.rows("similarity")] == [50, 50, 48, 48, 50, 50]
    assert (
        "tiny / toy: up to 2 of 50 items lack train_similarity at a checkpoint: left out of its correlation with "
        "every score"
    ) in analysis.notes


def test_reasons() -> None:
    given = records(seeds=1, epochs=(0, 1, 2, 3, 4, 5))
    near = given.scores["near"]
    given.train_similarity[given.epoch == 0] = 0.5
    given.quality[given.epoch == 1] = 1.0
    near[given.epoch == 2] = 0.0
    near[(given.epoch == 3) & ~np.isin(given.item_id, ["item-1", "item-2"])] = np.nan
    near[given.epoch == 4] = given.train_similarity[given.epoch == 4]
    near[given.epoch == 5] = np.nan
    found = {r.epoch: r for r in rows(given) if r.score == "near"}
    assert {epoch: r.status for epoch, r in found.items()} == {
        0: "train_similarity is constant: no correlation with it",
        1: "quality is constant: no correlation with it",
        2: "confidence is constant: no correlation",
        3: "fewer than 3 items (2): no correlation",
        4: "train_similarity gives the order of confidence or of quality: nothing is left to correlate",
        5: "no item has this score",
    }
    assert isnan(found[0].spearman)
    assert isnan(found[0].p)
    assert found[0].quality_given_similarity == found[0].quality_spearman
    assert found[1].spearman > 0.5
    assert isnan(found[1].quality_spearman)
    assert isnan(found[1].quality_given_similarity)
    assert found[4].spearman == 1
    assert isnan(found[4].quality_given_similarity)
    assert all(isnan(found[epoch].spearman) and isnan(found[epoch].quality_spearman) for epoch in (2, 3, 5))


def test_few_items_have_a_rough_p() -> None:
    assert {r.status for r in rows(records(n=9))} == {"p is rough (fewer than 10 items)"}
    assert {r.status for r in rows(records(n=10))} == {""}


def test_infinite_similarity_is_the_users_error() -> None:
    given = records(seeds=1)
    given.train_similarity[7] = np.inf
    with pytest.raises(InputError, match="train_similarity of item 'item-7' is infinite"):
        analyse(given, resamples=20)
