"""Fine-tune and track: every model × task × seed of a study, measured before, during and after."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from aftertune.files.runfolder import RunFolder
from aftertune.generate.prompts import on_day, today, writes_the_date
from aftertune.models.load import load_reader
from aftertune.models.loaded import LoadedModel
from aftertune.records.records import read_signatures
from aftertune.study.audit_notes import on_generation
from aftertune.study.config import StudyConfig, read_study
from aftertune.study.finish import Result, finish
from aftertune.study.judge_notes import on_the_judge
from aftertune.study.judging_cost import study_judging_cost
from aftertune.study.measure import dropout_in_force
from aftertune.study.plan import PlannedRun, plan_study
from aftertune.study.preflight import check_judge, check_scores
from aftertune.study.reporter import Reporter, Silent
from aftertune.study.run_dropout import run_dropout
from aftertune.study.subject import Subject, item_ids, subjects
from aftertune.study.training import TrainingRun
from aftertune.study.training_files import TrainingFiles


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
    reporter = reporter or Silent()
    folder = RunFolder(Path(out))
    folder.check("run")
    begun = folder.settings().get("begun")
    # Where chat templates write the date, all checkpoints of a study read the one on which it was begun.
    with on_day(today() if begun is None else date.fromisoformat(begun)):
        return _run(config, folder, reporter, device, trust_remote_code)


def _run(
    config: StudyConfig, folder: RunFolder, reporter: Reporter, device: str | None, trust_remote_code: bool
) -> Result:
    trainings = training_runs(config, folder, device, trust_remote_code, find_dropout=True)
    found = list({training.subject.name: training.subject for training in trainings}.values())
    finished = sum(training.is_complete() for training in trainings)
    if finished:
        reporter.note(f"{finished} of {len(trainings)} training runs are finished and used as they are")
    reporter.plan(sum(t.expected() for t in trainings), sum(t.measured() for t in trainings))
    costs = study_judging_cost(trainings)
    for cost in costs:
        reporter.note(str(cost))
    _preflight(trainings, reporter, asked={cost.judge for cost in costs})
    folder.make({"command": "run", "begun": today().isoformat()})
    for subject in found:
        folder.write_items(subject.task.name, item_ids(subject.splits))
        if subject.dropout is not None:
            subject.dropout.keep()
    keys: list[str] = []
    notes = [f"{name}: {note}" for name, note in _model_notes(found)]
    notes += [
        f"{subject.task.name}: {note}"
        for subject in found
        for note in (*subject.splits.notes, *on_the_judge(subject.judge, {"test": subject.splits.test}))
    ]
    for training in trainings:
        keys += TrainingRun(files=training, reporter=reporter).complete()
        notes += training.notes()
    folder.forget_records_except(keys)
    acting = {}
    for subject in found:
        folders = [f for t in trainings if t.subject is subject for f in t.evidence_folders()]
        splits, task = subject.splits, subject.task.name
        numbers = (
            f"{len(splits.train):,} training, {len(splits.validation):,} validation, {len(splits.test):,} test"
        )
        acting[f"items.{task}"] = f"{numbers}; ids in items/{task}.json"
        if subject.dropout is not None:
            acting[f"dropout found.{subject.name}"] = str(subject.dropout.resolved)
        acting[f"dropout in force.{subject.name}"] = dropout_in_force(folders)
    settings = config.model_dump(mode="json") | {"command": "run", "begun": today().isoformat()} | acting
    return finish(
        folder,
        title=config.name,
        settings=settings,
        signatures=read_signatures([folder.root]),
        notes=list(dict.fromkeys(notes)),
        reporter=reporter,
    )


def _model_notes(found: Sequence[Subject]) -> Iterator[tuple[str, str]]:
    """(Name, note) of each model whose own settings say otherwise how to generate, or that reads the date."""
    for subject in {subject.model.path: subject for subject in found}.values():
        model, reader = subject.model, load_reader(subject.model.path, subject.load_options)
        for note in on_generation(reader, model.chat):
            yield model.name, note
        if model.chat != "off" and writes_the_date(reader.tokenizer):
            yield model.name, f"its chat template writes the date: all prompts are of {today()}"


def training_runs(
    config: StudyConfig,
    folder: RunFolder,
    device: str | None = None,
    trust_remote_code: bool = False,
    *,
    find_dropout: bool = False,
) -> list[TrainingFiles]:
    """Every training run of a study, in the order in which they are done.

    Parameters
    ----------
    find_dropout : whether models are loaded to find what dropout "auto" stands for, where the folder does not say.
    """
    found = subjects(config, trust_remote_code, device)
    by_name = {(subject.model.name, subject.task.name): subject for subject in found}
    items = {subject.task.name: len(subject.splits.train) for subject in found}
    runs = plan_study(config, items).runs

    def files(planned: PlannedRun) -> TrainingFiles:
        subject = by_name[planned.model, planned.task]
        return TrainingFiles(study=config, subject=subject, planned=planned, folder=folder)

    for name, subject in by_name.items():
        first = files(next(planned for planned in runs if (planned.model, planned.task) == name))
        load = TrainingRun(files=first, reporter=Silent()).load if find_dropout else None
        identity = [f"{subject.fingerprint}/{subject.model.dtype}", subject.reading.items["test"]]
        resolved = run_dropout(folder, identity, first.collect_options, subject.splits.test, load)
        by_name[name] = replace(subject, dropout=resolved)
    return [files(planned) for planned in runs]


def _preflight(trainings: Sequence[TrainingFiles], reporter: Reporter, asked: Collection[str]) -> None:
    """Check every model that is still needed against its items, before any of them is trained.

    `asked` : names of the judges that something will be sent to.
    """
    for training in {(t.subject.judge, t.subject.task.name): t for t in trainings}.values():
        if (judge := training.judge()) is not None:
            items = [*training.items("test"), *training.items("validation")]
            check_judge(judge, items, asks=judge.name in asked)
    for training in trainings:
        check_scores(training.study.evaluation.scores, training.collect_options)
    incomplete = [training for training in trainings if not training.is_complete()]
    by_subject = {t.subject.name: t for t in sorted(incomplete, key=lambda t: t.planned.items)}
    for path in dict.fromkeys((t.subject.model.path, t.subject.model.dtype) for t in by_subject.values()):
        loaded: LoadedModel | None = None
        for training in by_subject.values():
            if (training.subject.model.path, training.subject.model.dtype) == path:
                one = TrainingRun(files=training, reporter=reporter)
                loaded = loaded or one.load()
                one.check(loaded)
