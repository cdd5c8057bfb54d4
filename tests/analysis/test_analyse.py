import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from aftertune.analysis.analyse import analyse
from aftertune.analysis.checkpoints import COMPARISONS
from aftertune.errors import InputError
from aftertune.types import Records
from record_samples import change, checkpoint, rho, same, study, together, with_rows

NAN = float("nan")


def test_correlations_of_every_checkpoint_in_order() -> None:
    records = study()
    rows = analyse(records, resamples=20).rows("correlation")
    assert [(r.seed, r.epoch, r.score) for r in rows] == [
        (seed, epoch, score) for seed in range(3) for epoch in range(4) for score in ("up", "down")
    ]
    for row in rows:
        assert row.spearman == pytest.approx(rho(records, row.score, row.seed, row.epoch))
        assert row.selected == (row.epoch == 2)
        assert row.n == 60
        assert row.ci_low < row.spearman < row.ci_high


def test_changes_and_their_tests() -> None:
    records = study()
    analysis = analyse(records, resamples=300)
    assert [(r.score, r.from_, r.to, r.effect, r.ci_scope) for r in analysis.rows("change")] == [
        (score, from_, to, effect, scope)
        for score in ("up", "down")
        for from_, to in COMPARISONS
        for effect in ("adjusted", "spearman")
        for scope in ("models", "training", "new_run")
    ]
    epochs = {"before": 0, "epoch_1": 1, "selected": 2, "last": 3}
    for row in analysis.rows("change"):
        first, second = (
            np.array([rho(records, row.score, seed, epochs[end]) for seed in range(3)])
            for end in (row.from_, row.to)
        )
        assert row.mean == pytest.approx(np.mean(second - first))
        assert row.sd == pytest.approx(np.std(second - first, ddof=1))
        assert (row.n_items, row.n_seeds) == (60, 3)
        assert row.ci_low < row.mean < row.ci_high
        assert row.p_paired == pytest.approx(stats.ttest_rel(first, second).pvalue)
        if row.from_ == "epoch_1":
            assert row.p_anova == pytest.approx(stats.f_oneway(first, second).pvalue)
            assert row.p_welch == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue)
    up = change(analysis, score="up", from_="before", to="selected")
    assert (up.verdict, up.usable, up.items_needed) == ("improved", "yes", None)
    down = change(analysis, score="down", from_="before", to="selected", ci_scope="training")
    assert down.verdict == "degraded"


def two_runs(fall: float, n: int = 400) -> Records:
    """Seed 0 stays as it was, seed 1 changes much: sure of these two models, unsure of another run."""
    rng = np.random.default_rng(0)
    quality, noise = rng.normal(size=(2, n))
    parts = []
    for seed in (0, 1):
        for epoch in (0, 1):
            strength = 1.0 + fall * seed * epoch
            parts.append(
                checkpoint(quality, {"s": strength * quality + noise}, seed=seed, epoch=epoch, selected=epoch == 1)
            )
    return together(*parts)


def test_with_two_runs_the_training_interval_decides_all_rows() -> None:
    analysis = analyse(two_runs(-0.8), resamples=400)
    models, training = (change(analysis, score="s", ci_scope=scope) for scope in ("models", "training"))
    assert models.mean == training.mean
    assert models.ci_high < -0.1  # alone it would say "degraded"
    assert training.ci_high > 0
    assert models.p_beyond_margin < 0.05 < training.p_beyond_margin
    assert models.p_change < 0.05 < training.p_change
    rows = analysis.rows("change")
    assert [(r.effect, r.ci_scope) for r in rows] == list(
        itertools.product(("adjusted", "spearman"), ("models", "training"))
    )
    assert {(r.verdict, r.usable, r.items_needed) for r in rows} == {("inconclusive", models.usable, None)}
    alone = analyse(two_runs(-0.8).take(np.arange(800, 1600)), resamples=400)
    assert [(r.ci_scope, r.verdict) for r in alone.rows("change")] == [("models", "degraded")] * 2


