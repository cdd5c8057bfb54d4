"""Decoding with one row per path, for whatever cannot share paths (see `trial`).

`CausalDecoder` and `Seq2SeqDecoder` step with the model's own cache. `CausalReader` and `Seq2SeqReader` have none
and read each row anew at every step: slow, and right for any model, because a row sees just what it would see
alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from aftertune.generate.decoder import LastHidden, accepted, encoded, masked_mean, padded
from aftertune.generate.masks import PROMPT, RowMasks, masked
from aftertune.models.adapters import unwrapped
from aftertune.models.loaded import LoadedModel, TokenIds

CACHES = ("past_key_values", "cache_params")
"""What models call their cache, in their outputs and among their inputs."""


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

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks, self._time = loaded.model, masks, PROMPT
        tokens, self._mask = padded(ids, loaded.rules.pad_id, loaded.model.device, left=True)
        self._offset = (self._mask == 0).sum(1)
        positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        self._position = positions[:, -1:]
        with LastHidden(self._model) as hidden, self._masked(width=tokens.shape[1], offset=self._offset):
            inputs = {"input_ids": tokens, "attention_mask": self._mask, "position_ids": positions}
            inputs |= {"use_cache": True, "logits_to_keep": 1}
            output = self._model(**accepted(self._model, **inputs))
            caches = ((name, getattr(output, name, None)) for name in CACHES)
            found = next((one for one in caches if one[1] is not None), None)
            if found is None:  # the model wants to be given the cache that it fills
                found = CACHES[0], DynamicCache(config=unwrapped(self._model).config.get_text_config(decoder=True))
                output = self._model(**accepted(self._model, **inputs), **{found[0]: found[1]})
        self._cache_name, self._cache = found
        self._time = 0
        self.logits = output.logits[:, -1:]
        self.embedding = masked_mean(hidden.states, self._mask)

    def _masked(self, **options: Any) -> AbstractContextManager[None]:
        return super()._masked(**{"offset": self._offset, **options})

    def _forward(self, tokens: Tensor) -> Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        self._position = self._position + 1
        inputs = {"input_ids": tokens[:, None], "position_ids": self._position}
        inputs |= {self._cache_name: self._cache, "use_cache": True}
        if self._cache_name == CACHES[0]:  # states that hold no columns know no mask
            inputs["attention_mask"] = self._mask
        return self._model(**accepted(self._model, **inputs)).logits[:, -1]

    def _select(self, rows: Tensor) -> None:
        self._cache.reorder_cache(rows)
        self._mask, self._position, self._offset = self._mask[rows], self._position[rows], self._offset[rows]


class CausalReader(_Rows):
    """Decoder-only model without a cache."""

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks, self._time = loaded.model, masks, 0
        self._ids, self._mask = padded(ids, loaded.rules.pad_id, loaded.model.device, left=True)
        self._width = self._ids.shape[1]
        with LastHidden(self._model) as hidden, self._masked():
            self.logits = self._read()[:, None]
        self.embedding = masked_mean(hidden.states, self._mask)
        self._width += 1

    def _masked(self, **options: Any) -> AbstractContextManager[None]:
        # as if the row were a prompt: a position's dropout mask is the same in every pass
        return masked(self._masks, PROMPT, width=self._width, offset=(self._mask == 0).sum(1))

    def _forward(self, tokens: Tensor) -> Tensor:
        self._ids = torch.cat([self._ids, tokens[:, None]], dim=1)
        self._mask = torch.cat([self._mask, torch.ones_like(tokens)[:, None]], dim=1)
        self._width = self._ids.shape[1] + 1
        return self._read()

    def _read(self) -> Tensor:
        positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        inputs = {"attention_mask": self._mask, "position_ids": positions, "use_cache": False, "logits_to_keep": 1}
        # some architectures append a token to be filled in, or end with one for the output's language
        prepared = self._model.prepare_inputs_for_generation(self._ids, **accepted(self._model, **inputs))
        return self._model(**accepted(self._model, **prepared)).logits[:, -1]

    def _select(self, rows: Tensor) -> None:
        self._ids, self._mask = self._ids[rows], self._mask[rows]


class Seq2SeqDecoder(_Rows):
    """Encoder–decoder model: the encoder runs once, the decoder starts from its start token."""

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks, self._time = loaded.model, masks, PROMPT
        self._encoded, self._mask, self._kind = encoded(loaded, ids, masks)
        self.embedding = masked_mean(self._encoded, self._mask)
        self._begin(loaded, None)

    def _begin(self, loaded: LoadedModel, cache: Any) -> None:
        """Read the start token behind what the decoder's cache holds."""
        self._cache, self._time = cache, 0
        start = torch.full((len(self._mask),), loaded.rules.start_id or 0, device=self._mask.device)
        with self._masked():
            self.logits = self._forward(start)[:, None]
        self._time = 1

    def _forward(self, tokens: Tensor) -> Tensor:
        output = self._read(tokens[:, None], past_key_values=self._cache, use_cache=True)
        self._cache = output.past_key_values
        return output.logits[:, -1]

    def _read(self, tokens: Tensor, **options: Any) -> Any:
        return self._model(
            decoder_input_ids=tokens,
            encoder_outputs=self._kind(last_hidden_state=self._encoded),
            attention_mask=self._mask,
            **accepted(self._model, **options),
        )

    def _select(self, rows: Tensor) -> None:
        self._cache.reorder_cache(rows)
        self._encoded, self._mask = self._encoded[rows], self._mask[rows]


class Seq2SeqReader(Seq2SeqDecoder):
    """Encoder–decoder model whose decoder reads its outputs anew at every step."""

    _ids: Tensor | None = None

    def _forward(self, tokens: Tensor) -> Tensor:
        before = [] if self._ids is None else [self._ids]
        self._ids = torch.cat([*before, tokens[:, None]], dim=1)
        return self._read(self._ids, use_cache=False).logits[:, -1]

    def _masked(self, **options: Any) -> AbstractContextManager[None]:
        return masked(self._masks, 0, width=1 if self._ids is None else self._ids.shape[1] + 1)

    def _select(self, rows: Tensor) -> None:
        assert self._ids is not None
        self._ids, self._encoded, self._mask = self._ids[rows], self._encoded[rows], self._mask[rows]
