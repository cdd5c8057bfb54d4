"""Fine-tune and track: every model × task × seed of a study, measured before, during and after."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from aftertune.evidence import with_parts
from aftertune.finetune.examples import TokenisedSet, tokenise
from aftertune.finetune.history import History, read_history
from aftertune.finetune.options import FinetuneOptions
from aftertune.finetune.train import add_lora, finetune
from aftertune.generate.collect import CollectOptions
from aftertune.models.dropout import DropoutSetting
from aftertune.models.load import load
from aftertune.models.loaded import LoadedModel
from aftertune.models.save import save
from aftertune.signature import digest
from aftertune.store.evidence import read_notes, write_notes
from aftertune.store.runfolder import RunFolder
from aftertune.study.config import StudyConfig, read_study
from aftertune.study.finish import Result, finish
from aftertune.study.measure import (
    Checkpoint,
    dropout_in_force,
    is_measured,
    mean_quality,
    measure,
    record,
    signatures,
    whole,
)
from aftertune.study.preflight import check_decoding, check_scores, check_training
from aftertune.study.reporter import Reporter, Silent
from aftertune.study.subject import Subject, collect_options, evidence_key, items_digest, subjects
from aftertune.types import Evidence


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
    found = subjects(config, trust_remote_code, device)
    trainings = [
        _Training(study=config, subject=subject, seed=seed, folder=folder, reporter=reporter)
        for subject in found
        for seed in config.seeds
    ]
    reporter.plan(sum(t.expected() for t in trainings), sum(t.measured() for t in trainings))
    _preflight(trainings)
    folder.make("run")
    keys: list[str] = []
    notes = [f"{subject.task.name}: {note}" for subject in found for note in subject.splits.notes]
    for training in trainings:
        keys += training.complete()
        notes += training.notes()
    folder.forget_records_except(keys)
    acting = {}
    for subject in found:
        folders = [training.dropout_folder() for training in trainings if training.subject is subject]
        acting[f"dropout in force.{subject.name}"] = dropout_in_force(folders)
    settings = config.model_dump(mode="json") | {"command": "run"} | acting
    qualities = {subject.task.quality for subject in found}
    signed = {k: v for q in sorted(qualities) for k, v in signatures(q, config.evaluation.scores).items()}
    notes = list(dict.fromkeys(notes))
    return finish(folder, title=config.name, settings=settings, signatures=signed, notes=notes, reporter=reporter)


def _preflight(trainings: Sequence[_Training]) -> None:
    """Check every model that is still needed against its items, before any of them is trained."""
    for training in trainings:
        check_scores(training.study.evaluation.scores, training.collect_options)
    incomplete = [training for training in trainings if not training.is_complete()]
    by_subject = {training.subject.name: training for training in incomplete}
    for path in dict.fromkeys((t.subject.model.path, t.subject.model.dtype) for t in by_subject.values()):
        loaded: LoadedModel | None = None
        for training in by_subject.values():
            if (training.subject.model.path, training.subject.model.dtype) == path:
                loaded = loaded or training.load()
                training.check(loaded)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """One model × task × seed: its fine-tuning and the checkpoints measured on the way."""

    study: StudyConfig
    subject: Subject
    seed: int
    folder: RunFolder
    reporter: Reporter

    # What this training is

    @property
    def options(self) -> FinetuneOptions:
        return self.study.finetune_options(self.subject.model)

    @property
    def collect_options(self) -> CollectOptions:
        config, evaluation = self.subject.model, self.study.evaluation
        task_config = next(t for t in self.study.task_configs() if t.name == self.subject.task.name)
        return collect_options(
            task=self.subject.task,
            dropout=config.dropout,
            chat=config.chat,
            max_new_tokens=task_config.max_new_tokens,
            beams=evaluation.beams,
            dropout_samples=evaluation.dropout_samples,
            batch_size=evaluation.batch_size,
            long_prompts=evaluation.long_prompts,
            seed=self.seed,
        )

    @property
    def key(self) -> str:
        """Everything that the trained weights and the choice of the best depend on."""
        splits, subject = self.subject.splits, self.subject
        validation = [items_digest(splits.validation), subject.task.quality, self.collect_options.max_new_tokens]
        parts = [subject.fingerprint, subject.model.dtype, self.options.identity(), self.seed]
        identity = digest([*parts, items_digest(splits.train), validation], 12)
        return f"{self._checkpoint(0).slug.removesuffix('-epoch0')}-{identity}"

    def _checkpoint(self, epoch: int, *, selected: bool = False) -> Checkpoint:
        return Checkpoint(
            model=self.subject.model.name,
            task=self.subject.task.name,
            seed=self.seed,
            epoch=epoch,
            selected=selected,
        )

    def _weights(self, epoch: int) -> str:
        if epoch == 0:
            return f"{self.subject.fingerprint}/{self.subject.model.dtype}"
        return f"{self.key}/epoch{epoch}"

    def _evidence(self, epoch: int, options: CollectOptions | None = None, slug: str | None = None) -> Path:
        slug = slug or self._checkpoint(epoch).slug
        test = self.subject.splits.test
        key = evidence_key(slug, self._weights(epoch), test, options or self.collect_options)
        return self.folder.evidence(key)

    # What is there already

    def expected(self) -> int:
        """Checkpoints that will be measured, at most; once it is trained, exactly."""
        history = self._history()
        if history.finished:
            return len(self._wanted(history))
        return 1 + (self.options.epochs if self.study.evaluation.epochs == "all" else min(2, self.options.epochs))

    def measured(self) -> int:
        epochs = {entry.epoch for entry in self._history().epochs}
        if self._history().finished:
            epochs &= set(self._wanted(self._history()))
        return self._is_measured_before() + sum(is_measured(self._evidence(epoch)) for epoch in epochs)

    def is_complete(self) -> bool:
        """Nothing is left that needs the model."""
        history = self._history()
        wanted = [epoch for epoch in self._wanted(history) if epoch] if history.finished else []
        return (
            history.finished
            and self._is_measured_before()
            and all(is_measured(self._evidence(epoch)) for epoch in wanted)
        )

    def notes(self) -> list[str]:
        """What a reader must know about this training, kept on disk with it."""
        evidence = [path for options, path in self._parts_before() if options]
        evidence += [self._evidence(epoch) for epoch in self._wanted(self._history()) if epoch]
        folders = [self.folder.training(self.key), *evidence]
        return list(dict.fromkeys(note for folder in folders for note in read_notes(folder)))

    def _is_measured_before(self) -> bool:
        return all(is_measured(path) for options, path in self._parts_before() if options)

    def _history(self) -> History:
        return read_history(self.folder.training(self.key) / "history.json")

    def _wanted(self, history: History) -> list[int]:
        """Epochs to measure, once it is known how the training went."""
        if self.study.evaluation.epochs == "all":
            return [0, *(entry.epoch for entry in history.epochs)]
        return sorted({0, 1, history.selected_epoch or history.last_epoch})

    # Doing it

    def check(self, loaded: LoadedModel) -> None:
        """Refuse what would fail later, without decoding or training anything."""
        self.reporter.stage(f"{self.subject.name}: checking", 1)
        splits, options = self.subject.splits, self.collect_options
        loaded = replace(loaded, name=self.subject.model.name)
        task = self.subject.task.name
        for note in check_decoding(loaded, splits.test, options, task, self.subject.name):
            self.reporter.note(note)
        check_training(loaded, splits.train, splits.validation, self.options, options)

    def complete(self) -> list[str]:
        """Train and measure what is missing; returns the keys of all records of this training."""
        self._before()
        history = self._train()
        selected = history.selected_epoch
        keys = []
        for epoch in self._wanted(history):
            read = self._evidence_before if epoch == 0 else partial(whole, self._evidence(epoch))
            keys.append(
                record(
                    self.folder,
                    self._checkpoint(epoch, selected=epoch == selected),
                    self._evidence(epoch).name,
                    read,
                    self.subject.splits.test,
                    self.subject.task.quality,
                    self.study.evaluation.scores,
                    self.reporter,
                )
            )
        return keys

    def _before(self) -> None:
        """The untrained model. Only its dropout samples differ between seeds: the rest is measured once."""
        shared, own = self._parts_before()
        missing = [(options, path) for options, path in (shared, own) if options and not is_measured(path)]
        if not missing:
            return
        loaded = self.load()
        test = self.subject.splits.test
        for options, path in missing:
            what = "decoding" if options is shared[0] else "dropout samples"
            self.reporter.stage(f"{self._checkpoint(0).label}: {what}", len(test))
            measure(path, loaded, test, options, self.subject.name, self.reporter)
        self.reporter.checkpoint_done()

    def _parts_before(self) -> tuple[tuple[CollectOptions | None, Path], tuple[CollectOptions | None, Path]]:
        options = self.collect_options
        slug = self._checkpoint(0).slug
        common = replace(options, dropout_samples=0, seed=0, dropout=DropoutSetting())
        shared = self._evidence(0, common, slug.replace(f"-seed{self.seed}-", "-"))
        if not options.dropout_samples:
            return (common, shared), (None, self._evidence(0))
        own = replace(options, greedy=False, beams=0, embedding=False)
        return (common, shared), (own, self._evidence(0, own))

    def _evidence_before(self) -> Evidence:
        (_, shared), (own, path) = self._parts_before()
        return with_parts(whole(shared), whole(path)) if own else whole(shared)

    def dropout_folder(self) -> Path:
        """Evidence folder that says which dropout acted."""
        return self._parts_before()[1][1]

    def _train(self) -> History:
        folder = self.folder.training(self.key)
        history = self._history()
        best = self.folder.checkpoints(self.key) / "selected"
        if history.finished:
            missing = [e for e in self._wanted(history) if e and not is_measured(self._evidence(e))]
            missing = [e for e in missing if not self._measure_saved(e, history, best)]
            if not missing:
                self._note_absent(history, best)
                return self._tidy(history, best)
            self.reporter.note(f"{self.subject.name}: the weights of an earlier run were not kept; training again")
            shutil.rmtree(folder)
            history = History()
        loaded = self.load()
        if self.options.lora is not None:
            loaded = add_lora(loaded, self.options.lora, self.seed)
        options = self.options
        tokenised = tokenise(loaded, self.subject.splits.train, chat=options.chat, too_long=options.too_long)
        write_notes(folder, self._training_notes(loaded, tokenised))
        steps = _Steps(self.reporter, f"{self._checkpoint(0).place}: fine-tuning", history.last_epoch + 1)
        history = finetune(
            loaded,
            tokenised,
            options,
            seed=self.seed,
            folder=folder,
            measure=self._measure_epoch(best, steps),
            on_step=steps,
        )
        for epoch in self._wanted(history):
            if epoch and not is_measured(self._evidence(epoch)):
                self._measure_saved(epoch, history, best)
        return self._tidy(history, best)

    def _measure_epoch(self, best: Path, steps: _Steps) -> Callable[[int, LoadedModel], float]:
        splits, quality = self.subject.splits, self.subject.task.quality
        so_far: list[float] = [
            entry.validation for entry in self._history().epochs if entry.validation is not None
        ]

        def measure_epoch(epoch: int, loaded: LoadedModel) -> float:
            self.reporter.stage(f"{self._checkpoint(epoch).label}: validation", 1)
            validation = mean_quality(loaded, splits.validation, quality, self.collect_options)
            is_measured_now = self.study.evaluation.epochs == "all" or epoch == 1
            if is_measured_now:
                self._measure(epoch, loaded)
            is_best = not so_far or validation > max(so_far)
            if is_best and (not is_measured_now or self.study.keep_checkpoints == "selected"):
                save(loaded, best)
            if self.study.keep_checkpoints is True:
                save(loaded, self._kept(epoch))
            so_far.append(validation)
            steps.next_epoch()
            return validation

        return measure_epoch

    def _measure(self, epoch: int, loaded: LoadedModel) -> None:
        path, test = self._evidence(epoch), self.subject.splits.test
        if is_measured(path):
            return
        self.reporter.stage(f"{self._checkpoint(epoch).label}: decoding", len(test))
        measure(path, loaded, test, self.collect_options, self.subject.name, self.reporter)
        self.reporter.checkpoint_done()

    def _measure_saved(self, epoch: int, history: History, best: Path) -> bool:
        """Measure an epoch from weights on disk; False where they are not there."""
        kept = self._kept(epoch)
        source = kept if kept.exists() else best if epoch == history.selected_epoch and best.exists() else None
        if source is None:
            return False
        self._measure(epoch, load(source, self.subject.load_options))
        return True

    def _kept(self, epoch: int) -> Path:
        return self.folder.checkpoints(self.key) / f"epoch-{epoch}"

    def _note_absent(self, history: History, best: Path) -> None:
        """Say that weights are asked for which the training, long finished, did not keep."""
        kept = {True: [self._kept(entry.epoch) for entry in history.epochs], False: [], "selected": [best]}
        if not all(path.exists() for path in kept[self.study.keep_checkpoints]):
            self.reporter.note(
                f"{self.subject.name}: its weights were not kept when it was trained; to train it again, remove "
                f"{self.folder.training(self.key)}"
            )

    def _tidy(self, history: History, best: Path) -> History:
        if best.exists() and self.study.keep_checkpoints != "selected":
            shutil.rmtree(best)
        if best.parent.exists() and not any(best.parent.iterdir()):
            best.parent.rmdir()
        return history

    def load(self) -> LoadedModel:
        """The untrained model."""
        return replace(load(self.subject.model.path, self.subject.load_options), name=self.subject.model.name)

    def _training_notes(self, loaded: LoadedModel, tokenised: TokenisedSet) -> list[str]:
        return [
            f"{self.subject.name}: {count} of {len(self.subject.splits.train)} training items {verb}: they are "
            f"longer than the context ({loaded.context} tokens)"
            for count, verb in (
                (tokenised.truncated, "cut at the beginning of their prompt"),
                (tokenised.dropped, "left out"),
            )
            if count
        ]


class _Steps:
    """Optimiser steps on the reporter's bar, which decoding takes over after each epoch."""

    def __init__(self, reporter: Reporter, label: str, epoch: int) -> None:
        self._reporter, self._label, self._epoch = reporter, label, epoch
        self._last: int | None = None

    def __call__(self, step: int, total: int) -> None:
        if self._last is None:
            self._reporter.stage(f"{self._label}, epoch {self._epoch}", total)
            self._reporter.advance(step)
        else:
            self._reporter.advance(step - self._last)
        self._last = step

    def next_epoch(self) -> None:
        self._last, self._epoch = None, self._epoch + 1
