"""Fine-tuning on the HF Trainer: one flow for both kinds of model, full weights or adapters.

After every epoch, once the state to go on from is safely on disk, the caller's hook measures the checkpoint in
memory. It runs in evaluation mode and uses no random numbers of the training, so that measuring changes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from aftertune.finetune.examples import TokenisedSet, collate
from aftertune.finetune.history import EpochEntry, History, read_history, write_history
from aftertune.finetune.options import FinetuneOptions, LoraOptions
from aftertune.finetune.random_state import random_state_kept
from aftertune.models.loaded import LoadedModel

COMPLETE = "complete"
"""File that marks a saved state as whole."""

Measure = Callable[[int, LoadedModel], float | None]
"""Called after an epoch with its number and the model; returns the validation metric."""


def finetune(
    loaded: LoadedModel,
    examples: TokenisedSet,
    options: FinetuneOptions,
    *,
    seed: int,
    folder: Path,
    measure: Measure,
    on_step: Callable[[int, int], None] = lambda step, total: None,
) -> History:
    """Train, measuring after each epoch; the same call again goes on where it was stopped.

    Parameters
    ----------
    loaded : its model is trained in place (adapters are added to it by the caller, see `add_lora`).
    seed : order of the items and dropout masks.
    folder : history.json and the state to go on from; the state is removed at the end.
    measure : may be called a second time for an epoch during which the run was stopped.
    on_step : called after each optimiser step with the steps done and the most there can be.
    """
    history_file = folder / "history.json"
    history = read_history(history_file)
    if history.finished:
        return history
    with random_state_kept():
        progress = _Epochs(loaded, options, history, history_file, measure, on_step)
        arguments = _arguments(options, seed, folder / "state", loaded.model)
        trainer = Trainer(
            model=loaded.model,
            args=arguments,
            train_dataset=list(examples.examples),  # type: ignore[arg-type]
            data_collator=partial(collate, pad_id=loaded.rules.pad_id),
            callbacks=[progress],
        )
        trainer.remove_callback(PrinterCallback)
        with suppress(_Finished):
            trainer.train(resume_from_checkpoint=_whole_state(folder / "state"))
    history = progress.history.ended()
    write_history(history_file, history)
    shutil.rmtree(folder / "state", ignore_errors=True)
    return history


def add_lora(loaded: LoadedModel, options: LoraOptions, seed: int) -> LoadedModel:
    """The model with fresh adapters around it; their start depends on `seed` only."""
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
        return replace(loaded, model=get_peft_model(loaded.model, config))


class _Finished(Exception):
    """Ends the Trainer's loop before its first step: the resumed run had no epoch left to train."""


class _Epochs(TrainerCallback):
    """Measures after each epoch, keeps the history, stops early."""

    def __init__(
        self,
        loaded: LoadedModel,
        options: FinetuneOptions,
        history: History,
        history_file: Path,
        measure: Measure,
        on_step: Callable[[int, int], None],
    ) -> None:
        self.history = history
        self._loaded, self._options, self._file = loaded, options, history_file
        self._measure, self._on_step = measure, on_step
        self._loss: float | None = None
        self._learning_rate: float | None = None
        self._started = monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        resumed = round(state.epoch or 0)
        kept = tuple(entry for entry in self.history.epochs if entry.epoch <= resumed)
        self.history = replace(self.history, epochs=kept)
        if resumed > self.history.last_epoch:
            self._read_log(state)
            self._after_epoch(resumed, state.global_step)
        if self._is_over():
            raise _Finished
        self._started = monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._on_step(state.global_step, state.max_steps)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()
        self._read_log(state)
        self._after_epoch(round(state.epoch), state.global_step)
        control.should_training_stop = self._is_over()
        self._started = monotonic()

    def _read_log(self, state: Any) -> None:
        entry = next((e for e in reversed(state.log_history) if "loss" in e), {})
        self._loss, self._learning_rate = entry.get("loss"), entry.get("learning_rate")

    def _after_epoch(self, epoch: int, steps: int) -> None:
        seconds = monotonic() - self._started
        validation = self._measure(epoch, self._loaded)
        entry = EpochEntry(
            epoch=epoch,
            steps=steps,
            loss=self._loss,
            learning_rate=self._learning_rate,
            validation=validation,
            seconds=round(seconds, 3),
        )
        self.history = self.history.with_epoch(entry)
        write_history(self._file, self.history)

    def _is_over(self) -> bool:
        patience = self._options.patience
        waited = patience is not None and self.history.without_improvement() >= patience
        return waited or self.history.last_epoch >= self._options.epochs


def _arguments(options: FinetuneOptions, seed: int, folder: Path, model: Any) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        lr_scheduler_type="constant",
        num_train_epochs=options.epochs,
        seed=seed,
        data_seed=seed,
        save_strategy="epoch",
        save_total_limit=2,
        logging_strategy="epoch",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        use_cpu=model.device.type == "cpu",
    )


def _whole_state(folder: Path) -> str | None:
    """The newest state that was saved whole; half-written ones are removed."""
    states = []
    for path in folder.glob("checkpoint-*"):
        if (path / COMPLETE).exists():
            states.append(path)
        else:
            shutil.rmtree(path)
    newest = max(states, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    return None if newest is None else str(newest)


__all__: Sequence[str] = ("Measure", "add_lora", "finetune")
