"""What a study reads before any model is loaded: its models, its tasks and their items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aftertune.errors import InputError
from aftertune.generate.prompts import PromptOptions
from aftertune.measure.dropout import RunDropout
from aftertune.measure.preflight import check_items, check_quality
from aftertune.measure.recording import judge_spec
from aftertune.measure.worklist import Reading, load_options
from aftertune.models.folder import fingerprint
from aftertune.models.load import check_checkpoint, load_reader
from aftertune.models.loaded import LoadedModel
from aftertune.options import Options
from aftertune.study.config import ModelConfig, StudyConfig, TaskConfig
from aftertune.tasks import TASKS, Sizes, Splits, Task, own_task
from aftertune.tasks.own import DEFAULT_QUALITY
from aftertune.types import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTask:
    """One model on one task of a study, read and checked.

    Attributes
    ----------
    options : how checkpoints are measured; the seed is that of each training run.
    reading : of the test and validation items.
    dropout : what the model's dropout "auto" stands for; None for any other.
    judge : spec of the judge that says which answers are correct, or None.
    """

    model: ModelConfig
    task: Task
    splits: Splits
    options: Options
    fingerprint: str
    reading: Reading
    dropout: RunDropout | None = None
    judge: str | None = None

    @property
    def name(self) -> str:
        return f"{self.model.name} / {self.task.name}"

    def items(self, split: str) -> tuple[Example, ...]:
        """The items of "test" or "validation"."""
        return self.splits.validation if split == "validation" else self.splits.test


def models_on_tasks(study: StudyConfig, trust_remote_code: bool, device: str | None) -> list[ModelTask]:
    """Every model of a study on each of its tasks.

    Raises
    ------
    InputError
        Items or checkpoints that cannot be read or used.
    """
    read: dict[str, tuple[Task, Splits]] = {}
    for config in study.task_configs():
        task, splits = read[config.name] = read_items(study, config)
        if not splits.train or not splits.validation:
            raise InputError(f"task {task.name!r} has no training or validation items: a study fine-tunes")
        check_items(task.name, splits.test)
        check_quality(task.quality, [*splits.test, *splits.validation])
    found = []
    readers: dict[str, LoadedModel] = {}
    for model, config in study.pairs():
        check_checkpoint(model.path)
        options = study.options(model, config)
        options = replace(options, device=device, trust_remote_code=trust_remote_code)
        if model.path not in readers:
            readers[model.path] = load_reader(model.path, load_options(options))
        task, splits = read[config.name]
        measured: dict[str, Sequence[Example]] = {"test": splits.test, "validation": splits.validation}
        found.append(
            ModelTask(
                model=model,
                task=task,
                splits=splits,
                options=options,
                fingerprint=fingerprint(model.path),
                reading=Reading.of(readers[model.path], measured, PromptOptions(chat=model.chat)),
                judge=judge_spec(config.judge, splits.test),
            )
        )
    return found


def read_items(study: StudyConfig, config: TaskConfig) -> tuple[Task, Splits]:
    """A task of a study with its items."""
    task = _task(study, config)
    return task, task.load(data_dir=study.data_dir, sizes=_sizes(study), seed=study.data_seed)


_KINDS = {"exact_match": "binary", "exact_text": "binary", "chrf_plus": "continuous"}


def planned_items(study: StudyConfig) -> tuple[dict[str, int], dict[str, tuple[int, str]], list[str]]:
    """How many items each task has, for a plan.

    Returns
    -------
    training, test, unread
        Task → number of its training items; of its test items, with the kind of its quality (`stats.planning`).
        `unread` are tasks on the hub: their items are not counted, the numbers that are asked for are taken.
    """
    training, test, unread = {}, {}, []
    for config in study.task_configs():
        task = _task(study, config)
        declared, asked = study.sizes.train or task.train, study.sizes.test or task.test
        if task.datasets and study.data_dir is None and declared is not None and asked is not None:
            unread.append(config.name)
        else:
            splits = read_items(study, config)[1]
            declared, asked = len(splits.train), len(splits.test)
        training[config.name] = declared
        test[config.name] = asked, _KINDS.get(task.quality, "graded")
    return training, test, unread


def _sizes(study: StudyConfig) -> Sizes:
    return Sizes(**study.sizes.model_dump())


def _task(study: StudyConfig, config: TaskConfig) -> Task:
    """A registered task, or one made of the user's files."""
    if not config.files():
        task = TASKS.get(config.name)
        if config.quality is not None:
            raise InputError(f"task {config.name!r} has its own quality: another is for your own data")
        return replace(task, template=config.template)
    return own_task(
        config.data,
        train=config.train,
        validation=config.validation,
        test=config.test,
        name=config.name,
        sizes=_sizes(study),
        input=config.input,
        target=config.target,
        template=config.template,
        allow_target=config.allow_target_in_template,
        quality=config.quality or DEFAULT_QUALITY,
    )
