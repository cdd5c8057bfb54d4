"""How many values fell, rose, or did neither: the same count for the paper's tables and for ours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class Falls:
    """Numbers of changes below zero, above zero, exactly zero (−0.0 too), and undefined (NaN)."""

    fell: int
    rose: int
    unchanged: int
    undefined: int

    @property
    def total(self) -> int:
        return self.fell + self.rose + self.unchanged + self.undefined


def count_falls(changes: ArrayLike) -> Falls:
    """Count the signs of changes, an array of any shape.

    >>> count_falls([-0.2, 0.1, 0.3, -0.0, float("nan")])
    Falls(fell=1, rose=2, unchanged=1, undefined=1)
    """
    values = np.asarray(changes, dtype=np.float64)
    return Falls(
        fell=int(np.count_nonzero(values < 0)),
        rose=int(np.count_nonzero(values > 0)),
        unchanged=int(np.count_nonzero(values == 0)),
        undefined=int(np.count_nonzero(np.isnan(values))),
    )
