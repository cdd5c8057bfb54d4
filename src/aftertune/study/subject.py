"""What a study is about: a model on a task, with its items, and the keys that its results go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from aftertune.errors import InputError
from aftertune.generate.collect import CollectOptions
from aftertune.generate.prompts import PromptOptions, prompt_identity, prompt_ids
from aftertune.models.dropout import NO_DROPOUT, DropoutSetting, parse_dropout
from aftertune.models.fingerprint import fingerprint
from aftertune.models.load import LoadOptions, check_checkpoint, load_reader
from aftertune.models.loaded import LoadedModel
from aftertune.quality import QUALITY
from aftertune.signature import digest
from aftertune.study.config import NO_JUDGE, ModelConfig, StudyConfig, TaskConfig
from aftertune.study.run_dropout import RunDropout
from aftertune.tasks import TASKS, Sizes, Splits, Task, own_task
from aftertune.tasks.own import DEFAULT_QUALITY
from aftertune.types import Example

MIN_ITEMS = 3
EVIDENCE_VERSION = 3
"""Counts up when the same settings give other evidence; 3: keys cover what the model reads, token by token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a checkpoint reads and how it is made text, as digests: evidence belongs to these.

    Attributes
    ----------
    tokenizer : of all that makes prompts into token ids and token ids into answers: the tokenizer, its chat
        template, and what the generation config says of tokens.
    items : split → of the token ids of each item's prompt.
    """

    tokenizer: str
    items: Mapping[str, str]

    @classmethod
    def of(cls, loaded: LoadedModel, splits: Mapping[str, Sequence[Example]], options: PromptOptions) -> Reading:
        """`loaded` may be without weights (`load_reader`)."""
        own = digest([prompt_identity(loaded.tokenizer, options.chat), asdict(loaded.rules)])
        ids = {
            split: [(e.id, prompt_ids(loaded, e.asked, options.chat, f"item {e.id!r}")) for e in examples]
            for split, examples in splits.items()
        }
        return cls(tokenizer=own, items={split: digest([own, read]) for split, read in ids.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One model on one task, with everything read and checked that can be before the model is loaded.

    Attributes
    ----------
    judge : spec of the judge that says which answers are correct, or None.
    reading : of the test and validation items.
    dropout : what the model's dropout "auto" stands for; None for any other.
    """

    model: ModelConfig
    task: Task
    splits: Splits
    load_options: LoadOptions
    fingerprint: str
    reading: Reading
    dropout: RunDropout | None = None
    judge: str | None = None

    @property
    def name(self) -> str:
        return f"{self.model.name} / {self.task.name}"


def resolve_task(config: TaskConfig, sizes: Sizes) -> Task:
    """A registered task, or one made of the user's files."""
    files = (config.data, config.train, config.validation, config.test)
    if all(file is None for file in files):
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
        sizes=sizes,
        input=config.input,
        target=config.target,
        template=config.template,
        quality=config.quality or DEFAULT_QUALITY,
    )


def subjects(study: StudyConfig, trust_remote_code: bool, device: str | None) -> list[Subject]:
    """Every model × task of a study, read and checked."""
    loaded: dict[str, tuple[Task, Splits]] = {}
    for config in study.task_configs():
        task = resolve_task(config, _sizes(study))
        splits = task.load(data_dir=study.data_dir, sizes=_sizes(study), seed=study.data_seed)
        if not splits.train or not splits.validation:
            raise InputError(f"task {task.name!r} has no training or validation items: a study fine-tunes")
        check_items(task.name, splits.test)
        check_quality(task.quality, [*splits.test, *splits.validation])
        loaded[config.name] = (task, splits)
    found = []
    readers: dict[str, LoadedModel] = {}
    for model, config in study.pairs():
        check_checkpoint(model.path)
        dropout_setting(model.dropout)
        task, splits = loaded[config.name]
        options = LoadOptions(dtype=model.dtype, device=device, trust_remote_code=trust_remote_code)
        if model.path not in readers:
            readers[model.path] = load_reader(model.path, options)
        read = Reading.of(readers[model.path], _measured(splits), PromptOptions(chat=model.chat))
        found.append(
            Subject(
                model=model,
                task=task,
                splits=splits,
                load_options=options,
                fingerprint=fingerprint(model.path),
                reading=read,
                judge=judge_spec(config.judge, splits.test),
            )
        )
    return found


