"""Save a checkpoint as a folder that is either whole or not there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from aftertune.models.folder import resolve
from aftertune.models.loaded import LoadedModel


def save(loaded: LoadedModel, folder: Path) -> None:
    """Weights (safetensors; adapters alone for a PEFT model), configuration and tokenizer."""
    from peft import PeftModel

    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    if isinstance(loaded.model, PeftModel):
        loaded.model.save_pretrained(str(temporary), save_embedding_layers=_is_resized(loaded.model))
    else:
        loaded.model.save_pretrained(temporary)
    loaded.tokenizer.save_pretrained(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def _is_resized(model: Any) -> bool:
    """Whether an adapter's base has other embeddings than its folder (or the hub's cache) holds."""
    from transformers import AutoConfig

    try:
        saved = AutoConfig.from_pretrained(
            resolve(model.active_peft_config.base_model_name_or_path or ""), local_files_only=True
        )
    except (OSError, ValueError):
        return False
    return model.get_input_embeddings().weight.shape[0] != saved.get_text_config(decoder=True).vocab_size
