"""One training run of a study carried out: its fine-tuning, and the checkpoints measured on the way."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from aftertune.files.evidence import write_notes
from aftertune.finetune.examples import TokenisedSet, tokenise
from aftertune.finetune.history import CheckpointEntry, History
from aftertune.finetune.train import add_lora, finetune
from aftertune.models.load import load
from aftertune.models.loaded import LoadedModel
from aftertune.models.save import save
from aftertune.study.measure import is_measured, mean_quality, measure, measure_similarity
from aftertune.study.plan import BEFORE, DEFAULT, Moment, PlannedRun
from aftertune.study.preflight import check_decoding, check_training
from aftertune.study.recording import Recorder
from aftertune.study.reporter import Reporter
from aftertune.study.training_files import TrainingFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """Does what is missing of a training run in its run folder."""

    files: TrainingFiles
    reporter: Reporter

    def check(self, loaded: LoadedModel) -> None:
        """Refuse what would fail later, without decoding or training anything."""
        self.reporter.stage(f"{self.files.subject.name}: checking", 1)
        splits, options = self.files.subject.splits, self.files.collect_options
        loaded = replace(loaded, name=self.files.subject.model.name)
        for note in loaded.notes:
            self.reporter.note(note)
        task = self.files.subject.task.name
        for note in check_decoding(loaded, splits.test, options, task, self.files.subject.name):
            self.reporter.note(note)
        check_training(loaded, self.files.train_items, splits.validation, self.files.options, options)

    def complete(self) -> list[str]:
        """Train and measure what is missing; returns the keys of all records of this training."""
        if BEFORE in self.files.planned.moments:
            self._before()
        history = self._train()
        keys = []
        for setting, moment, selected in self.files.rows(history):
            for split in self.files.splits(moment) if setting == DEFAULT else ("test",):
                checkpoint = self.files.checkpoint(moment, setting=setting, selected=selected, split=split)
                of_test = setting == DEFAULT and split == "test"
                keys.append(
                    self._recorder.record(
                        checkpoint,
                        self.files.evidence_key(moment, split),
                        self.files.parts(moment, split)[0].folder,
                        partial(self.files.evidence, moment, split),
                        self.files.items(split),
                        self.files.similarity(moment) if of_test else None,
                    )
                )
        return keys

    @property
    def _recorder(self) -> Recorder:
        files = self.files
        scores = files.study.evaluation.scores
        return Recorder(
            run=files.folder,
            task=files.subject.task,
            scores=scores,
            reporter=self.reporter,
            judge=files.judge(),
        )

    def _before(self) -> None:
        """The untrained model."""
        if not self.files.is_measured(BEFORE):
            self._measure(BEFORE, self.load())

    def _measure(self, moment: Moment, loaded: LoadedModel) -> None:
        files = self.files
        if files.is_measured(moment):
            return
        for part in files.all_parts(moment):
            if not is_measured(part.folder):
                what = "decoding" if part.options.greedy else "dropout samples"
                items = files.items(part.split)
                label = files.checkpoint(moment).label + ("" if part.split == "test" else f" · {part.split}")
                self.reporter.stage(f"{label}: {what}", len(items))
                beside = None if part.options.greedy else files.parts(moment, part.split)[0].folder
                measure(
                    part.folder,
                    loaded,
                    items,
                    part.options,
                    files.subject.name,
                    self.reporter,
                    quality=files.subject.task.quality,
                    beside=beside,
                )
        self._measure_similarity(moment, loaded)
        self.reporter.checkpoint_done()

    def _measure_similarity(self, moment: Moment, loaded: LoadedModel) -> None:
        files, training = self.files, self.files.training_set
        if training is not None and files.similarity(moment) is not None:
            label = files.checkpoint(moment).label
            self.reporter.stage(f"{label}: similarity to the training items", len(training.examples))
            folder = files.parts(moment)[0].folder
            measure_similarity(folder, loaded, training, files.collect_options, self.reporter)

    def _train(self) -> History:
        folder = self.files.training
        history = self.files.history()
        if self.files.is_trained(history):
            missing = [m for m in self.files.wanted(history) if m != BEFORE and not self.files.is_measured(m)]
            missing = [m for m in missing if not self._measure_saved(m, history)]
            if not missing:
                self._note_absent(history)
                return self._tidy(history)
            self.reporter.note(
                f"{self.files.subject.name}: the weights of an earlier run were not kept; training again"
            )
            shutil.rmtree(folder)
        elif history.checkpoints and not (folder / "state").exists():
            place = self.files.checkpoint(BEFORE).place
            self.reporter.note(
                f"{place}: an earlier run ended after epoch {history.last_epoch:g}, and more is asked for: "
                "training again from the beginning, and measuring what is not measured"
            )
        self._finetune(folder)
        history = self.files.history()
        for moment in self.files.wanted(history):
            if moment != BEFORE and not self.files.is_measured(moment):
                self._measure_saved(moment, history)
        return self._tidy(history)

    def _finetune(self, folder: Path) -> None:
        loaded, options = self.load(), self.files.options
        if options.lora is not None:
            loaded = add_lora(loaded, options.lora, self.files.seed)
        tokenised = tokenise(loaded, self.files.train_items, chat=options.chat, too_long=options.too_long)
        write_notes(folder, self._training_notes(loaded, tokenised))
        steps = _Steps(self.reporter, f"{self.files.checkpoint(BEFORE).place}: fine-tuning", self.files.planned)
        finetune(
            loaded,
            tokenised,
            options,
            self.files.planned.schedule,
            seed=self.files.seed,
            folder=folder,
            measure=self._visit(steps),
            on_step=steps,
        )
        del loaded
        gc.collect()  # the Trainer is held by cycles of its own, and with it the weights

    def _visit(self, steps: _Steps) -> Callable[[CheckpointEntry, LoadedModel], float]:
        """What is done at a visited checkpoint: validation, evidence, weights that are needed later."""
        splits, quality = self.files.subject.splits, self.files.subject.task.quality

        def visit(entry: CheckpointEntry, loaded: LoadedModel) -> float:
            moments = [m for m in self.files.planned.moments if self._is_at(m, entry)]
            self.reporter.stage(f"{self.files.checkpoint(_moment(entry)).label}: validation", 1)
            validation = mean_quality(loaded, splits.validation, quality, self.files.collect_options)
            for moment in moments:
                self._measure(moment, loaded)
                if self.files.study.keep_checkpoints is True:
                    save(loaded, self.files.kept(moment))
            if self._is_best(entry, validation) and (
                not moments or self.files.study.keep_checkpoints == "selected"
            ):
                save(loaded, self.files.best)
            steps.interrupted()
            return validation

        return visit

    def _is_best(self, entry: CheckpointEntry, validation: float) -> bool:
        """Whether early stopping, if it ended here, would select this epoch."""
        early, before = self.files.planned.early, self.files.history().until_step(entry.steps - 1)
        if early is None or early.follow(before)[1]:
            return False
        best, _ = early.follow(before.with_entry(replace(entry, validation=validation)))
        return best is not None and best.steps == entry.steps

    @staticmethod
    def _is_at(moment: Moment, entry: CheckpointEntry) -> bool:
        return entry.steps == moment.step or (moment.step is None and entry.epoch == moment.epoch)

    def _measure_saved(self, moment: Moment, history: History) -> bool:
        """Measure a checkpoint from weights on disk; False where they are not there."""
        sources = [self.files.kept(moment), *([self.files.best] if moment == self.files.selected(history) else [])]
        source = next((path for path in sources if path.exists()), None)
        if source is None:
            return False
        loaded = replace(load(source, self.files.subject.load_options), name=self.files.subject.model.name)
        self._measure(moment, loaded)
        if self.files.study.keep_checkpoints is True and source == self.files.best:
            save(loaded, self.files.kept(moment))
        return True

    def _note_absent(self, history: History) -> None:
        """Say that weights are asked for which the training, long finished, did not keep."""
        selected = self.files.selected(history)
        wanted = {
            True: [self.files.kept(moment) for moment in self.files.wanted(history) if moment != BEFORE],
            "selected": [self.files.best] if selected is not None else [],
            False: [],
        }[self.files.study.keep_checkpoints]
        if not all(path.exists() for path in wanted):
            self.reporter.note(
                f"{self.files.subject.name}: its weights were not kept when it was trained; to train it again, "
                f"remove {self.files.training}"
            )

    def _tidy(self, history: History) -> History:
        shutil.rmtree(self.files.training / "state", ignore_errors=True)
        if self.files.best.exists() and self.files.study.keep_checkpoints != "selected":
            shutil.rmtree(self.files.best)
        if self.files.best.parent.exists() and not any(self.files.best.parent.iterdir()):
            self.files.best.parent.rmdir()
        return history

    def load(self) -> LoadedModel:
        """The untrained model."""
        return replace(
            load(self.files.subject.model.path, self.files.subject.load_options),
            name=self.files.subject.model.name,
        )

    def _training_notes(self, loaded: LoadedModel, tokenised: TokenisedSet) -> list[str]:
        return [
            f"{self.files.subject.name}: {count} of {self.files.planned.items} training items {verb}: they are "
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
