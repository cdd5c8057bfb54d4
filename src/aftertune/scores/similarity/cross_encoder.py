"""Cross-encoder: a sentence-pair model's estimate of semantic similarity, as Vashurin et al. 2025 use.

``cross_encoder:PATH_OR_ID`` names a folder or a hub id (``id@revision`` pins it) of a sequence-classification
model with one output, for example a RoBERTa trained on STS. The only measure that loads a model; torch and
transformers are imported when it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from aftertune.errors import InputError, first_line
from aftertune.scores.similarity import SIMILARITIES, Similarity
from aftertune.types import Floats

BATCH_SIZE = 32
_IDENTITY = "torch.nn.modules.linear.Identity"


def cross_encoder(model_id: str, hypotheses: Sequence[str], references: Sequence[str]) -> Floats:
    """The model's similarity of each pair, in [0, 1].

    The reference is the first sentence and the hypothesis the second; pairs longer than the model's context
    are truncated at the end of the longer one. As in sentence-transformers the output goes through a sigmoid,
    unless the model's configuration names the identity.

    Raises
    ------
    InputError
        The model cannot be loaded, has more than one output, or gives values outside [0, 1].
    """
    import torch

    model, tokenizer = _load(model_id)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    order = sorted(range(len(references)), key=lambda i: len(references[i]) + len(hypotheses[i]))
    values = np.empty(len(order), dtype=np.float64)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            inputs = tokenizer(
                [references[i] for i in batch],
                [hypotheses[i] for i in batch],
                padding=True,
                truncation="longest_first",
                max_length=_max_length(model, tokenizer),
                return_tensors="pt",
            ).to(device)
            logits = model(**inputs).logits.float().squeeze(-1)
            values[batch] = (logits if _is_identity(model.config) else logits.sigmoid()).cpu().numpy()
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError(f"cross-encoder {model_id} gives similarities outside [0, 1]: use one that does not")
    return values


def _load(model_id: str) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    name, _, revision = (model_id, "", "") if Path(model_id).is_dir() else model_id.partition("@")
    try:
        model = AutoModelForSequenceClassification.from_pretrained(name, revision=revision or "main")
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision or "main")
    except (OSError, ValueError) as error:
        raise InputError(
            f"cross-encoder {model_id} cannot be loaded: {first_line(error)} Give a folder or a hub "
            "id of a sequence-classification model, or choose similarity=chrf"
        ) from error
    if model.config.num_labels != 1:
        raise InputError(
            f"cross-encoder {model_id} has {model.config.num_labels} outputs: choose one with a single output"
        )
    return model.float().eval(), tokenizer


def _max_length(model: Any, tokenizer: Any) -> int:
    """The tokenizer's limit; where it has none, the model's positions without those that RoBERTa reserves."""
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is None or tokenizer.model_max_length <= positions:
        return tokenizer.model_max_length
    return positions - (model.config.pad_token_id or 0) - 1


def _is_identity(config: Any) -> bool:
    """Whether the configuration names the identity as what follows the model's output."""
    newer = (getattr(config, "sentence_transformers", None) or {}).get("activation_fn")
    older = getattr(config, "sbert_ce_default_activation_function", None)
    return _IDENTITY in (newer, older)


def _settings(model_id: str) -> Mapping[str, str]:
    folder = Path(model_id)
    if not folder.is_dir():
        return {"similarity": f"cross_encoder:{model_id}", "transformers": version("transformers")}
    return {
        "similarity": f"cross_encoder:{folder.name}",
        "weights": _digest(folder),
        "transformers": version("transformers"),
    }


def _digest(folder: Path) -> str:
    """SHA-256 of the model's weights, 16 hex digits."""
    total = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]):
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


def _make(argument: str) -> Similarity:
    if not argument:
        raise InputError("similarity 'cross_encoder' needs a model: write cross_encoder:PATH_OR_ID")
    return Similarity(compare=partial(cross_encoder, argument), settings=partial(_settings, argument))


SIMILARITIES.add("cross_encoder", _make)
