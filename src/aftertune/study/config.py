"""Study files: strict YAML. A misspelt key is an error with its line and the nearest right one.

The experiments are those of the paper.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from ruamel.yaml.nodes import Node

from aftertune.arguments import LIMITS
from aftertune.errors import InputError, shortened, unknown
from aftertune.finetune.protocol import EarlyStopping, FinetuneOptions, LoraOptions
from aftertune.judges import judge_from
from aftertune.models.dropout import NO_DROPOUT, parse_dropout
from aftertune.options import (
    DEFAULTS,
    INPUT,
    MARGIN,
    NO_JUDGE,
    RESAMPLES,
    TARGET,
    Chat,
    Dtype,
    LongPrompts,
    Options,
)
from aftertune.quality import QUALITY
from aftertune.scores import get
from aftertune.study.yaml_file import line_of, read_yaml
from aftertune.tasks import TASKS
from aftertune.tasks.template import Template

RESULTS = {
    "before_after": "Tables 1, 6, 8",
    "by_epoch": "Table 7, Figure 2",
    "by_samples": "Figures 3 (left), 6a",
    "by_samples_fixed_steps": "Figures 3 (right), 6b",
}
"""Experiment → what of the paper comes from it."""

_EARLY, _STEP, _LORA = EarlyStopping(), FinetuneOptions(), LoraOptions()
"""For their defaults, the paper's."""


class Strict(BaseModel):
    """A part of a study file: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _not_empty(value: list) -> list:
    if not value:
        raise ValueError("give at least one")
    return value


def _distinct(value: list) -> list:
    if len(set(value)) < len(value):
        raise ValueError("one stands twice")
    return _not_empty(value)


def _on_one_line(name: str) -> str:
    if not name.strip() or len(name.splitlines()) > 1 or "\t" in name:
        raise ValueError("write a name, on one line")
    return name


def _file_name(name: str) -> str:
    if name.startswith(".") or "/" in name or "\\" in name:
        raise ValueError("a name is no path: the run folder is called so, in runs/ (another one: --out)")
    return name


def _limited(setting: str, **settings: Any) -> Any:
    """A field whose value is within `LIMITS`."""
    least, most = LIMITS[setting]
    return Field(ge=least, le=most, **settings)


_Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_on_one_line)]
_Names = Annotated[list[str], AfterValidator(_distinct)]
_Samples = Annotated[list[Annotated[int, _limited("samples")]], AfterValidator(_distinct), AfterValidator(sorted)]
_Seeds = Annotated[list[Annotated[int, _limited("seed")]], AfterValidator(_distinct), Field(max_length=1_000)]
_SAMPLES = [100, 500, 1000, 2000]


class BeforeAfterConfig(Strict):
    """Early stopping; measured before, after epoch 1, and where the validation metric was best ("full")."""

    epochs: int = _limited("epochs", default=_EARLY.epochs)
    patience: int | None = _limited("epochs", default=_EARLY.patience)


class ByEpochConfig(Strict):
    """Measured before and after every epoch."""

    epochs: int = _limited("epochs", default=10)


class BySamplesConfig(Strict):
    """One training for each number of training items, for so many epochs; measured at the end."""

    samples: _Samples = _SAMPLES
    epochs: int = _limited("epochs", default=10)


class BySamplesFixedStepsConfig(Strict):
    """One training for each number of training items, for so many optimiser steps; measured at the end."""

    samples: _Samples = _SAMPLES
    steps: int = _limited("steps", default=2500)


def _spelt_out(value: Any) -> Any:
    """A list of names stands for their defaults, and so does a name with nothing behind it."""
    if isinstance(value, list):
        for name in value:
            if not isinstance(name, str):
                raise ValueError(f"is a list of names, or a mapping of names to settings; {name!r} is neither")
            if value.count(name) > 1:
                raise ValueError(f"{name} stands twice")
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if settings is None else settings for name, settings in value.items()}
    return value


class ExperimentsConfig(Strict):
    """Which experiments; one that is absent is not run."""

    before_after: BeforeAfterConfig | None = None
    by_epoch: ByEpochConfig | None = None
    by_samples: BySamplesConfig | None = None
    by_samples_fixed_steps: BySamplesFixedStepsConfig | None = None

    @model_validator(mode="after")
    def _some(self) -> ExperimentsConfig:
        if not self.names():
            raise ValueError(f"give at least one of {', '.join(RESULTS)}")
        return self

    def names(self) -> list[str]:
        """Those that are run, in the order of `RESULTS`."""
        return [name for name in RESULTS if getattr(self, name) is not None]

    def alone(self, name: str) -> ExperimentsConfig:
        """One of them, without the others."""
        return ExperimentsConfig.model_validate({name: getattr(self, name)})


Experiments = Annotated[ExperimentsConfig, BeforeValidator(_spelt_out)]


class LoraConfig(Strict):
    """Adapters instead of all weights; see `LoraOptions`."""

    r: int = _limited("r", default=_LORA.r)
    alpha: int = Field(ge=1, le=65_536, default=_LORA.alpha)
    dropout: float = Field(default=_LORA.dropout, ge=0, lt=1)
    target_modules: list[str] | str = "all-linear"


class ModelConfig(Strict):
    """One model: where it is, and what is particular to it."""

    name: _Name
    path: str = Field(min_length=1)
    dtype: Dtype = DEFAULTS.dtype
    dropout: str = DEFAULTS.dropout
    lora: LoraConfig | None = None
    learning_rate: float | None = Field(default=None, gt=0, le=100)
    chat: Chat = DEFAULTS.chat
    tasks: _Names | None = None


_FILES = ("data", "train", "validation", "test")


class TaskConfig(Strict):
    """A registered task, by name; or the user's own files, with a name of their own."""

    name: _Name
    data: str | None = None
    train: str | None = None
    validation: str | None = None
    test: str | None = None
    input: str = INPUT
    target: str = TARGET
    template: str | None = None
    allow_target_in_template: bool = False
    quality: str | None = None
    max_new_tokens: int | None = _limited("max_new_tokens", default=DEFAULTS.max_new_tokens)
    judge: str = DEFAULTS.judge

    def files(self) -> list[str]:
        """The user's own files; none for a registered task."""
        return [file for name in _FILES if (file := getattr(self, name)) is not None]


