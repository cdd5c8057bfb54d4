"""How near each item is to the training set, in the embeddings of a checkpoint (the paper's Table 12).

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
    best, nearest = np.full(len(items), -np.inf), np.full(len(items), len(train_ids))
    place = {item_id: i for i, item_id in enumerate(train_ids)}
    for batch in collect_batches(loaded, train_ids, encoded, only):
        assert batch.embedding is not None
        places = np.array([place[item_id] for item_id in batch.item_ids])
        order = places.argsort()
        cosine = items @ _unit(batch.embedding[order], loaded).T
        value, index = (one.cpu().numpy() for one in torch.nan_to_num(cosine, nan=-torch.inf).max(dim=1))
        found = places[order][index]
        nearer = (value > best) | ((value == best) & (found < nearest))
        best[nearer], nearest[nearer] = value[nearer], found[nearer]
        on_batch(len(places))
    defined = np.isfinite(best)
    nearest[~defined] = len(train_ids)
    names = np.array([*train_ids, None], dtype=object)
    return NearestTraining(
        similarity=np.where(defined, np.clip(best, -1, 1), np.nan).round(DECIMALS),
        item_id=names[nearest],
    )


def _unit(vectors: Floats, loaded: LoadedModel) -> torch.Tensor:
    """Rows of length 1 on the model's device (float64 on a processor, else float32); rows of zeros are NaN."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.full(vectors.shape, np.nan), where=length > 0)
    device = loaded.model.device
    return torch.as_tensor(unit, dtype=torch.float64 if device.type == "cpu" else torch.float32, device=device)
