"""What the judges of a whole `run` or `audit` will cost at most, before anything is trained, decoded or sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from aftertune.files.evidence import read_answers
from aftertune.files.runfolder import RunFolder
from aftertune.judges import Judge, Question, judge_from, questions_of
from aftertune.judges.cost import Batch, Forecast, asks_for_money, forecast, longest_answers
from aftertune.models.load import LoadOptions
from aftertune.study.config import NO_JUDGE, StudyConfig
from aftertune.study.measure import is_measured
from aftertune.study.plan import PlannedRun
from aftertune.study.subject import Reading, Subject, judge_spec, resolve_task
from aftertune.study.training_files import TrainingFiles
from aftertune.tasks import Sizes
from aftertune.types import Example

Part = tuple[Sequence[Example], Path]
"""Items of one split, and the folder of their evidence at one checkpoint."""


def judging_cost(
    judge: Judge | None, checkpoints: Iterable[Sequence[Part]], max_new_tokens: int
) -> list[Forecast]:
    """Of an audit: nothing where there is no judge, or it asks nobody.

    Answers that are in the evidence already are counted as they are, others as long as they may become.
    """
    if judge is None:
        return []
    found = forecast(judge, (Batch(questions=_questions(parts, max_new_tokens)) for parts in checkpoints))
    return [] if found is None else [found]


def study_judging_cost(trainings: Sequence[TrainingFiles]) -> list[Forecast]:
    """Of all training runs of a study, one for each judge that will be asked something.

    What early stopping may select counts as a checkpoint of its own as long as that is open. Answers before
    fine-tuning are the same for all seeds and count once.
    """
    judges = {t.subject.judge: t.judge() for t in trainings}
    found = []
    for spec, judge in judges.items():
        if judge is not None:
            own = [t for t in trainings if t.subject.judge == spec]
            found.append(forecast(judge, _batches(own)))
    return [one for one in found if one is not None]


def planned_judging_cost(
    study: StudyConfig, runs: Sequence[PlannedRun], unread: Sequence[str], folder: Path
) -> list[str]:
    """As `study_judging_cost`, one line each, for a plan: models are not looked at, nor is what lies in `folder`.

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
        sizes = Sizes(**study.sizes.model_dump())
        task = resolve_task(config, sizes)
        splits = task.load(data_dir=study.data_dir, sizes=sizes, seed=study.data_seed)
        for planned in runs:
            if planned.task == config.name:
                subject = Subject(
                    model=models[planned.model],
                    task=task,
                    splits=splits,
                    load_options=LoadOptions(),
                    fingerprint=planned.model,
                    reading=Reading(tokenizer="", items={"test": "", "validation": ""}),
                    judge=judge_spec(config.judge, splits.test),
                )
                run = RunFolder(folder / "nothing is there")
                trainings.append(TrainingFiles(study=study, subject=subject, planned=planned, folder=run))
    return [*map(str, study_judging_cost(trainings)), *unknown]


def _batches(trainings: Sequence[TrainingFiles]) -> Iterator[Batch]:
    seen: set[tuple[Path, ...]] = set()
    for training in trainings:
        most = training.collect_options.max_new_tokens
        wanted = training.wanted(training.history())
        for moment in wanted:
            parts = [(training.items(s), training.parts(moment, s)[0].folder) for s in training.splits(moment)]
            folders = tuple(folder for _, folder in parts)
            if folders not in seen:
                seen.add(folders)
                yield Batch(questions=_questions(parts, most))
        every_item = [*training.items("test"), *training.items("validation")]
        yield Batch(
            questions=longest_answers(every_item, most), checkpoints=max(0, training.expected() - len(wanted))
        )


def _questions(parts: Sequence[Part], max_new_tokens: int) -> list[Question]:
    found: list[Question] = []
    for examples, folder in parts:
        if is_measured(folder):
            by_id = {example.id: example for example in examples}
            answers = read_answers(folder)
            found += questions_of([by_id[item] for item in answers], list(answers.values()))
        else:
            found += longest_answers(examples, max_new_tokens)
    return found
