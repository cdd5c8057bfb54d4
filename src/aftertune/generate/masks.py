"""Dropout masks that belong to an item's sample, whatever else is in the batch.

torch draws one mask for the whole batch. An item's dropout decode would depend on its neighbours, on the batch
size and on the padding. Here each element's mask is a hash of (sample, place of the call in the model, step,
position, feature), so the same item gives the same decode anywhere. It is also quicker than drawing.

The hash: splitmix64 (Steele, Lea & Flood 2014) of the row-wise coordinates, xor a hash of the last coordinate,
then a multiply–xorshift–multiply round on 32 bits; an element is dropped where the result is below p.

Shapes: R rows, T positions, H heads, d features, Q/S query and key positions. An attention map may have more axes
than (R, H, Q, S), where it is split into blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import get_ident
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aftertune.models.dropout import DropoutSetting, is_attention_map

CHUNK = 1 << 17  # elements hashed at once: they stay in the cache of a core
SITES = 64  # places in the model whose hashes are made at once
PROMPT = -1
"""Step number of the pass that reads the prompts."""

_GOLDEN, _MIX_1, _MIX_2 = -7046029254386353131, -4658895280553007687, -7723592293110705685
_ROUND_1, _ROUND_2 = -1640531535, -2048144777


class RowMasks:
    """Masks of R rows. Use `during` around each forward pass, and `keep` when rows leave.

    They act on activations (R, T, d), (T, R, d) where told so, (R·T, d), and on attention maps (R, …, Q, S) and
    (R·H, Q, S): the dropout calls of every architecture of transformers that decodes texts. Any other shape (of a
    model with code of its own) is left to torch's generator, and depends on the batch.

    Parameters
    ----------
    seeds : (R,) int64.
    attention : probability that acts on every attention map, whatever the model asks for; None leaves it to the
        model.
    sequence_first : whether activations are (T, R, d), as in two old architectures.
    """

    def __init__(self, seeds: Tensor, attention: float | None = None, sequence_first: bool = False) -> None:
        self._seeds, self._attention, self._sequence_first = seeds, attention, sequence_first

    def keep(self, order: Tensor) -> None:
        self._seeds = self._seeds[order]

    def of(self, rows: Sequence[int]) -> RowMasks:
        """Masks of some of the rows."""
        return RowMasks(self._seeds[list(rows)], self._attention, self._sequence_first)

    @contextmanager
    def during(self, step: int, width: int | None = 1, offset: Tensor | None = None) -> Iterator[None]:
        """Masks of one forward pass of `width` positions, in this thread.

        Parameters
        ----------
        step : `PROMPT`, or the number of the generated token that is read.
        width : None where it differs between calls of the pass (teacher forcing of an encoder–decoder).
        offset : (R,) padding on the left of each row's keys (and, in the prompt, of its positions).
        """
        seeds = _mix(self._seeds + step * 0x5DEECE66D)
        this = _Pass(seeds, step == PROMPT, width, offset, self._sequence_first)
        thread, dropout, attention = get_ident(), F.dropout, F.scaled_dot_product_attention
        forced = self._attention

        def masked_dropout(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if get_ident() != thread:
                return dropout(x, *args, **kwargs)
            if forced is not None and is_attention_map(x):
                return this.dropout(x, forced)
            return this.dropout(x, *args, **kwargs)

        def masked_attention(
            query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, dropout_p: float = 0.0, *args: Any,
            **kwargs: Any,
        ) -> Tensor:  # fmt: skip
            here = get_ident() == thread
            p = forced if here and forced is not None else dropout_p
            attend = this.attention if here and p > 0.0 else attention
            return attend(query, key, value, attn_mask, p, *args, **kwargs)

        # A TorchFunctionMode would catch the calls too, but slows down every other one by a third.
        F.dropout, F.scaled_dot_product_attention = masked_dropout, masked_attention  # type: ignore[assignment]
        try:
            yield
        finally:
            F.dropout, F.scaled_dot_product_attention = dropout, attention


class _Pass:
    """Dropout while one forward pass runs."""

    def __init__(
        self, seeds: Tensor, prompt: bool, width: int | None, offset: Tensor | None, sequence_first: bool
    ) -> None:
        self._seeds, self._prompt, self._width, self._offset = seeds, prompt, width, offset
        self._sequence_first = sequence_first
        self._site = 0
        self._sites = seeds.new_empty((len(seeds), 0))
        self._last: dict[tuple[int, int], Tensor] = {}

    def dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0.0:
            return x
        rows, self._site = len(self._seeds), self._site + 1
        if x.dim() == 3 and self._sequence_first and x.shape[1] == rows and not is_attention_map(x):
            return self._masked(x.transpose(0, 1), p).transpose(0, 1)
        if x.dim() >= 3 and len(x) == rows:
            return self._masked(x, p)
        if x.dim() == 2 and len(x) % rows == 0 and self._width in (None, len(x) // rows):
            return self._masked(x.reshape(rows, len(x) // rows, -1), p).view_as(x)
        if x.dim() == 3 and len(x) % rows == 0 and is_attention_map(x):
            return self._masked(x.reshape(rows, -1, *x.shape[1:]), p).view_as(x)
        return torch.dropout(x, p, True)

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """torch's own definition of attention with dropout, so that its weights can be masked."""
        if enable_gqa:
            key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
            value = value.repeat_interleave(query.shape[1] // value.shape[1], 1)
        weights = query @ key.transpose(-2, -1)
        weights *= query.shape[-1] ** -0.5 if scale is None else scale
        if is_causal:
            attn_mask = torch.ones(weights.shape[-2:], dtype=torch.bool, device=query.device).tril()
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            weights.masked_fill_(~attn_mask, -torch.inf)
            weights = torch.softmax(weights, -1).nan_to_num_(0.0)  # a padded query sees nothing
        else:
            weights = torch.softmax(weights if attn_mask is None else weights.add_(attn_mask), -1)
        self._site += 1
        return self._masked(weights, dropout_p) @ value

    def _masked(self, x: Tensor, p: float) -> Tensor:
        """x (R, T, d) or (R, …, Q, S) with each element dropped with probability p, the others scaled."""
        within, last = self._coordinates(x)
        below = int(p * 2**32) - 2**31
        out = torch.empty_like(x)
        rows = max(1, CHUNK // x[0].numel()) if x.device.type == "cpu" else len(x)
        for at in range(0, len(x), rows):
            part = slice(at, at + rows)
            hashed = within[part] ^ (last[part] if len(last) > 1 else last)
            hashed.mul_(_ROUND_1).bitwise_xor_(hashed >> 15).mul_(_ROUND_2)
            torch.mul(x[part], hashed >= below, out=out[part])
        return out.mul_(1.0 / (1.0 - p))

    def _coordinates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Hashes of all but the last coordinate (R, T, 1) or (R, …, Q, 1), and of the last, as int32.

        Positions count from the first real token, so that padding on the left changes nothing.
        """
        within = self._of_site()[:, None]
        if self._prompt or x.shape[-2] > 1:
            position = torch.arange(x.shape[-2], device=x.device)[None]
            if self._prompt and self._offset is not None:
                position = position - self._offset[:, None]
            within = _mix(within + position)
        for axis in range(x.dim() - 3, 0, -1):  # heads, and what else an attention map is split by
            index = torch.arange(x.shape[axis], device=x.device).view(-1, *[1] * (x.dim() - axis - 2))
            within = _mix(within[:, None] + index * 0x85EBCA77)
        return (within[..., None] >> 32).int(), self._of_last(x.shape[-1], x.dim())

    def _of_site(self) -> Tensor:
        """(R,) hashes of this call's place in the model; those of many places are made at once."""
        while self._site >= self._sites.shape[1]:
            more = torch.arange(SITES, device=self._seeds.device) + self._sites.shape[1]
            self._sites = torch.cat([self._sites, _mix(self._seeds[:, None] + more * 0x9E3779B1)], dim=1)
        return self._sites[:, self._site]

    def _of_last(self, size: int, axes: int) -> Tensor:
        """Hashes of the features (1, 1, d), or of the keys' positions (R or 1, 1, …, S)."""
        if (size, axes) not in self._last:
            last = torch.arange(size, device=self._seeds.device)[None]
            if axes > 3 and self._offset is not None:
                last = last - self._offset[:, None]
            hashed = (_mix(last) >> 32).int()
            self._last[size, axes] = hashed.view(len(hashed), *[1] * (axes - 2), size)
        return self._last[size, axes]


def masks_under(setting: DropoutSetting, model: Any, seeds: Tensor) -> RowMasks:
    """Masks of rows with these seeds (R,), for decodes of `model` inside `dropout_on`."""
    return RowMasks(
        seeds,
        attention=setting.p if setting.kind == "attention" else None,
        sequence_first=model.config.model_type in ("fsmt", "xlnet"),
    )


def masked(
    masks: RowMasks | None, step: int, rows: Sequence[int] | None = None, **options: Any
) -> AbstractContextManager[None]:
    """`RowMasks.during`, of some of the rows where they are given; nothing where there are no masks."""
    if masks is None:
        return nullcontext()
    return (masks if rows is None else masks.of(rows)).during(step, **options)


def _mix(x: Tensor) -> Tensor:
    """splitmix64's output function on int64 (which wraps)."""
    x = (x + _GOLDEN) if x.dtype == torch.int64 else x.long() + _GOLDEN
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical shift to the right of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
