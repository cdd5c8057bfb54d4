"""Decoding with one row per path, for whatever cannot share paths (`trial.py` finds out).

`CausalDecoder` and `Seq2SeqDecoder` step with the model's own cache. `CausalReader` and `Seq2SeqReader` have none
and read each row anew at every step: slow, and right for any model, because a row sees just what it would see
alone.

`VirtualCausalDecoder` and `VirtualSeq2SeqDecoder` are for adapters of prompt, prefix and P-tuning
(`models.adapters.VIRTUAL_TOKENS`). PEFT puts virtual tokens in front of whatever its model reads, which is right
for prompts and wrong for every step after them. So the PEFT model reads the prompts, and its base model goes on
from their cache. PEFT also pads behind the virtual tokens, where positions and windows would count the padding.
Hence prompts are read one length at a time, and their caches are padded on the left afterwards.

Shapes: n items, G paths of each, P columns of a cache (virtual tokens included), V vocabulary, d hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from aftertune.errors import InputError
from aftertune.generate.decoder import LastHidden, accepted, encoded, length_groups, masked_mean, padded
from aftertune.generate.masks import PROMPT, RowMasks, masked
from aftertune.models.adapters import is_prefix, unwrapped
from aftertune.models.loaded import LoadedModel, TokenIds

CACHES = ("past_key_values", "cache_params")
"""What models call their cache, in their outputs and among their inputs."""


class _Rows:
    """Paths in rows of their own: path g of item i is row i·G + g."""

    logits: Tensor
    _cache: Any
    _mask: Tensor
    _masks: RowMasks | None
    _time: int
    _offset: Tensor | None = None  # (rows,) padding in front of decoder-only models' prompts

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

    def _masked(self) -> AbstractContextManager[None]:
        return masked(self._masks, self._time, offset=self._offset)

    def _select(self, rows: Tensor) -> None:
        raise NotImplementedError

    def _forward(self, tokens: Tensor) -> Tensor:
        raise NotImplementedError


class CausalDecoder(_Rows):
    """Decoder-only model: prompts padded on the left, positions counted from the first real token."""

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks, self._time = loaded.model, masks, 0
        tokens, self._mask = padded(ids, loaded.rules.pad_id, loaded.model.device, left=True)
        self._offset = (self._mask == 0).sum(1)
        positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        self._position = positions[:, -1:]
        in_prompt = masked(masks, PROMPT, width=tokens.shape[1], offset=self._offset)
        with LastHidden(self._model) as hidden, in_prompt:
            inputs = {"input_ids": tokens, "attention_mask": self._mask, "position_ids": positions}
            inputs |= {"use_cache": True, "logits_to_keep": 1}
            output = self._model(**accepted(self._model, **inputs))
            caches = ((name, getattr(output, name, None)) for name in CACHES)
            found = next((one for one in caches if one[1] is not None), None)
            if found is None:  # the model wants to be given the cache that it fills
                found = CACHES[0], DynamicCache(config=unwrapped(self._model).config.get_text_config(decoder=True))
                output = self._model(**accepted(self._model, **inputs), **{found[0]: found[1]})
        self._cache_name, self._cache = found
        self.logits = output.logits[:, -1:]
        self.embedding = masked_mean(hidden.states, self._mask)

    def _forward(self, tokens: Tensor) -> Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        self._position = self._position + 1
        inputs = {"input_ids": tokens[:, None], "position_ids": self._position}
        inputs |= {self._cache_name: self._cache, "use_cache": True}
        if self._cache_name == CACHES[0]:  # a state without columns takes no mask
            inputs["attention_mask"] = self._mask
        return self._model(**accepted(self._model, **inputs)).logits[:, -1]

    def _select(self, rows: Tensor) -> None:
        self._cache.reorder_cache(rows)
        self._mask, self._position = self._mask[rows], self._position[rows]
        self._offset = None if self._offset is None else self._offset[rows]


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

    def _masked(self) -> AbstractContextManager[None]:
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
        self._model, self._masks = loaded.model, masks
        self._encoded, self._mask, self._kind = encoded(loaded, ids, masks)
        self.embedding = masked_mean(self._encoded, self._mask)
        self._begin(loaded, None)

    def _begin(self, loaded: LoadedModel, cache: Any) -> None:
        """Read the start token after what the decoder's cache holds."""
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

    def _masked(self) -> AbstractContextManager[None]:
        return masked(self._masks, 0, width=1 if self._ids is None else self._ids.shape[1] + 1)

    def _select(self, rows: Tensor) -> None:
        assert self._ids is not None
        self._ids, self._encoded, self._mask = self._ids[rows], self._encoded[rows], self._mask[rows]


