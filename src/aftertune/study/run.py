"""Fine-tune and track: every model × task × seed of a study, measured before, during and after."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from aftertune.evidence import with_parts
from aftertune.finetune.examples import tokenise
from aftertune.finetune.history import History, read_history
from aftertune.finetune.options import FinetuneOptions
from aftertune.finetune.train import add_lora, finetune
from aftertune.generate.collect import CollectOptions
from aftertune.models.load import load
from aftertune.models.loaded import LoadedModel
from aftertune.models.save import save
from aftertune.signature import digest
from aftertune.store.runfolder import RunFolder
from aftertune.study.config import StudyConfig, read_study
from aftertune.study.finish import Result, finish
from aftertune.study.measure import (
    Checkpoint,
    dropout_in_force,
    is_measured,
    mean_quality,
    measure,
    prompt_notes,
    record,
    signatures,
    whole,
)
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
    signatures("exact_text", config.evaluation.scores)
    found = subjects(config, trust_remote_code, device)
    folder = RunFolder(Path(out))
    folder.open()
    trainings = [
        _Training(study=config, subject=subject, seed=seed, folder=folder, reporter=reporter)
        for subject in found
        for seed in config.seeds
    ]
    reporter.plan(sum(t.expected() for t in trainings), sum(t.measured() for t in trainings))
    keys: list[str] = []
    notes = [f"{subject.name}: {note}" for subject in found for note in subject.splits.notes]
    for training in trainings:
        keys += training.complete()
        notes += [note for note in training.notes if note not in notes]
    folder.forget_records_except(keys)
    acting = {}
    for subject in found:
        folders = [training.dropout_folder() for training in trainings if training.subject is subject]
        acting[f"dropout in force.{subject.name}"] = dropout_in_force(folders)
    settings = config.model_dump(mode="json") | {"command": "run", "notes": notes} | acting
    qualities = {subject.task.quality for subject in found}
    signed = {k: v for q in sorted(qualities) for k, v in signatures(q, config.evaluation.scores).items()}
    return finish(folder, title=config.name, settings=settings, signatures=signed, notes=notes, reporter=reporter)


@dataclass(slots=True, kw_only=True)
class _Training:
    """One model × task × seed: its fine-tuning and the checkpoints measured on the way."""

    study: StudyConfig
    subject: Subject
    seed: int
    folder: RunFolder
    reporter: Reporter
    notes: list[str]

    def __init__(
        self, *, study: StudyConfig, subject: Subject, seed: int, folder: RunFolder, reporter: Reporter
    ) -> None:
        self.study, self.subject, self.seed = study, subject, seed
        self.folder, self.reporter, self.notes = folder, reporter, []

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
        """Checkpoints that will be measured, at most."""
        return 1 + (self.options.epochs if self.study.evaluation.epochs == "all" else min(2, self.options.epochs))

    def measured(self) -> int:
        history = read_history(self.folder.training(self.key) / "history.json")
        before = all(is_measured(path) for options, path in self._parts_before() if options)
        return before + sum(is_measured(self._evidence(entry.epoch)) for entry in history.epochs)

    def _wanted(self, history: History) -> list[int]:
        """Epochs to measure, once it is known how the training went."""
        if self.study.evaluation.epochs == "all":
            return [0, *(entry.epoch for entry in history.epochs)]
        return sorted({0, 1, history.selected_epoch or history.last_epoch})

    # Doing it

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
        loaded = self._load()
        test = self.subject.splits.test
        for options, path in missing:
            self.reporter.stage(f"{self._checkpoint(0).label}: decoding", len(test))
            measure(path, loaded, test, options, self.reporter)
        self.reporter.checkpoint_done()

    def _parts_before(self) -> tuple[tuple[CollectOptions | None, Path], tuple[CollectOptions | None, Path]]:
        options = self.collect_options
        slug = self._checkpoint(0).slug
        common = replace(options, dropout_samples=0, seed=0)
        shared = self._evidence(0, common, slug.replace(f"-seed{self.seed}-", "-"))
        own = replace(options, greedy=False, beams=0, embedding=False)
        return (common, shared), (own if options.dropout_samples else None, self._evidence(0))

    def _evidence_before(self) -> Evidence:
        (_, shared), (own, path) = self._parts_before()
        return with_parts(whole(shared), whole(path)) if own else whole(shared)

    def dropout_folder(self) -> Path:
        """Evidence folder that says which dropout acted."""
        return self._evidence(0)

    def _train(self) -> History:
        folder = self.folder.training(self.key)
        history = read_history(folder / "history.json")
        best = self.folder.checkpoints(self.key) / "selected"
        if history.finished:
            missing = [e for e in self._wanted(history) if e and not is_measured(self._evidence(e))]
            missing = [e for e in missing if not self._measure_saved(e, history, best)]
            if not missing:
                return self._tidy(history, best)
            self.reporter.note(
                f"{self.subject.name}: the weights of an earlier run were not kept; training again."
            )
            shutil.rmtree(folder)
        loaded = self._load()
        if self.options.lora is not None:
            loaded = add_lora(loaded, self.options.lora, self.seed)
        options = self.options
        tokenised = tokenise(loaded, self.subject.splits.train, chat=options.chat, too_long=options.too_long)
        self._note_long(loaded, tokenised.truncated, tokenised.dropped)
        label = f"{self.subject.name} · seed {self.seed}: fine-tuning"
        steps = _Steps(self.reporter, label)
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
            entry.validation
            for entry in read_history(self.folder.training(self.key) / "history.json").epochs
            if entry.validation is not None
        ]

        def measure_epoch(epoch: int, loaded: LoadedModel) -> float:
            self.reporter.stage(f"{self._checkpoint(epoch).label}: validation", 1)
            validation = mean_quality(loaded, splits.validation, quality, self.collect_options)
            if self.study.evaluation.epochs == "all" or epoch == 1:
                self._measure(epoch, loaded)
            elif not so_far or validation > max(so_far):
                save(loaded, best)
            if self.study.keep_checkpoints:
                save(loaded, self.folder.checkpoints(self.key) / f"epoch-{epoch}")
            so_far.append(validation)
            steps.restart()
            return validation

        return measure_epoch

    def _measure(self, epoch: int, loaded: LoadedModel) -> None:
        path, test = self._evidence(epoch), self.subject.splits.test
        if is_measured(path):
            return
        self.reporter.stage(f"{self._checkpoint(epoch).label}: decoding", len(test))
        measure(path, loaded, test, self.collect_options, self.reporter)
        self.reporter.checkpoint_done()

    def _measure_saved(self, epoch: int, history: History, best: Path) -> bool:
        """Measure an epoch from weights on disk; False where they are not there."""
        kept = self.folder.checkpoints(self.key) / f"epoch-{epoch}"
        source = kept if kept.exists() else best if epoch == history.selected_epoch and best.exists() else None
        if source is None:
            return False
        self._measure(epoch, load(source, self.subject.load_options))
        return True

    def _tidy(self, history: History, best: Path) -> History:
        if best.exists():
            shutil.rmtree(best)
        if best.parent.exists() and not any(best.parent.iterdir()):
            best.parent.rmdir()
        return history

    def _load(self) -> LoadedModel:
        loaded = replace(load(self.subject.model.path, self.subject.load_options), name=self.subject.model.name)
        self._note(*prompt_notes(loaded, self.subject.splits.test, self.collect_options, self.subject.name))
        return loaded

    def _note_long(self, loaded: LoadedModel, truncated: int, dropped: int) -> None:
        for count, verb in ((truncated, "cut at the beginning of their prompt"), (dropped, "left out")):
            if count:
                self._note(
                    f"{self.subject.name}: {count} training items were {verb}, being longer than the context."
                )

    def _note(self, *notes: str) -> None:
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)
                self.reporter.note(note)


class _Steps:
    """Optimiser steps on the reporter's bar, which decoding takes over after each epoch."""

    def __init__(self, reporter: Reporter, label: str) -> None:
        self._reporter, self._label = reporter, label
        self._last: int | None = None

    def __call__(self, step: int, total: int) -> None:
        if self._last is None:
            self._reporter.stage(self._label, total)
            self._reporter.advance(step)
        else:
            self._reporter.advance(step - self._last)
        self._last = step

    def restart(self) -> None:
        self._last = None
