"""Fine-tuning on the HF Trainer: one flow for both kinds of model, full weights or adapters.

At every checkpoint that the schedule visits, once the state to go on from is safely on disk, the caller's hook
measures the model in memory. It runs in evaluation mode and uses no random numbers of the training, so that
measuring changes nothing.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from aftertune.errors import InputError
from aftertune.files.atomic import atomic_write_text, flush, flush_folder
from aftertune.files.hashes import sha256_of
from aftertune.finetune.examples import TokenisedSet, collate
from aftertune.finetune.protocol import (
    CheckpointEntry,
    FinetuneOptions,
    History,
    LoraOptions,
    Schedule,
    read_history,
    write_history,
)
from aftertune.models.adapters import reason
from aftertune.models.loaded import LoadedModel

COMPLETE = "complete.json"
"""File that marks a saved state as whole, and lists what is in it: path → size and SHA-256."""

SAVE_AFTER = 120.0
"""Seconds of training after which the state is saved at the end of an epoch that is not visited."""

Measure = Callable[[CheckpointEntry, LoadedModel], float | None]
"""Called at a visited checkpoint; returns the validation metric."""


def finetune(
    loaded: LoadedModel,
    examples: TokenisedSet,
    options: FinetuneOptions,
    schedule: Schedule,
    *,
    seed: int,
    folder: Path,
    measure: Measure,
    on_step: Callable[[int], None] = lambda step: None,
    note: Callable[[str], None] = lambda text: None,
) -> History:
    """Train, measuring at the checkpoints of the schedule; the same call again goes on where it was stopped.

    Parameters
    ----------
    loaded : its model is trained in place (adapters are added to it by the caller, see `add_lora`).
    seed : order of the items and dropout masks.
    folder : history.json and the state to go on from; the state is removed at the end. A history without a
        state is one of an earlier, shorter training: it is begun anew.
    measure : may be called a second time for a checkpoint at which the run was stopped.
    on_step : called after each optimiser step with the steps done.
    note : told of a saved state that is damaged and not gone on from.
    """
    history_file = folder / "history.json"
    state = _whole_state(folder / "state", note)
    history = read_history(history_file) if state is not None else History()
    steps_per_epoch = -(-len(examples.examples) // options.batch_size)
    with random_state_kept():
        progress = _Checkpoints(
            loaded=loaded,
            schedule=schedule,
            history=history,
            file=history_file,
            steps_per_epoch=steps_per_epoch,
            measure=measure,
            on_step=on_step,
        )
        arguments = _arguments(
            options, schedule.most_epochs(steps_per_epoch), seed, folder / "state", loaded.model
        )
        trainer = Trainer(
            model=loaded.model,
            args=arguments,
            train_dataset=list(examples.examples),  # type: ignore[arg-type]
            data_collator=partial(collate, pad_id=loaded.rules.pad_id),
            callbacks=[progress],
        )
        trainer.remove_callback(PrinterCallback)
        with suppress(_Finished):
            trainer.train(resume_from_checkpoint=state)
    shutil.rmtree(folder / "state", ignore_errors=True)
    return progress.history


def add_lora(loaded: LoadedModel, options: LoraOptions, seed: int) -> LoadedModel:
    """The model with fresh adapters around it; their start depends on `seed` only.

    Raises
    ------
    InputError
        `target_modules` names nothing in the model.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    targets = options.target_modules
    config = LoraConfig(
        r=options.r,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type=TaskType.CAUSAL_LM if loaded.kind == "causal" else TaskType.SEQ_2_SEQ_LM,
    )
    with random_state_kept():
        torch.manual_seed(seed)
        try:
            return replace(loaded, model=get_peft_model(loaded.model, config))
        except Exception as error:  # noqa: BLE001 - of PEFT, on names that the user wrote
            raise InputError(
                f"lora does not fit {loaded.name}: {reason(error)}: mend lora.target_modules"
            ) from None


def check_lora(loaded: LoadedModel, options: LoraOptions) -> None:
    """Refuse, as `add_lora` does; the adapters are taken off again."""
    add_lora(loaded, options, 0).model.unload()


class _Finished(Exception):
    """Ends the Trainer's loop before its first step: the resumed run had nothing left to train."""


