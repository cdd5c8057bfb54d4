"""The plan of a study: every training once, every checkpoint that is needed, and no other."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from aftertune.errors import InputError
from aftertune.finetune.protocol import CheckpointEntry, EarlyStopping, History
from aftertune.study.config import StudyConfig, read_study
from aftertune.study.inputs import planned_items
from aftertune.study.plan import BEFORE, Moment, Totals, plan_study

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
SHIPPED = sorted(ROOT.glob("studies/*.yaml")) + sorted(Path(str(files("aftertune.commands"))).glob("*.yaml"))
PAPER_ITEMS = {"eng_afr": 10_000, "squad": 10_000, "gsm8k": 7_000}


def study(experiments, **changes):
    content = {
        "name": "s",
        "models": [{"name": "m", "path": "p"}],
        "tasks": ["squad"],
        "seeds": [0],
        "experiments": experiments,
    }
    return StudyConfig.model_validate(content | changes)


def epochs(*numbers):
    return tuple(Moment(epoch=n) for n in numbers)


def test_the_paper():
    """Five runs for each model, task and seed: all items, and 2000, 1000, 500 and 100 of them."""
    config = read_study(ROOT / "studies/paper.yaml")
    plan = plan_study(config, PAPER_ITEMS)
    assert len(plan.runs) == 4 * 3 * 3 * 5
    runs = [r for r in plan.runs if (r.model, r.task, r.seed) == ("Flan-T5", "squad", 1)]
    assert [(r.items, r.steps_per_epoch, r.whole) for r in runs] == [
        (10_000, 1250, True), (2000, 250, False), (1000, 125, False), (500, 63, False), (100, 13, False)
    ]  # fmt: skip
    assert [r.moments for r in runs] == [
        epochs(*range(11)),
        epochs(10),  # 10 epochs at n = 2000 and batch 8 are 2,500 steps
        epochs(10, 20),
        (Moment(epoch=10), Moment(step=2500)),
        (Moment(epoch=10), Moment(step=2500)),
    ]
    assert [r.steps for r in runs] == [(12_500, 250_000)] + [(2500, 2500)] * 4
    assert runs[0].early == EarlyStopping(epochs=200, patience=2)
    assert all(r.early is None for r in runs[1:])
    assert {use.setting for r in runs for use in r.uses} == {
        "default",
        *(f"n={n}" for n in (100, 500, 1000, 2000)),
        *(f"n={n},steps=2500" for n in (100, 500, 1000, 2000)),
    }


def test_the_paper_shared_and_one_by_one():
    plan = plan_study(read_study(ROOT / "studies/paper.yaml"), PAPER_ITEMS)
    twelve = 4 * 3  # models × seeds, for each task
    per_epoch = {"eng_afr": 1250, "squad": 1250, "gsm8k": 875}
    early = sum(twelve * 3 * steps for steps in per_epoch.values())
    ten = sum(twelve * 10 * steps for steps in per_epoch.values())
    samples = 3 * twelve * 10 * (13 + 63 + 125 + 250)
    fixed = 3 * twelve * 4 * 2500
    assert plan.separate_totals.steps[0] == early + ten + samples + fixed
    assert plan.shared_totals.steps[0] == ten + fixed
    assert plan.separate_totals.runs == 2 * plan.shared_totals.runs == 360
    # before_after 2 or 3, by_epoch 11, by_samples 4, fixed steps 4; together 11 or 12, and 1 + 2 + 2 + 2.
    assert plan.separate_totals.checkpoints == (36 * 21, 36 * 22)
    assert plan.shared_totals.checkpoints == (36 * 18, 36 * 19)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_study_is_planned(path):
    config = read_study(path)
    if config.data_dir is not None and not SHARED.exists():
        pytest.skip("the data of ../shared are absent")
    items, _, _ = planned_items(config)
    plan = plan_study(config, items)
    assert plan.runs
    together, apart = plan.shared_totals, plan.separate_totals
    assert together.runs <= apart.runs
    assert together.steps[1] <= apart.steps[1]
    assert together.checkpoints[1] <= apart.checkpoints[1]
    if len(config.experiments.names()) == 4:
        assert together.steps[0] < apart.steps[0]
        assert together.steps[1] < apart.steps[1]
        assert together.checkpoints[1] < apart.checkpoints[0]


def test_samples_that_are_the_whole_task_share_its_run():
    plan = plan_study(study(["before_after", "by_samples"]), {"squad": 2000})
    first = plan.runs[0]
    assert [use.setting for use in first.uses] == ["default", "n=2000"]
    assert first.moments == epochs(0, 1, 10)
    assert first.schedule.epochs == {1, 10}
    assert first.steps == (2500, 50_000)


def test_the_schedule_goes_on_to_the_last_epoch_after_an_early_stop():
    (run,) = plan_study(study(["before_after", "by_epoch"]), {"squad": 80}).runs
    entries = tuple(
        CheckpointEntry(epoch=e, steps=10 * e, loss=1.0, learning_rate=1e-3, validation=v, seconds=0.0)
        for e, v in enumerate([0.5, 0.4, 0.3, 0.9], 1)
    )
    history = History(checkpoints=entries)
    assert not run.schedule.is_over(history)
    assert not run.schedule.is_undecided(history)
    assert run.schedule.selected(history).epoch == 1
    assert [run.schedule.visits_epoch(history, e, 10 * e) for e in (5, 10, 11)] == [True, True, False]


def test_a_step_that_fills_epochs_is_one_unless_items_may_be_dropped():
    fixed = {"by_samples_fixed_steps": {"samples": [80], "steps": 30}}
    (run,) = plan_study(study(fixed), {"squad": 80}).runs
    assert run.moments == epochs(3)
    (run,) = plan_study(study(fixed, evaluation={"long_prompts": "drop"}), {"squad": 80}).runs
    assert run.moments == (Moment(step=30),)


def test_a_last_batch_that_is_not_full_is_a_step():
    (run,) = plan_study(study({"by_epoch": {"epochs": 2}}, training={"batch_size": 8}), {"squad": 81}).runs
    assert run.steps_per_epoch == 11
    assert run.steps[1] == 22


def test_models_only_with_their_tasks():
    models = [{"name": "a", "path": "p", "tasks": ["squad"]}, {"name": "b", "path": "p"}]
    plan = plan_study(study(["by_epoch"], models=models, tasks=["squad", "gsm8k"], seeds=[1, 5]),
                      {"squad": 8, "gsm8k": 8})  # fmt: skip
    assert [(r.model, r.task, r.seed) for r in plan.runs] == [
        (m, t, s) for m, t in (("a", "squad"), ("b", "squad"), ("b", "gsm8k")) for s in (1, 5)
    ]


def test_more_samples_than_there_are_items():
    with pytest.raises(InputError, match="asks for 2,000 training items, and task 'squad' has 400"):
        plan_study(study(["by_samples"]), {"squad": 400})


def test_patience_null_trains_all_epochs():
    (run,) = plan_study(study({"before_after": {"epochs": 6, "patience": None}}), {"squad": 8}).runs
    assert run.steps == (6, 6)
    assert run.moments == (BEFORE, Moment(epoch=1))
    assert run.checkpoints == (2, 3)
    assert Totals.of((run,)).checkpoints[1] == 3
