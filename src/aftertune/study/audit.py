"""Audit finished checkpoints: which confidence scores can still be trusted after fine-tuning?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from aftertune.errors import InputError
from aftertune.judges import judge_from
from aftertune.judges.api import CONCURRENCY
from aftertune.models.fingerprint import fingerprint
from aftertune.models.load import LoadOptions, check_checkpoint, load
from aftertune.store.evidence import read_notes
from aftertune.store.runfolder import RunFolder
from aftertune.study.audit_notes import apart_from_test, on_another, on_same_weights
from aftertune.study.finish import Result, check_statistics, finish
from aftertune.study.judge_notes import on_the_judge
from aftertune.study.judging_cost import judging_cost
from aftertune.study.measure import (
    Checkpoint,
    TrainingSet,
    dropout_in_force,
    is_measured,
    measure,
    measure_similarity,
    whole,
)
from aftertune.study.preflight import check_decoding, check_judge, check_scores, check_training_prompts
from aftertune.study.recording import Recorder
from aftertune.study.reporter import Reporter, Silent
from aftertune.study.subject import (
    check_items,
    check_quality,
    collect_options,
    evidence_key,
    item_ids,
    items_digest,
    judge_spec,
)
from aftertune.tasks import TASKS, Sizes, Task, own_task
from aftertune.tasks.own import DEFAULT_QUALITY
from aftertune.types import Example

_ONLY_WHICH = re.compile(r"(checkpoint|epoch|step)s?[-_]?\d*|selected|best|final|last|model|merged|adapter")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """What is asked of an audit besides the checkpoints and the data.

    Attributes
    ----------
    items : at most so many test items; None for the task's own number.
    dropout : "auto" (the model's own, or as strong as suits it), "native", "attention:0.05", "residual:0.02",
        "lora", or "none" for no dropout scores.
    judge : says which answers are correct (docs/judges.md); "auto" is the rule where the task knows incorrect
        answers, "none" for none.
    validation : items to fit percentages on, a file like `data`; with a task its own are taken.
    train : the training items, for similarity to them: a file like `data`; with a task, "task" takes its own.
    """

    items: int | None = None
    judge: str = "auto"
    judge_concurrency: int = CONCURRENCY
    validation: str | Path | None = None
    train: str | Path | None = None
    data_dir: str | Path | None = None
    input: str = "input"
    target: str = "target"
    template: str | None = None
    quality: str | None = None
    max_new_tokens: int | None = None
    name: str | None = None
    beams: int = 10
    dropout_samples: int = 3
    dropout: str = "auto"
    batch_size: int | None = None
    chat: str = "auto"
    long_prompts: str = "error"
    scores: Sequence[str] | None = None
    seed: int = 0
    data_seed: int = 0
    dtype: str = "float32"
    device: str | None = None
    trust_remote_code: bool = False
    margin: float = 0.05
    resamples: int = 2000


def audit(
    before: str | Path,
    after: str | Path | Sequence[str | Path],
    *,
    task: str | None = None,
    data: str | Path | None = None,
    out: str | Path,
    options: AuditOptions | None = None,
    reporter: Reporter | None = None,
    **settings: object,
) -> Result:
    """Measure two or more checkpoints on one test set and judge every score.

    Parameters
    ----------
    before : the model before fine-tuning: a folder, a hub id, or an embedded model.
    after : one or more fine-tuned checkpoints in order of training; an adapter folder counts. They become
        epochs 1, 2, … of the records.
    task : a registered task; or
    data : the user's test set (JSONL, CSV or Parquet).
    options, settings : `AuditOptions`, or its fields by name.

    Raises
    ------
    InputError
        Anything wrong with the checkpoints, the data or the settings; nothing is then left half-written.
    """
    options = replace(options or AuditOptions(), **settings)  # type: ignore[arg-type]
    reporter = reporter or Silent()
    afters = [after] if isinstance(after, str | Path) else list(after)
    checkpoints = [before, *afters]
    if not afters:
        raise InputError("an audit needs a checkpoint before and at least one after fine-tuning")
    for checkpoint in checkpoints:
        check_checkpoint(checkpoint)
    found = _task(task, data, options)
    if options.items is not None and options.items < 1:
        raise InputError("items must be at least 1")
    sizes = Sizes(train=0, validation=0, test=options.items)
    splits = found.load(data_dir=options.data_dir, sizes=sizes, seed=options.data_seed)
    check_items(found.name, splits.test)
    check_quality(found.quality, splits.test)
    training = _training_set(found, data, options)
    spec = judge_spec(options.judge, splits.test)
    measured = {"test": splits.test}
    validation, notes = _validation(found, data, options, splits.test, judged=spec is not None)
    if validation:
        measured["validation"] = validation
    decoding = collect_options(
        task=found,
        dropout=options.dropout,
        chat=options.chat,
        max_new_tokens=options.max_new_tokens,
        beams=options.beams,
        dropout_samples=options.dropout_samples,
        batch_size=options.batch_size,
        long_prompts=options.long_prompts,
        seed=options.seed,
    )
    load_options = LoadOptions(
        dtype=options.dtype, device=options.device, trust_remote_code=options.trust_remote_code
    )
    check_scores(options.scores, decoding)
    check_statistics(options.margin, options.resamples)
    folder = RunFolder(Path(out))
    folder.check("audit")
    judge = None
    if spec is not None:
        judge = judge_from(spec, cache=folder.judgements, concurrency=options.judge_concurrency)
    notes = [*splits.notes, *_assumed(data, options), *notes, *on_the_judge(spec, measured)]
    notes += on_same_weights(checkpoints)
    audited = {"before": str(before), "after": [str(path) for path in afters], "task": found.name}
    for note in (*on_another(folder, audited), *notes):
        reporter.note(note)
    recorder = Recorder(run=folder, task=found, scores=options.scores, reporter=reporter, judge=judge)
    name = options.name or _model_name(afters[-1])
    rows = []
    for epoch, path in enumerate(checkpoints):
        for split, items in measured.items():
            checkpoint = Checkpoint(model=name, task=found.name, seed=options.seed, epoch=epoch, split=split)
            weights = f"{fingerprint(path)}/{options.dtype}"
            rows.append((checkpoint, path, evidence_key(checkpoint.slug, weights, items, decoding)))
    by_epoch = [
        [(measured[row.split], folder.evidence(key)) for row, _, key in rows if row.epoch == epoch]
        for epoch in range(len(checkpoints))
    ]
    costs = judging_cost(judge, by_epoch, decoding.max_new_tokens)
    for cost in costs:
        reporter.note(str(cost))
    if judge is not None:
        check_judge(judge, [item for items in measured.values() for item in items], asks=bool(costs))

    def is_done(key: str, split: str) -> bool:
        where = folder.evidence(key)
        is_near = training is None or split != "test" or training.file(where).exists()
        return is_measured(where) and is_near

    # Path → the last of its parts that are still to be measured.
    missing = {path: key for row, path, key in rows if not is_done(key, row.split)}
    reporter.plan(len(checkpoints), len(checkpoints) - len(missing))
    for path in missing:
        reporter.stage(f"{path}: checking", 1)
        loaded = load(path, load_options)
        for items in measured.values():
            for note in check_decoding(loaded, items, decoding, found.name, str(path)):
                reporter.note(note)
        if training is not None:
            check_training_prompts(loaded, training.examples, decoding)
        del loaded
    folder.make("audit")
    folder.write_items(
        found.name, item_ids(splits) | {split: [e.id for e in measured[split]] for split in measured}
    )
    keys = []
    for checkpoint, path, key in rows:
        where, items = folder.evidence(key), measured[checkpoint.split]
        of_test = checkpoint.split == "test"
        if not is_done(key, checkpoint.split):
            loaded = load(path, load_options)
            reporter.stage(f"{checkpoint.label}: decoding", len(items))
            measure(where, loaded, items, decoding, str(path), reporter)
            if training is not None and of_test:
                reporter.stage(f"{checkpoint.label}: similarity to the training items", len(training.examples))
                measure_similarity(where, loaded, training, decoding, reporter)
            if missing[path] == key:
                reporter.checkpoint_done()
            del loaded
        notes += read_notes(where)
        read = partial(whole, where)
        near = None if training is None or not of_test else training.file(where)
        keys.append(recorder.record(checkpoint, key, read, items, near))
    folder.forget_records_except(keys)
    settings_kept = {
        "command": "audit",
        **audited,
        "items": len(splits.test),
        "train": None if options.train is None else str(options.train),
        "judge": spec,
        "prompt": found.template or found.prompt,
        "quality": found.quality,
        "beams": options.beams,
        "dropout_samples": decoding.dropout_samples,
        "dropout": options.dropout,
        "dropout in force": dropout_in_force(folder.evidence(key) for _, _, key in rows),
        "max_new_tokens": decoding.max_new_tokens,
        "dtype": options.dtype,
        "seed": options.seed,
        "margin": options.margin,
        "resamples": options.resamples,
    }
    return finish(
        folder,
        title=f"{name} on {found.name}",
        settings=settings_kept,
        signatures=recorder.signatures(similarity=training is not None),
        notes=notes,
        reporter=reporter,
    )


def _task(task: str | None, data: str | Path | None, options: AuditOptions) -> Task:
    if (task is None) == (data is None):
        raise InputError("give either a task (--task squad) or a test set of your own (--data FILE)")
    if task is not None:
        own = {"input": options.input != "input", "target": options.target != "target"}
        own |= {"quality": options.quality is not None}
        if any(own.values()):
            given = next(name for name, is_given in own.items() if is_given)
            raise InputError(f"--{given} is for --data: task {task!r} has its own")
        return replace(TASKS.get(task), template=options.template)
    return _own_task(data, options)


def _training_set(task: Task, data: str | Path | None, options: AuditOptions) -> TrainingSet | None:
    if options.train is None:
        return None
    if data is None:
        if options.train != "task":
            raise InputError(f"with --task write --train task, for the training items of {task.name}; not a file")
        sizes = Sizes(validation=0, test=0)
        examples = task.load(data_dir=options.data_dir, sizes=sizes, seed=options.data_seed).train
    else:
        own = _own_task(options.train, options)
        examples = own.load(sizes=Sizes(train=0, validation=0)).test
    return TrainingSet(examples=examples, digest=items_digest(examples))


def _validation(
    task: Task, data: str | Path | None, options: AuditOptions, test: Sequence[Example], *, judged: bool
) -> tuple[tuple[Example, ...], list[str]]:
    """Validation items, where they are given or percentages are to be fitted; with notes."""
    if options.validation is not None:
        if data is None:
            raise InputError(f"--validation is for --data: task {task.name} has its own")
        own = _own_task(options.validation, options)
        return apart_from_test(own.load(sizes=Sizes(train=0, validation=0)).test, test)
    if data is not None or not judged:
        return (), []
    sizes = Sizes(train=0, test=0)
    return task.load(data_dir=options.data_dir, sizes=sizes, seed=options.data_seed).validation, []


def _own_task(data: str | Path | None, options: AuditOptions) -> Task:
    return own_task(
        test=data,
        input=options.input,
        target=options.target,
        template=options.template,
        quality=options.quality or DEFAULT_QUALITY,
    )


def _assumed(data: str | Path | None, options: AuditOptions) -> list[str]:
    """What was taken for granted about the user's own data."""
    taken = []
    if data is not None and options.template is None:
        taken.append(f"the prompt is the column {options.input!r} as it stands (--template)")
    if data is not None and options.quality is None:
        taken.append(f"quality is {DEFAULT_QUALITY} (--quality)")
    return [f"nothing else was asked for, so {' and '.join(taken)}"] if taken else []


def _model_name(path: str | Path) -> str:
    """The last part of a path that says more than which checkpoint of a training run it is.

    >>> _model_name("runs/my-model/checkpoint-500"), _model_name("owner/name"), _model_name("embedded:tiny")
    ('my-model', 'name', 'tiny')
    """
    parts = [part for part in str(path).rpartition(":")[2].split("/") if part not in ("", ".", "..", "~")]
    telling = [part for part in parts if not _ONLY_WHICH.fullmatch(part)]
    return (telling or parts or [str(path)])[-1]
