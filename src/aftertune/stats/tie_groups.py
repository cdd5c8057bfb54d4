"""Groups of equal values, laid out so that sums over groups and over ranks are quick for many resamples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from aftertune.types import Floats

SPARE_ROWS = _LAYERS = 32
"""`TieGroups.rows` exceeds the number of items by less than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TieGroups:
    """Equal values of one variable over n items.

    Groups are laid out in L layers of K: the group of rank k·L + l (from the smallest, empty ones at the end)
    is row l·K + k. Cumulative sums over ranks are then additions of whole layers (see `cumulated`).

    Attributes
    ----------
    n : items.
    row : (n,) the row of each item's group.
    layers : L.
    item : (L·K,) where no two values are equal, the item of each row, n for an empty one; else None.
    gather : (L·K, n + 1) sums a per-item quantity over each group; None where `item` is not.
    """

    n: int
    row: np.ndarray
    layers: int
    item: np.ndarray | None
    gather: sparse.csr_matrix | None

    @classmethod
    def of(cls, values: Floats) -> TieGroups:
        n = len(values)
        order = np.argsort(values)
        ordered = values[order]
        rank = np.cumsum(np.r_[0, ordered[1:] != ordered[:-1]])
        n_groups = int(rank[-1]) + 1
        layers = min(_LAYERS, n_groups)
        chunks = -(-n_groups // layers)
        row = np.empty(n, dtype=np.int64)
        row[order] = rank % layers * chunks + rank // layers
        if n_groups == n:
            item = np.full(layers * chunks, n)
            item[row] = np.arange(n)
            return cls(n=n, row=row, layers=layers, item=item, gather=None)
        gather = sparse.csr_matrix((np.ones(n), (row, np.arange(n))), shape=(layers * chunks, n + 1))
        return cls(n=n, row=row, layers=layers, item=None, gather=gather)

    @property
    def untied(self) -> bool:
        return self.item is not None

    def summed(self, values: Floats, scratch: Floats) -> Floats:
        """(n + 1, b), the last row zero → (L·K, b) sums over each group, possibly in the memory of `scratch`."""
        if self.item is not None:
            return values.take(self.item, axis=0, out=scratch[: len(self.item)], mode="clip")
        assert self.gather is not None
        return self.gather @ values

    def cumulated(self, values: Floats) -> Floats:
        """(L·K, b) cumulative sums over the ranks, in place.

        Several times faster than ``np.cumsum(axis=0)``, whose scalar additions wait for one another.
        """
        layer = values.reshape(self.layers, -1, values.shape[1])
        for i in range(1, self.layers):
            layer[i] += layer[i - 1]
        layer[:, 1:] += np.cumsum(layer[-1, :-1], axis=0)
        return values
