"""Intervals of a share: k of n."""

from __future__ import annotations

import math

from scipy import special

_NAN = float("nan")


def clopper_pearson(k: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of a share: each end is a one-sided bound at (1 + level) / 2. NaN without items.

    low is the (1 − level) / 2 quantile of Beta(k, n − k + 1), 0 for k = 0; high the (1 + level) / 2 quantile of
    Beta(k + 1, n − k), 1 for k = n.

    Source: Clopper, C. J. and Pearson, E. S. (1934), Biometrika 26, 404–413. Equal to
    ``scipy.stats.binomtest(k, n).proportion_ci(level, "exact")`` (tested).

    >>> clopper_pearson(0, 10)[0], round(clopper_pearson(0, 10)[1], 4)
    (0.0, 0.3085)
    """
    _check(k, n)
    if n == 0:
        return _NAN, _NAN
    tail = (1 - level) / 2
    low = float(special.betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(special.betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return low, high


def wilson(k: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share, whose mean coverage is near `level` even for few items. NaN without.

    (k/n + z²/2n ± z sqrt(k/n (1 − k/n)/n + z²/4n²)) / (1 + z²/n).

    Source: Wilson, E. B. (1927), J. Am. Stat. Assoc. 22, 209–212; recommended for small n by Brown, Cai and
    DasGupta (2001), Statistical Science 16, 101–133. Equal to ``binomtest(k, n).proportion_ci(level, "wilson")``.

    >>> [round(end, 4) for end in wilson(5, 10)]
    [0.2366, 0.7634]
    """
    _check(k, n)
    if n == 0:
        return _NAN, _NAN
    z = float(special.ndtri((1 + level) / 2))
    share = k / n
    middle = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
    return (0.0 if k == 0 else low), (1.0 if k == n else high)


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
