"""Sets of items as bits: who of a block of items stands above an item, for many items at once.

Notation: a *block* holds up to `BLOCK` items; a bit set is (`WORDS`,) of uint64, one bit for each item of the
block. Bits of a short block that stand for no item are never set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aftertune.types import Ints

BLOCK = 1024
"""Items of a block. Table and operands of a block then stay in the processor's cache."""

WORDS = BLOCK // 64

Bits = NDArray[np.uint64]

ALL, NONE = np.uint64(2**64 - 1), np.uint64(0)
"""A word with every bit set, and one with none."""

_SINGLE: Bits = np.packbits(np.eye(BLOCK, dtype=np.bool_), axis=1).view(np.uint64)
"""(BLOCK, WORDS): the set that holds one item alone, for each."""


class Above:
    """For a block of items and a ranking: the items of the block that rank above others.

    Parameters
    ----------
    ranks
        (B,) ranks of the block's items, B ≤ BLOCK: integers from 0, equal where items are tied.
    n_ranks
        Number of ranks, of all items.

    Notes
    -----
    `_highest[k]` is the set of the k items that rank highest, k = 0 … B; `_at_least[r]` is the number of items of
    rank r or higher, r = 0 … n_ranks. The set above any item is one row of the first, found by the second.

    >>> above = Above(np.array([2, 0, 1, 2]), n_ranks=4)
    >>> [members(bits) for bits in above.higher(np.array([0, 1, 2, 3]))]
    [[0, 2, 3], [0, 3], [], []]
    >>> [members(bits) for bits in above.not_lower(np.array([0, 1, 2, 3]))]
    [[0, 1, 2, 3], [0, 2, 3], [0, 3], []]
    """

    def __init__(self, ranks: Ints, n_ranks: int) -> None:
        from_the_top = np.argsort(ranks, kind="stable")[::-1]
        self._highest = np.zeros((len(ranks) + 1, WORDS), dtype=np.uint64)
        np.bitwise_or.accumulate(_SINGLE[from_the_top], axis=0, out=self._highest[1:])
        self._at_least = np.zeros(n_ranks + 1, dtype=np.int64)
        np.cumsum(np.bincount(ranks, minlength=n_ranks)[::-1], out=self._at_least[-2::-1])

    def higher(self, ranks: Ints) -> Bits:
        """(R,) ranks of any items → (R, WORDS): those of the block that rank higher."""
        return self._highest.take(self._at_least.take(ranks + 1), axis=0)

    def not_lower(self, ranks: Ints) -> Bits:
        """(R,) ranks of any items → (R, WORDS): those of the block that rank higher or the same."""
        return self._highest.take(self._at_least.take(ranks), axis=0)


def set_of(flags: NDArray[np.bool_]) -> Bits:
    """(B,) a flag for each item of a block → (WORDS,): the flagged ones.

    >>> members(set_of(np.array([True, False, True])))
    [0, 2]
    """
    return np.bitwise_or.reduce(_SINGLE[np.flatnonzero(flags)], axis=0)


def size(bits: Bits) -> int:
    """Members of all sets in an array of any shape, together.

    >>> size(np.array([[5], [1]], dtype=np.uint64))
    3
    """
    return int(np.bitwise_count(bits).sum(dtype=np.int64))


def members(bits: Bits) -> list[int]:
    """Positions in the block, of one set."""
    return np.flatnonzero(np.unpackbits(bits.view(np.uint8))).tolist()
