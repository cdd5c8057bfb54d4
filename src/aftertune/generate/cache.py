"""A key/value cache that grows in place and whose items and columns can be dropped.

transformers' ``DynamicLayer`` copies all keys and values at every step (``torch.cat``) and again whenever rows are
selected. Here a step writes its own columns only; an item that has ended gives its place to the last item.
Shapes: n items, H key/value heads, P columns in use, C columns of room, d head size.
"""

from __future__ import annotations

from typing import Any

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