def test_ends_of_a_change_are_on_its_own_items() -> None:
    """An item that lacks the score at one checkpoint counts at neither."""
    records = two_runs(-0.5, n=60)
    scores = records.scores["s"].copy()
    scores[(records.epoch == 1) & (records.seed == 1) & (records.item_id == "item-3")] = np.nan
    row = change(analyse(replace(records, scores={"s": scores}), resamples=200), score="s", effect="spearman")
    assert row.n_items == 59
    rho = {
        epoch: np.mean([stats.spearmanr(scores[at], records.quality[at]).statistic for seed in (0, 1) for at in [
            (records.epoch == epoch) & (records.seed == seed) & (records.item_id != "item-3")
        ]])
        for epoch in (0, 1)
    }  # fmt: skip
    assert (row.value_from, row.value_to) == pytest.approx((rho[0], rho[1]), abs=1e-12)
    assert row.value_to - row.value_from == pytest.approx(row.mean, abs=1e-12)


def test_usable_is_judged_by_the_training_interval_too() -> None:
    records = two_runs(-1.0)
    analysis = analyse(records, resamples=400)
    rhos = np.array([rho(records, "s", seed, 1) for seed in (0, 1)])
    assert rhos[0] > 0.6
    assert abs(rhos[1]) < 0.15
    # Of these two models rho is surely above 0: four standard errors. Another run may well have none.
    assert rhos.mean() > 4 / math.sqrt(400)
    assert {r.usable for r in analysis.rows("change")} == {"not shown"}
    assert analyse(records.take(records.seed == 0), resamples=400).rows("change")[0].usable == "yes"


def test_nothing_that_varies_has_no_verdict_in_any_row() -> None:
    ranks = np.arange(30.0)
    parts = [
        checkpoint(ranks, {"s": ranks}, seed=s, epoch=e, selected=e == 1)
        for s, e in itertools.product((0, 1, 2), (0, 1))
    ]
    rows = analyse(together(*parts), resamples=200).rows("change")
    assert len(rows) == 6
    for row in rows:
        assert (row.verdict, row.usable, row.mean, row.value_to) == ("undefined", "yes", 0, 1)
        assert row.status.startswith("nothing varies over items or runs")
        assert np.isnan([row.ci_low, row.ci_high, row.p_change, row.p_beyond_margin]).all()


def test_interval_agrees_with_a_bootstrap() -> None:
    records = study(n=80, seeds=2)
    alone = analyse(replace(records, scores={"down": records.scores["down"]}), resamples=400)
    row = change(alone, score="down", from_="epoch_1", to="last", effect="spearman")
    assert not row.simultaneous
    rng = np.random.default_rng(0)
    by = {
        (seed, epoch): np.flatnonzero((records.seed == seed) & (records.epoch == epoch))
        for seed in (0, 1)
        for epoch in (1, 3)
    }
    drawn = rng.integers(0, 80, (1500, 80))
    differences = np.zeros(1500)
    for (_, epoch), at in by.items():
        x, y = (stats.rankdata(v[at][drawn], axis=1) for v in (records.scores["down"], records.quality))
        x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
        r = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
        differences += (r if epoch == 3 else -r) / 2
    assert row.ci_high - row.ci_low == pytest.approx(2 * 2 * np.std(differences), rel=0.1)


def test_holm_is_over_configurations_of_one_setting_pair_and_effect() -> None:
    records = together(study(task="a"), study(task="b", n=30), study(task="a", n=40, setting="n=500"))
    rows = analyse(records, resamples=200).rows("change")
    for effect, setting in itertools.product(("adjusted", "spearman"), ("default", "n=500")):
        wanted = ("epoch_1", "last", effect, setting)
        found = [r for r in rows if (r.from_, r.to, r.effect, r.setting) == wanted]
        models = [r for r in found if r.ci_scope == "models"]
        assert len(models) == (4 if setting == "default" else 2)
        expected = multipletests([r.p_anova for r in models], method="holm")[1]
        np.testing.assert_allclose([r.p_anova_holm for r in models], expected)
        for scope in ("training", "new_run"):
            assert [r.p_anova_holm for r in found if r.ci_scope == scope] == [r.p_anova_holm for r in models]


