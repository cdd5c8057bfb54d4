"""The only place that makes a random generator. Seeds are derived, never shared or global."""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *parts: object) -> int:
    """A 63-bit seed that depends on `seed` and on every part, the same on every machine.

    >>> derive(0, "dropout", "item-1") == derive(0, "dropout", "item-1")
    True
    >>> derive(0, "dropout", "item-1") == derive(1, "dropout", "item-1")
    False
    """
    text = "\x1f".join([str(int(seed)), *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *parts: object) -> np.random.Generator:
    """NumPy generator for the derived seed."""
    return np.random.default_rng(derive(seed, *parts))
