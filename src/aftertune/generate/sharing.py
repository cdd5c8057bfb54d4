"""Decoding in which the paths of an item share its prompt and their common beginnings.

The beams of an item share its prompt and most of their beginnings. They are kept as a tree (`Paths`): a step
appends one column (node) per path to the item's columns, and a path sees the prompt, its ancestors and itself. So
a shared beginning is stored and attended once, and re-ordering beams moves no keys and values. This is the tree
attention of speculative decoding (Miao et al. 2024, SpecInfer, section 4.2), used for beams.

The paths are fed as *positions* of one row: a forward pass reads (n, G) tokens against (n, …) keys and values,
with a 4-D mask that shows each path its own ancestors. An encoder's keys and values are shared in the same way,
since every position attends to all of them. Positions are what a model might get wrong here, so they are given
explicitly: rotary models take `position_ids`; learned embeddings (BART) and T5's relative bias are given theirs by
hooks. `trial.py` compares a few tokens before it trusts a model with this.

Shapes: n items, G paths, H key/value heads, P columns in use, C columns of room, d head size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, EncoderDecoderCache

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

STEPS_OF_ROOM = 16
"""Steps until a buffer of keys and values is enlarged."""
COMPACT_BELOW = 0.75
"""Columns are compacted, instead of given more room, when at most this share of them is still seen."""


class GrowingLayer(DynamicLayer):
    """One layer's keys and values, (n, H, P, d) each, as views of buffers with room for more columns.

    transformers' ``DynamicLayer`` copies all keys and values at every step (``torch.cat``) and again whenever rows
    are selected. Here a step writes its own columns only; an item that has ended gives its place to the last item.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self.used = 0
        self._room = room
        self._buffers: list[Tensor] = []

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new columns behind the old ones; returns all columns in use."""
        if not self.is_initialized:
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
        start, self.used = self.used, self.used + key_states.shape[-2]
        if not self._buffers or self.used > self._buffers[0].shape[2]:
            self._grow(key_states, value_states, start)
        self._buffers[0][:, :, start : self.used] = key_states
        self._buffers[1][:, :, start : self.used] = value_states
        self._show()
        return self.keys, self.values  # type: ignore[return-value]

    def place(self, rows: Tensor, n: int, columns: int, read: GrowingLayer) -> None:
        """Take the keys and values of prompts that another layer has read.

        They become the last of `columns` columns of `rows`, in a cache of n items.
        """
        if not self._buffers:
            for states in read._buffers:
                heads, size = states.shape[1], states.shape[3]
                self._buffers.append(states.new_zeros((n, heads, columns + self._room, size)))
            self.dtype, self.device, self.is_initialized, self.used = read.dtype, read.device, True, columns
        rows = rows.to(self.device)
        for buffer, states in zip(self._buffers, read._buffers):
            buffer[rows, :, columns - read.used : columns] = states[:, :, : read.used]
        self._show()

    def is_full_for(self, columns: int) -> bool:
        """Whether `columns` more would need a larger buffer."""
        return self.used + columns > self._buffers[0].shape[2]

    def get_seq_length(self) -> int:
        return self.used

    def keep(self, order: Tensor, moved: Tensor) -> None:
        """Keep the first len(order) items after putting item order[i] in place i for every i in `moved`."""
        order, moved = order.to(self.device), moved.to(self.device)
        for i, buffer in enumerate(self._buffers):
            if len(moved):
                buffer[moved, :, : self.used] = buffer[order[moved], :, : self.used]
            self._buffers[i] = buffer[: len(order)]
        self._show()

    def compact(self, start: int, columns: Tensor) -> None:
        """Keep some of the columns from `start` on: (n, P') indices counted from `start`."""
        index = columns[:, None, :, None].to(self.device)
        width = columns.shape[1]
        for buffer in self._buffers:
            old = buffer[:, :, start : self.used]
            picked = old.gather(2, index.expand(-1, old.shape[1], -1, old.shape[3]))
            buffer[:, :, start : start + width] = picked
        self.used = start + width
        self._show()

    def _grow(self, key_states: Tensor, value_states: Tensor, start: int) -> None:
        for i, states in enumerate((key_states, value_states)):
            n, heads, _, size = states.shape
            buffer = states.new_empty((n, heads, self.used + self._room, size))
            if start:
                buffer[:, :, :start] = self._buffers[i][:, :, :start]
                self._buffers[i] = buffer
            else:
                self._buffers.append(buffer)

    def _show(self) -> None:
        self.keys, self.values = (buffer[:, :, : self.used] for buffer in self._buffers)


def growing_layers(n_layers: int, paths: int) -> list[GrowingLayer]:
    """Empty layers whose steps write `paths` columns each."""
    return [GrowingLayer(STEPS_OF_ROOM * paths) for _ in range(n_layers)]


def keep_rows(cache: Cache, order: Tensor, moved: Tensor) -> None:
    """`GrowingLayer.keep` for layers of transformers' own kind (an encoder's keys and values)."""
    for layer in cache.layers:
        for name in ("keys", "values"):
            states = getattr(layer, name)
            order, moved = order.to(states.device), moved.to(states.device)
            if len(moved):
                states[moved] = states[order[moved]]
            setattr(layer, name, states[: len(order)])


@dataclass(slots=True, kw_only=True)
class Paths:
    """The tree of each item's paths.

    Attributes
    ----------
    visible : (n, G, P) bool: columns that each path sees.
    depth : (n, P) position of each column's token.
    prompt : number of prompt columns; every path sees the same of them.
    is_line : whether each item has had one path so far, which then sees all generated columns.
    """

    visible: Tensor
    depth: Tensor
    prompt: int
    is_line: bool = True

    @classmethod
    def after_prompt(cls, mask: Tensor, depth: Tensor) -> Paths:
        """One path per item. mask, depth: (n, P) real tokens of the prompts and their positions."""
        return cls(visible=mask.bool()[:, None], depth=depth, prompt=mask.shape[1])

    def grow(self, parents: Tensor, depth: Tensor) -> None:
        """Append a node per new path: parents (n, G') index the present paths, depth (n, 1) is the nodes'."""
        n, width = parents.shape
        self.is_line &= width == 1
        inherited = self.visible.gather(1, parents[..., None].expand(-1, -1, self.visible.shape[-1]))
        own = torch.eye(width, dtype=torch.bool, device=parents.device).expand(n, -1, -1)
        self.visible = torch.cat([inherited, own], dim=2)
        self.depth = torch.cat([self.depth, depth.expand(-1, width)], dim=1)

    def keep(self, order: Tensor) -> None:
        self.visible, self.depth = self.visible[order], self.depth[order]

    def live_columns(self) -> Tensor:
        """(n, P') the generated columns that some path still sees, counted from the prompt's end.

        P' is the largest number of them; items with fewer get dead columns besides, which stay invisible.
        """
        live = self.visible[:, :, self.prompt :].any(1)
        order = live.byte().argsort(dim=1, descending=True, stable=True)
        return order[:, : int(live.sum(1).max())]

    def compact(self, columns: Tensor) -> None:
        """Keep the given generated columns, as `GrowingLayer.compact` does."""
        index = columns + self.prompt
        wide = index[:, None].expand(-1, self.visible.shape[1], -1)
        self.visible = torch.cat([self.visible[..., : self.prompt], self.visible.gather(2, wide)], dim=2)
        self.depth = torch.cat([self.depth[:, : self.prompt], self.depth.gather(1, index)], dim=1)


class _Sharing:
    """What both kinds of model need: the tree, its cache, and which items are left."""

    logits: Tensor
    _paths: Paths
    _masks: RowMasks | None
    _layers: list[GrowingLayer]
    _time: int
    _length: Tensor  # (n, 1) tokens of the prompt, 0 for encoder–decoders
    _offset: Tensor | None = None  # (n,) padding in front of them

    def step(self, tokens: Tensor, parents: Tensor) -> None:
        self._make_room(tokens.shape[1])
        self._paths.grow(parents, self._length + self._time)
        with masked(self._masks, self._time, offset=self._offset):
            self.logits = self._forward(tokens)
        self._time += 1

    def keep(self, order: Tensor) -> None:
        moved = moved_places(order)
        for layer in self._layers:
            layer.keep(order, moved)
        self._paths.keep(order)
        self.logits, self._length = self.logits[order], self._length[order]
        if self._offset is not None:
            self._offset = self._offset[order]
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

    def _forward(self, tokens: Tensor) -> Tensor:
        raise NotImplementedError


class CausalDecoder(_Sharing):
    """Decoder-only model: prompts padded on the left, positions counted from the first real token."""

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks, self._time = loaded.model, masks, 0
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
        self._cache = Cache(layers=list(self._layers))
        column = torch.arange(width, device=device) - (width - self._length)
        self._paths = Paths.after_prompt(column >= 0, column.clamp(min=0))

    def _read(
        self, ids: TokenIds, pad_id: int, layers: list[GrowingLayer], rows: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Fill `layers` with some prompts; returns their next logits (n', 1, V) and embeddings (n', d)."""
        tokens, mask = padded(ids, pad_id, self._model.device, left=True)
        offset = (mask == 0).sum(1)
        in_prompt = masked(self._masks, PROMPT, rows, width=tokens.shape[1], offset=offset)
        with LastHidden(self._model) as hidden, in_prompt:
            output = self._model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
                past_key_values=Cache(layers=list(layers)),
                use_cache=True,
                logits_to_keep=1,
            )
        return output.logits[:, -1:], masked_mean(hidden.states, mask)

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
        self._model, self._masks = loaded.model, masks
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
        self._time, self._length = 0, torch.zeros((n, 1), dtype=torch.long, device=device)
        self.step(torch.full((n, 1), loaded.rules.start_id or 0, device=device), self._length)

    def keep(self, order: Tensor) -> None:
        super().keep(order)
        keep_rows(self._cache.cross_attention_cache, order, moved_places(order))
        self._mask, self._encoded = self._mask[order], self._encoded[order]

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
