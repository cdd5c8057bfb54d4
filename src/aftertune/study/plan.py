"""The plan of a study: which training runs its experiments need, each once, and where they are measured.

Runs of the same model, task and seed on the same items are one run: fewer epochs are the beginning of more (the
ten-epoch run that of the early-stopping one), and a number of steps that fills whole epochs is one of these (2,500
steps at 2,000 items and batch 8 are ten epochs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aftertune.errors import InputError
from aftertune.finetune.protocol import EarlyStopping, Schedule
from aftertune.study.config import ExperimentsConfig, StudyConfig

DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Moment:
    """A checkpoint of a training run: the end of an epoch (0 is before), or a step inside one."""

    epoch: int | None = None
    step: int | None = None

    @property
    def label(self) -> str:
        """For file names and keys."""
        return f"epoch{self.epoch}" if self.step is None else f"step{self.step}"

    def in_steps(self, steps_per_epoch: int) -> int:
        """Optimiser steps from the beginning."""
        return self.step if self.step is not None else (self.epoch or 0) * steps_per_epoch


BEFORE = Moment(epoch=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What one experiment needs of a training run.

    Attributes
    ----------
    setting : that its records go by.
    moments : checkpoints that are measured.
    early : the checkpoint that this selects is measured too.
    """

    experiment: str
    setting: str
    moments: tuple[Moment, ...]
    early: EarlyStopping | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One training run.

    Attributes
    ----------
    items : number of training items, the first ones of the task's.
    whole : whether these are all of them.
    steps_per_epoch : ceil(items / batch size).
    """

    model: str
    task: str
    seed: int
    items: int
    whole: bool
    steps_per_epoch: int
    uses: tuple[Use, ...]

    @property
    def early(self) -> EarlyStopping | None:
        """That of before_after, if it uses this run."""
        return next((use.early for use in self.uses if use.early is not None), None)

    @property
    def moments(self) -> tuple[Moment, ...]:
        """All that are measured whatever early stopping selects, each once, in order."""
        found = {moment for use in self.uses for moment in use.moments}
        return tuple(sorted(found, key=lambda moment: moment.in_steps(self.steps_per_epoch)))

    @property
    def measured_in_full(self) -> frozenset[Moment]:
        """Those of before_after and by_epoch: of sample sizes, less is measured (`Training.measurements`)."""
        return frozenset(moment for use in self.uses if use.setting == DEFAULT for moment in use.moments)

    @property
    def schedule(self) -> Schedule:
        return Schedule(
            early=self.early,
            epochs=frozenset(moment.epoch for moment in self.moments if moment.epoch),
            steps=frozenset(moment.step for moment in self.moments if moment.step is not None),
        )

    @property
    def steps(self) -> tuple[int, int]:
        """Optimiser steps: the fewest, if early stopping comes as soon as it can, and the most."""
        last = max((moment.in_steps(self.steps_per_epoch) for moment in self.moments), default=0)
        epochs = (0, 0) if self.early is None else (self.early.fewest_epochs, self.early.epochs)
        return max(last, epochs[0] * self.steps_per_epoch), max(last, epochs[1] * self.steps_per_epoch)

    @property
    def checkpoints(self) -> tuple[int, int]:
        """Measured checkpoints: the fewest, if the selected one is measured anyway, and the most."""
        early, n = self.early, len(self.moments)
        apart = early is not None and any(Moment(epoch=e + 1) not in self.moments for e in range(early.epochs))
        return n, n + apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What training runs cost; (fewest, most) where early stopping decides."""

    runs: int
    steps: tuple[int, int]
    checkpoints: tuple[int, int]

    @classmethod
    def of(cls, runs: Sequence[PlannedRun]) -> Totals:
        def total(ranges: Iterator[tuple[int, int]]) -> tuple[int, int]:
            fewest, most = zip(*ranges)
            return sum(fewest), sum(most)

        return cls(
            runs=len(runs),
            steps=total(run.steps for run in runs),
            checkpoints=total(run.checkpoints for run in runs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All training runs of a study in the order in which they are done.

    Attributes
    ----------
    one_by_one : the runs of each experiment if it were a study of its own.
    """

    runs: tuple[PlannedRun, ...]
    one_by_one: Mapping[str, tuple[PlannedRun, ...]]

    @property
    def shared_totals(self) -> Totals:
        """Of this plan."""
        return Totals.of(self.runs)

    @property
    def separate_totals(self) -> Totals:
        """Of the experiments one by one."""
        return Totals.of([run for runs in self.one_by_one.values() for run in runs])


def plan_study(study: StudyConfig, items: Mapping[str, int]) -> Plan:
    """The plan of a study.

    Parameters
    ----------
    items : task → number of its training items.

    Raises
    ------
    InputError
        A sample size that is larger than a task.
    """
    experiments = study.experiments
    return Plan(
        runs=tuple(_runs(study, experiments, items)),
        one_by_one={name: tuple(_runs(study, experiments.alone(name), items)) for name in experiments.names()},
    )


def _runs(study: StudyConfig, experiments: ExperimentsConfig, items: Mapping[str, int]) -> Iterator[PlannedRun]:
    batch = study.training.batch_size
    for model, task in study.pairs():
        all_items = items[task.name]
        wanted: dict[int, list[Use]] = {}
        for n, use in _uses(experiments, all_items, batch, task.name):
            wanted.setdefault(n, []).append(_with_whole_epochs(study, use, n))
        for seed in study.seeds:
            for n in sorted(wanted, reverse=True):
                yield PlannedRun(
                    model=model.name,
                    task=task.name,
                    seed=seed,
                    items=n,
                    whole=n == all_items,
                    steps_per_epoch=-(-n // batch),
                    uses=tuple(wanted[n]),
                )


def _uses(experiments: ExperimentsConfig, all_items: int, batch: int, task: str) -> Iterator[tuple[int, Use]]:
    """(number of training items, what is needed of a run on them)."""
    if (before_after := experiments.before_after) is not None:
        early = EarlyStopping(epochs=before_after.epochs, patience=before_after.patience)
        moments = (BEFORE, Moment(epoch=1))
        yield all_items, Use(experiment="before_after", setting=DEFAULT, moments=moments, early=early)
    if (by_epoch := experiments.by_epoch) is not None:
        moments = tuple(Moment(epoch=epoch) for epoch in range(by_epoch.epochs + 1))
        yield all_items, Use(experiment="by_epoch", setting=DEFAULT, moments=moments)
    if (by_samples := experiments.by_samples) is not None:
        for n in _fitting(by_samples.samples, all_items, "by_samples", task):
            moments = (Moment(epoch=by_samples.epochs),)
            yield n, Use(experiment="by_samples", setting=f"n={n}", moments=moments)
    if (fixed := experiments.by_samples_fixed_steps) is not None:
        for n in _fitting(fixed.samples, all_items, "by_samples_fixed_steps", task):
            setting, moments = f"n={n},steps={fixed.steps}", (Moment(step=fixed.steps),)
            yield n, Use(experiment="by_samples_fixed_steps", setting=setting, moments=moments)


def _fitting(samples: list[int], all_items: int, experiment: str, task: str) -> list[int]:
    if max(samples) > all_items:
        raise InputError(
            f"experiment {experiment} asks for {max(samples):,} training items, and task {task!r} has "
            f"{all_items:,}: write smaller samples, or a larger sizes.train"
        )
    return samples


def _with_whole_epochs(study: StudyConfig, use: Use, n: int) -> Use:
    """Steps that fill whole epochs as these epochs.

    Not where training items may be dropped for their length: then an epoch may have fewer steps.
    """
    per_epoch = -(-n // study.training.batch_size)
    if study.evaluation.long_prompts == "drop":
        return use
    moments = tuple(
        Moment(epoch=m.step // per_epoch) if m.step is not None and m.step % per_epoch == 0 else m
        for m in use.moments
    )
    return replace(use, moments=moments)
