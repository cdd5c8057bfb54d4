"""Time of a fine-tuning step beside a step of a bare Hugging Face Trainer: same model, items, batches of 8.

A step is timed from the end of one optimiser step to the end of the next, the first left out; what happens once
an epoch (saving the state to go on from, measuring) is not part of it on either side.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from transformers import DataCollatorForSeq2Seq, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from aftertune.finetune.examples import TokenisedSet, tokenise
from aftertune.finetune.protocol import FinetuneOptions, Schedule
from aftertune.finetune.train import finetune
from aftertune.models.load import LoadOptions, load
from aftertune.models.loaded import LoadedModel, wrap
from aftertune.tasks import Sizes, load_task
from aftertune.types import Example
from benchmarks.measure import Reading, cpu_seconds, ratio, raw, rounds
from benchmarks.models import SHAPES, build
from benchmarks.plan import Plan
from benchmarks.prompts import random_prompts
from benchmarks.row import Row
from benchmarks.subjects import EMBEDDED, shape_of

TARGET = 1.05
MEASURED = ("t5", "tiny-llama")
BATCH_SIZE, RATE, SEED = 8, 5e-5, 1
PROMPT_WORDS, TARGET_WORDS = 96, 24


def measure(name: str, plan: Plan) -> tuple[list[Row], dict[str, Any]]:
    loaded, items = _subject(name, plan)
    _ours(loaded, items)  # warms both up: they run the same kernels
    readings = rounds({"bare": lambda: _bare(loaded, items), "ours": lambda: _ours(loaded, items)}, plan.repeats)
    found = ratio(readings, ["ours"], ["bare"])
    row = Row(
        section="training",
        case=f"fine-tuning step / step of a bare Trainer, batch {BATCH_SIZE}",
        model=name,
        value=found.cpu,
        target=TARGET,
        ours=found.ours,
        other=found.other,
        wall=found.wall,
        spread=found.spread,
        note=f"{len(items.examples) // BATCH_SIZE - 1} steps a round",
    )
    return [row], {"training": raw(readings)}


def _subject(name: str, plan: Plan) -> tuple[LoadedModel, TokenisedSet]:
    if name in SHAPES:
        built = build(shape_of(name, plan), stops=True)
        loaded = wrap(built.model, built.tokenizer)
        n = plan.steps * BATCH_SIZE
        inputs = random_prompts(built, n, PROMPT_WORDS)
        targets = random_prompts(built, n, TARGET_WORDS, seed=1)
        items = [
            Example(id=str(i), prompt=prompt, references=(target,))
            for i, (prompt, target) in enumerate(zip(inputs, targets))
        ]
    else:
        checkpoint, task, _ = EMBEDDED[name]
        loaded = load(checkpoint, LoadOptions(device="cpu"))
        pool = load_task(task, sizes=Sizes(validation=0, test=1)).train
        n = plan.tiny_steps * BATCH_SIZE
        items = [
            Example(id=str(i), prompt=pool[i % len(pool)].prompt, references=pool[i % len(pool)].references)
            for i in range(n)
        ]
    return loaded, tokenise(loaded, items, chat="off", too_long="error")


class _Clock:
    """Reads the clocks at the end of every step."""

    def __init__(self) -> None:
        self._cpu: list[float] = []
        self._wall: list[float] = []

    def tick(self, *_: object) -> None:
        self._cpu.append(cpu_seconds())
        self._wall.append(time.perf_counter())

    def step(self) -> Reading:
        """Mean of the steps after the first."""
        steps = len(self._cpu) - 1
        return Reading(cpu=(self._cpu[-1] - self._cpu[0]) / steps, wall=(self._wall[-1] - self._wall[0]) / steps)


def _ours(loaded: LoadedModel, items: TokenisedSet) -> Reading:
    clock = _Clock()
    options = FinetuneOptions(batch_size=BATCH_SIZE, learning_rate=RATE)
    with tempfile.TemporaryDirectory() as folder:
        finetune(
            loaded,
            items,
            options,
            Schedule(epochs=frozenset({1})),
            seed=SEED,
            folder=Path(folder),
            measure=lambda entry, model: None,
            on_step=clock.tick,
        )
    return clock.step()


def _bare(loaded: LoadedModel, items: TokenisedSet) -> Reading:
    clock = _Clock()

    class Ticks(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            clock.tick()

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            num_train_epochs=1,
            seed=SEED,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            use_cpu=True,
        )
        rows = [
            {
                "input_ids": list(one.input_ids),
                "attention_mask": [1] * len(one.input_ids),
                "labels": list(one.labels),
            }
            for one in items.examples
        ]
        trainer = Trainer(
            model=loaded.model,
            args=arguments,
            train_dataset=rows,  # type: ignore[arg-type]
            data_collator=DataCollatorForSeq2Seq(loaded.tokenizer, padding=True),
            callbacks=[Ticks()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return clock.step()
