"""What lies in a run folder of one training run: where everything is, what is there, and what is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from aftertune.evidence import with_parts
from aftertune.files.evidence import read_notes
from aftertune.files.runfolder import RunFolder
from aftertune.finetune.history import History, read_history
from aftertune.finetune.options import FinetuneOptions
from aftertune.generate.collect import CollectOptions
from aftertune.judges import Judge, judge_from
from aftertune.models.dropout import DropoutSetting
from aftertune.signature import digest
from aftertune.study.config import StudyConfig
from aftertune.study.measure import Checkpoint, TrainingSet, is_measured, whole
from aftertune.study.plan import BEFORE, DEFAULT, Moment, PlannedRun
from aftertune.study.subject import Subject, collect_options, evidence_key, items_digest
from aftertune.types import Evidence, Example


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePart:
    """A folder of evidence, and the settings that what lies there was collected with."""

    options: CollectOptions
    folder: Path
    split: str


@dataclass(frozen=True, kw_only=True)
class TrainingFiles:
    """A planned run in a run folder. Everything is named by a digest of what it depends on."""

    study: StudyConfig
    subject: Subject
    planned: PlannedRun
    folder: RunFolder

    # Settings

    @property
    def seed(self) -> int:
        return self.planned.seed

    @property
    def train_items(self) -> tuple[Example, ...]:
        return self.subject.splits.train[: self.planned.items]

    @property
    def options(self) -> FinetuneOptions:
        return self.study.finetune_options(self.subject.model)

    @cached_property
    def collect_options(self) -> CollectOptions:
        config, evaluation = self.subject.model, self.study.evaluation
        task_config = next(t for t in self.study.task_configs() if t.name == self.subject.task.name)
        options = collect_options(
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
        found = self.subject.dropout
        return options if found is None else replace(options, dropout=found.resolved.setting)

    # Names on disk

    @property
    def stem(self) -> str:
        """Readable beginning of names."""
        return self.checkpoint(BEFORE).slug.removesuffix("-epoch0")

    @cached_property
    def _weights_key(self) -> str:
        """Everything that the weights after any number of steps depend on."""
        subject = self.subject
        parts = [
            subject.fingerprint,
            subject.model.dtype,
            subject.reading.tokenizer,
            self.options.identity(),
            self.seed,
        ]
        return digest([*parts, items_digest(self.train_items)], 12)

    @cached_property
    def key(self) -> str:
        """Everything that the weights and the validation metric depend on, but not how long training goes on."""
        splits, subject = self.subject.splits, self.subject
        validation = [items_digest(splits.validation), subject.task.quality, self.collect_options.max_new_tokens]
        return f"{self.stem}-{digest([self._weights_key, validation], 12)}"

    @property
    def training(self) -> Path:
        """Folder of the history, and of the state to go on from."""
        return self.folder.training(self.key)

    @property
    def best(self) -> Path:
        """Weights of the epoch that early stopping would select so far."""
        return self.folder.checkpoints(self.key) / "selected"

    def kept(self, moment: Moment) -> Path:
        """Weights of a measured checkpoint, where they are kept."""
        return self.folder.checkpoints(self.key) / moment.label.replace("epoch", "epoch-").replace("step", "step-")

    def checkpoint(
        self, moment: Moment, *, setting: str | None = None, selected: bool = False, split: str = "test"
    ) -> Checkpoint:
        own = DEFAULT if self.planned.whole else f"n={self.planned.items}"
        return Checkpoint(
            model=self.subject.model.name,
            task=self.subject.task.name,
            seed=self.seed,
            epoch=self._epoch(moment),
            setting=own if setting is None else setting,
            selected=selected,
            split=split,
        )

    def _epoch(self, moment: Moment) -> float:
        if moment.step is None:
            return moment.epoch or 0
        entry = self.history().at_step(moment.step)
        return round(moment.step / self.planned.steps_per_epoch, 4) if entry is None else entry.epoch

    # Evidence

    def splits(self, moment: Moment) -> tuple[str, ...]:
        """Whose items are measured: those of validation too where answers are judged, to fit percentages on."""
        judged = self.subject.judge is not None and self._is_default(moment)
        return ("test", "validation") if judged else ("test",)

    def judge(self) -> Judge | None:
        """What it was asked is kept in the run folder."""
        spec = self.subject.judge
        at_once = self.study.evaluation.judge_concurrency
        return None if spec is None else judge_from(spec, cache=self.folder.judgements, concurrency=at_once)

    def items(self, split: str) -> tuple[Example, ...]:
        return self.subject.splits.validation if split == "validation" else self.subject.splits.test

    def parts(self, moment: Moment, split: str = "test") -> list[EvidencePart]:
        """Where the evidence of a checkpoint lies, the part with the embedding first.

        Before fine-tuning only dropout samples depend on the seed: the rest is shared by all seeds.
        """
        options = self.collect_options
        if moment != BEFORE:
            return [self._part(moment, options, self.stem, split)]
        common = replace(options, dropout_samples=0, seed=0, dropout=DropoutSetting())
        shared = self._part(BEFORE, common, self.stem.removesuffix(f"-seed{self.seed}"), split)
        if not options.dropout_samples:
            return [shared]
        own = replace(options, greedy=False, beams=0, embedding=False)
        return [shared, self._part(BEFORE, own, self.stem, split)]

    def all_parts(self, moment: Moment) -> list[EvidencePart]:
        """Of all splits."""
        return [part for split in self.splits(moment) for part in self.parts(moment, split)]

    def _part(self, moment: Moment, options: CollectOptions, stem: str, split: str) -> EvidencePart:
        before = f"{self.subject.fingerprint}/{self.subject.model.dtype}"
        weights = before if moment == BEFORE else f"{self._weights_key}/{moment.label}"
        slug = f"{stem}-{moment.label}" if split == "test" else f"{stem}-{split}-{moment.label}"
        key = evidence_key(slug, weights, self.subject.reading.items[split], options)
        return EvidencePart(options=options, folder=self.folder.evidence(key), split=split)

    def evidence_key(self, moment: Moment, split: str = "test") -> str:
        """Of all of it."""
        return self._part(moment, self.collect_options, self.stem, split).folder.name

    def evidence(self, moment: Moment, split: str = "test") -> Evidence:
        first, *others = [whole(part.folder) for part in self.parts(moment, split)]
        for other in others:
            first = with_parts(first, other)
        return first

    @cached_property
    def training_set(self) -> TrainingSet | None:
        """None where similarity to it is not asked for."""
        if not self.study.evaluation.train_similarity:
            return None
        return TrainingSet(examples=self.train_items, digest=items_digest(self.train_items))

    def similarity(self, moment: Moment) -> Path | None:
        """Its file; None where it is not measured: for checkpoints of sample sizes alone, as in the paper."""
        if self.training_set is None or not self._is_default(moment):
            return None
        return self.training_set.file(self.parts(moment)[0].folder)

    def _is_default(self, moment: Moment) -> bool:
        """Whether before_after or by_epoch need the checkpoint, and not sample sizes alone."""
        uses = [use for use in self.planned.uses if use.setting == DEFAULT]
        return any(moment in use.moments for use in uses) or (
            bool(uses) and moment == self.selected(self.history())
        )

    # What is there, and what is wanted

    def history(self) -> History:
        return read_history(self.training / "history.json")

    def selected(self, history: History) -> Moment | None:
        entry = self.planned.schedule.selected(history)
        return None if entry is None else Moment(epoch=int(entry.epoch))

    def wanted(self, history: History) -> list[Moment]:
        """Checkpoints to measure, as far as it is known which early stopping selects."""
        selected = self.selected(history)
        found = {*self.planned.moments, *(() if selected is None else (selected,))}
        return sorted(found, key=lambda moment: moment.in_steps(self.planned.steps_per_epoch))

    def rows(self, history: History) -> Iterator[tuple[str, Moment, bool]]:
        """Setting, checkpoint, and whether it is the selected one, of everything that is recorded."""
        selected = self.selected(history)
        for setting in dict.fromkeys(use.setting for use in self.planned.uses):
            uses = [use for use in self.planned.uses if use.setting == setting]
            moments = {moment for use in uses for moment in use.moments}
            chosen = selected if any(use.early is not None for use in uses) else None
            for moment in self.wanted(history):
                if moment in moments or moment == chosen:
                    yield setting, moment, moment == chosen

    def is_trained(self, history: History) -> bool:
        return self.planned.schedule.is_over(history)

    def is_measured(self, moment: Moment) -> bool:
        similarity = self.similarity(moment)
        there = similarity is None or similarity.exists()
        return there and all(is_measured(part.folder) for part in self.all_parts(moment))

    def expected(self) -> int:
        """Checkpoints that will be measured, at most; once early stopping has decided, exactly."""
        if self.planned.schedule.is_undecided(self.history()):
            return self.planned.most_checkpoints
        return len(self.wanted(self.history()))

    def measured(self) -> int:
        return sum(map(self.is_measured, self.wanted(self.history())))

    def is_complete(self) -> bool:
        """Nothing is left that needs the model."""
        history = self.history()
        return self.is_trained(history) and all(map(self.is_measured, self.wanted(history)))

    def evidence_folders(self) -> list[Path]:
        """Of all checkpoints that are wanted, as far as it is known which."""
        return [part.folder for moment in self.wanted(self.history()) for part in self.all_parts(moment)]

    def notes(self) -> list[str]:
        """What a reader must know about this training, kept on disk with it."""
        folders = [self.training, *self.evidence_folders()]
        return list(dict.fromkeys(note for folder in folders for note in read_notes(folder)))