def training_items(study: StudyConfig) -> tuple[dict[str, int], list[str]]:
    """How many training items each task has, for a plan.

    Returns
    -------
    items, unread
        `unread` are tasks on the hub: their items are not counted, the number that is asked for is taken.
    """
    items, unread = {}, []
    for config in study.task_configs():
        task = resolve_task(config, _sizes(study))
        declared = study.sizes.train or task.train
        if task.datasets and study.data_dir is None and declared is not None:
            items[config.name] = declared
            unread.append(config.name)
        else:
            splits = task.load(data_dir=study.data_dir, sizes=_sizes(study), seed=study.data_seed)
            items[config.name] = len(splits.train)
    return items, unread


def _measured(splits: Splits) -> dict[str, Sequence[Example]]:
    return {"test": splits.test, "validation": splits.validation}


def _sizes(study: StudyConfig) -> Sizes:
    return Sizes(train=study.sizes.train, validation=study.sizes.validation, test=study.sizes.test)


def judge_spec(asked: str, items: Sequence[Example]) -> str | None:
    """The judge of a task's answers: "auto" is the rule where the task knows incorrect answers, else none."""
    if asked == "auto":
        return "rule" if any(example.incorrect for example in items) else None
    return None if asked == NO_JUDGE else asked


def check_items(task: str, test: Sequence[Example]) -> None:
    if len(test) < MIN_ITEMS:
        noun = "item" if len(test) == 1 else "items"
        raise InputError(
            f"task {task!r} has {len(test)} test {noun}: a correlation needs at least {MIN_ITEMS}, "
            "and a few hundred to be worth anything"
        )


def check_quality(quality: str, items: Sequence[Example]) -> None:
    """Refuse references that the metric cannot read, before anything is trained or decoded."""
    QUALITY.get(quality)([item.references[0] for item in items], [item.references for item in items])


def dropout_setting(text: str) -> DropoutSetting | None:
    """None where no dropout samples are wanted."""
    return None if text == NO_DROPOUT else parse_dropout(text)


def collect_options(
    *,
    task: Task,
    dropout: str,
    chat: str,
    max_new_tokens: int | None,
    beams: int,
    dropout_samples: int,
    batch_size: int | None,
    long_prompts: str,
    seed: int,
) -> CollectOptions:
    setting = dropout_setting(dropout)
    return CollectOptions(
        beams=beams,
        dropout_samples=dropout_samples if setting is not None else 0,
        max_new_tokens=max_new_tokens or task.max_new_tokens,
        batch_size=batch_size,
        seed=seed,
        dropout=setting or DropoutSetting(),
        prompts=PromptOptions(chat=chat, too_long=long_prompts),
    )


def item_ids(splits: Splits) -> dict[str, list[str]]:
    """Ids of the items of each split, and of all that the task selected from a larger data set, if it did."""
    found = {name: [example.id for example in getattr(splits, name)] for name in ("train", "validation", "test")}
    return {name: ids for name, ids in found.items() if ids} | (
        {"selected": list(splits.selected)} if splits.selected else {}
    )


def items_digest(examples: Sequence[Example]) -> str:
    return digest([asdict(example) for example in examples])


def evidence_key(slug: str, weights: str, read: str, options: CollectOptions) -> str:
    """Folder name of the evidence of some weights on some items; the batch size changes nothing in it.

    Parameters
    ----------
    read : digest of the items as the model reads them (`Reading.items`).
    """
    asked = {name: value for name, value in asdict(options).items() if name != "batch_size"}
    return f"{slug}-{digest([weights, read, asked, EVIDENCE_VERSION], 12)}"
