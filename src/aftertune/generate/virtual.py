"""Decoding with virtual tokens: adapters of prompt, prefix and P-tuning (`models.adapters.VIRTUAL_TOKENS`).

PEFT puts the virtual tokens in front of whatever its model reads, which is right for prompts and wrong for every
step after them. So the PEFT model reads the prompts, and its base model goes on from their cache, row by row.
PEFT also pads behind the virtual tokens, where positions and windows would count the padding; hence prompts are
read one length at a time, and their caches are padded on the left afterwards.
Shapes: n items, P columns of the cache (virtual tokens included), d hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

from aftertune.errors import InputError
from aftertune.generate import plain
from aftertune.generate.decoder import LastHidden, masked_mean, padded
from aftertune.generate.masks import PROMPT, RowMasks, masked
from aftertune.models.adapters import is_prefix, unwrapped
from aftertune.models.loaded import LoadedModel, TokenIds


class CausalDecoder(plain.CausalDecoder):
    """Decoder-only model: padding, virtual tokens, prompt, output; positions count from the first virtual one."""

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks, self._time = unwrapped(loaded.model), masks, PROMPT
        device, lengths = loaded.model.device, [len(one) for one in ids]
        groups = [
            [row for row, length in enumerate(lengths) if length == one]
            for one in sorted(set(lengths), reverse=True)
        ]
        read = [self._read(loaded, [ids[row] for row in group], group) for group in groups]
        place = torch.tensor([row for group in groups for row in group], device=device).argsort()
        caches, logits, embedding = zip(*read)
        self._cache_name, self._cache = "past_key_values", _joined(caches, loaded.name)
        if len(caches) > 1:
            self._cache.batch_select_indices(place)
        self._time = 0
        self.logits, self.embedding = torch.cat(logits)[place], torch.cat(embedding)[place]
        self._offset = max(lengths) - torch.tensor(lengths, device=device)
        columns = torch.arange(self._cache.get_seq_length(), device=device)
        self._mask = (columns >= self._offset[:, None]).long()
        self._position = self._mask.sum(1, keepdim=True) - 1

    def _read(self, loaded: LoadedModel, ids: TokenIds, rows: Sequence[int]) -> tuple[Cache, Tensor, Tensor]:
        """Cache, next logits (n', 1, V) and embeddings (n', d) of prompts of one length."""
        tokens = torch.tensor(ids, device=loaded.model.device)
        masks = None if self._masks is None else self._masks.of(rows)
        behind = 0 if is_prefix(loaded.model) else loaded.model.active_peft_config.num_virtual_tokens
        with LastHidden(loaded.model) as hidden, masked(masks, PROMPT, width=behind + tokens.shape[1]):
            output = loaded.model(
                input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=True, logits_to_keep=1
            )
        embedding = hidden.states[:, -tokens.shape[1] :].float().mean(1)
        return output.past_key_values, output.logits[:, -1:], embedding


class Seq2SeqDecoder(plain.Seq2SeqDecoder):
    """Encoder–decoder model: virtual tokens before the encoder's input, or (prefix) before the decoder's."""

    def __init__(self, loaded: LoadedModel, ids: TokenIds, paths: int, masks: RowMasks | None) -> None:
        self._model, self._masks, self._time = unwrapped(loaded.model), masks, PROMPT
        peft, n = loaded.model, len(ids)
        tokens, real = padded(ids, loaded.rules.pad_id, peft.device, left=False)
        embedded, self._mask = peft.word_embeddings(tokens), real
        if not is_prefix(peft):
            virtual = peft.get_prompt(n)[:, : peft.active_peft_config.num_virtual_tokens].to(embedded.dtype)
            embedded = torch.cat([virtual, embedded], dim=1)
            self._mask = torch.cat([real.new_ones(virtual.shape[:2]), real], dim=1)
        with self._masked(width=embedded.shape[1]):
            encoder = self._model.get_encoder()
            read = encoder(inputs_embeds=embedded, attention_mask=self._mask)
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
