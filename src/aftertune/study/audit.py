"""Audit finished checkpoints: which confidence scores can still be trusted after fine-tuning?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from aftertune.errors import InputError
from aftertune.files.evidence import read_notes
from aftertune.files.runfolder import RunFolder
from aftertune.judges import judge_from
from aftertune.judges.api import CONCURRENCY
from aftertune.models.fingerprint import fingerprint
from aftertune.models.load import LoadOptions, check_checkpoint, load, load_reader
from aftertune.models.loaded import LoadedModel
from aftertune.models.relation import check_parent, relation_notes
from aftertune.study.audit_notes import apart_from_test, on_another, on_generation, on_prompts, on_same_weights
from aftertune.study.fine_tunings import fine_tunings, model_name
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
    readable,
    whole,
)
from aftertune.study.preflight import check_decoding, check_judge, check_scores, check_training_prompts
from aftertune.study.recording import Recorder
from aftertune.study.reporter import Reporter, Silent
from aftertune.study.run_dropout import run_dropout
from aftertune.study.subject import (
    Reading,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """What is asked of an audit besides the checkpoints and the data.

    Attributes
    ----------
    items : at most so many test items; None for the task's own number.
    dropout : "auto" (docs/dropout.md), "native", "attention:P", "residual:P", "lora", or "none" for no dropout
        scores.
    judge : says which answers are correct (docs/judges.md); "auto" is the rule where the task knows incorrect
        answers, "none" for none.
    validation : items to fit percentages on, a file like `data`; with a task its own are taken.
    train : the training items, for similarity to them: a file like `data`; with a task, "task" takes its own.
    allow_other_base : whether an adapter may be compared with another model than it was trained on.
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
    allow_other_base: bool = False
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
    after : one or more fine-tuned checkpoints; an adapter folder counts. Checkpoints of one training are taken in
        the order of their steps and become epochs 1, 2, … of the records; different fine-tunings are models of
        their own in the records, each compared with `before`. ``NAME=PATH`` names the fine-tuning that a
        checkpoint belongs to (`aftertune.study.fine_tunings`).
    task : a registered task; or
    data : the user's test set (JSONL, CSV, TSV or Parquet).
    options, settings : `AuditOptions`, or its fields by name.

    Raises
    ------
    InputError
        Anything wrong with the checkpoints, the data or the settings; the folder holds an audit of something
        else. Nothing is then left half-written.
    """
    options = replace(options or AuditOptions(), **settings)  # type: ignore[arg-type]
    reporter = reporter or Silent()
    afters = [after] if isinstance(after, str | Path) else list(after)
    if not afters:
        raise InputError("an audit needs a checkpoint before and at least one after fine-tuning")
    tuned, order_notes = fine_tunings(afters, options.name)
    paths = list(dict.fromkeys([str(before), *(path for one in tuned for path in one.checkpoints)]))
    for path in paths:
        check_checkpoint(path)
    for path in paths[1:]:
        check_parent(before, path, allow=options.allow_other_base)
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
    asked = {
        "command": "audit",
        "before": str(before),
        "after": [path for one in tuned for path in one.checkpoints],
        "task": found.name,
        "data": None if data is None else str(data),
        "items": len(splits.test),
        "item digest": items_digest(splits.test),
        "train": None if options.train is None else str(options.train),
        "judge": spec,
        "prompt": found.template or found.prompt,
        "chat": options.chat,
        "quality": found.quality,
        "beams": options.beams,
        "dropout_samples": decoding.dropout_samples,
        "dropout": options.dropout,
        "max_new_tokens": decoding.max_new_tokens,
        "dtype": options.dtype,
        "seed": options.seed,
        "margin": options.margin,
        "resamples": options.resamples,
    }
    changed = list(on_another(folder, asked))
    judge = None
    if spec is not None:
        judge = judge_from(spec, cache=folder.judgements, concurrency=options.judge_concurrency)
    readers = {path: load_reader(path, load_options, base=before) for path in paths}
    notes = [*order_notes, *splits.notes, *_assumed(data, options, found), *notes, *on_the_judge(spec, measured)]
    notes += on_same_weights([str(before), *asked["after"]])
    notes += [note for path in paths[1:] for note in relation_notes(before, path)]
    notes += on_prompts(readers, splits.test[0], options.chat)
    notes += [note for reader in readers.values() for note in on_generation(reader, options.chat)]
    for note in (*changed, *notes):
        reporter.note(note)
    recorder = Recorder(run=folder, task=found, scores=options.scores, reporter=reporter, judge=judge)
    held = _Held(load_options, before)
    readings = {path: Reading.of(reader, measured, decoding.prompts) for path, reader in readers.items()}
    prints = {path: f"{fingerprint(path)}/{options.dtype}" for path in paths}
    identity = [prints[paths[0]], readings[paths[0]].items["test"]]
    resolved = run_dropout(folder, identity, decoding, splits.test, lambda: held.load(paths[0]))
    if resolved is not None:
        decoding = replace(decoding, dropout=resolved.resolved.setting)
        reporter.note(f"dropout auto is {resolved.resolved}")
    parts: list[_Part] = []
    for path in paths:
        read, weights = readings[path], prints[path]
        for split, items in measured.items():
            slug = readable(f"{model_name(path)}-{found.name}" + ("" if split == "test" else f"-{split}"))
            key = evidence_key(slug, weights, read.items[split], decoding)
            parts.append(_Part(path=path, split=split, items=items, key=key, folder=folder.evidence(key)))
    costs = judging_cost(
        judge,
        [[(part.items, part.folder) for part in parts if part.path == path] for path in paths],
        decoding.max_new_tokens,
    )
    for cost in costs:
        reporter.note(str(cost))
    if judge is not None:
        check_judge(judge, [item for items in measured.values() for item in items], asks=bool(costs))

    def is_done(part: _Part) -> bool:
        is_near = training is None or part.split != "test" or training.file(part.folder).exists()
        return is_measured(part.folder) and is_near

    missing = list(dict.fromkeys(part.path for part in parts if not is_done(part)))
    reporter.plan(len(paths), len(paths) - len(missing))
    for path in missing:
        reporter.stage(f"{path}: checking", 1)
        loaded = held.load(path)
        for note in loaded.notes:
            reporter.note(note)
        for items in measured.values():
            for note in check_decoding(loaded, items, decoding, found.name, path):
                reporter.note(note)
        if training is not None:
            check_training_prompts(loaded, training.examples, decoding)
        del loaded
    folder.make(asked)
    if resolved is not None:
        resolved.keep()
    folder.write_items(
        found.name, item_ids(splits) | {split: [e.id for e in measured[split]] for split in measured}
    )
    keys = []
    for one in tuned:
        for epoch, path in enumerate([str(before), *one.checkpoints]):
            for part in (part for part in parts if part.path == path):
                if not is_done(part):
                    loaded = held.load(path)
                    reporter.stage(f"{path}: decoding", len(part.items))
                    measure(part.folder, loaded, part.items, decoding, path, reporter, quality=found.quality)
                    if training is not None and part.split == "test":
                        reporter.stage(f"{path}: similarity to the training items", len(training.examples))
                        measure_similarity(part.folder, loaded, training, decoding, reporter)
                    del loaded
                checkpoint = Checkpoint(
                    model=one.name, task=found.name, seed=options.seed, epoch=epoch, split=part.split
                )
                near = None if training is None or part.split != "test" else training.file(part.folder)
                read = partial(whole, part.folder)
                keys.append(recorder.record(checkpoint, part.key, part.folder, read, part.items, near))
            if path in missing:
                missing.remove(path)
                reporter.checkpoint_done()
    notes += [note for part in parts for note in read_notes(part.folder)]
    folder.forget_records_except(keys)
    return finish(
        folder,
        title=f"{', '.join(one.name for one in tuned)} on {found.name}",
        settings=asked
        | {
            "dropout found": None if resolved is None else str(resolved.resolved),
            "dropout in force": dropout_in_force(part.folder for part in parts),
        },
        signatures=recorder.signatures(similarity=training is not None),
        notes=notes,
        reporter=reporter,
    )


class _Held:
    """One model at a time, which stays until another one is asked for."""

    def __init__(self, options: LoadOptions, before: str | Path) -> None:
        self._options, self._before = options, before
        self._models: dict[str, LoadedModel] = {}

    def load(self, path: str) -> LoadedModel:
        if path not in self._models:
            self._models.clear()
            self._models[path] = load(path, self._options, base=self._before)
        return self._models[path]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One split at one checkpoint: its items, and where their evidence lies."""

    path: str
    split: str
    items: Sequence[Example]
    key: str
    folder: Path


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


def _assumed(data: str | Path | None, options: AuditOptions, task: Task) -> list[str]:
    """What was taken for granted about the user's own data."""
    taken = []
    if data is not None and task.prompt == "{" + options.input + "}":  # else a template, or a format of TRL
        taken.append(f"the prompt is the column {options.input!r} as it stands (--template)")
    if data is not None and options.quality is None:
        taken.append(f"quality is {DEFAULT_QUALITY} (--quality)")
    return [f"nothing else was asked for, so {' and '.join(taken)}"] if taken else []
