"""Audit finished checkpoints: which confidence scores can still be trusted after fine-tuning?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aftertune.analysis.recommending import check_rely_on
from aftertune.arguments import checked
from aftertune.commands.analyze import Result, check_statistics, finish
from aftertune.commands.fine_tunings import FineTuning, fine_tunings, model_name
from aftertune.commands.reproduce import command_line, unusual
from aftertune.errors import InputError
from aftertune.files.runfolder import Manifest, RunFolder
from aftertune.generate.collect import CollectOptions
from aftertune.measure.checks import (
    about,
    dropout_checks,
    parent_checks,
    reading_checks,
    shared_items,
    tell,
)
from aftertune.measure.dropout import dropout_in_force, run_dropout
from aftertune.measure.evidence import TrainingSet
from aftertune.measure.notes import changed_settings, date_notes, judge_notes, without_test_items
from aftertune.measure.preflight import (
    check_decoding,
    check_items,
    check_judge,
    check_quality,
    check_scores,
    check_training_prompts,
    measured_scores,
)
from aftertune.measure.recording import Recorder, judge_of, judge_spec
from aftertune.measure.reporter import Logged, Reporter
from aftertune.measure.room import check_memory, check_room, evidence_size
from aftertune.measure.worklist import (
    Checkpoint,
    Measurement,
    Part,
    Reading,
    Worklist,
    collect_options,
    evidence_key,
    item_ids,
    items_digest,
    judging_cost,
    load_options,
    readable,
)
from aftertune.models.folder import fingerprint, hashing_notes
from aftertune.models.load import check_checkpoint, load, load_reader
from aftertune.models.loaded import LoadedModel, generation_notes
from aftertune.options import INPUT, TARGET, AuditOptions, with_settings
from aftertune.records.fields import LONGEST_NAME
from aftertune.tasks import TASKS, Sizes, Splits, Task, own_task
from aftertune.tasks.own import DEFAULT_QUALITY
from aftertune.types import Check, Example


@checked
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
        the order of their steps and become epochs 1, 2, … of the records. Different fine-tunings are models of
        their own in the records, each compared with `before`. ``NAME=PATH`` names the fine-tuning that a
        checkpoint belongs to (`aftertune.commands.fine_tunings`).
    task : a registered task; or
    data : the user's test set (JSONL, CSV, TSV or Parquet).
    out : the run folder.
    options, settings : `aftertune.options.AuditOptions`, or its fields by name.

    Raises
    ------
    InputError
        Anything wrong with the checkpoints, the data or the settings, or `out` holds another audit; found before
        anything is written.
    """
    options = with_settings(options, settings)
    reporter = reporter or Reporter()
    folder = RunFolder(Path(out))
    with folder.writing("audit", reporter.note):
        return _audit(before, after, task, data, folder, options, Logged(reporter, folder.log))