def test_order_of_records_does_not_matter() -> None:
    records = together(study(task="a", setting="n=1000"), study(task="a", setting="n=500"))
    shuffled = records.take(np.random.default_rng(0).permutation(len(records)))
    analysis = analyse(records, resamples=50)
    assert same(analysis, analyse(shuffled, resamples=50))
    assert list(dict.fromkeys(r.setting for r in analysis.rows("change"))) == ["n=500", "n=1000"]
    assert not same(analysis, analyse(records, resamples=50, seed=1))  # simultaneous bounds


def test_validation_rows_do_not_count() -> None:
    records = study(seeds=1)
    validation = replace(records, split=np.full(len(records), "validation", dtype=object))
    with_validation = analyse(together(records, validation), resamples=20)
    checks = [row for row in with_validation.rows("checks") if row.check != "validation items"]
    assert same(analyse(records, resamples=20), with_rows(with_validation, checks=checks))
    with pytest.raises(InputError, match='no record has split "test"'):
        analyse(validation)


def test_one_run_has_no_training_scope() -> None:
    analysis = analyse(study(seeds=1), resamples=50)
    assert {r.ci_scope for r in analysis.rows("change")} == {"models"}
    assert all(math.isnan(r.sd) and math.isnan(r.p_anova) for r in analysis.rows("change"))
    assert all(math.isfinite(r.p_change + r.p_beyond_margin) for r in analysis.rows("change"))
    assert {r.ci_scope for r in analyse(study(seeds=2), resamples=50).rows("change")} == {"models", "training"}


@pytest.mark.parametrize(
    ("epochs", "chosen", "pairs"),
    [
        ((0, 1), 1, ["before→selected"]),
        ((0, 2), -1, ["before→last"]),
        ((0, 1, 2), 2, ["before→selected", "epoch_1→selected"]),
        ((0, 1, 2), 1, ["before→selected", "before→last", "epoch_1→last"]),
        ((1, 2), 2, ["epoch_1→selected"]),
        ((0, 1, 2), 0, ["before→last", "epoch_1→selected", "epoch_1→last"]),
        ((0,), 0, []),
    ],
)
def test_pairs_are_those_that_exist_and_differ(epochs: tuple, chosen: int, pairs: list[str]) -> None:
    analysis = analyse(study(seeds=2, epochs=epochs, chosen=chosen), resamples=20)
    assert list(dict.fromkeys(f"{r.from_}→{r.to}" for r in analysis.rows("change"))) == pairs


def test_a_run_that_lacks_an_end_is_left_out_with_a_note() -> None:
    records = study()
    lacking = records.take(~((records.seed == 1) & (records.epoch == 2)))
    analysis = analyse(lacking, resamples=50)
    row = change(analysis, score="up", from_="before", to="selected")
    kept = [rho(records, "up", s, 2) - rho(records, "up", s, 0) for s in (0, 2)]
    assert row.n_seeds == 2
    assert row.mean == pytest.approx(np.mean(kept))
    assert "tiny / toy: seed 1 has no selected checkpoint: left out of before → selected" in analysis.notes
    assert change(analysis, score="up", from_="before", to="last").n_seeds == 3


def test_items_are_those_that_all_runs_have_at_both_ends() -> None:
    records = study()
    at = (records.seed == 2) & (records.epoch == 2)
    records.scores["up"][at & np.isin(records.item_id, ["item-3", "item-7"])] = np.nan
    records = records.take(~((records.epoch == 0) & (records.seed == 0) & (records.item_id == "item-9")))
    analysis = analyse(records, resamples=50)
    kept = {f"item-{i}" for i in range(60)} - {"item-3", "item-7", "item-9"}
    row = change(analysis, score="up", from_="before", to="selected")
    assert row.n_items == 57
    differences = [rho(records, "up", s, 2, kept) - rho(records, "up", s, 0, kept) for s in range(3)]
    assert row.mean == pytest.approx(np.mean(differences))
    assert change(analysis, score="down", from_="before", to="selected").n_items == 59
    assert change(analysis, score="up", from_="epoch_1", to="last").n_items == 60
    (correlation,) = [r for r in analysis.rows("correlation") if (r.seed, r.epoch, r.score) == (2, 2, "up")]
    assert correlation.n == 58
    assert analysis.notes[:-1] == (
        "tiny / toy: items that lack quality or the score at a checkpoint are left out of what is computed "
        "there: up to 3 of 60 for up, up to 1 of 60 for down",
    )


