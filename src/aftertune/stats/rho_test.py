"""Is a rank correlation other than 0?"""

from __future__ import annotations

import math

from scipy import special


def rho_p_value(rho: float, n: int) -> float:
    """Two-sided p of Spearman's rho over n items under independence, by Student's t; NaN where rho is.

    t = rho sqrt((n − 2) / (1 − rho²)) with n − 2 degrees of freedom, as ``scipy.stats.spearmanr`` does (tested).
    With fewer than about ten items it is rough, and too small where the order is perfect (0).

    >>> round(rho_p_value(0.5, 20), 4), rho_p_value(1.0, 20)
    (0.0248, 0.0)
    """
    if math.isnan(rho) or n < 3:
        return math.nan
    if abs(rho) >= 1:
        return 0.0
    t = abs(rho) * math.sqrt((n - 2) / (1 - rho**2))
    return 2 * float(special.stdtr(n - 2, -t))
