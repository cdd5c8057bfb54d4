"""Does an item's confidence change as its quality does? (Method, section 6; Tables 2 and 9, Figures 4 and 5.)"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aftertune.types import Floats

_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quadrants:
    """Numbers of items by the signs of dc and dq, their changes of confidence and of quality.

    Attributes
    ----------
    n : items.
    overconfident : dc > 0 and dq < 0 (relatively over-confident).
    underconfident : dc < 0 and dq > 0 (relatively under-confident).
    tied : dc = 0 or dq = 0; a part of `concordant`.
    """

    n: int
    overconfident: int
    underconfident: int
    tied: int

    @property
    def concordant(self) -> int:
        """All others: both rose, both fell, or one did not change (`tied`)."""
        return self.n - self.overconfident - self.underconfident

    @property
    def concordant_share(self) -> float:
        """`concordant` / n; NaN without items, as the other shares."""
        return self.concordant / self.n if self.n else _NAN

    @property
    def overconfident_share(self) -> float:
        return self.overconfident / self.n if self.n else _NAN

    @property
    def underconfident_share(self) -> float:
        return self.underconfident / self.n if self.n else _NAN

    @property
    def tied_share(self) -> float:
        """`tied` / n: of all items, as the share of which it is a part."""
        return self.tied / self.n if self.n else _NAN


def quadrants(dc: ArrayLike, dq: ArrayLike) -> Quadrants:
    """From (n,) changes of confidence and (n,) changes of quality between two checkpoints.

    The paper defines concordant as "both increased, or both decreased" and leaves items open that did not
    change; only with these among the concordant can the 0.98 of its Table 2 be had on GSM8K.

    Raises
    ------
    ValueError
        If the shapes differ or a value is not finite: items without both values are the caller's to leave out.

    >>> quadrants(dc=[0.5, 0.5, -0.5, -0.5, 0.5, 0.0], dq=[1, -1, 1, -1, 0, -1])
    Quadrants(n=6, overconfident=1, underconfident=1, tied=2)
    """
    dc, dq = changes(dc, dq)
    return Quadrants(
        n=len(dc),
        overconfident=int(np.count_nonzero((dc > 0) & (dq < 0))),
        underconfident=int(np.count_nonzero((dc < 0) & (dq > 0))),
        tied=int(np.count_nonzero((dc == 0) | (dq == 0))),
    )


def changes(dc: ArrayLike, dq: ArrayLike) -> tuple[Floats, Floats]:
    """As float64 arrays (n,) and (n,), all finite.

    Raises
    ------
    ValueError
        If they are not.
    """
    confidence, quality = np.asarray(dc, dtype=np.float64), np.asarray(dq, dtype=np.float64)
    if confidence.ndim != 1 or confidence.shape != quality.shape:
        raise ValueError(f"changes of confidence have shape {confidence.shape}, of quality {quality.shape}")
    if not (np.isfinite(confidence).all() and np.isfinite(quality).all()):
        raise ValueError("changes of confidence and quality must be finite")
    return confidence, quality
