"""Task-level correlation: Spearman's rho between a confidence score and quality.

Its interval, its test, and the partial rho with a third variable removed.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from aftertune.stats.ranks import centred_ranks
from aftertune.types import Floats

MIN_ITEMS = 3
"""Fewer items have no correlation: two always give −1 or 1."""

HEAVY_TIES = 0.2
"""Both variables are heavily tied when the most common value of each covers more than this share of items."""

FEWEST_FOR_INFLUENCE = 20
"""With fewer items the influence functions of tied ranks are no better than the formula."""

_Z95 = float(special.ndtri(0.975))


def rank_correlation(confidence: Floats, quality: Floats) -> float:
    """Spearman's rho of (n,) confidences and (n,) qualities, all finite; average ranks for ties.

    NaN where `why_undefined` has a reason. From integers, so that a perfect order is exactly 1, and without a
    p-value: faster than ``spearmanr``.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0]))
    0.8
    """
    if why_undefined(confidence, quality):
        return math.nan
    x, y = centred_ranks(confidence), centred_ranks(quality)
    return int(x @ y) / math.sqrt(int(x @ x) * int(y @ y))


def why_undefined(confidence: Floats, quality: Floats) -> str:
    """Why finite values have no correlation; "" where they have one."""
    n = len(quality)
    if n < MIN_ITEMS:
        return f"fewer than {MIN_ITEMS} items ({n}): no correlation"
    if np.ptp(quality) == 0:
        return "quality is constant: no correlation"
    if np.ptp(confidence) == 0:
        return "confidence is constant: no correlation"
    return ""


def partial_rank_correlation(confidence: Floats, quality: Floats, given: Floats) -> float:
    """Partial Spearman correlation of confidence x and quality y given z, all (n,) and finite.

    Correlation of the residuals of the midranks of x and of y after least squares on [1, midrank of z]:

        (r_xy − r_xz r_yz) / sqrt((1 − r_xz²) (1 − r_yz²)),    r Spearman's rho,

    which is ``pingouin.partial_corr(method="spearman")``. With constant z it is the plain rho. NaN where the
    plain rho is undefined, and where z alone gives the order of confidence or of quality, so that nothing
    is left to correlate (decided in integers, without rounding).

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


def spearman_interval(confidence: Floats, quality: Floats, rho: float, half: float) -> tuple[float, float, str]:
    """95 % interval over test items of Spearman's rho of n items, and which one it is.

    Bonett and Wright's (2000), tanh(atanh(rho) ± 1.96 sqrt((1 + rho² / 2) / (n − 3))), for n ≥ 4. Where *both*
    variables are heavily tied (`HEAVY_TIES`) and n ≥ 20, rho ± `half` instead, the half-width of the t interval by
    influence functions (`effect.effects`, `change.spread_for_models`).

    Returns
    -------
    low, high, status
        status is "ci: bonett-wright", "ci: influence", or "ci: none (…)" with the reason, and NaN then.

    Notes
    -----
    Coverage of the nominal 95 % by simulation (latent bivariate normal, n = 50 and 200). Bonett–Wright:
    0.95–0.96 without ties; 0.95–0.98 when quality alone is cut to 10, 5 or 2 values or has 15–50 % zeros
    (0.985 at worst: one value covers 90 %); but 0.92 when both have 50 % zeros, 0.90 when both are binary (60/40)
    and 0.70 when both are binary (90/10), where that by influence functions has 0.94–0.96, 0.93–0.97 and, with
    200 items, 0.89–0.97. With 50 items and five on the rare side of both no interval is good (0.58–0.95).

    Source: Bonett, D. G. and Wright, T. A. (2000), Sample size requirements for estimating Pearson, Kendall
    and Spearman correlations, Psychometrika 65, 23–28.
    """
    n = len(quality)
    if math.isnan(rho):
        return math.nan, math.nan, why_undefined(confidence, quality)
    if n < 4:
        return math.nan, math.nan, "ci: none (fewer than 4 items)"
    if abs(rho) >= 1 - 1e-12:
        return math.nan, math.nan, "ci: none (the order is perfect: its spread cannot be estimated)"
    if n >= FEWEST_FOR_INFLUENCE and min(_largest_share(confidence), _largest_share(quality)) > HEAVY_TIES:
        return max(rho - half, -1.0), min(rho + half, 1.0), "ci: influence"
    width = _Z95 * math.sqrt((1 + rho**2 / 2) / (n - 3))
    z = math.atanh(rho)
    return math.tanh(z - width), math.tanh(z + width), "ci: bonett-wright"


def _largest_share(values: Floats) -> float:
    return float(np.unique(values, return_counts=True)[1].max() / len(values))