class SizesConfig(Strict):
    """How many items of each split; null takes the task's own number."""

    train: int | None = _limited("items", default=None)
    validation: int | None = _limited("items", default=None)
    test: int | None = _limited("items", default=None)


class TrainingConfig(Strict):
    """What an optimiser step is. How many there are is up to the experiments."""

    batch_size: int = _limited("batch_size", default=_STEP.batch_size)
    learning_rate: float = Field(default=_STEP.learning_rate, gt=0, le=100)


class EvaluationConfig(Strict):
    """How every checkpoint is measured; see `aftertune.options.Options`.

    train_similarity: also how near each test item is to the training items, in the checkpoint's own embeddings.
    """

    beams: int = _limited("beams", default=DEFAULTS.beams)
    dropout_samples: int = _limited("dropout_samples", default=DEFAULTS.dropout_samples)
    batch_size: int | None = _limited("batch_size", default=DEFAULTS.batch_size)
    long_prompts: LongPrompts = DEFAULTS.long_prompts
    train_similarity: bool = True
    judge_concurrency: int = _limited("judge_concurrency", default=DEFAULTS.judge_concurrency)
    scores: _Names | None = None


_Task = Annotated[
    Annotated[_Name, Tag("name")] | Annotated[TaskConfig, Tag("own files")],
    Discriminator(lambda value: "own files" if isinstance(value, dict | TaskConfig) else "name"),
]


class StudyConfig(Strict):
    """A grid of models × tasks × seeds, each fine-tuned and measured as the experiments ask.

    keep_checkpoints: true keeps the weights of every checkpoint that is measured, ``selected`` those that early
    stopping selected.
    """

    name: Annotated[_Name, AfterValidator(_file_name)]
    models: Annotated[list[ModelConfig], AfterValidator(_not_empty)]
    tasks: Annotated[list[_Task], AfterValidator(_not_empty)]
    seeds: _Seeds = [0, 1, 2]
    experiments: Experiments = ExperimentsConfig(before_after=BeforeAfterConfig())
    data_dir: str | None = None
    data_seed: int = _limited("data_seed", default=0)
    sizes: SizesConfig = SizesConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    keep_checkpoints: Literal[True, False, "selected"] = False
    margin: float = _limited("margin", default=MARGIN)
    resamples: int = _limited("resamples", default=RESAMPLES)
    permutation: bool = False
    rely_on: str | None = None

    def task_configs(self) -> list[TaskConfig]:
        """The tasks; one that the file only names is registered."""
        return [TaskConfig(name=t) if isinstance(t, str) else t for t in self.tasks]

    def pairs(self) -> list[tuple[ModelConfig, TaskConfig]]:
        """Every model with each task that it takes part in."""
        return [(m, t) for m in self.models for t in self.task_configs() if m.tasks is None or t.name in m.tasks]

    def options(self, model: ModelConfig, task: TaskConfig) -> Options:
        """How checkpoints of a model on a task are measured."""
        return Options(
            **self.evaluation.model_dump(exclude={"train_similarity"}),
            dtype=model.dtype,
            dropout=model.dropout,
            chat=model.chat,
            max_new_tokens=task.max_new_tokens,
            judge=task.judge,
        )

    def finetune_options(self, model: ModelConfig) -> FinetuneOptions:
        """How a model is trained."""
        return FinetuneOptions(
            batch_size=self.training.batch_size,
            learning_rate=model.learning_rate or self.training.learning_rate,
            lora=None if model.lora is None else LoraOptions(**model.lora.model_dump()),
            too_long=self.evaluation.long_prompts,
            chat=model.chat,
        )


