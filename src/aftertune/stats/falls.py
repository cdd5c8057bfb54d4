"""Falls of a correlation from epoch to epoch (the paper's Table 7), and how many values of a table fell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aftertune.stats.change import spread_over_runs
from aftertune.types import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Falls:
    """Numbers of changes below zero, above zero, exactly zero (−0.0 too), and undefined (NaN)."""

    fell: int
    rose: int
    unchanged: int
    undefined: int

    @property
    def total(self) -> int:
        """All changes counted."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFall:
    """The largest fall from epoch to epoch over R training runs; NaN and None without steps.

    Attributes
    ----------
    mean, sd : over runs, of the most negative step of each run; sd is NaN with one run.
    worst : the most negative step of all runs; `worst_step` is its number, the first one in a tie.
    """

    mean: float
    sd: float
    worst: float
    worst_step: int | None


def largest_fall(steps: Floats) -> EpochFall:
    """The largest fall from (R, K) differences rho(t + 1) − rho(t): R runs, K steps, the same in every run.

    The fall of run r is min over k of steps[r, k]. In a run that never falls it is the smallest rise, above 0.

    Raises
    ------
    ValueError
        If `steps` has another number of axes, or a value is not finite.

    >>> largest_fall(np.array([[0.1, -0.2, 0.0], [-0.4, 0.1, 0.1]])).mean
    -0.30000000000000004
    """
    steps = np.asarray(steps, dtype=np.float64)
    if steps.ndim != 2 or not np.isfinite(steps).all():
        raise ValueError("steps must be a finite array (R, K)")
    if not steps.size:
        return EpochFall(mean=np.nan, sd=np.nan, worst=np.nan, worst_step=None)
    falls = steps.min(axis=1)
    return EpochFall(
        mean=float(falls.mean()),
        sd=spread_over_runs(falls),
        worst=float(falls.min()),
        worst_step=int(np.argmin(steps.min(axis=0))),
    )
