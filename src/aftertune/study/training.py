"""One training run of a study: its fine-tuning, and the checkpoints measured on the way."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from aftertune.evidence import with_parts
from aftertune.finetune.examples import TokenisedSet, tokenise
from aftertune.finetune.history import CheckpointEntry, History, read_history
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
from aftertune.study.config import StudyConfig
from aftertune.study.measure import (
    Checkpoint,
    TrainingSet,
    is_measured,
    mean_quality,
    measure,
    measure_similarity,
    record,
    whole,
)
from aftertune.study.plan import BEFORE, DEFAULT, Moment, PlannedRun
from aftertune.study.preflight import check_decoding, check_training
from aftertune.study.reporter import Reporter
from aftertune.study.subject import Subject, collect_options, evidence_key, items_digest
from aftertune.types import Evidence, Example


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A planned run in a run folder: what is there of it, and what is missing."""

    study: StudyConfig
    subject: Subject
    planned: PlannedRun
    folder: RunFolder
    reporter: Reporter

    # What this training is

    @property
    def seed(self) -> int:
        return self.planned.seed

    @property
    def train_items(self) -> tuple[Example, ...]:
        return self.subject.splits.train[: self.planned.items]

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
    def _stem(self) -> str:
        """Readable beginning of names on disk."""
        return self._checkpoint(BEFORE).slug.removesuffix("-epoch0")

    @cached_property
    def _weights_key(self) -> str:
        """Everything that the weights after any number of steps depend on."""
        subject = self.subject
        parts = [subject.fingerprint, subject.model.dtype, self.options.identity(), self.seed]
        return digest([*parts, items_digest(self.train_items)], 12)

    @cached_property
    def key(self) -> str:
        """Everything that the weights and the validation metric depend on, but not how long training goes on."""
        splits, subject = self.subject.splits, self.subject
        validation = [items_digest(splits.validation), subject.task.quality, self.collect_options.max_new_tokens]
        return f"{self._stem}-{digest([self._weights_key, validation], 12)}"

    def _checkpoint(self, moment: Moment, *, setting: str | None = None, selected: bool = False) -> Checkpoint:
        own = DEFAULT if self.planned.whole else f"n={self.planned.items}"
        return Checkpoint(
            model=self.subject.model.name,
            task=self.subject.task.name,
            seed=self.seed,
            epoch=self._epoch(moment),
            setting=own if setting is None else setting,
            selected=selected,
        )

    def _epoch(self, moment: Moment) -> float:
        if moment.step is None:
            return moment.epoch or 0
        entry = self._history().at_step(moment.step)
        return round(moment.step / self.planned.steps_per_epoch, 4) if entry is None else entry.epoch

    def _evidence(self, moment: Moment, options: CollectOptions | None = None, stem: str | None = None) -> Path:
        before = f"{self.subject.fingerprint}/{self.subject.model.dtype}"
        weights = before if moment == BEFORE else f"{self._weights_key}/{moment.label}"
        slug = f"{stem or self._stem}-{moment.label}"
        key = evidence_key(slug, weights, self.subject.splits.test, options or self.collect_options)
        return self.folder.evidence(key)

    # What is there already

    def expected(self) -> int:
        """Checkpoints that will be measured, at most; once early stopping has decided, exactly."""
        if self.planned.schedule.is_undecided(self._history()):
            return self.planned.most_checkpoints
        return len(self._wanted(self._history()))

    def measured(self) -> int:
        return sum(map(self._is_measured, self._wanted(self._history())))

    def is_complete(self) -> bool:
        """Nothing is left that needs the model."""
        history = self._history()
        return self._is_trained(history) and all(map(self._is_measured, self._wanted(history)))

    def _is_trained(self, history: History) -> bool:
        return self.planned.schedule.is_over(history)

    def notes(self) -> list[str]:
        """What a reader must know about this training, kept on disk with it."""
        folders = [self.folder.training(self.key), *self.evidence_folders()]
        return list(dict.fromkeys(note for folder in folders for note in read_notes(folder)))

    def evidence_folders(self) -> list[Path]:
        """Of all checkpoints that are wanted, as far as it is known which."""
        folders = []
        for moment in self._wanted(self._history()):
            parts = self._parts_before() if moment == BEFORE else ((self.collect_options, self._evidence(moment)),)
            folders += [path for options, path in parts if options]
        return folders

    def _is_measured(self, moment: Moment) -> bool:
        similarity = self._similarity(moment)
        if similarity is not None and not similarity.exists():
            return False
        if moment == BEFORE:
            return all(is_measured(path) for options, path in self._parts_before() if options)
        return is_measured(self._evidence(moment))

    @cached_property
    def _training_set(self) -> TrainingSet | None:
        """None where similarity to it is not asked for."""
        if not self.study.evaluation.train_similarity:
            return None
        return TrainingSet(examples=self.train_items, digest=items_digest(self.train_items))

    def _similarity(self, moment: Moment) -> Path | None:
        """Its file; None where it is not measured: for checkpoints of sample sizes alone, as in the paper."""
        uses = [use for use in self.planned.uses if use.setting == DEFAULT]
        wanted = any(moment in use.moments for use in uses) or (uses and moment == self._selected(self._history()))
        if self._training_set is None or not wanted:
            return None
        return self._training_set.file(self._with_embedding(moment))

    def _with_embedding(self, moment: Moment) -> Path:
        """Evidence folder that holds the embedding; before fine-tuning that which all seeds share."""
        return self._parts_before()[0][1] if moment == BEFORE else self._evidence(moment)

    def _history(self) -> History:
        return read_history(self.folder.training(self.key) / "history.json")

    def _selected(self, history: History) -> Moment | None:
        entry = self.planned.schedule.selected(history)
        return None if entry is None else Moment(epoch=int(entry.epoch))

    def _wanted(self, history: History) -> list[Moment]:
        """Checkpoints to measure, as far as it is known which early stopping selects."""
        selected = self._selected(history)
        found = {*self.planned.moments, *(() if selected is None else (selected,))}
        return sorted(found, key=lambda moment: moment.in_steps(self.planned.steps_per_epoch))

    def _rows(self, history: History) -> Iterator[tuple[str, Moment, bool]]:
        """Setting, checkpoint, and whether it is the selected one, of everything that is recorded."""
        selected = self._selected(history)
        for setting in dict.fromkeys(use.setting for use in self.planned.uses):
            uses = [use for use in self.planned.uses if use.setting == setting]
            moments = {moment for use in uses for moment in use.moments}
            chosen = selected if any(use.early is not None for use in uses) else None
            for moment in self._wanted(history):
                if moment in moments or moment == chosen:
                    yield setting, moment, moment == chosen

    # Doing it

    def check(self, loaded: LoadedModel) -> None:
        """Refuse what would fail later, without decoding or training anything."""
        self.reporter.stage(f"{self.subject.name}: checking", 1)
        splits, options = self.subject.splits, self.collect_options
        loaded = replace(loaded, name=self.subject.model.name)
        task = self.subject.task.name
        for note in check_decoding(loaded, splits.test, options, task, self.subject.name):
            self.reporter.note(note)
        check_training(loaded, self.train_items, splits.validation, self.options, options)

    def complete(self) -> list[str]:
        """Train and measure what is missing; returns the keys of all records of this training."""
        if BEFORE in self.planned.moments:
            self._before()
        history = self._train()
        keys = []
        for setting, moment, selected in self._rows(history):
            read = self._evidence_before if moment == BEFORE else partial(whole, self._evidence(moment))
            keys.append(
                record(
                    self.folder,
                    self._checkpoint(moment, setting=setting, selected=selected),
                    self._evidence(moment).name,
                    read,
                    self.subject.splits.test,
                    self.subject.task.quality,
                    self.study.evaluation.scores,
                    self.reporter,
                    self._similarity(moment) if setting == DEFAULT else None,
                )
            )
        return keys

    def _before(self) -> None:
        """The untrained model. Only its dropout samples differ between seeds: the rest is measured once."""
        shared, own = self._parts_before()
        missing = [(options, path) for options, path in (shared, own) if options and not is_measured(path)]
        if self._is_measured(BEFORE):
            return
        loaded = self.load()
        test = self.subject.splits.test
        for options, path in missing:
            what = "decoding" if options is shared[0] else "dropout samples"
            self.reporter.stage(f"{self._checkpoint(BEFORE).label}: {what}", len(test))
            measure(path, loaded, test, options, self.subject.name, self.reporter)
        self._measure_similarity(BEFORE, loaded)
        self.reporter.checkpoint_done()

    def _measure_similarity(self, moment: Moment, loaded: LoadedModel) -> None:
        training = self._training_set
        if training is not None and self._similarity(moment) is not None:
            label = self._checkpoint(moment).label
            self.reporter.stage(f"{label}: similarity to the training items", len(training.examples))
            options = self.collect_options
            measure_similarity(self._with_embedding(moment), loaded, training, options, self.reporter)

    def _parts_before(self) -> tuple[tuple[CollectOptions | None, Path], tuple[CollectOptions | None, Path]]:
        options = self.collect_options
        common = replace(options, dropout_samples=0, seed=0, dropout=DropoutSetting())
        shared = self._evidence(BEFORE, common, self._stem.removesuffix(f"-seed{self.seed}"))
        if not options.dropout_samples:
            return (common, shared), (None, self._evidence(BEFORE))
        own = replace(options, greedy=False, beams=0, embedding=False)
        return (common, shared), (own, self._evidence(BEFORE, own))

    def _evidence_before(self) -> Evidence:
        (_, shared), (own, path) = self._parts_before()
        return with_parts(whole(shared), whole(path)) if own else whole(shared)

    def _train(self) -> History:
        folder = self.folder.training(self.key)
        history = self._history()
        if self._is_trained(history):
            missing = [m for m in self._wanted(history) if m != BEFORE and not self._is_measured(m)]
            missing = [m for m in missing if not self._measure_saved(m, history)]
            if not missing:
                self._note_absent(history)
                return self._tidy(history)
            self.reporter.note(f"{self.subject.name}: the weights of an earlier run were not kept; training again")
            shutil.rmtree(folder)
        elif history.checkpoints and not (folder / "state").exists():
            self.reporter.note(
                f"{self._checkpoint(BEFORE).place}: an earlier run ended after epoch {history.last_epoch:g}, and "
                "more is asked for: training again from the beginning, and measuring what is not measured"
            )
        self._finetune(folder)
        history = self._history()
        for moment in self._wanted(history):
            if moment != BEFORE and not self._is_measured(moment):
                self._measure_saved(moment, history)
        return self._tidy(history)

    def _finetune(self, folder: Path) -> None:
        loaded, options = self.load(), self.options
        if options.lora is not None:
            loaded = add_lora(loaded, options.lora, self.seed)
        tokenised = tokenise(loaded, self.train_items, chat=options.chat, too_long=options.too_long)
        write_notes(folder, self._training_notes(loaded, tokenised))
        steps = _Steps(self.reporter, f"{self._checkpoint(BEFORE).place}: fine-tuning", self.planned)
        finetune(
            loaded,
            tokenised,
            options,
            self.planned.schedule,
            seed=self.seed,
            folder=folder,
            measure=self._visit(steps),
            on_step=steps,
        )
        del loaded
        gc.collect()  # the Trainer is held by cycles of its own, and with it the weights

    def _visit(self, steps: _Steps) -> Callable[[CheckpointEntry, LoadedModel], float]:
        """What is done at a visited checkpoint: validation, evidence, weights that are needed later."""
        splits, quality = self.subject.splits, self.subject.task.quality

        def visit(entry: CheckpointEntry, loaded: LoadedModel) -> float:
            moments = [m for m in self.planned.moments if self._is_at(m, entry)]
            self.reporter.stage(f"{self._checkpoint(_moment(entry)).label}: validation", 1)
            validation = mean_quality(loaded, splits.validation, quality, self.collect_options)
            for moment in moments:
                self._measure(moment, loaded)
                if self.study.keep_checkpoints is True:
                    save(loaded, self._kept(moment))
            if self._is_best(entry, validation) and (not moments or self.study.keep_checkpoints == "selected"):
                save(loaded, self._best)
            steps.interrupted()
            return validation

        return visit

    def _is_best(self, entry: CheckpointEntry, validation: float) -> bool:
        """Whether early stopping, if it ended here, would select this epoch."""
        early, before = self.planned.early, self._history().until_step(entry.steps - 1)
        if early is None or early.follow(before)[1]:
            return False
        best, _ = early.follow(before.with_entry(replace(entry, validation=validation)))
        return best is not None and best.steps == entry.steps

    @staticmethod
    def _is_at(moment: Moment, entry: CheckpointEntry) -> bool:
        return entry.steps == moment.step or (moment.step is None and entry.epoch == moment.epoch)

    def _measure(self, moment: Moment, loaded: LoadedModel) -> None:
        path, test = self._evidence(moment), self.subject.splits.test
        if self._is_measured(moment):
            return
        if not is_measured(path):
            self.reporter.stage(f"{self._checkpoint(moment).label}: decoding", len(test))
            measure(path, loaded, test, self.collect_options, self.subject.name, self.reporter)
        self._measure_similarity(moment, loaded)
        self.reporter.checkpoint_done()

    def _measure_saved(self, moment: Moment, history: History) -> bool:
        """Measure a checkpoint from weights on disk; False where they are not there."""
        sources = [self._kept(moment), *([self._best] if moment == self._selected(history) else [])]
        source = next((path for path in sources if path.exists()), None)
        if source is None:
            return False
        loaded = replace(load(source, self.subject.load_options), name=self.subject.model.name)
        self._measure(moment, loaded)
        if self.study.keep_checkpoints is True and source == self._best:
            save(loaded, self._kept(moment))
        return True

    @property
    def _best(self) -> Path:
        return self.folder.checkpoints(self.key) / "selected"

    def _kept(self, moment: Moment) -> Path:
        return self.folder.checkpoints(self.key) / moment.label.replace("epoch", "epoch-").replace("step", "step-")

    def _note_absent(self, history: History) -> None:
        """Say that weights are asked for which the training, long finished, did not keep."""
        selected = self._selected(history)
        wanted = {
            True: [self._kept(moment) for moment in self._wanted(history) if moment != BEFORE],
            "selected": [self._best] if selected is not None else [],
            False: [],
        }[self.study.keep_checkpoints]
        if not all(path.exists() for path in wanted):
            self.reporter.note(
                f"{self.subject.name}: its weights were not kept when it was trained; to train it again, remove "
                f"{self.folder.training(self.key)}"
            )

    def _tidy(self, history: History) -> History:
        shutil.rmtree(self.folder.training(self.key) / "state", ignore_errors=True)
        if self._best.exists() and self.study.keep_checkpoints != "selected":
            shutil.rmtree(self._best)
        if self._best.parent.exists() and not any(self._best.parent.iterdir()):
            self._best.parent.rmdir()
        return history

    def load(self) -> LoadedModel:
        """The untrained model."""
        return replace(load(self.subject.model.path, self.subject.load_options), name=self.subject.model.name)

    def _training_notes(self, loaded: LoadedModel, tokenised: TokenisedSet) -> list[str]:
        return [
            f"{self.subject.name}: {count} of {self.planned.items} training items {verb}: they are "
            f"longer than the context ({loaded.context} tokens)"
            for count, verb in (
                (tokenised.truncated, "cut at the beginning of their prompt"),
                (tokenised.dropped, "left out"),
            )
            if count
        ]


def _moment(entry: CheckpointEntry) -> Moment:
    return Moment(epoch=int(entry.epoch)) if float(entry.epoch).is_integer() else Moment(step=entry.steps)


class _Steps:
    """Optimiser steps on the reporter's bar, which measuring takes over at visited checkpoints.

    The bar is that of the whole training where its length is known, else that of an epoch.
    """

    def __init__(self, reporter: Reporter, label: str, planned: PlannedRun) -> None:
        self._reporter, self._label, self._planned = reporter, label, planned
        self._shown: int | None = None

    def __call__(self, step: int) -> None:
        per_epoch = self._planned.steps_per_epoch
        total = per_epoch if self._planned.early is not None else self._planned.most_steps
        begin = (step - 1) // total * total
        if self._shown is None or self._shown <= begin:
            what = f", epoch {begin // per_epoch + 1}" if self._planned.early is not None else ""
            self._reporter.stage(f"{self._label}{what}", total)
            self._shown = begin
        self._reporter.advance(step - self._shown)
        self._shown = step

    def interrupted(self) -> None:
        """Another stage has the bar now."""
        self._shown = None
