"""Save a checkpoint as a folder that is either whole or not there."""

from __future__ import annotations

import shutil
from pathlib import Path

from aftertune.models.loaded import LoadedModel


def save(loaded: LoadedModel, folder: Path) -> None:
    """Weights (safetensors; adapters alone for a PEFT model), configuration and tokenizer."""
    from peft import PeftModel

    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    if isinstance(loaded.model, PeftModel):
        loaded.model.save_pretrained(str(temporary), save_embedding_layers=False)
    else:
        loaded.model.save_pretrained(temporary)
    loaded.tokenizer.save_pretrained(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
