"""Decoding with the model's own cache, one row per path: for whatever cannot share paths (see `prefill`)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from aftertune.generate.decoder import LastHidden, encoded, masked_mean, padded
from aftertune.generate.masks import PROMPT, RowMasks, masked
from aftertune.models.loaded import LoadedModel


class _Rows:
    """Rows n·G, path g of item i in row i·G + g."""

    logits: Tensor
    _cache: Any
    _mask: Tensor
    _masks: RowMasks | None
    _time: int

    def step(self, tokens: Tensor, parents: Tensor) -> None:
        n, width = self.logits.shape[:2]
        rows = (torch.arange(n, device=parents.device)[:, None] * width + parents).flatten()
        if len(rows) != n * width or not torch.equal(rows, torch.arange(n * width, device=rows.device)):
            self._select(rows)
        with self._masked():
            logits = self._forward(tokens.flatten())
        self._time += 1
        self.logits = logits.view(n, tokens.shape[1], -1)

    def keep(self, order: Tensor) -> None:
        width = self.logits.shape[1]
        self._select((order[:, None] * width + torch.arange(width, device=order.device)).flatten())
        self.logits = self.logits[order]
        if self._masks is not None:
            self._masks.keep(order)

    def _masked(self, **options: Any) -> AbstractContextManager[None]:
        return masked(self._masks, self._time, **options)

    def _select(self, rows: Tensor) -> None:
        raise NotImplementedError

    def _forward(self, tokens: Tensor) -> Tensor:
        raise NotImplementedError


class CausalDecoder(_Rows):
    """Decoder-only model: prompts padded on the left, positions counted from the first real token."""

    def __init__(
        self, loaded: LoadedModel, ids: Sequence[Sequence[int]], paths: int, masks: RowMasks | None
    ) -> None:
        self._model, self._masks, self._time = loaded.model, masks, PROMPT
        tokens, self._mask = padded(ids, loaded.rules.pad_id, loaded.model.device, left=True)
        self._offset = (self._mask == 0).sum(1)
        positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        self._position = positions[:, -1:]
        with LastHidden(self._model) as hidden, self._masked(width=tokens.shape[1], offset=self._offset):
            output = self._model(
                input_ids=tokens,
                attention_mask=self._mask,
                position_ids=positions,
                use_cache=True,
                logits_to_keep=1,
            )
        self._cache, self._time = output.past_key_values, 0
        self.logits = output.logits[:, -1:]
        self.embedding = masked_mean(hidden.states, self._mask)

    def _masked(self, **options: Any) -> AbstractContextManager[None]:
        return super()._masked(**{"offset": self._offset, **options})

    def _forward(self, tokens: Tensor) -> Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        self._position = self._position + 1
        output = self._model(
            input_ids=tokens[:, None],
            attention_mask=self._mask,
            position_ids=self._position,
            past_key_values=self._cache,
            use_cache=True,
        )
        return output.logits[:, -1]

    def _select(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._mask, self._position, self._offset = self._mask[rows], self._position[rows], self._offset[rows]


class Seq2SeqDecoder(_Rows):
    """Encoder–decoder model: the encoder runs once, the decoder starts from its start token."""

    def __init__(
        self, loaded: LoadedModel, ids: Sequence[Sequence[int]], paths: int, masks: RowMasks | None
    ) -> None:
        self._model, self._masks, self._time = loaded.model, masks, PROMPT
        self._encoded, self._mask = encoded(loaded, ids, masks)
        self.embedding = masked_mean(self._encoded, self._mask)
        self._cache, self._time = None, 0
        start = torch.full((len(ids),), loaded.rules.start_id or 0, device=self._mask.device)
        with self._masked():
            self.logits = self._forward(start)[:, None]
        self._time = 1

    def _forward(self, tokens: Tensor) -> Tensor:
        output = self._model(
            decoder_input_ids=tokens[:, None],
            encoder_outputs=BaseModelOutput(last_hidden_state=self._encoded),
            attention_mask=self._mask,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._cache = output.past_key_values
        return output.logits[:, -1]

    def _select(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._encoded, self._mask = self._encoded[rows], self._mask[rows]
