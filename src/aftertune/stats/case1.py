"""How much of what comes out of order is case 1, over the rows of a table of pairs (Tables 4 and 10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class Case1Prevalence:
    """Case 1 beside case 2, the two ways in which a pair becomes relatively miscorrelated.

    Attributes
    ----------
    rows : with at least one miscorrelated pair; the others are left out.
    larger, tied : rows in which case 1 is larger than case 2, or the same.
    mean_share : mean over rows of case 1 / (case 1 + case 2); NaN without rows.
    """

    rows: int
    larger: int
    tied: int
    mean_share: float


def case1_prevalence(case1: ArrayLike, case2: ArrayLike) -> Case1Prevalence:
    """From (R,) and (R,): counts or shares of pairs, one of each for a row of a table.

    Raises
    ------
    ValueError
        If the shapes differ or a value is NaN or below 0.

    >>> case1_prevalence(case1=[3, 1, 2, 0], case2=[1, 1, 6, 0])
    Case1Prevalence(rows=3, larger=1, tied=1, mean_share=0.5)
    """
    first, second = np.asarray(case1, dtype=np.float64), np.asarray(case2, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"case 1 has shape {first.shape}, case 2 {second.shape}")
    if not ((first >= 0).all() and (second >= 0).all()):
        raise ValueError("cases must be counts or shares, 0 or more")
    some = first + second > 0
    first, second = first[some], second[some]
    return Case1Prevalence(
        rows=len(first),
        larger=int(np.count_nonzero(first > second)),
        tied=int(np.count_nonzero(first == second)),
        mean_share=float(np.mean(first / (first + second))) if len(first) else float("nan"),
    )
