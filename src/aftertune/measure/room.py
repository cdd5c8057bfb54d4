"""Is there room for what is about to be made? Said before anything is decoded or trained."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil
import torch

from aftertune.errors import InputError
from aftertune.measure.worklist import Measurement
from aftertune.models.folder import resolve

PER_TOKEN = 24
"""Bytes on disk of one generated token: its id, log-probability and entropy."""
STATES = 3
"""Weights, and two moments of each, of the state that a training goes on from."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def evidence_size(measurements: Iterable[Measurement]) -> int:
    """Bytes that the evidence of measurements takes at most, where answers are as long as they may become."""
    parts = [(len(one.items), part.options) for one in measurements for part in one.parts]
    return sum(
        n * (options.greedy + options.beams + options.dropout_samples) * options.max_new_tokens * PER_TOKEN
        for n, options in parts
    )


def weights_size(checkpoint: str | Path) -> int:
    """Bytes of a checkpoint's weights on disk; 0 where it lies on the hub."""
    return sum(path.stat().st_size for path in Path(resolve(checkpoint)).glob("*.safetensors"))


def check_room(folder: Path, needed: int) -> None:
    """Refuse a run whose files will take more than twice the space that is free."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > 2 * free:
        raise InputError(
            f"{folder}: about {_size(needed)} will be written, and {_size(free)} are free there: free some space, "
            "or give another folder with --out"
        )


def check_memory(checkpoint: str | Path, device: str | None) -> None:
    """Refuse weights that are larger than the memory of this machine, or of this process' control group."""
    if torch.cuda.is_available() if device is None else device != "cpu":
        return
    memory = min([psutil.virtual_memory().total, *_limits()])
    if (size := weights_size(checkpoint)) > memory:
        raise InputError(
            f"{checkpoint}: its weights take {_size(size)}, and there are {_size(memory)} of memory: take a "
            "smaller model, or a larger machine"
        )


def _limits() -> Iterable[int]:
    for name in _LIMITS:
        try:
            yield int(Path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none, or "max"
            continue


def _size(n: int) -> str:
    """
    >>> _size(2_500_000_000), _size(12_000)
    ('2.5 GB', '0.01 MB')
    """
    return f"{n / 1e9:,.1f} GB" if n >= 1e8 else f"{n / 1e6:,.2f} MB"