class VirtualCausalDecoder(CausalDecoder):
    """Decoder-only model: padding, virtual tokens, prompt, output; positions count from the first virtual one."""

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks, self._time = unwrapped(loaded.model), masks, 0
        device, lengths = loaded.model.device, [len(one) for one in ids]
        groups = length_groups(lengths, worth=0, least=1.0)  # one for each length, the longest first
        read = [self._read(loaded, [ids[row] for row in group], group) for group in groups]
        place = torch.tensor([row for group in groups for row in group], device=device).argsort()
        caches, logits, embedding = zip(*read)
        self._cache_name, self._cache = "past_key_values", _joined(caches, loaded.name)
        if len(caches) > 1:
            self._cache.batch_select_indices(place)
        self.logits, self.embedding = torch.cat(logits)[place], torch.cat(embedding)[place]
        self._offset = max(lengths) - torch.tensor(lengths, device=device)
        columns = torch.arange(self._cache.get_seq_length(), device=device)
        self._mask = (columns >= self._offset[:, None]).long()
        self._position = self._mask.sum(1, keepdim=True) - 1

    def _read(self, loaded: LoadedModel, ids: TokenIds, rows: Sequence[int]) -> tuple[Cache, Tensor, Tensor]:
        """Cache, next logits (n', 1, V) and embeddings (n', d) of prompts of one length."""
        tokens = torch.tensor(ids, device=loaded.model.device)
        behind = 0 if is_prefix(loaded.model) else loaded.model.active_peft_config.num_virtual_tokens
        with LastHidden(loaded.model) as hidden, masked(self._masks, PROMPT, rows, width=behind + tokens.shape[1]):
            output = loaded.model(
                input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=True, logits_to_keep=1
            )
        embedding = hidden.states[:, -tokens.shape[1] :].float().mean(1)
        return output.past_key_values, output.logits[:, -1:], embedding


class VirtualSeq2SeqDecoder(Seq2SeqDecoder):
    """Encoder–decoder model: virtual tokens before the encoder's input, or (prefix) before the decoder's."""

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks = unwrapped(loaded.model), masks
        peft, n = loaded.model, len(ids)
        tokens, real = padded(ids, loaded.rules.pad_id, peft.device, left=False)
        embedded, self._mask = peft.word_embeddings(tokens), real
        if not is_prefix(peft):
            virtual = peft.get_prompt(n)[:, : peft.active_peft_config.num_virtual_tokens].to(embedded.dtype)
            embedded = torch.cat([virtual, embedded], dim=1)
            self._mask = torch.cat([real.new_ones(virtual.shape[:2]), real], dim=1)
        with masked(masks, PROMPT, width=embedded.shape[1]):
            read = self._model.get_encoder()(inputs_embeds=embedded, attention_mask=self._mask)
        self._encoded, self._kind = read.last_hidden_state, type(read)
        self.embedding = masked_mean(self._encoded[:, -tokens.shape[1] :], real)
        self._begin(loaded, peft.get_prompt(n) if is_prefix(peft) else None)


def _joined(caches: Sequence[Cache], name: str) -> Cache:
    """One cache of all rows, in the caches' order: as many columns as the first, the longest, zeros on the left.

    Raises
    ------
    InputError
        The model keeps something else than keys and values, which cannot be padded.
    """
    whole = caches[0]
    if len(caches) == 1:
        return whole
    for i, layer in enumerate(whole.layers):
        if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer):
            raise InputError(
                f"{name} has virtual tokens and a cache that is not of keys and values: set batch_size 1"
            )
        for part in ("keys", "values"):
            states = [getattr(cache.layers[i], part) for cache in caches]
            width = states[0].shape[-2]
            wide = [torch.nn.functional.pad(one, (0, 0, width - one.shape[-2], 0)) for one in states]
            setattr(layer, part, torch.cat(wide))
    return whole
