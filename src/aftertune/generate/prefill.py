"""Open a decoder on prompts, choosing how its paths are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from aftertune.generate import plain, sharing, virtual
from aftertune.generate.decoder import Decoder, unwrapped
from aftertune.generate.masks import RowMasks
from aftertune.models.adapters import virtual_tokens
from aftertune.models.loaded import LoadedModel
from aftertune.models.mode import evaluating

TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
"""Largest difference of log-probabilities at which two ways to decode count as equal; 0.5 in half precision."""

_known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def prefill(
    loaded: LoadedModel,
    ids: Sequence[Sequence[int]],
    *,
    paths: int = 1,
    masks: RowMasks | None = None,
    shared: bool | None = None,
) -> Decoder:
    """Read the prompts: run the encoder, or the decoder over the left-padded prompts.

    Parameters
    ----------
    paths : how many paths per item are expected (room in the cache).
    masks : dropout masks of each item; None leaves dropout, where it is on, to torch.
    shared : whether paths share their beginnings in the cache; None asks `shares_paths`.
    """
    if virtual_tokens(loaded.model):
        room = virtual
    else:
        room = sharing if (shares_paths(loaded) if shared is None else shared) else plain
    kind = room.CausalDecoder if loaded.kind == "causal" else room.Seq2SeqDecoder
    return kind(loaded, ids, paths, masks)


def shares_paths(loaded: LoadedModel) -> bool:
    """Whether `sharing` decodes this model as `plain` does: tried once per model, on a few tokens.

    Architectures place their tokens in many ways; one that ignores the positions and the mask that it is given
    shows here, and is decoded row by row.
    """
    if virtual_tokens(loaded.model):
        return False
    if loaded.model not in _known:
        _known[loaded.model] = _has_plain_layers(loaded) and _decodes_alike(loaded)
    return _known[loaded.model]


def _has_plain_layers(loaded: LoadedModel) -> bool:
    """Keys and values in every layer, and an attention that takes a mask of its own."""
    config = unwrapped(loaded.model).config
    if config._attn_implementation not in ("sdpa", "eager"):
        return False
    return all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in DynamicCache(config=config).layers
    )


def _decodes_alike(loaded: LoadedModel) -> bool:
    vocabulary, special = unwrapped(loaded.model).get_input_embeddings().weight.shape[0], loaded.rules.pad_id
    words = [token for token in range(vocabulary - 1, -1, -1) if token != special][:8]
    a, b, c, d = (words * 4)[:4]
    prompts = [[a, b, c, d, b], [c, a]]
    first = torch.tensor([[a, b, c], [d, c, a]])
    second, parents = torch.tensor([[b, d], [a, a]]), torch.tensor([[2, 2], [1, 0]])
    with torch.no_grad(), evaluating(loaded.model):
        device = loaded.model.device
        try:
            decoders = [prefill(loaded, prompts, paths=3, shared=shared) for shared in (True, False)]
            seen: list[list[torch.Tensor]] = [[], []]
            for decoder, logits in zip(decoders, seen):
                logits.append(decoder.logits)
                decoder.step(first.to(device), torch.zeros_like(first).to(device))
                logits.append(decoder.logits)
                decoder.step(second.to(device), parents.to(device))
                logits.append(decoder.logits)
                decoder.keep(torch.tensor([1], device=device))
                decoder.step(second[1:].to(device), parents[:1].to(device) - 1)
                logits.append(decoder.logits)
        except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError):
            return False  # the model's forward does not take what `sharing` gives it
    worst = max(
        float((torch.log_softmax(x.float(), -1) - torch.log_softmax(y.float(), -1)).abs().max())
        for x, y in zip(*seen)
    )
    return worst <= TOLERANCE.get(seen[0][0].dtype, 0.5)
