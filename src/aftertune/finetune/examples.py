"""Training examples as token ids: the loss falls on the target's tokens only.

Decoder-only: prompt + target + end (`output_ids` says how they are joined), the prompt's labels masked.
Encoder–decoder: the prompt is the encoder's input, the target with its special tokens the labels. Shapes: B items,
S longest in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from aftertune.errors import InputError
from aftertune.generate.outputs import output_ids, prompt_beside
from aftertune.generate.prompts import prompt_ids
from aftertune.models.loaded import LoadedModel
from aftertune.types import Example

MASKED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenisedExample:
    """`labels` is as long as `input_ids` for a decoder-only model, of its own length otherwise."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenisedSet:
    examples: tuple[TokenisedExample, ...]
    truncated: int = 0
    dropped: int = 0


def tokenise(loaded: LoadedModel, examples: Sequence[Example], *, chat: str, too_long: str) -> TokenisedSet:
    """Token ids of all training items; those beyond the context are treated as `too_long` says."""
    done, truncated, dropped = [], 0, 0
    for example in examples:
        prompt = prompt_ids(loaded, example.asked, chat, f"training item {example.id!r}")
        target = output_ids(loaded, example.asked, prompt, example.target, chat)
        fitting = prompt_beside(
            loaded,
            prompt,
            len(target),
            too_long,
            f"training item {example.id!r}",
            "set long_prompts to truncate or drop",
        )
        if fitting is None:
            dropped += 1
            continue
        truncated += len(fitting) < len(prompt)
        if loaded.kind == "causal":
            done.append(
                TokenisedExample(input_ids=(*fitting, *target), labels=(*([MASKED] * len(fitting)), *target))
            )
        else:
            done.append(TokenisedExample(input_ids=tuple(fitting), labels=tuple(target)))
    if not done:
        raise InputError(f"no training item fits the context of {loaded.name} ({loaded.context} tokens)")
    return TokenisedSet(examples=tuple(done), truncated=truncated, dropped=dropped)


def collate(batch: Sequence[TokenisedExample], pad_id: int) -> dict[str, torch.Tensor]:
    """Right-padded (B, S) tensors: input_ids, attention_mask, labels."""
    width = max(len(one.input_ids) for one in batch)
    label_width = max(len(one.labels) for one in batch)
    return {
        "input_ids": torch.tensor([[*e.input_ids, *[pad_id] * (width - len(e.input_ids))] for e in batch]),
        "attention_mask": torch.tensor([[1] * len(e.input_ids) + [0] * (width - len(e.input_ids)) for e in batch]),
        "labels": torch.tensor([[*e.labels, *[MASKED] * (label_width - len(e.labels))] for e in batch]),
    }
