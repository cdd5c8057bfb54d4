"""``aftertune run --dry-run``: the training runs, which results need which checkpoints, what sharing saves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from aftertune.cli.planning import chances_of_study
from aftertune.cli.progress import text_console
from aftertune.errors import InputError
from aftertune.files.runfolder import RunFolder
from aftertune.scores import SCORES
from aftertune.study.config import RESULTS, StudyConfig
from aftertune.study.plan import BEFORE, Moment, Plan, PlannedRun, plan_study


def show_plan(study: StudyConfig, folder: Path) -> None:
    """Print the plan on stdout; nothing is trained, decoded or written.

    Data on the hub are not read: the number of training items is then the one asked for.
    """
    from aftertune.commands.run import planned_judging_costs
    from aftertune.study.inputs import planned_items

    items, test, unread = planned_items(study)
    plan = plan_study(study, items)
    console = text_console()

    models, tasks, seeds = (len({getattr(run, name) for run in plan.runs}) for name in ("model", "task", "seed"))
    console.print(f"{study.name}: {_count(models, 'model')}, {_count(tasks, 'task')}, {_count(seeds, 'seed')}")
    for who, runs in _alike(plan, study):
        console.print("")
        console.print(_runs(who, runs))
    console.print(_results(plan))
    console.print(_savings(plan))
    if unread:
        console.print(
            f"Training items of {', '.join(unread)} as asked for: --dry-run does not read data on the hub."
        )
    if any(run.early is not None and run.early.patience is not None for run in plan.runs):
        console.print("Ranges: from the earliest to the latest that early stopping can end.")
    chances = chances_of_study(test, seeds=len(study.seeds), scores=_scores(study), margin=study.margin)
    for line in chances:
        console.print(line)
    for line in planned_judging_costs(study, plan.runs, unread, folder):
        console.print(line[0].upper() + line[1:])
    console.print(f"Run folder: {folder}. {_reuse(study, folder)}")


def _scores(study: StudyConfig) -> int:
    """How many scores are measured, of one model on one task."""
    collected = {"beams": study.evaluation.beams, "dropout": study.evaluation.dropout_samples}
    return len(study.evaluation.scores or ()) or sum(
        all(collected.get(part, 1) for part in entry.needs) for _, entry in SCORES.items()
    )


def _alike(plan: Plan, study: StudyConfig) -> list[tuple[str, list[PlannedRun]]]:
    """(Models and tasks whose training runs are alike, these runs of one seed)."""
    by_subject: dict[tuple[str, str], list[PlannedRun]] = {}
    for run in plan.runs:
        if run.seed == study.seeds[0]:
            by_subject.setdefault((run.model, run.task), []).append(run)
    groups: dict[tuple, list[tuple[str, str]]] = {}
    for subject, runs in by_subject.items():
        groups.setdefault(tuple((run.items, run.steps_per_epoch, run.uses) for run in runs), []).append(subject)
    found = []
    for subjects in groups.values():
        models, tasks = (", ".join(dict.fromkeys(subject[i] for subject in subjects)) for i in (0, 1))
        found.append((f"{models} on {tasks}, each seed", by_subject[subjects[0]]))
    return found


def _runs(who: str, runs: Sequence[PlannedRun]) -> Table:
    table = _table(who)
    table.add_column("items", justify="right")
    table.add_column("steps", justify="right", no_wrap=True)
    table.add_column("measured", ratio=3)
    table.add_column("for", no_wrap=True)
    for run in runs:
        chosen = [] if run.early is None else [f"the selected one (epoch ≤ {run.early.epochs})"]
        table.add_row(
            f"{run.items:,}",
            _range(*run.steps),
            ", ".join([*_moments(run.moments), *chosen]),
            "\n".join(use.experiment for use in run.uses),
        )
    return table


def _results(plan: Plan) -> Table:
    table = _table("which results need which checkpoints")
    table.add_column("experiment")
    table.add_column("of the paper")
    table.add_column("checkpoints", ratio=3)
    for experiment in plan.one_by_one:
        uses: dict[str, str] = {}
        for run in plan.runs:
            for use in run.uses:
                if use.experiment == experiment:
                    chosen = ["the selected one"] if use.early is not None else []
                    uses.setdefault(use.setting, ", ".join([*_moments(use.moments), *chosen]))
        text = "; ".join(
            (f"{setting}: " if setting != "default" else "") + moments for setting, moments in uses.items()
        )
        table.add_row(experiment, RESULTS[experiment], text)
    return table


def _savings(plan: Plan) -> Table:
    together, apart = plan.shared_totals, plan.separate_totals
    table = _table("what sharing saves")
    table.add_column("")
    for name in ("experiments one by one", "this plan", "saved"):
        table.add_column(name, justify="right")
    table.add_row("training runs", f"{apart.runs:,}", f"{together.runs:,}", _saved([(apart.runs, together.runs)]))
    for name, old, new in (
        ("optimiser steps", apart.steps, together.steps),
        ("measured checkpoints", apart.checkpoints, together.checkpoints),
    ):
        table.add_row(name, _range(*old), _range(*new), _saved(zip(old, new)))
    return table


def _saved(pairs: Iterable[tuple[int, int]]) -> str:
    """Per cent saved, (before, after) for each end of a range; one number where both ends agree."""
    shares = sorted({f"{100 * (1 - after / before):.0f}" for before, after in pairs}, key=float)
    return "–".join(shares) + " %"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _moments(moments: Iterable[Moment]) -> list[str]:
    """Checkpoints in words: "before", "epochs 1–10", "step 2,500"."""
    moments = list(moments)
    epochs = sorted(moment.epoch for moment in moments if moment.epoch)
    words = ["before"] if BEFORE in moments else []
    if len(epochs) > 2 and epochs == list(range(epochs[0], epochs[-1] + 1)):
        words.append(f"epochs {epochs[0]}–{epochs[-1]}")
    elif epochs:
        words.append(f"epoch{'s' * (len(epochs) > 1)} {', '.join(map(str, epochs))}")
    return words + [f"step {moment.step:,}" for moment in moments if moment.step is not None]


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n != 1)}"


def _reuse(study: StudyConfig, folder: Path) -> str:
    """What of the run folder would be used again, in one sentence."""
    if not RunFolder(folder).is_begun:
        return "Nothing is there yet."
    from aftertune.commands.run import find_trainings, measured_and_expected

    try:
        trainings = find_trainings(study, RunFolder(folder))
    except InputError as error:
        return f"What of it would be used again cannot be said: {error}"
    measured, expected = measured_and_expected(trainings)
    finished = sum(training.is_complete() for training in trainings)
    return (
        f"Used again: {finished} of {_count(len(trainings), 'training run')}, {measured} of "
        f"{_count(expected, 'measured checkpoint')}."
    )