def _audit(
    before: str | Path,
    after: str | Path | Sequence[str | Path],
    task: str | None,
    data: str | Path | None,
    folder: RunFolder,
    options: AuditOptions,
    reporter: Reporter,
) -> Result:
    afters = [after] if isinstance(after, str | Path) else list(after)
    if not afters:
        raise InputError("an audit needs a checkpoint before and at least one after fine-tuning")
    tuned, order_notes = fine_tunings(afters, options.name)
    for one in tuned:
        if len(one.name) > LONGEST_NAME:
            raise InputError(
                f"the name {one.name!r} has {len(one.name)} characters: give one of {LONGEST_NAME} at most"
            )
    paths = list(dict.fromkeys([str(before), *(path for one in tuned for path in one.checkpoints)]))
    for path in paths:
        check_checkpoint(path)
        check_memory(path, options.device)
    for note in hashing_notes(paths):
        reporter.note(note)
    every = [str(before), *(path for one in tuned for path in one.checkpoints)]
    checks = parent_checks(every, allow_other_base=options.allow_other_base)
    items = _read_items(task, data, options)
    decoding, loading = collect_options(options, items.task), load_options(options)
    check_scores(options.scores, decoding)
    check_rely_on(options.rely_on, measured_scores(options.scores, decoding))
    check_statistics(options.margin, options.resamples)
    asked = _settings(before, tuned, data, items, decoding, options)
    changed = changed_settings(folder, asked)
    judge = judge_of(items.judge, folder, options.judge_concurrency)
    readers = {path: load_reader(path, loading, base=before) for path in paths}
    notes = [*order_notes, *items.notes, *judge_notes(items.judge, items.measured)]
    notes += date_notes(readers.values(), options.chat)
    notes += [note for reader in readers.values() for note in generation_notes(reader)]
    checks += [*items.checks, *reading_checks(readers, items.splits.test, options.chat)]
    for note in (*changed, *notes):
        reporter.note(note)
    tell(checks, reporter.note)
    held: dict[str, LoadedModel] = {}

    def model(path: str) -> LoadedModel:
        """One model is held at a time, until another one is asked for."""
        if path not in held:
            held.clear()
            held[path] = load(path, loading, base=before)
        return held[path]

    readings = {path: Reading.of(reader, items.measured, decoding.prompts) for path, reader in readers.items()}
    weights = {path: f"{fingerprint(path)}/{options.dtype}" for path in paths}
    identity = [weights[paths[0]], readings[paths[0]].items["test"]]
    dropout = run_dropout(folder, identity, decoding, items.splits.test, lambda: model(paths[0]))
    if dropout is not None:
        decoding = replace(decoding, dropout=dropout.setting)
        reporter.note(f"dropout auto is {dropout}")

    def wanted(path: str, split: str) -> Measurement:
        slug = readable(f"{model_name(path)}-{items.task.name}" + ("" if split == "test" else f"-{split}"))
        key = evidence_key(slug, weights[path], readings[path].items[split], decoding)
        return Measurement(
            label=path,
            what=path,
            split=split,
            items=items.measured[split],
            key=key,
            parts=(Part(folder=folder.evidence(key), options=decoding),),
            quality=items.task.quality,
            training=items.training if split == "test" else None,
        )

    worklist = Worklist(wanted={path: [wanted(path, split) for split in items.measured] for path in paths})
    cost = judging_cost(judge, [worklist])
    if cost is not None:
        reporter.note(str(cost))
    if judge is not None:
        every_item = [item for some in items.measured.values() for item in some]
        check_judge(judge, every_item, asks=cost is not None)
    missing = worklist.missing()
    check_room(folder.root, evidence_size(one for path in missing for one in worklist.wanted[path]))
    reporter.plan(len(paths), len(paths) - len(missing))
    for path in missing:
        reporter.stage(f"{path}: checking", 1)
        loaded = model(path)
        fitting = [
            check_decoding(loaded, some, decoding, items.task.name, path) for some in items.measured.values()
        ]
        for note in (*loaded.notes, *(note for some in fitting for note in some)):
            reporter.note(note)
        if items.training is not None:
            check_training_prompts(loaded, items.training.examples, decoding)
        del loaded
    name = tuned[0].name if len(tuned) == 1 else ""
    checks = about(checks, model=name, task=items.task.name)
    folder.begin(asked, checkpoints=len(paths), checks=checks)
    if dropout is not None:
        dropout.keep()
    measured_ids = {split: [item.id for item in some] for split, some in items.measured.items()}
    folder.write_items(items.task.name, item_ids(items.splits) | measured_ids)
    recorder = Recorder(run=folder, task=items.task, scores=options.scores, reporter=reporter, judge=judge)
    for one in tuned:
        for epoch, path in enumerate([str(before), *one.checkpoints]):
            for measurement in worklist.wanted[path]:
                if not measurement.is_done():
                    measurement.complete(model(path), reporter)
                row = Checkpoint(
                    model=one.name, task=items.task.name, seed=options.seed, epoch=epoch, split=measurement.split
                )
                recorder.record(row, measurement)
            if path in missing:
                missing.remove(path)
                reporter.checkpoint_done()
    found = {
        "dropout found": None if dropout is None else str(dropout),
        "dropout in force": dropout_in_force(worklist.folders()),
        "reproduce": command_line(
            "audit", before, *afters, task=task, data=data, **unusual(options), out=folder.root
        ),
    }
    sampled = {path: one.folder for path, some in worklist.wanted.items() for one in some if one.split == "test"}
    manifest = Manifest(
        title=f"{', '.join(one.name for one in tuned)} on {items.task.name}",
        settings=asked | found,
        signatures=recorder.signatures(similarity=items.training is not None),
        checks=[*checks, *about(dropout_checks(sampled), model=name, task=items.task.name)],
        notes=[*notes, *worklist.notes()],
        used=[folder.name(path) for path in (*worklist.folders(), *([dropout.file] if dropout else []))],
    )
    return finish(folder, manifest, reporter=reporter)


