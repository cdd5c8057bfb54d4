"""Spearman's rho with a third variable removed: the output's length, or its similarity to the training set."""

from __future__ import annotations

import math

from aftertune.stats.correlation import why_undefined
from aftertune.stats.ranks import centred_ranks
from aftertune.types import Floats


def partial_rank_correlation(confidence: Floats, quality: Floats, given: Floats) -> float:
    """Partial Spearman correlation of confidence x and quality y given z, all (n,) and finite.

    Correlation of the residuals of the midranks of x and of y after least squares on [1, midrank of z]:

        (r_xy − r_xz r_yz) / sqrt((1 − r_xz²) (1 − r_yz²)),    r Spearman's rho,

    which is ``pingouin.partial_corr(method="spearman")``. With constant z it is the plain rho. NaN where the
    plain rho is undefined, and where z alone gives the order of confidence or of quality, so that nothing
    is left to correlate (decided in integers, without rounding).

    >>> import numpy as np
    >>> x, y, z = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0]), np.array([1.0, 2.0, 2.0, 1.0])
    >>> partial_rank_correlation(x, y, z), partial_rank_correlation(x, y, np.ones(4))
    (0.8, 0.8)
    """
    if why_undefined(confidence, quality):
        return math.nan
    x, y, z = map(centred_ranks, (confidence, quality, given))
    xx, yy, zz, xy, xz, yz = (int(a @ b) for a, b in ((x, x), (y, y), (z, z), (x, y), (x, z), (y, z)))
    if zz == 0:
        return xy / math.sqrt(xx * yy)
    left_of_x, left_of_y = xx * zz - xz**2, yy * zz - yz**2
    if left_of_x == 0 or left_of_y == 0:
        return math.nan
    return max(-1.0, min(1.0, (xy * zz - xz * yz) / math.sqrt(left_of_x * left_of_y)))
