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
    """What is trained on, and how many items were cut or left out for their length."""

    examples: tuple[TokenisedExample, ...]
    truncated: int = 0
    dropped: int = 0


def tokenise(loaded: LoadedModel, examples: Sequence[Example], *, chat: str, too_long: str) -> TokenisedSet:
    """Token ids of all training items; those beyond the context are treated as `too_long` says.

    Raises
    ------
    InputError
        An item does not fit (with `too_long` "error"), or none does.
    """
    done, truncated, dropped = [], 0, 0
    for example in examples:
        what = f"training item {example.id!r}"
        prompt = prompt_ids(loaded, example.asked, chat, what)
        target = output_ids(loaded, example.asked, prompt, example.target, chat)
        hint = "set long_prompts to truncate or drop"
        fitting = prompt_beside(loaded, prompt, len(target), too_long, what, hint)
        if fitting is None:
            dropped += 1
            continue
        truncated += len(fitting) < len(prompt)
        if loaded.kind == "causal":
            input_ids, labels = (*fitting, *target), (*[MASKED] * len(fitting), *target)
        else:
            input_ids, labels = tuple(fitting), tuple(target)
        done.append(TokenisedExample(input_ids=input_ids, labels=labels))
    if not done:
        raise InputError(f"no training item fits the context of {loaded.name} ({loaded.context} tokens)")
    return TokenisedSet(examples=tuple(done), truncated=truncated, dropped=dropped)


def collate(batch: Sequence[TokenisedExample], pad_id: int) -> dict[str, torch.Tensor]:
    """Right-padded (B, S) tensors: input_ids, attention_mask, labels (S is their own for an encoder–decoder)."""

    def padded(rows: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
        width = max(map(len, rows))
        return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows])

    input_ids = [one.input_ids for one in batch]
    return {
        "input_ids": padded(input_ids, pad_id),
        "attention_mask": padded([[1] * len(row) for row in input_ids], 0),
        "labels": padded([one.labels for one in batch], MASKED),
    }