@dataclass(kw_only=True, eq=False)
class _Checkpoints(TrainerCallback):
    """Keeps the history, measures at visited checkpoints, and ends the training when the schedule is over.

    What is logged and what is saved is decided here alone; the Trainer does either, in this order, and then
    calls back.
    """

    loaded: LoadedModel
    schedule: Schedule
    history: History
    file: Path
    steps_per_epoch: int
    measure: Measure
    on_step: Callable[[int], None]
    started: float = field(default_factory=monotonic)
    saved: float = field(default_factory=monotonic)
    seconds: float = 0.0  # of training up to a save, until it is in the history

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.history = self.history.until_step(state.global_step)
        if state.global_step > self.history.last_step:
            self._visit(state)
        if self.schedule.is_over(self.history):
            raise _Finished
        self.started = self.saved = monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.on_step(state.global_step)
        if state.global_step in self.schedule.steps and not self._at_end_of_epoch(state):
            control.should_log = control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self._at_end_of_epoch(state):
            return  # ended inside the epoch
        epoch = state.global_step // self.steps_per_epoch
        visited = self.schedule.visits_epoch(self.history, epoch, state.global_step)
        control.should_log = True
        control.should_save = visited or monotonic() - self.saved > SAVE_AFTER

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step > self.history.last_step and not control.should_save:
            self._append(self._entry(state))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds = monotonic() - self.started
        _mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        self._visit(state)
        control.should_training_stop = self.schedule.is_over(self.history)
        self.started = self.saved = monotonic()

    def _at_end_of_epoch(self, state: Any) -> bool:
        return state.global_step % self.steps_per_epoch == 0

    def _visit(self, state: Any) -> None:
        """Measure the checkpoint, if it is one to visit and not only one to go on from."""
        entry = self._entry(state)
        inside = not self._at_end_of_epoch(state)
        if inside or self.schedule.visits_epoch(self.history, int(entry.epoch), entry.steps):
            entry = replace(entry, validation=self.measure(entry, self.loaded))
        self._append(entry)

    def _entry(self, state: Any) -> CheckpointEntry:
        logged = next((e for e in reversed(state.log_history) if "loss" in e), {})
        epochs = state.global_step / self.steps_per_epoch
        return CheckpointEntry(
            epoch=int(epochs) if epochs.is_integer() else round(epochs, 4),
            steps=state.global_step,
            loss=logged.get("loss"),
            learning_rate=logged.get("learning_rate"),
            validation=None,
            seconds=round(self.seconds or monotonic() - self.started, 3),
        )

    def _append(self, entry: CheckpointEntry) -> None:
        self.history = self.history.with_entry(entry)
        write_history(self.file, self.history)
        self.started, self.seconds = monotonic(), 0.0


def _arguments(options: FinetuneOptions, epochs: int, seed: int, folder: Path, model: Any) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        lr_scheduler_type="constant",
        num_train_epochs=epochs,
        seed=seed,
        data_seed=seed,
        save_strategy="no",
        save_total_limit=2,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        use_cpu=model.device.type == "cpu",
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several would each take a batch of their own (DataParallel)
    return arguments


def _mark_complete(state: Path) -> None:
    """Put a saved state on disk, and then the mark that it is whole."""
    contents = {}
    for path in sorted(path for path in state.rglob("*") if path.is_file()):
        flush(path)
        contents[path.relative_to(state).as_posix()] = [path.stat().st_size, sha256_of(path)]
    flush_folder(state)
    atomic_write_text(state / COMPLETE, json.dumps(contents, indent=1) + "\n")
    flush_folder(state.parent)


def _why_not_whole(state: Path) -> str:
    """ "" where a saved state is as its mark lists it."""
    try:
        contents = json.loads((state / COMPLETE).read_text(encoding="utf-8"))
        for name, (size, sha256) in contents.items():
            path = state / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != size or sha256_of(path) != sha256:
                return f"{name} is not what was written"
    except FileNotFoundError:
        return "it was not saved whole"
    except (OSError, ValueError, TypeError, AttributeError):
        return f"{COMPLETE} cannot be read"
    return ""


def _whole_state(folder: Path, note: Callable[[str], None]) -> str | None:
    """The newest state that is as it was saved; newer ones that are not are removed, with a note."""
    states = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in states:
        reason = _why_not_whole(path)
        if not reason:
            return str(path)
        if (path / COMPLETE).exists():
            note(f"{path} is damaged ({reason}): training goes on from an older one, or from the beginning")
        shutil.rmtree(path)
    return None


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Put back the states of Python's, NumPy's and torch's generators, which the Trainer seeds, afterwards."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
