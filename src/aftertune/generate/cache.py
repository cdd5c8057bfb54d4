"""What the paths of an item share: a cache of keys and values that grows in place, and which columns a path sees.

transformers' ``DynamicLayer`` copies all keys and values at every step (``torch.cat``) and again whenever rows are
selected. Here a step writes its own columns only; an item that has ended gives its place to the last item.

The beams of an item share its prompt and most of their beginnings. They are kept as a tree: a step appends one
column (node) per path to the item's columns, and a path sees the prompt, its ancestors and itself. So a shared
beginning is stored and attended once, and re-ordering beams moves no keys and values. This is the tree attention
of speculative decoding (Miao et al. 2024, SpecInfer, section 4.2), used for beams.

Shapes: n items, G paths, H key/value heads, P columns in use, C columns of room, d head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

STEPS_OF_ROOM = 16


class GrowingLayer(DynamicLayer):
    """One layer's keys and values, (n, H, P, d) each, as views of buffers with room for more columns."""

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
        """Take the prompts' keys and values that another layer has read: they become the last of `columns`
        columns of `rows`, in a cache of n items."""
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
        """Of the columns from `start` on, keep the given ones: (n, P') indices counted from `start`."""
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
    """Bookkeeping of the tree.

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
