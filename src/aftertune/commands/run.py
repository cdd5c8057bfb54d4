"""Fine-tune and track: every model × task × seed of a study, measured before, during and after.

`quickstart` runs one of the two studies that lie beside this file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch

from aftertune.analysis.recommending import check_rely_on
from aftertune.arguments import checked
from aftertune.commands.analyze import Result, finish
from aftertune.commands.reproduce import command_line
from aftertune.files.runfolder import Manifest, RunFolder
from aftertune.generate.prompts import on_day, today, writes_the_date
from aftertune.judges import judge_from
from aftertune.judges.cost import Forecast, asks_for_money
from aftertune.measure.checks import about, dropout_checks, reading_checks, tell
from aftertune.measure.dropout import dropout_in_force, run_dropout
from aftertune.measure.notes import judge_notes
from aftertune.measure.preflight import check_judge, check_scores, measured_scores
from aftertune.measure.recording import judge_spec
from aftertune.measure.reporter import Logged, Reporter
from aftertune.measure.room import STATES, check_memory, check_room, evidence_size, weights_size
from aftertune.measure.worklist import Reading, item_ids, judging_cost, load_options
from aftertune.models.folder import hashing_notes
from aftertune.models.load import load_reader
from aftertune.models.loaded import LoadedModel, generation_notes
from aftertune.options import NO_JUDGE
from aftertune.records.records import read_signatures
from aftertune.study.config import StudyConfig, read_study
from aftertune.study.inputs import ModelTask, models_on_tasks, read_items
from aftertune.study.plan import PlannedRun, plan_study
from aftertune.study.training import Training
from aftertune.types import Check


@checked
def run(
    study: str | Path | StudyConfig,
    *,
    out: str | Path,
    reporter: Reporter | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
) -> Result:
    """Run a study; the same call again completes what is missing and recomputes nothing else.

    Raises
    ------
    InputError
        Anything wrong with the study file, the data or the models; found before any training starts.
    """
    config = study if isinstance(study, StudyConfig) else read_study(Path(study))
    folder, reporter = RunFolder(Path(out)), reporter or Reporter()
    with folder.writing("run", reporter.note):
        begun = folder.settings().get("begun")
        # Where chat templates write the date, all checkpoints of a study read the one on which it was begun.
        with on_day(today() if begun is None else date.fromisoformat(begun)):
            made = _made_by(study, folder, device, trust_remote_code)
            return _run(config, folder, Logged(reporter, folder.log), device, trust_remote_code, made)


@checked
def quickstart(*, out: str | Path, fast: bool = False, reporter: Reporter | None = None) -> Result:
    """Fine-tune the embedded models on the toy tasks; `fast` takes one of each, fewer items and fewer epochs.

    On the processor even where there is a GPU, so that the output is the same (docs/start.md). One thread is used,
    and the number of threads is put back afterwards: on idle cores two are quicker by a fifth, but where both of
    two cores are busy, they wait for each other and take more than half as long again.
    """
    study = Path(__file__).with_name("quickstart-fast.yaml" if fast else "quickstart.yaml")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run(study, out=out, reporter=reporter, device="cpu")
    finally:
        torch.set_num_threads(threads)


def _made_by(
    study: str | Path | StudyConfig, folder: RunFolder, device: str | None, trust_remote_code: bool
) -> str | None:
    """The command that does the same; None where the study is no file."""
    if isinstance(study, StudyConfig):
        return None
    if Path(study).parent == Path(__file__).parent:
        return command_line("quickstart", fast=Path(study).stem == "quickstart-fast", out=folder.root)
    return command_line("run", study, out=folder.root, device=device, trust_remote_code=trust_remote_code)


def _run(
    config: StudyConfig,
    folder: RunFolder,
    reporter: Reporter,
    device: str | None,
    trust_remote_code: bool,
    made: str | None,
) -> Result:
    for model in config.models:
        check_memory(model.path, device)
    for note in hashing_notes(model.path for model in config.models):
        reporter.note(note)
    trainings = find_trainings(config, folder, device, trust_remote_code, reporter=reporter)
    pairs = list({training.pair.name: training.pair for training in trainings}.values())
    finished = sum(training.is_complete() for training in trainings)
    if finished:
        reporter.note(f"{finished} of {len(trainings)} training runs are finished and used as they are")
    measured, expected = measured_and_expected(trainings)
    reporter.plan(expected, measured)
    costs = judging_costs(trainings)
    for cost in costs:
        reporter.note(str(cost))
    _preflight(trainings, asked={cost.judge for cost in costs})
    asked = config.model_dump(mode="json") | {"command": "run", "begun": today().isoformat()}
    asked |= {"reproduce": made}
    checks = [check for pair in pairs for check in _checks_before(pair)]
    tell(checks, reporter.note)
    folder.begin(asked, checkpoints=expected, checks=checks)
    for pair in pairs:
        folder.write_items(pair.task.name, item_ids(pair.splits))
        if pair.dropout is not None:
            pair.dropout.keep()
    notes = list(_model_notes(pairs))
    for pair in pairs:
        of_items = (*pair.splits.notes, *judge_notes(pair.judge, {"test": pair.splits.test}))
        notes += [f"{pair.task.name}: {note}" for note in of_items]
    for training in trainings:
        training.complete()
        notes += training.notes()
    found, used = {}, [path for training in trainings for path in (training.training_folder, training.best.parent)]
    for pair in pairs:
        trained = [training for training in trainings if training.pair is pair]
        sampled = {
            one.label: part.folder
            for training in trained
            for measurements in training.worklist().wanted.values()
            for one in measurements
            for part in one.parts
            if one.split == "test" and part.options.dropout_samples
        }
        checks += about(dropout_checks(sampled), model=pair.model.name, task=pair.task.name)
        folders = [f for t in trained for f in t.worklist().folders()]
        used += folders
        task, splits = pair.task.name, pair.splits
        found[f"items.{task}"] = (
            f"{len(splits.train):,} training, {len(splits.validation):,} validation, {len(splits.test):,} test; "
            f"ids in {folder.name(folder.items(task))}"
        )
        if pair.dropout is not None:
            found[f"dropout found.{pair.name}"] = str(pair.dropout)
            used.append(pair.dropout.file)
        found[f"dropout in force.{pair.name}"] = dropout_in_force(folders)
    manifest = Manifest(
        title=config.name,
        settings=asked | found,
        signatures=read_signatures(folder.record_paths()),
        notes=list(dict.fromkeys(notes)),
        checks=checks,
        checkpoints=measured_and_expected(trainings)[0],
        used=sorted({folder.name(path) for path in used}),
    )
    return finish(folder, manifest, reporter=reporter)


def _checks_before(pair: ModelTask) -> list[Check]:
    """Checks of what a model reads of a task, before anything is measured."""
    readers = {pair.model.path: load_reader(pair.model.path, load_options(pair.options))}
    read = reading_checks(readers, pair.splits.test, pair.model.chat)
    return about([*pair.splits.checks, *read], model=pair.model.name, task=pair.task.name)


def find_trainings(
    config: StudyConfig,
    folder: RunFolder,
    device: str | None = None,
    trust_remote_code: bool = False,
    *,
    reporter: Reporter | None = None,
) -> list[Training]:
    """Every training run of a study, in the order in which they are done.

    Parameters
    ----------
    reporter : None loads no model; what dropout "auto" stands for is then not found where the folder does not
        say.
    """
    pairs = {
        (pair.model.name, pair.task.name): pair for pair in models_on_tasks(config, trust_remote_code, device)
    }
    items = {task: len(pair.splits.train) for (_, task), pair in pairs.items()}
    runs = plan_study(config, items).runs

    def training(planned: PlannedRun) -> Training:
        pair = pairs[planned.model, planned.task]
        return Training(study=config, pair=pair, planned=planned, folder=folder, reporter=reporter or Reporter())

    for name, pair in pairs.items():
        first = training(next(planned for planned in runs if (planned.model, planned.task) == name))
        identity = [first.weights_before, pair.reading.items["test"]]
        load = None if reporter is None else first.load
        found = run_dropout(folder, identity, first.decoding, pair.splits.test, load)
        pairs[name] = replace(pair, dropout=found)
    return [training(planned) for planned in runs]


def measured_and_expected(trainings: Sequence[Training]) -> tuple[int, int]:
    """How many checkpoints are measured, and how many will be, at most."""
    worklists = [training.worklist() for training in trainings]
    measured = sum(len(one.wanted) - len(one.missing()) for one in worklists)
    return measured, sum(len(one.wanted) + one.undecided for one in worklists)


def judging_costs(trainings: Sequence[Training]) -> list[Forecast]:
    """What judging will cost, for each judge that will be asked something."""
    by_judge: dict[str | None, list[Training]] = {}
    for training in trainings:
        by_judge.setdefault(training.pair.judge, []).append(training)
    found = [judging_cost(some[0].judge(), (one.worklist() for one in some)) for some in by_judge.values()]
    return [one for one in found if one is not None]


def planned_judging_costs(
    study: StudyConfig, runs: Sequence[PlannedRun], unread: Sequence[str], folder: Path
) -> list[str]:
    """`judging_costs` of a plan, one line each; no model is read, and nothing in `folder`.

    Parameters
    ----------
    unread : tasks whose items must not be read.
    """
    models = {model.name: model for model in study.models}
    trainings, unknown = [], []
    for config in study.task_configs():
        if config.judge in ("auto", NO_JUDGE) or not asks_for_money(judge_from(config.judge)):
            continue
        if config.name in unread:
            unknown.append(f"judge {config.judge} on {config.name}: its cost is not known before items are read")
            continue
        task, splits = read_items(study, config)
        for planned in (one for one in runs if one.task == config.name):
            pair = ModelTask(
                model=models[planned.model],
                task=task,
                splits=splits,
                options=study.options(models[planned.model], config),
                fingerprint=planned.model,
                reading=Reading(tokenizer="", items={"test": "", "validation": ""}),
                judge=judge_spec(config.judge, splits.test),
            )
            nothing = RunFolder(folder / "nothing is there")
            trainings.append(Training(study=study, pair=pair, planned=planned, folder=nothing))
    return [*map(str, judging_costs(trainings)), *unknown]


def _model_notes(pairs: Sequence[ModelTask]) -> Iterator[str]:
    """Notes on models whose own settings say otherwise how to generate, or that read the date."""
    for pair in {pair.model.path: pair for pair in pairs}.values():
        model, reader = pair.model, load_reader(pair.model.path, load_options(pair.options))
        for note in generation_notes(reader):
            yield f"{model.name}: {note}"
        if model.chat != "off" and writes_the_date(reader.tokenizer):
            yield f"{model.name}: its chat template writes the date: all prompts are of {today()}"


def _preflight(trainings: Sequence[Training], asked: Collection[str]) -> None:
    """Check judges, scores, and every model that is still needed against its items, before any is trained.

    Parameters
    ----------
    asked : names of the judges that something will be sent to.
    """
    for training in {(t.pair.judge, t.pair.task.name): t for t in trainings}.values():
        if (judge := training.judge()) is not None:
            items = [*training.pair.splits.test, *training.pair.splits.validation]
            check_judge(judge, items, asks=judge.name in asked)
    for training in trainings:
        check_scores(training.pair.options.scores, training.decoding)
        check_rely_on(training.study.rely_on, measured_scores(training.pair.options.scores, training.decoding))
    incomplete = [training for training in trainings if not training.is_complete()]
    worklists = [training.worklist() for training in incomplete]
    missing = [m for one in worklists for key in one.missing() for m in one.wanted[key]]
    state = max((STATES * weights_size(training.pair.model.path) for training in incomplete), default=0)
    if incomplete:
        check_room(incomplete[0].folder.root, evidence_size(missing) + state)
    largest = {t.pair.name: t for t in sorted(incomplete, key=lambda t: t.planned.items)}.values()
    for weights in dict.fromkeys((t.pair.model.path, t.pair.model.dtype) for t in largest):
        loaded: LoadedModel | None = None
        for training in largest:
            if (training.pair.model.path, training.pair.model.dtype) == weights:
                loaded = loaded or training.load()
                training.check(loaded)
