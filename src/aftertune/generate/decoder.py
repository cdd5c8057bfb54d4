"""What a decoder is, and what all decoders need: padded batches, the encoder's pass, hidden states.

Shapes: n items, G paths per item (1 for a greedy decode, K for beams), V vocabulary, d hidden size. Logits are
raw (no processor) and in the model's dtype; only those of the last position are ever computed.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from aftertune.generate.masks import PROMPT, RowMasks, masked
from aftertune.models.adapters import unwrapped
from aftertune.models.loaded import LoadedModel, TokenIds

PASS_CPU, PASS_GPU = 1e9, 1e11
"""Floating-point operations that take about as long as the overhead of a forward pass."""


class Decoder(Protocol):
    """A batch of items while it is decoded: the model, its cache, and the paths of each item."""

    logits: Tensor
    """(n, G, V): the next token's raw logits of each path."""

    embedding: Tensor
    """(n, d) float32: one vector per prompt (of the items at the start)."""

    def step(self, tokens: Tensor, parents: Tensor) -> None:
        """New paths: tokens (n, G') appended to the paths parents (n, G'); computes their next logits."""
        ...

    def keep(self, order: Tensor) -> None:
        """Keep len(order) items: item order[i] goes to place i. Only items behind the new end may move."""
        ...


def moved_places(order: Tensor) -> Tensor:
    """The places whose item comes from elsewhere."""
    return (order != torch.arange(len(order), device=order.device)).nonzero()[:, 0]


def length_groups(lengths: Sequence[int], worth: float, least: float = 0.75) -> list[list[int]]:
    """Rows that are read together, in their order: no prompt is much shorter than its group's longest.

    Padding costs as much as tokens do. So a batch of mixed lengths is read in several passes, where each pass
    saves at least `worth` tokens of padding.

    Parameters
    ----------
    least : prompts of at least this share of the longest one are always read with it.

    >>> length_groups([100, 20, 80, 19], worth=10)
    [[0, 2], [1, 3]]
    >>> length_groups([100, 20, 80, 19], worth=1000)
    [[0, 1, 2, 3]]
    """
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if groups and lengths[row] >= least * lengths[groups[-1][0]]:
            groups[-1].append(row)
        else:
            groups.append([row])
    kept = groups[:1]
    for group in groups[1:]:
        if len(group) * (lengths[kept[-1][0]] - lengths[group[0]]) < worth:
            kept[-1].extend(group)
        else:
            kept.append(group)
    return [sorted(group) for group in kept]


def worth_a_pass(model: Any) -> float:
    """Tokens whose reading costs about as much as a forward pass does besides: a larger model, fewer tokens."""
    operations = PASS_CPU if model.device.type == "cpu" else PASS_GPU
    return operations / (2 * sum(weight.numel() for weight in model.parameters()))


def padded(ids: TokenIds, pad_id: int, device: torch.device, *, left: bool) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both (n, longest)."""
    width = max(map(len, ids))
    tokens = torch.full((len(ids), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(ids), width), dtype=torch.long)
    for row, one in enumerate(ids):
        where = slice(width - len(one), None) if left else slice(0, len(one))
        tokens[row, where] = torch.tensor(one)
        mask[row, where] = 1
    return tokens.to(device), mask.to(device)


def encoded(
    loaded: LoadedModel, ids: TokenIds, masks: RowMasks | None
) -> tuple[Tensor, Tensor, type[ModelOutput]]:
    """What an encoder makes of prompts.

    Returns
    -------
    states, mask, kind
        Its last hidden states (n, S, d), zero at padding; the mask of real tokens (n, S); the type of its output,
        which the decoder may want.
    """
    encoder, device = unwrapped(loaded.model).get_encoder(), loaded.model.device
    _, mask = padded(ids, loaded.rules.pad_id, device, left=False)
    groups = length_groups([len(one) for one in ids], worth_a_pass(loaded.model))
    states, kind = torch.empty(0), ModelOutput
    for group in groups:
        tokens, real = padded([ids[row] for row in group], loaded.rules.pad_id, device, left=False)
        with masked(masks, PROMPT, group, width=tokens.shape[1]):
            output = encoder(input_ids=tokens, attention_mask=real)
        part, kind = output.last_hidden_state, type(output)
        if len(groups) == 1:
            return part, mask, kind
        if not len(states):
            states = part.new_zeros((len(ids), mask.shape[1], part.shape[2]))
        states[torch.tensor(group, device=device), : part.shape[1]] = part
    return states, mask, kind


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over real tokens in float32: (n, S, d), (n, S) → (n, d)."""
    weight = mask[..., None].float()
    return (hidden.float() * weight).sum(1) / weight.sum(1)


def accepted(model: Any, **inputs: Any) -> dict[str, Any]:
    """Those of the inputs that the model's forward pass has a name for."""
    names = inspect.signature(unwrapped(model).forward).parameters
    return {name: value for name, value in inputs.items() if name in names}


def decoder_of(model: Any) -> Any:
    """What lies between a model's token ids (or its encoder) and its head.

    Raises
    ------
    NotImplementedError
        Nothing does, as far as can be seen.
    """
    model = unwrapped(model)
    for part in (model.get_decoder(), model.base_model, *model.children()):
        if part is not model and isinstance(part, PreTrainedModel):
            return part
    raise NotImplementedError(f"{type(model).__name__} has no decoder besides its head")


class LastHidden:
    """Catches the decoder's last hidden states while a decoder-only model reads its prompts."""

    states: Tensor

    def __init__(self, model: Any) -> None:
        self._decoder = decoder_of(model)

    def __enter__(self) -> LastHidden:
        def catch(module: Any, args: Any, output: Any) -> None:
            self.states = output.last_hidden_state

        self._handle = self._decoder.register_forward_hook(catch)
        return self

    def __exit__(self, *exc: object) -> None:
        self._handle.remove()
