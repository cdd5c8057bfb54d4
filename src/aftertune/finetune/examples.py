"""Training examples as token ids: the loss falls on the target's tokens only.

Decoder-only: prompt + " " + target + end of sequence, the prompt's labels masked. Encoder–decoder: the prompt is
the encoder's input, the target with its special tokens the labels. Shapes: B items, S longest in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from aftertune.errors import InputError
from aftertune.generate.prompts import prompt_ids, render, truncate
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
        prompt = prompt_ids(loaded.tokenizer, example.prompt, chat)
        target = _target_ids(loaded, example, prompt, chat)
        room = None if loaded.context is None else loaded.context
        if room is not None and loaded.kind == "causal":
            room -= len(target)
        if room is not None and len(prompt) > room:
            if too_long == "error":
                raise InputError(
                    f"training item {example.id!r} has {len(prompt)} prompt and {len(target)} target tokens, more "
                    f"than the context of {loaded.name} ({loaded.context}): set long_prompts to truncate or drop"
                )
            if too_long == "drop" or room < 1:
                dropped += 1
                continue
            prompt = truncate(prompt, room, loaded.tokenizer)
            truncated += 1
        if loaded.kind == "causal":
            done.append(
                TokenisedExample(input_ids=(*prompt, *target), labels=(*([MASKED] * len(prompt)), *target))
            )
        else:
            done.append(TokenisedExample(input_ids=tuple(prompt), labels=tuple(target)))
    if not done:
        raise InputError(f"no training item fits the context of {loaded.name} ({loaded.context} tokens)")
    return TokenisedSet(examples=tuple(done), truncated=truncated, dropped=dropped)


def _target_ids(loaded: LoadedModel, example: Example, prompt: list[int], chat: str) -> list[int]:
    """Ids of the target as they would follow the prompt, with what ends it."""
    tokenizer = loaded.tokenizer
    if loaded.kind == "seq2seq":
        return tokenizer(text_target=example.target, verbose=False)["input_ids"]
    text, templated = render(tokenizer, example.prompt, chat)
    gap = "" if text[-1:].isspace() else " "
    whole = tokenizer(text + gap + example.target, add_special_tokens=not templated, verbose=False)["input_ids"]
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else loaded.rules.eos_ids[0]
    if whole[-1] in loaded.rules.eos_ids and len(whole) > len(prompt):
        whole = whole[:-1]
    if whole[: len(prompt)] == prompt:
        return [*whole[len(prompt) :], end]
    # The prompt's last token would merge with the target's first: tokenise the target on its own.
    return [*tokenizer(gap + example.target, add_special_tokens=False, verbose=False)["input_ids"], end]


def collate(batch: Sequence[TokenisedExample], pad_id: int) -> dict[str, torch.Tensor]:
    """Right-padded (B, S) tensors: input_ids, attention_mask, labels."""
    width = max(len(one.input_ids) for one in batch)
    label_width = max(len(one.labels) for one in batch)
    return {
        "input_ids": torch.tensor([[*e.input_ids, *[pad_id] * (width - len(e.input_ids))] for e in batch]),
        "attention_mask": torch.tensor([[1] * len(e.input_ids) + [0] * (width - len(e.input_ids)) for e in batch]),
        "labels": torch.tensor([[*e.labels, *[MASKED] * (label_width - len(e.labels))] for e in batch]),
    }
