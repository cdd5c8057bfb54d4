"""Checks of a model and its items before anything is decoded, trained or written."""

from __future__ import annotations

from collections.abc import Sequence

from aftertune.errors import InputError
from aftertune.finetune.examples import tokenise
from aftertune.finetune.protocol import FinetuneOptions
from aftertune.generate.collect import CollectOptions, acting_dropout
from aftertune.generate.prompts import encode
from aftertune.judges import Judge, questions_of
from aftertune.judges.api import ApiJudge
from aftertune.judges.metric import MetricJudge
from aftertune.measure.evidence import encoded, prompt_notes
from aftertune.models.loaded import LoadedModel
from aftertune.quality import QUALITY
from aftertune.scores import SCORES, get
from aftertune.stats.correlation import MIN_ITEMS
from aftertune.types import Example


def check_items(task: str, test: Sequence[Example]) -> None:
    """Refuse fewer test items than a correlation needs."""
    if len(test) < MIN_ITEMS:
        noun = "item" if len(test) == 1 else "items"
        raise InputError(
            f"task {task!r} has {len(test)} test {noun}: a correlation needs at least {MIN_ITEMS}, "
            "and a few hundred to be worth anything"
        )


def check_quality(quality: str, items: Sequence[Example]) -> None:
    """Refuse references that the metric cannot read."""
    QUALITY.get(quality)([item.references[0] for item in items], [item.references for item in items])


def check_scores(names: Sequence[str] | None, options: CollectOptions) -> None:
    """Refuse a score, asked for by name, whose evidence will not be collected."""
    if names is not None and not names:
        raise InputError("no score is asked for: name at least one, or leave the list away for all")
    collected = {"beams": ("beams", options.beams), "dropout": ("dropout samples", options.dropout_samples)}
    for name in names or ():
        for part in get(name).needs:
            if part in collected and not collected[part][1]:
                raise InputError(f"score {name!r} needs {collected[part][0]}, and none are asked for")


def measured_scores(names: Sequence[str] | None, options: CollectOptions) -> list[str]:
    """What the scores asked for are called in the records; None stands for all whose evidence is collected."""
    absent = {part for part, n in (("beams", options.beams), ("dropout", options.dropout_samples)) if not n}
    if names is not None:
        return [get(name).name for name in names]
    return [score.name for _, score in SCORES.items() if not absent & set(score.needs)]


def check_judge(judge: Judge, examples: Sequence[Example], *, asks: bool) -> None:
    """Refuse a judge that cannot be used, or a metric that cannot read the references of the items.

    A judge behind an API needs no key, and is not reached, where all answers are judged already.

    Parameters
    ----------
    asks : whether anything will be sent (`judging_cost`).
    """
    if asks or not isinstance(judge, ApiJudge):
        judge.ready()
    if isinstance(judge, MetricJudge):
        judge.judge(questions_of(examples, [example.references[0] for example in examples]))


def check_decoding(
    loaded: LoadedModel, examples: Sequence[Example], options: CollectOptions, task: str, what: str
) -> list[str]:
    """Refuse prompts that do not fit, too few that do, and dropout that does not act.

    Returns
    -------
    list of str
        Notes on prompts that do not fit, as `measure` will keep them.
    """
    prompts = encoded(loaded, examples, options)
    check_items(task, [examples[i] for i in prompts.index])
    if options.dropout_samples:
        acting_dropout(loaded, prompts.ids[0], options.dropout)
    return prompt_notes(loaded, prompts, len(examples), what)


def check_training_prompts(loaded: LoadedModel, train: Sequence[Example], options: CollectOptions) -> None:
    """Refuse training items to compare with whose prompts do not fit the context."""
    encode(loaded, [e.asked for e in train], options.prompts, 0, [e.id for e in train])


def check_training(
    loaded: LoadedModel,
    train: Sequence[Example],
    validation: Sequence[Example],
    finetuning: FinetuneOptions,
    options: CollectOptions,
) -> None:
    """Refuse training and validation items that do not fit the context."""
    tokenise(loaded, train, chat=finetuning.chat, too_long=finetuning.too_long)
    encoded(loaded, validation, options)
