"""Decoding in which the paths of an item share its prompt and their common beginnings.

The paths of an item are fed as its *positions*: one forward pass reads (n, G) tokens against (n, …) keys and
values, with a 4-D mask that shows each path its own ancestors (`Paths`). An encoder's keys and values are shared
in the same way, since every position attends to all of them.

Positions are what a model might get wrong here, so they are given explicitly: rotary models take `position_ids`;
learned embeddings (BART) and T5's relative bias are given theirs by hooks. `prefill` compares with `plain` on a
few tokens before it trusts a model with this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, EncoderDecoderCache

from aftertune.generate.cache import GrowingLayer, Paths, growing_layers, keep_rows
from aftertune.generate.decoder import (
    LastHidden,
    decoder_of,
    encoded,
    length_groups,
    masked_mean,
    moved_places,
    padded,
    worth_a_pass,
)
from aftertune.generate.masks import PROMPT, RowMasks, masked
from aftertune.models.adapters import unwrapped
from aftertune.models.loaded import LoadedModel, TokenIds

COMPACT_BELOW = 0.75
"""Columns are compacted, instead of given more room, when at most this share of them is still seen."""


class _Sharing:
    """What both kinds of model do: the tree, its cache, and which items are left."""

    logits: Tensor
    _paths: Paths
    _masks: RowMasks | None
    _layers: list[GrowingLayer]
    _time: int

    def step(self, tokens: Tensor, parents: Tensor) -> None:
        self._make_room(tokens.shape[1])
        self._paths.grow(parents, self._next_depth())
        with self._masked():
            self.logits = self._forward(tokens)
        self._time += 1

    def keep(self, order: Tensor) -> None:
        moved = moved_places(order)
        for layer in self._layers:
            layer.keep(order, moved)
        self._paths.keep(order)
        self.logits = self.logits[order]
        if self._masks is not None:
            self._masks.keep(order)

    def _make_room(self, columns: int) -> None:
        if columns == 1 or not self._layers[0].is_full_for(columns):
            return
        generated = self._layers[0].used - self._paths.prompt
        live = self._paths.live_columns()
        if live.shape[1] <= COMPACT_BELOW * generated:
            for layer in self._layers:
                layer.compact(self._paths.prompt, live)
            self._paths.compact(live)

    def _masked(self, **options: Any) -> AbstractContextManager[None]:
        return masked(self._masks, self._time, **options)

    def _next_depth(self) -> Tensor:
        raise NotImplementedError

    def _forward(self, tokens: Tensor) -> Tensor:
        raise NotImplementedError


class CausalDecoder(_Sharing):
    """Decoder-only model: prompts padded on the left, positions counted from the first real token."""

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks, self._time = loaded.model, masks, PROMPT
        self._config = unwrapped(loaded.model).config.get_text_config(decoder=True)
        device, n, width = loaded.model.device, len(ids), max(map(len, ids))
        self._length = torch.tensor([len(one) for one in ids], device=device)[:, None]
        self._offset = width - self._length[:, 0]
        self._layers = growing_layers(self._config.num_hidden_layers, paths)
        logits: list[Tensor] = []
        embedding: list[Tensor] = []
        groups = length_groups([len(one) for one in ids], worth_a_pass(loaded.model))
        for group in groups:
            rows = torch.tensor(group, device=device)
            read = growing_layers(len(self._layers), 0) if len(groups) > 1 else self._layers
            states = self._read([ids[row] for row in group], loaded.rules.pad_id, read, group)
            logits.append(states[0])
            embedding.append(states[1])
            if read is not self._layers:
                for layer, part in zip(self._layers, read):
                    layer.place(rows, n, width, part)
        place = torch.tensor([row for group in groups for row in group], device=device).argsort()
        self.logits, self.embedding = torch.cat(logits)[place], torch.cat(embedding)[place]
        self._cache, self._time = Cache(layers=list(self._layers)), 0
        column = torch.arange(width, device=device) - self._offset[:, None]
        self._paths = Paths.after_prompt(column >= 0, column.clamp(min=0))

    def _read(
        self, ids: TokenIds, pad_id: int, layers: list[GrowingLayer], rows: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Fill `layers` with some prompts; returns their next logits (n', 1, V) and embeddings (n', d)."""
        tokens, mask = padded(ids, pad_id, self._model.device, left=True)
        masks = None if self._masks is None else self._masks.of(rows)
        offset = (mask == 0).sum(1)
        with LastHidden(self._model) as hidden, masked(masks, PROMPT, width=tokens.shape[1], offset=offset):
            output = self._model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
                past_key_values=Cache(layers=list(layers)),
                use_cache=True,
                logits_to_keep=1,
            )
        return output.logits[:, -1:], masked_mean(hidden.states, mask)

    def keep(self, order: Tensor) -> None:
        super().keep(order)
        self._length, self._offset = self._length[order], self._offset[order]

    def _masked(self, **options: Any) -> AbstractContextManager[None]:
        return super()._masked(**{"offset": self._offset, **options})

    def _next_depth(self) -> Tensor:
        return self._length + self._time

    def _forward(self, tokens: Tensor) -> Tensor:
        depth = self._paths.depth[:, -tokens.shape[1] :]
        return self._model(
            input_ids=tokens,
            attention_mask=self._attention_mask(depth),
            position_ids=depth,
            past_key_values=self._cache,
            use_cache=True,
        ).logits

    def _attention_mask(self, depth: Tensor) -> Any:
        """(n, 1, G, P), or one for each kind of layer where a model has windows besides full attention."""
        config, dtype = self._config, self.logits.dtype
        full = as_mask(self._paths.visible, config, dtype)
        window = getattr(config, "sliding_window", None)
        kinds = set(getattr(config, "layer_types", None) or ())
        if not window or kinds == {"full_attention"}:
            return full
        near = depth[:, :, None] - self._paths.depth[:, None] < window
        sliding = as_mask(self._paths.visible & near, config, dtype)
        return {"full_attention": full, "sliding_attention": sliding} if len(kinds) > 1 else sliding


