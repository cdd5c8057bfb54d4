"""Tiny pre-trained models that ship with the package, for the quickstart and for trying things out.

One folder for each model: float16 safetensors, configuration, tokenizer, and a README that says how it was
made (``scripts/pretrain_embedded.py``). ``embedded:NAME`` stands for the folder wherever a model is asked for.
"""

from __future__ import annotations

from pathlib import Path

from aftertune.errors import unknown

PREFIX = "embedded:"
_ROOM = Path(__file__).parent


def names() -> list[str]:
    """All embedded models, with the prefix, in alphabetical order."""
    return sorted(PREFIX + config.parent.name for config in _ROOM.glob("*/config.json"))


def path(name: str) -> Path:
    """Folder of the embedded model `name`, with or without the prefix.

    Raises
    ------
    InputError
        There is no such model; the message gives the nearest names.
    """
    full = name if name.startswith(PREFIX) else PREFIX + name
    if full not in names():
        raise unknown("embedded model", full, names())
    return _ROOM / full.removeprefix(PREFIX)