def _settings(
    before: str | Path,
    tuned: Sequence[FineTuning],
    data: str | Path | None,
    items: _Items,
    decoding: CollectOptions,
    options: AuditOptions,
) -> dict[str, Any]:
    """What was asked for, as run.json keeps it."""
    return {
        "command": "audit",
        "before": str(before),
        "after": [path for one in tuned for path in one.checkpoints],
        "task": items.task.name,
        "data": None if data is None else str(data),
        "items": len(items.splits.test),
        "item digest": items_digest(items.splits.test),
        "train": None if options.train is None else str(options.train),
        "judge": items.judge,
        "prompt": items.task.template or items.task.prompt,
        "chat": options.chat,
        "quality": items.task.quality,
        "beams": options.beams,
        "dropout_samples": decoding.dropout_samples,
        "dropout": options.dropout,
        "max_new_tokens": decoding.max_new_tokens,
        "dtype": options.dtype,
        "seed": options.seed,
        "margin": options.margin,
        "resamples": options.resamples,
        "rely_on": options.rely_on,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Items:
    """What an audit measures on, read and checked.

    Attributes
    ----------
    judge : spec of the judge, or None.
    measured : split → items; validation items are among them where they are given or percentages are fitted.
    training : the training items, where similarity to them is asked for.
    checks : of the template and of the splits.
    """

    task: Task
    splits: Splits
    judge: str | None
    measured: Mapping[str, Sequence[Example]]
    training: TrainingSet | None
    notes: Sequence[str]
    checks: Sequence[Check]


def _read_items(name: str | None, data: str | Path | None, options: AuditOptions) -> _Items:
    """Read and check the items of a task by name, or of the user's own file."""
    if (name is None) == (data is None):
        raise InputError("give either a task (--task squad) or a test set of your own (--data FILE)")
    if name is None:
        task = _own_task(data, options)
    else:
        asked = {"input": options.input != INPUT, "target": options.target != TARGET}
        asked |= {"allow-target-in-template": options.allow_target_in_template}
        for option, is_given in (asked | {"quality": options.quality is not None}).items():
            if is_given:
                raise InputError(f"--{option} is for --data: task {name!r} has its own")
        task = replace(TASKS.get(name), template=options.template)
    splits = _load(task, options, Sizes(train=0, validation=0, test=options.items))
    check_items(task.name, splits.test)
    check_quality(task.quality, splits.test)
    training = _training_items(task, data, options)
    judge = judge_spec(options.judge, splits.test)
    validation, notes = _validation_items(task, data, options, splits.test, judged=judge is not None)
    return _Items(
        task=task,
        splits=splits,
        judge=judge,
        measured={"test": splits.test} | ({"validation": validation} if validation else {}),
        training=None if training is None else TrainingSet(examples=training, digest=items_digest(training)),
        notes=[*splits.notes, *([] if data is None else _assumed(options, task)), *notes],
        checks=[*splits.checks, *([] if training is None else [shared_items(splits.test, training, "training")])],
    )


def _training_items(task: Task, data: str | Path | None, options: AuditOptions) -> tuple[Example, ...] | None:
    """What test items are compared with; None where that is not asked for."""
    if options.train is None:
        return None
    if data is not None:
        return _own_items(options.train, options)
    if options.train != "task":
        raise InputError(f"with --task write --train task, for the training items of {task.name}; not a file")
    return _load(task, options, Sizes(validation=0, test=0)).train


def _validation_items(
    task: Task, data: str | Path | None, options: AuditOptions, test: Sequence[Example], *, judged: bool
) -> tuple[tuple[Example, ...], list[str]]:
    """Validation items where they are given or percentages are fitted, else none; with notes."""
    if options.validation is not None:
        if data is None:
            raise InputError(f"--validation is for --data: task {task.name} has its own")
        return without_test_items(_own_items(options.validation, options), test)
    if data is not None or not judged:
        return (), []
    return _load(task, options, Sizes(train=0, test=0)).validation, []


def _load(task: Task, options: AuditOptions, sizes: Sizes) -> Splits:
    return task.load(data_dir=options.data_dir, sizes=sizes, seed=options.data_seed)


def _own_items(file: str | Path, options: AuditOptions) -> tuple[Example, ...]:
    """All items of a file like the test set."""
    return _own_task(file, options).load(sizes=Sizes(train=0, validation=0)).test


def _own_task(file: str | Path | None, options: AuditOptions) -> Task:
    return own_task(
        test=file,
        input=options.input,
        target=options.target,
        template=options.template,
        allow_target=options.allow_target_in_template,
        quality=options.quality or DEFAULT_QUALITY,
    )


def _assumed(options: AuditOptions, task: Task) -> list[str]:
    """A note on what is taken for granted about the user's own data, if anything is."""
    taken = []
    if task.prompt == "{" + options.input + "}":  # else a template, or a format of TRL
        taken.append(f"the prompt is the column {options.input!r} as it stands (--template)")
    if options.quality is None:
        taken.append(f"quality is {DEFAULT_QUALITY} (--quality)")
    return [f"nothing else was asked for, so {' and '.join(taken)}"] if taken else []