def read_study(path: Path) -> StudyConfig:
    """Parse and check a study file; relative paths in it start from its folder.

    Raises
    ------
    InputError
        The file, the line and what to write instead.
    """
    path = Path(path)
    content, node = read_yaml(path)
    try:
        study = StudyConfig.model_validate(content)
    except ValidationError as error:
        raise first_error(path, node, error, _fields_at) from None
    _check_names(path, node, study)
    return _relative_to(study, path.parent)


def _relative_to(study: StudyConfig, folder: Path) -> StudyConfig:
    """Paths that exist relative to the study's folder are taken from there."""

    def found(text: str | None) -> str | None:
        if text is None or ":" in text or Path(text).is_absolute():
            return text
        return str(folder / text) if os.path.exists(folder / text) else text  # of texts that no file can be called

    tasks = [
        t if isinstance(t, str) else t.model_copy(update={k: found(getattr(t, k)) for k in _FILES})
        for t in study.tasks
    ]
    models = [m.model_copy(update={"path": found(m.path)}) for m in study.models]
    return study.model_copy(update={"data_dir": found(study.data_dir), "tasks": tasks, "models": models})


_KINDS = ("name", "own files", "str", "list[str]")
"""Parts of pydantic's locations that say which kind of value it took one for: not keys of the file."""


def first_error(
    path: Path, node: Node, error: ValidationError, known_at: Callable[[list[Any]], list[str]]
) -> InputError:
    """The first fault that pydantic found, with its line; `known_at` gives the keys that a mapping may have."""
    first = min(error.errors(), key=lambda e: (e["type"] != "extra_forbidden", len(e["loc"])))
    loc, tasks = first["loc"], first["loc"][:1] == ("tasks",)
    where = [part for i, part in enumerate(loc) if not (part in _KINDS and (i == 2 if tasks else i > 2))]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    line = line_of(node, where)
    if first["type"] == "extra_forbidden":
        misspelt = unknown("key", str(where[-1]), known_at(where[:-1]))
        return InputError(str(misspelt), file=path, line=line)
    if first["type"] == "missing":
        return InputError(f"{name} is missing: write {where[-1]}: …", file=path, line=line)
    message = re.sub(r"^Value error, |^\w+ (?=should )| after validation", "", first["msg"])
    message = re.sub(r"dictionary or instance of \w+", "mapping, such as {key: value}", message)
    given = "" if isinstance(first["input"], dict) else f" (given: {shortened(repr(first['input']), 80)})"
    return InputError(f"{name}: {message}{given}", file=path, line=line)


def _fields_at(where: list[Any]) -> list[str]:
    """The keys that the mapping at this place may have."""
    mappings: dict[Any, type[Strict]] = {
        "models": ModelConfig,
        "tasks": TaskConfig,
        "lora": LoraConfig,
        "sizes": SizesConfig,
        "training": TrainingConfig,
        "experiments": ExperimentsConfig,
        "before_after": BeforeAfterConfig,
        "by_epoch": ByEpochConfig,
        "by_samples": BySamplesConfig,
        "by_samples_fixed_steps": BySamplesFixedStepsConfig,
        "evaluation": EvaluationConfig,
    }
    inmost = [mappings[part] for part in where if part in mappings]
    return list((inmost or [StudyConfig])[-1].model_fields)


def _check_names(path: Path, node: Node, study: StudyConfig) -> None:
    known = [task.name for task in study.task_configs()]
    for key, names in (("models", [model.name for model in study.models]), ("tasks", known)):
        for i, name in enumerate(names):
            if name in names[:i]:
                raise InputError(f"{key}: two are called {name!r}", file=path, line=line_of(node, [key, i]))
    for i, model in enumerate(study.models):
        for name in model.tasks or []:
            if name not in known:
                error = unknown("task", name, known)
                raise InputError(str(error), file=path, line=line_of(node, ["models", i, "tasks"]))
    for where, check in _registered(study):
        try:
            check()
        except InputError as error:
            raise InputError(str(error), file=path, line=line_of(node, where)) from None


def _registered(study: StudyConfig) -> Iterator[tuple[list[str | int], Callable[[], object]]]:
    """Where a name of something registered, or a setting with a grammar of its own, stands; and its check."""
    for i, model in enumerate(study.models):
        if model.dropout != NO_DROPOUT:
            yield ["models", i, "dropout"], partial(parse_dropout, model.dropout)
    for i, task in enumerate(study.task_configs()):
        if not task.files():
            yield ["tasks", i], partial(TASKS.get, task.name)
            if task.template is not None:
                yield ["tasks", i, "template"], partial(replace, TASKS.get(task.name), template=task.template)
        elif task.template is not None:
            yield ["tasks", i, "template"], partial(Template, task.template)
        if task.judge not in ("auto", NO_JUDGE):
            yield ["tasks", i, "judge"], partial(judge_from, task.judge)
        if task.quality is not None:
            yield ["tasks", i, "quality"], partial(QUALITY.get, task.quality)
    for i, name in enumerate(study.evaluation.scores or []):
        yield ["evaluation", "scores", i], partial(get, name)
    if study.rely_on is not None:
        yield ["rely_on"], partial(get, study.rely_on)
