"""Which weights a name stands for, so that results of other weights are never taken for theirs."""

from __future__ import annotations

from pathlib import Path

from aftertune.models.load import base_of_adapter, is_adapter, resolve
from aftertune.signature import digest


def fingerprint(checkpoint: str | Path) -> str:
    """Digest of a folder's files by name, size and time of change (of its base model too, for an adapter).

    A hub id stands for itself: its revision is not looked up.
    """
    text = resolve(checkpoint)
    folder = Path(text).expanduser()
    if not folder.is_dir():
        return digest(text)
    files = [
        (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.iterdir())
        if path.suffix in (".safetensors", ".json", ".model")
    ]
    base = fingerprint(base_of_adapter(folder)) if is_adapter(folder) else None
    return digest([files, base])
