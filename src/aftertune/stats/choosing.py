"""Validation items cut in two: one half chooses, the other calibrates what was chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

MIN_HALF = 50
"""Validation items are cut in two if there are at least twice as many; fewer are all for calibration."""


def select_half(ids: Sequence[str]) -> np.ndarray:
    """(n,) whether an item is of the half that chooses a score; the other half fits maps and thresholds.

    By the first byte of the SHA-256 of the id's UTF-8: even chooses. An item is in the same half in every run, at
    every checkpoint and on every machine, whatever other items there are.

    >>> select_half(["a", "b", "c", "d"]).tolist()
    [True, True, True, True]
    """
    # A lone surrogate, which JSON can hold, has no UTF-8.
    digests = (hashlib.sha256(str(one).encode("utf-8", "surrogatepass")).digest() for one in ids)
    return np.array([digest[0] % 2 == 0 for digest in digests], dtype=bool)