def test_constant_quality_before_is_undefined_never_zero() -> None:
    records = study(task="squad")
    records.quality[records.epoch == 0] = 0.0
    analysis = analyse(records, resamples=50)
    (found,) = [row for row in analysis.rows("checks") if row.check == "one class" and row.level == "warning"]
    assert found.checkpoint == "before"
    assert found.message == (
        "quality is constant before fine-tuning (every item 0): no correlation can be computed"
    )
    for scope, effect in itertools.product(("models", "training", "new_run"), ("adjusted", "spearman")):
        row = change(analysis, score="up", from_="before", to="selected", ci_scope=scope, effect=effect)
        assert row.status == "quality is constant before fine-tuning"
        numbers = (row.mean, row.sd, row.ci_low, row.ci_high, row.p_anova, row.p_welch, row.p_paired)
        assert np.isnan([*numbers, row.p_anova_holm, row.p_change, row.p_beyond_margin, row.value_from]).all()
        assert (row.verdict, row.usable, row.items_needed) == ("undefined", "yes", None)
    assert change(analysis, score="up", from_="epoch_1", to="last").verdict != row.verdict
    before = [r for r in analysis.rows("correlation") if r.epoch == 0]
    assert {r.status for r in before} == {"quality is constant: no correlation"}
    assert all(math.isnan(r.spearman) for r in before)


def test_constant_quality_everywhere() -> None:
    records = study(task="squad")
    records.quality[:] = 0.0
    records.quality[(records.epoch == 2) & (records.seed == 1)] = np.arange(60) / 60
    found = [row for row in analyse(records, resamples=50).rows("checks") if row.check == "one class"]
    assert [(row.checkpoint, row.level) for row in found] == [
        (name, "warning") for name in ("before", "selected", "last", "epoch_1")
    ]
    assert found[1].message.startswith("quality is constant at the selected checkpoint (seeds 0 and 2) (every")


def test_constant_confidence_in_one_run_is_named() -> None:
    records = study()
    records.scores["down"][(records.seed == 1) & (records.epoch == 2)] = -1.0
    analysis = analyse(records, resamples=50)
    row = change(analysis, score="down", from_="before", to="selected")
    assert row.status == "confidence is constant at the selected checkpoint (seed 1)"
    assert (row.usable, row.verdict) == ("", "undefined")
    (found,) = [row for row in analysis.rows("checks") if row.check == "score values" and row.level == "warning"]
    assert found.message.startswith("down is constant (seed 1) at the selected checkpoint: ")


def test_a_score_that_a_model_lacks_is_undefined() -> None:
    records = study()
    records.scores["down"][:] = np.nan
    analysis = analyse(records, resamples=50)
    rows = [r for r in analysis.rows("correlation") if r.score == "down"]
    assert {(r.n, r.status) for r in rows} == {(0, "no item has this score")}
    row = change(analysis, score="down", from_="before", to="selected")
    assert row.status == "no item_id has quality and this score at every checkpoint compared"
    assert row.n_items == 0


def test_too_few_items_are_undefined() -> None:
    analysis = analyse(study(n=2), resamples=50)
    row = change(analysis, score="up", from_="before", to="selected")
    assert row.verdict == "undefined"
    assert row.status == "fewer than 3 items (2) have quality and this score at every checkpoint compared"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda r: together(r, r.take(np.array([5]))), "seed 0, epoch 0: item 'item-5' occurs twice"),
        (
            lambda r: replace(r, selected=(r.epoch == 1) | (r.epoch == 2)),
            "seed 0: epochs 1 and 2 are both selected",
        ),
        (
            lambda r: replace(r, selected=(r.epoch == 2) & (r.item_id != "item-0")),
            "seed 0, epoch 2: selected for some items only",
        ),
    ],
)
def test_contradictory_records_are_the_users_error(broken, message: str) -> None:
    with pytest.raises(InputError, match=message):
        analyse(broken(study()), resamples=20)