class Seq2SeqDecoder(_Sharing):
    """Encoder–decoder model: the encoder runs once, the decoder starts from its start token."""

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks, self._time = loaded.model, masks, PROMPT
        inner = unwrapped(loaded.model)
        self._config = inner.config.get_text_config(decoder=True)
        self._encoded, self._mask, self._kind = encoded(loaded, ids, masks)
        self.embedding = masked_mean(self._encoded, self._mask)
        decoder = decoder_of(inner)
        self._positions = _Positions(decoder)
        self._layers = growing_layers(len(decoder.block if hasattr(decoder, "block") else decoder.layers), paths)
        self._cache = EncoderDecoderCache(Cache(layers=list(self._layers)), DynamicCache())
        n, device = len(ids), self._mask.device
        empty = self._mask.new_empty((n, 0))
        self._paths = Paths.after_prompt(empty, empty)
        self._time = 0
        start = torch.full((n, 1), loaded.rules.start_id or 0, device=device)
        self._paths.grow(torch.zeros_like(start), self._next_depth())
        with self._masked():
            self.logits = self._forward(start)
        self._time = 1

    def keep(self, order: Tensor) -> None:
        super().keep(order)
        keep_rows(self._cache.cross_attention_cache, order, moved_places(order))
        self._mask, self._encoded = self._mask[order], self._encoded[order]

    def _next_depth(self) -> Tensor:
        return torch.full((len(self._mask), 1), self._time, device=self._mask.device)

    def _forward(self, tokens: Tensor) -> Tensor:
        mask = None
        if not self._paths.is_line:
            mask = as_mask(self._paths.visible, self._config, self._encoded.dtype)
        with self._positions.given(self._paths, self._time):
            return self._model(
                decoder_input_ids=tokens,
                decoder_attention_mask=mask,
                encoder_outputs=self._kind(last_hidden_state=self._encoded),
                attention_mask=self._mask,
                past_key_values=self._cache,
                use_cache=True,
            ).logits


def as_mask(visible: Tensor, config: Any, dtype: torch.dtype) -> Tensor:
    """(n, G, P) bool → the 4-D mask that the model's attention takes."""
    mask = visible[:, None]
    if config._attn_implementation == "sdpa":
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)


class _Positions:
    """Gives the decoder of an encoder–decoder the positions of the paths instead of 0, 1, 2, …"""

    def __init__(self, decoder: Any) -> None:
        self._relative = [m for m in decoder.modules() if getattr(m, "has_relative_attention_bias", False)]
        learned = getattr(decoder, "embed_positions", None)
        self._learned = [] if learned is None else [learned]

    @contextmanager
    def given(self, paths: Paths, time: int) -> Iterator[None]:
        """Inside the block, new tokens stand at position `time` and the columns at `paths.depth`."""

        def learned(module: Any, args: Any, kwargs: Any) -> Any:
            return args, {**kwargs, "position_ids": torch.full((args[0].shape[1],), time, device=args[0].device)}

        def relative(module: Any, args: Any, kwargs: Any) -> Any:
            bucket = module._relative_position_bucket(
                paths.depth - time,
                bidirectional=False,
                num_buckets=module.relative_attention_num_buckets,
                max_distance=module.relative_attention_max_distance,
            )
            bias = module.relative_attention_bias(bucket).permute(0, 2, 1)[:, :, None]  # (n, heads, 1, P)
            return args, {**kwargs, "position_bias": bias}

        with ExitStack() as stack:
            for modules, hook in ((self._relative, relative), (self._learned, learned)):
                for module in modules:
                    stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
            yield
