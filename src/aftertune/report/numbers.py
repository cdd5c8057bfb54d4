"""Means of what is defined, and numbers as text: a true minus sign, a dash for what is undefined."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

UNDEFINED = "–"


def mean(values: Iterable[float]) -> float:
    """The mean of the finite ones; NaN without any."""
    kept = [value for value in values if math.isfinite(value)]
    return float(np.mean(kept)) if kept else math.nan


def plain(value: float, digits: int = 3) -> str:
    """The value with so many decimals.

    >>> plain(-0.5, 2), plain(float("nan"))
    ('−0.50', '–')
    """
    return UNDEFINED if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 3) -> str:
    """The same with its sign, which is that of the value, not of what rounding leaves: −0.0004 is below 0.

    >>> signed(0.25, 2), signed(-0.0004, 3), signed(-0.0, 3)
    ('+0.25', '−0.000', '+0.000')
    """
    return UNDEFINED if math.isnan(value) else f"{value + 0.0:+.{digits}f}".replace("-", "−")


def interval(low: float, high: float, digits: int = 3, *, sign: bool = True) -> str:
    """Both ends with their signs, or without them; empty where an end is undefined.

    >>> interval(-0.1, 0.2, 2), interval(0.4, 1, 2, sign=False)
    ('[−0.10, +0.20]', '[0.40, 1.00]')
    """
    if math.isnan(low) or math.isnan(high):
        return ""
    ends = (signed(end, digits) if sign else plain(end, digits) for end in (low, high))
    return f"[{', '.join(ends)}]"


def null(row: Any, name: str, digits: int = 3) -> str:
    """What a row of a table says of no change: its columns `name`, `name`_low and `name`_high.

    >>> from types import SimpleNamespace
    >>> null(SimpleNamespace(null=-0.16, null_low=-0.21, null_high=-0.12), "null", 2)
    '−0.16 [−0.21, −0.12]'
    """
    value, low, high = (getattr(row, name + end, math.nan) for end in ("", "_low", "_high"))
    return f"{signed(value, digits)} {interval(low, high, digits)}".strip()


def null_percentage(row: Any, name: str) -> str:
    """The same of a share, in per cent.

    >>> from types import SimpleNamespace
    >>> null_percentage(SimpleNamespace(null=0.5, null_low=0.41, null_high=0.59), "null")
    '50.0 % [41.0, 59.0]'
    """
    value, low, high = (100 * getattr(row, name + end, math.nan) for end in ("", "_low", "_high"))
    if math.isnan(value):
        return UNDEFINED
    return f"{plain(value, 1)} % {interval(low, high, 1, sign=False)}".strip()


def short(value: float) -> str:
    """The value with three significant digits.

    >>> short(-0.0012345)
    '−0.00123'
    """
    return f"{value:.3g}".replace("-", "−")


def p_value(p: float) -> str:
    """
    >>> p_value(0.0123), p_value(0.00001), p_value(float("nan"))
    ('0.012', '< 0.001', '–')
    """
    return "< 0.001" if p < 0.001 else plain(p)


def count(n: int, noun: str) -> str:
    """So many things, named by a noun that takes an s.

    >>> count(1, "item"), count(1200, "item")
    ('1 item', '1,200 items')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def number_range(values: Sequence[int]) -> str:
    """The smallest and the largest of the numbers, once where they are equal.

    >>> number_range([100, 98, 100]), number_range([7])
    ('98–100', '7')
    """
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
