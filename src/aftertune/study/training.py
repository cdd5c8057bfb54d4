"""One training run of a study: its files, the checkpoints that are wanted of it, and doing what is missing."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

from aftertune.files.atomic import remove
from aftertune.files.evidence import read_notes, write_notes
from aftertune.files.runfolder import RunFolder
from aftertune.finetune.examples import TokenisedSet, tokenise
from aftertune.finetune.protocol import CheckpointEntry, FinetuneOptions, History, read_history
from aftertune.finetune.train import add_lora, check_lora, finetune
from aftertune.generate.collect import CollectOptions
from aftertune.judges import Judge
from aftertune.measure.evidence import TrainingSet, mean_quality
from aftertune.measure.preflight import check_decoding, check_training
from aftertune.measure.recording import Recorder, judge_of
from aftertune.measure.reporter import Reporter
from aftertune.measure.worklist import (
    Checkpoint,
    Measurement,
    Part,
    Worklist,
    collect_options,
    evidence_key,
    items_digest,
    load_options,
)
from aftertune.models.dropout import DropoutSetting
from aftertune.models.load import load, save
from aftertune.models.loaded import LoadedModel
from aftertune.signature import digest
from aftertune.study.config import StudyConfig
from aftertune.study.inputs import ModelTask
from aftertune.study.plan import BEFORE, DEFAULT, Moment, PlannedRun
from aftertune.types import Example


@dataclass(frozen=True, kw_only=True)
class Training:
    """A planned run in a run folder. Everything on disk is named by a digest of what it depends on."""

    study: StudyConfig
    pair: ModelTask
    planned: PlannedRun
    folder: RunFolder
    reporter: Reporter = field(default_factory=Reporter)

    # Settings

    @property
    def train_items(self) -> tuple[Example, ...]:
        return self.pair.splits.train[: self.planned.items]

    @property
    def finetuning(self) -> FinetuneOptions:
        return self.study.finetune_options(self.pair.model)

    @cached_property
    def decoding(self) -> CollectOptions:
        options = collect_options(replace(self.pair.options, seed=self.planned.seed), self.pair.task)
        found = self.pair.dropout
        return options if found is None else replace(options, dropout=found.setting)

    @cached_property
    def _train_digest(self) -> str:
        return items_digest(self.train_items)

    @cached_property
    def training_set(self) -> TrainingSet | None:
        """None where similarity to it is not asked for."""
        if not self.study.evaluation.train_similarity:
            return None
        return TrainingSet(examples=self.train_items, digest=self._train_digest)

    def judge(self) -> Judge | None:
        return judge_of(self.pair.judge, self.folder, self.pair.options.judge_concurrency)

    # Names on disk

    @property
    def weights_before(self) -> str:
        return f"{self.pair.fingerprint}/{self.pair.model.dtype}"

    @cached_property
    def _weights_key(self) -> str:
        """Everything that the weights after any number of steps depend on."""
        pair = self.pair
        parts = [pair.fingerprint, pair.model.dtype, pair.reading.tokenizer]
        how = [asdict(self.finetuning), self.planned.seed, self._train_digest]
        return digest([*parts, *how], 12)

    @cached_property
    def _stem(self) -> str:
        """Readable beginning of names."""
        return self.checkpoint(BEFORE, History()).slug.removesuffix("-epoch0")

    @cached_property
    def key(self) -> str:
        """Everything that the weights and the validation metric depend on, but not how long training goes on."""
        validation, quality = self.pair.splits.validation, self.pair.task.quality
        measured = [items_digest(validation), quality, self.decoding.max_new_tokens]
        return f"{self._stem}-{digest([self._weights_key, measured], 12)}"

    @property
    def training_folder(self) -> Path:
        """Of the history, and of the state to go on from."""
        return self.folder.training(self.key)

    @property
    def best(self) -> Path:
        """Weights of the epoch that early stopping would select so far."""
        return self.folder.checkpoints(self.key) / "selected"

    def kept(self, moment: Moment) -> Path:
        """Weights of a measured checkpoint, where they are kept."""
        return self.folder.checkpoints(self.key) / moment.label.replace("epoch", "epoch-").replace("step", "step-")

    # What is wanted, and what is there

    def history(self) -> History:
        return read_history(self.training_folder / "history.json")

    def checkpoint(
        self,
        moment: Moment,
        history: History,
        *,
        setting: str | None = None,
        selected: bool = False,
        split: str = "test",
    ) -> Checkpoint:
        epoch: float = moment.epoch or 0
        if moment.step is not None:
            entry = history.at_step(moment.step)
            epoch = round(moment.step / self.planned.steps_per_epoch, 4) if entry is None else entry.epoch
        own = DEFAULT if self.planned.whole else f"n={self.planned.items}"
        return Checkpoint(
            model=self.pair.model.name,
            task=self.pair.task.name,
            seed=self.planned.seed,
            epoch=epoch,
            setting=own if setting is None else setting,
            selected=selected,
            split=split,
        )

    def selected(self, history: History) -> Moment | None:
        entry = self.planned.schedule.selected(history)
        return None if entry is None else Moment(epoch=int(entry.epoch))

    def worklist(self, history: History | None = None) -> Worklist[Moment]:
        """The checkpoints to measure, as far as it is known which one early stopping selects."""
        history = self.history() if history is None else history
        selected = self.selected(history)
        moments = {*self.planned.moments, *(() if selected is None else (selected,))}
        wanted = sorted(moments, key=lambda moment: moment.in_steps(self.planned.steps_per_epoch))
        is_open = self.planned.schedule.is_undecided(history)
        return Worklist(
            wanted={moment: self.measurements(moment, history) for moment in wanted},
            undecided=self.planned.checkpoints[1] - len(wanted) if is_open else 0,
        )

    def measurements(self, moment: Moment, history: History) -> list[Measurement]:
        """Those of one checkpoint, one for each split.

        Where before_after or by_epoch need the checkpoint, and not sample sizes alone, it is measured in full:
        test items are compared with the training items too, and, where answers are judged, validation items are
        measured, to fit percentages on.
        """
        in_full = moment in self.planned.measured_in_full or moment == self.selected(history)
        return [
            Measurement(
                label=self.checkpoint(moment, history, split=split).label,
                what=self.pair.name,
                split=split,
                items=self.pair.items(split),
                key=self._evidence_key(moment, self.decoding, self._stem, split),
                parts=self._parts(moment, split),
                quality=self.pair.task.quality,
                training=self.training_set if in_full and split == "test" else None,
            )
            for split in (("test", "validation") if in_full and self.pair.judge is not None else ("test",))
        ]

    def _parts(self, moment: Moment, split: str) -> tuple[Part, ...]:
        """Before fine-tuning only dropout samples depend on the seed: the rest is shared by all seeds."""

        def part(options: CollectOptions, stem: str) -> Part:
            key = self._evidence_key(moment, options, stem, split)
            return Part(folder=self.folder.evidence(key), options=options)

        if moment != BEFORE:
            return (part(self.decoding, self._stem),)
        common = replace(self.decoding, dropout_samples=0, seed=0, dropout=DropoutSetting())
        shared = part(common, self._stem.removesuffix(f"-seed{self.planned.seed}"))
        if not self.decoding.dropout_samples:
            return (shared,)
        return shared, part(replace(self.decoding, greedy=False, beams=0, embedding=False), self._stem)

    def _evidence_key(self, moment: Moment, options: CollectOptions, stem: str, split: str) -> str:
        weights = self.weights_before if moment == BEFORE else f"{self._weights_key}/{moment.label}"
        slug = f"{stem}-{moment.label}" if split == "test" else f"{stem}-{split}-{moment.label}"
        return evidence_key(slug, weights, self.pair.reading.items[split], options)

    def _rows(self, history: History, moments: Iterable[Moment]) -> Iterator[tuple[str, Moment, bool]]:
        """Setting, checkpoint, and whether it is the selected one, of everything that is recorded."""
        selected = self.selected(history)
        for setting in dict.fromkeys(use.setting for use in self.planned.uses):
            uses = [use for use in self.planned.uses if use.setting == setting]
            asked = {moment for use in uses for moment in use.moments}
            chosen = selected if any(use.early is not None for use in uses) else None
            for moment in moments:
                if moment in asked or moment == chosen:
                    yield setting, moment, moment == chosen

    def is_complete(self) -> bool:
        """Whether nothing is left that needs the model."""
        history = self.history()
        return self.planned.schedule.is_over(history) and not self.worklist(history).missing()

    def notes(self) -> list[str]:
        """What a reader must know about this training, kept on disk with it."""
        return list(dict.fromkeys([*read_notes(self.training_folder), *self.worklist().notes()]))

    # Doing what is missing

    def load(self) -> LoadedModel:
        """The untrained model."""
        return self._load(self.pair.model.path)

    def _load(self, path: str | Path) -> LoadedModel:
        return replace(load(path, load_options(self.pair.options)), name=self.pair.model.name)

    def check(self, loaded: LoadedModel) -> None:
        """Refuse what would fail later, without decoding or training anything."""
        name, splits = self.pair.name, self.pair.splits
        self.reporter.stage(f"{name}: checking", 1)
        loaded = replace(loaded, name=self.pair.model.name)
        fitting = check_decoding(loaded, splits.test, self.decoding, self.pair.task.name, name)
        for note in (*loaded.notes, *fitting):
            self.reporter.note(note)
        check_training(loaded, self.train_items, splits.validation, self.finetuning, self.decoding)
        if self.finetuning.lora is not None:
            check_lora(loaded, self.finetuning.lora)

    def complete(self) -> None:
        """Train, measure and record what is missing."""
        if BEFORE in self.worklist().missing():
            self._measure(BEFORE, self.load())
        self._train()
        self._tidy()
        history = self.history()
        worklist = self.worklist(history)
        recorder = Recorder(
            run=self.folder,
            task=self.pair.task,
            scores=self.pair.options.scores,
            reporter=self.reporter,
            judge=self.judge(),
        )
        for setting, moment, selected in self._rows(history, worklist.wanted):
            for one in worklist.wanted[moment]:
                if setting == DEFAULT or one.split == "test":
                    row = self.checkpoint(moment, history, setting=setting, selected=selected, split=one.split)
                    recorder.record(row, one, near=setting == DEFAULT)

    def _measure(self, moment: Moment, loaded: LoadedModel) -> None:
        measurements = self.measurements(moment, self.history())
        if not all(one.is_done() for one in measurements):
            for one in measurements:
                one.complete(loaded, self.reporter)
            self.reporter.checkpoint_done()

    def _measure_saved(self) -> bool:
        """Measure what is missing from weights on disk; False where some are not there."""
        history = self.history()
        selected = self.selected(history)
        missing = [moment for moment in self.worklist(history).missing() if moment != BEFORE]
        absent = 0
        for moment in missing:
            sources = [self.kept(moment), *([self.best] if moment == selected else [])]
            source = next((path for path in sources if path.exists()), None)
            if source is None:
                absent += 1
                continue
            loaded = self._load(source)
            self._measure(moment, loaded)
            if self.study.keep_checkpoints is True and source == self.best:
                save(loaded, self.kept(moment))
        return not absent

    def _train(self) -> None:
        history = self.history()
        if self.planned.schedule.is_over(history):
            if self._measure_saved():
                self._note_absent(history)
                return
            self.reporter.note(f"{self.pair.name}: the weights of an earlier run were not kept; training again")
            remove(self.training_folder)
        elif history.checkpoints and not (self.training_folder / "state").exists():
            self.reporter.note(
                f"{self.checkpoint(BEFORE, history).place}: an earlier run ended after epoch "
                f"{history.last_epoch:g}, and more is asked for: "
                "training again from the beginning, and measuring what is not measured"
            )
        self._finetune()
        self._measure_saved()

    def _finetune(self) -> None:
        loaded, options, seed = self.load(), self.finetuning, self.planned.seed
        if options.lora is not None:
            loaded = add_lora(loaded, options.lora, seed)
        tokenised = tokenise(loaded, self.train_items, chat=options.chat, too_long=options.too_long)
        write_notes(self.training_folder, self._training_notes(loaded, tokenised))
        place = self.checkpoint(BEFORE, History()).place
        steps = _Steps(self.reporter, f"{place}: fine-tuning", self.planned)
        finetune(
            loaded,
            tokenised,
            options,
            self.planned.schedule,
            seed=seed,
            folder=self.training_folder,
            measure=self._visit(steps),
            on_step=steps,
            note=self.reporter.note,
        )
        del loaded
        gc.collect()  # the Trainer is held by cycles of its own, and with it the weights

    def _visit(self, steps: _Steps) -> Callable[[CheckpointEntry, LoadedModel], float]:
        """What is done at a visited checkpoint: validation, evidence, weights that are needed later."""
        validation_items, quality = self.pair.splits.validation, self.pair.task.quality
        keep = self.study.keep_checkpoints

        def visit(entry: CheckpointEntry, loaded: LoadedModel) -> float:
            now = Moment(epoch=int(entry.epoch)) if entry.ends_epoch else Moment(step=entry.steps)
            self.reporter.stage(f"{self.checkpoint(now, self.history()).label}: validation", 1)
            validation = mean_quality(loaded, validation_items, quality, self.decoding)
            moments = [
                moment
                for moment in self.planned.moments
                if entry.steps == moment.step or (moment.step is None and entry.epoch == moment.epoch)
            ]
            for moment in moments:
                self._measure(moment, loaded)
                if keep is True:
                    save(loaded, self.kept(moment))
            needs_best = keep == "selected" or now not in self.planned.measured_in_full
            if needs_best and self._is_best(entry, validation):
                save(loaded, self.best)
            steps.interrupted()
            return validation

        return visit

    def _is_best(self, entry: CheckpointEntry, validation: float) -> bool:
        """Whether early stopping, if it ended here, would select this epoch."""
        early, before = self.planned.early, self.history().until_step(entry.steps - 1)
        if early is None or early.follow(before)[1]:
            return False
        best, _ = early.follow(before.with_entry(replace(entry, validation=validation)))
        return best is not None and best.steps == entry.steps

    def _note_absent(self, history: History) -> None:
        """Say that weights are asked for which the training, long finished, did not keep."""
        keep = self.study.keep_checkpoints
        wanted: list[Path] = []
        if keep is True:
            wanted = [self.kept(moment) for moment in self.worklist(history).wanted if moment != BEFORE]
        elif keep == "selected" and self.selected(history) is not None:
            wanted = [self.best]
        if not all(path.exists() for path in wanted):
            self.reporter.note(
                f"{self.pair.name}: its weights are not there (not kept when it was trained, or damaged); "
                f"to train it again, remove {self.training_folder}"
            )

    def _tidy(self) -> None:
        """Remove what only the training needed."""
        shutil.rmtree(self.training_folder / "state", ignore_errors=True)
        if self.best.exists() and self.study.keep_checkpoints != "selected":
            remove(self.best)
        if self.best.parent.exists() and not any(self.best.parent.iterdir()):
            self.best.parent.rmdir()

    def _training_notes(self, loaded: LoadedModel, tokenised: TokenisedSet) -> list[str]:
        fates = (
            (tokenised.truncated, "cut at the beginning of their prompt"),
            (tokenised.dropped, "left out"),
        )
        return [
            f"{self.pair.name}: {count} of {self.planned.items} training items {verb}: they are longer than the "
            f"context ({loaded.context} tokens)"
            for count, verb in fates
            if count
        ]


class _Steps:
    """Optimiser steps on the reporter's bar, which measuring takes over at visited checkpoints.

    The bar is that of the whole training where its length is known, else that of an epoch.
    """

    def __init__(self, reporter: Reporter, label: str, planned: PlannedRun) -> None:
        self._reporter, self._label, self._planned = reporter, label, planned
        self._shown: int | None = None

    def __call__(self, step: int) -> None:
        per_epoch = self._planned.steps_per_epoch
        total = per_epoch if self._planned.early is not None else self._planned.steps[1]
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
