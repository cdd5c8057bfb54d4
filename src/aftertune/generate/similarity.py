"""How near each item is to the training set, in the embeddings of a checkpoint (method, section 6; Table 12).

Shapes: n items, m training items in a batch, d dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from aftertune.generate.collect import CollectOptions, collect_batches
from aftertune.generate.prompts import encode
from aftertune.models.loaded import LoadedModel
from aftertune.types import Floats, Prompt, Texts

EMBEDDING = "mean over the prompt's tokens of the last hidden state (encoder-decoders: of the encoder)"
"""What `Evidence.embedding` holds."""

DECIMALS = 6
"""Decimals of a similarity: the same prompt embedded in two batches differs by rounding, and ranks must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestTraining:
    """The nearest training item of each of n items.

    Attributes
    ----------
    similarity : (n,) largest cosine similarity to any training item, −1 to 1; NaN where a vector is zero.
    item_id : (n,) of that training item, the first of equals; None where similarity is NaN.
    """

    similarity: Floats
    item_id: Texts


def nearest_training(
    loaded: LoadedModel,
    embedding: Floats,
    train_ids: Sequence[str],
    train_prompts: Sequence[Prompt],
    options: CollectOptions,
    on_batch: Callable[[int], None] = lambda items: None,
) -> NearestTraining:
    """Exact nearest neighbours, by blocked matrix products on the model's device.

    Training prompts are embedded in batches like any others. A batch is compared and forgotten, so that memory
    holds one batch and n × m similarities.

    Parameters
    ----------
    embedding : (n, d) of the items, by the same checkpoint.
    options : decoding settings; what is collected is the embedding alone. A training prompt that does not fit the
        context is cut or left out as `options.prompts.too_long` says (it needs no room for an answer).
    on_batch : called with the number of training items done since the last call.
    """
    only = replace(options, greedy=False, beams=0, dropout_samples=0, embedding=True)
    encoded = encode(loaded, train_prompts, options.prompts, 0, train_ids)
    items = _unit(embedding, loaded)
    best = torch.full((len(items),), -torch.inf, dtype=items.dtype)  # on the CPU, as what is compared with it
    nearest = np.full(len(items), None, dtype=object)
    place = {item_id: i for i, item_id in enumerate(train_ids)}
    for batch in collect_batches(loaded, train_ids, encoded, only):
        assert batch.embedding is not None
        names = sorted(map(str, batch.item_ids), key=lambda name: place[name])
        rows = {str(item_id): i for i, item_id in enumerate(batch.item_ids)}
        vectors = _unit(batch.embedding[[rows[name] for name in names]], loaded)
        cosine = torch.nan_to_num(items @ vectors.T, nan=-torch.inf)
        value, index = (one.cpu() for one in cosine.max(dim=1))
        for i in torch.nonzero(value >= best).flatten().tolist():
            name = names[index[i]]
            if value[i] > best[i] or nearest[i] is None or place[name] < place[str(nearest[i])]:
                nearest[i] = name
        best = torch.maximum(best, value)
        on_batch(len(names))
    similarity = best.double().numpy()
    undefined = ~np.isfinite(similarity)
    similarity[undefined], nearest[undefined] = np.nan, None
    return NearestTraining(similarity=np.clip(similarity, -1, 1).round(DECIMALS), item_id=nearest)


def _unit(vectors: Floats, loaded: LoadedModel) -> torch.Tensor:
    """Rows of length 1 on the model's device (float64 on a processor, else float32); rows of zeros are NaN."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.full(vectors.shape, np.nan), where=length > 0)
    device = loaded.model.device
    return torch.as_tensor(unit, dtype=torch.float64 if device.type == "cpu" else torch.float32, device=device)
