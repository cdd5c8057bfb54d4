"""One batch of rows while it is being decoded: the model, its cache, and which rows are still there.

Shapes: B rows, V vocabulary, d hidden size. Logits are raw (no processor) and float32 whatever the weights are.
Only the last position's logits are ever computed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from aftertune.models.loaded import LoadedModel


class Decoder(Protocol):
    """Rows of a batch at one step of decoding."""

    logits: Tensor
    """(B, V) float32: the next token's raw logits of each row."""

    embedding: Tensor
    """(B, d) float32: one vector per prompt (before any `repeat` or `select`)."""

    def step(self, tokens: Tensor) -> None:
        """Append `tokens` (B,) and compute the next logits."""
        ...

    def select(self, rows: Tensor) -> None:
        """Keep the given rows, in that order (indices may repeat)."""
        ...

    def reorder(self, rows: Tensor) -> None:
        """`select` where each row moves only among rows of the same prompt, as beams do."""
        ...

    def fork(self) -> Decoder:
        """An independent copy at the same step."""
        ...


def prefill(loaded: LoadedModel, ids: Sequence[Sequence[int]]) -> Decoder:
    """Read the prompts: run the encoder, or the decoder over the left-padded prompts."""
    kind = CausalDecoder if loaded.kind == "causal" else Seq2SeqDecoder
    return kind(loaded, ids)


class CausalDecoder:
    """Decoder-only model: prompts padded on the left, positions counted from the first real token."""

    def __init__(self, loaded: LoadedModel, ids: Sequence[Sequence[int]]) -> None:
        self._model = loaded.model
        tokens, self._mask = _pad(ids, loaded.rules.pad_id, loaded.model.device, left=True)
        positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        self._position = positions[:, -1:]
        hidden: list[Tensor] = []
        decoder = _unwrapped(self._model).get_decoder()
        handle = decoder.register_forward_hook(lambda m, a, output: hidden.append(output.last_hidden_state))
        try:
            output = self._model(
                input_ids=tokens,
                attention_mask=self._mask,
                position_ids=positions,
                use_cache=True,
                logits_to_keep=1,
            )
        finally:
            handle.remove()
        self._cache = output.past_key_values
        self.logits = output.logits[:, -1].float()
        self.embedding = _masked_mean(hidden[0], self._mask)

    def step(self, tokens: Tensor) -> None:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        self._position = self._position + 1
        output = self._model(
            input_ids=tokens[:, None],
            attention_mask=self._mask,
            position_ids=self._position,
            past_key_values=self._cache,
            use_cache=True,
        )
        self.logits = output.logits[:, -1].float()

    def select(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._mask, self._position = self._mask[rows], self._position[rows]
        self.logits = self.logits[rows]

    def reorder(self, rows: Tensor) -> None:
        self._cache.reorder_cache(rows)

    def fork(self) -> CausalDecoder:
        other = copy.copy(self)
        other._cache = copy.deepcopy(self._cache)
        return other


class Seq2SeqDecoder:
    """Encoder–decoder model: the encoder runs once, the decoder starts from its start token."""

    def __init__(self, loaded: LoadedModel, ids: Sequence[Sequence[int]]) -> None:
        self._model = loaded.model
        tokens, self._mask = _pad(ids, loaded.rules.pad_id, loaded.model.device, left=False)
        encoder = _unwrapped(self._model).get_encoder()
        self._encoded = encoder(input_ids=tokens, attention_mask=self._mask).last_hidden_state
        self.embedding = _masked_mean(self._encoded, self._mask)
        self._cache: Any = None
        start = torch.full((len(tokens),), loaded.rules.start_id or 0, device=tokens.device)
        self.step(start)

    def step(self, tokens: Tensor) -> None:
        output = self._model(
            decoder_input_ids=tokens[:, None],
            encoder_outputs=BaseModelOutput(last_hidden_state=self._encoded),
            attention_mask=self._mask,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._cache = output.past_key_values
        self.logits = output.logits[:, -1].float()

    def select(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._encoded, self._mask = self._encoded[rows], self._mask[rows]
        self.logits = self.logits[rows]

    def reorder(self, rows: Tensor) -> None:
        self._cache.self_attention_cache.reorder_cache(rows)  # cross-attention is the same for all beams

    def fork(self) -> Seq2SeqDecoder:
        other = copy.copy(self)
        other._cache = copy.deepcopy(self._cache)
        return other


def _pad(ids: Sequence[Sequence[int]], pad_id: int, device: torch.device, *, left: bool) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both (B, longest)."""
    width = max(map(len, ids))
    tokens = torch.full((len(ids), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(ids), width), dtype=torch.long)
    for row, one in enumerate(ids):
        where = slice(width - len(one), None) if left else slice(0, len(one))
        tokens[row, where] = torch.tensor(one)
        mask[row, where] = 1
    return tokens.to(device), mask.to(device)


def _masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over real tokens in float32: (B, S, d), (B, S) → (B, d)."""
    weight = mask[..., None].float()
    return (hidden.float() * weight).sum(1) / weight.sum(1)


def _unwrapped(model: Any) -> Any:
    """The transformers model inside a PEFT model (whose layers already carry the adapters)."""
    from peft import PeftModel

    return model.get_base_model() if isinstance(model, PeftModel) else model
