"""From a raw confidence to an estimated chance that the answer is right (method, section 7).

A map is fitted on some items and kept: frozen, JSON-able (`to_json`, `from_json`), and applied to any items of the
same score, at the same checkpoint or, to see what fine-tuning does to it, at a later one. Maps take confidences of
any shape; where a confidence is NaN, so is the chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from aftertune.stats.isotonic import isotonic_steps
from aftertune.stats.labels import why_one_class, with_labels
from aftertune.types import Floats

MIN_ITEMS = 20
"""Fewer validation items give no map: the share correct itself then has a standard error above 0.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMap:
    """What a fit gives that has none: NaN for every confidence."""

    reason: str

    def __call__(self, confidence: ArrayLike) -> Floats:
        return np.full(np.shape(confidence), np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinMax:
    """(confidence − lowest) / (highest − lowest), 0 below and 1 above."""

    lowest: float
    highest: float

    def __call__(self, confidence: ArrayLike) -> Floats:
        values = np.asarray(confidence, dtype=np.float64)
        return np.clip((values - self.lowest) / (self.highest - self.lowest), 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Isotonic:
    """Linear between the knots, flat beyond them.

    Attributes
    ----------
    confidence : rising, at least one.
    chance : at each, not falling, in [0, 1].
    n : items it was fitted on.
    """

    confidence: tuple[float, ...]
    chance: tuple[float, ...]
    n: int

    def __call__(self, confidence: ArrayLike) -> Floats:
        values = np.asarray(confidence, dtype=np.float64)
        return np.asarray(np.interp(values, self.confidence, self.chance), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """1 / (1 + exp(−(intercept + slope · (confidence − centre) / scale))), in (0, 1) but for rounding.

    Attributes
    ----------
    centre, scale : mean and standard deviation of the confidences it was fitted on; scale 1 if they are equal.
    n : items it was fitted on.
    """

    intercept: float
    slope: float
    centre: float
    scale: float
    n: int

    def __call__(self, confidence: ArrayLike) -> Floats:
        values = np.asarray(confidence, dtype=np.float64)
        return special.expit(self.intercept + self.slope * ((values - self.centre) / self.scale))


PercentageMap = NoMap | MinMax | Isotonic | Logistic
_KINDS: dict[str, type[PercentageMap]] = {
    "none": NoMap,
    "min-max": MinMax,
    "isotonic": Isotonic,
    "logistic": Logistic,
}


def fit_min_max(confidence: ArrayLike) -> MinMax | NoMap:
    """The paper's rescaling: the least confident item gets 0, the most confident 1.

    No estimate of a chance: it knows nothing of right and wrong, and two items decide it. Section 6: "We rescale
    the confidence scores between 0% and 100% for better interpretability … We use the min and max values of the
    score from the test set", with footnote 4: "In practice, the min/max values should be taken from the validation
    set". Which items is the caller's choice. `NoMap` where there is no item, or all have the same confidence.

    Parameters
    ----------
    confidence
        (n,) finite.

    >>> fit_min_max([-3.0, -1.0])([-2.5, -5.0, 0.0]).tolist()
    [0.25, 0.0, 1.0]
    """
    values, _ = with_labels(confidence, np.zeros(np.shape(confidence)))
    if len(values) == 0:
        return NoMap(reason="no items to take the lowest and highest confidence of")
    lowest, highest = float(values.min()), float(values.max())
    if lowest == highest:
        return NoMap(reason="confidence is constant: it cannot be rescaled")
    return MinMax(lowest=lowest, highest=highest)


def fit_isotonic(confidence: ArrayLike, correct: ArrayLike) -> Isotonic | NoMap:
    """The share correct as a function of confidence that does not fall (Zadrozny and Elkan 2002, KDD).

    Equal confidences are averaged. Between fitted confidences it is linear, beyond them flat, as
    ``sklearn.isotonic.IsotonicRegression(out_of_bounds="clip")`` (tested), which however takes confidences closer
    than about 1e-12 for equal; here they are not. A score that orders worse than chance
    gets a nearly flat map. Where the least confident items are all wrong the map says 0 there, where the most
    confident are all right, 1: that is the fit, and it is left so; only an alert never says 0 % or 100 %.

    Parameters
    ----------
    confidence, correct
        (n,) finite, and (n,) 0 or 1, of the validation split.

    Returns
    -------
    `NoMap` with fewer than `MIN_ITEMS` items, or only correct or only wrong answers.
    """
    confidence, correct = with_labels(confidence, correct)
    if reason := _why_no_fit(correct):
        return NoMap(reason=reason)
    x, y = isotonic_steps(confidence, correct)
    same = y[1:] == y[:-1]
    inner = np.append(False, same) & np.append(same, False)
    return Isotonic(confidence=tuple(x[~inner].tolist()), chance=tuple(y[~inner].tolist()), n=len(correct))


def fit_logistic(confidence: ArrayLike, correct: ArrayLike) -> Logistic | NoMap:
    """Platt's logistic map, fitted by maximum likelihood to his smoothed targets.

    The target of a correct answer is (N₁ + 1) / (N₁ + 2), of a wrong one 1 / (N₀ + 2). They keep the fit finite
    where confidence divides right from wrong without error, when plain logistic regression has none. The slope is
    free in sign: a score that orders worse than chance gets a falling map. A constant confidence gets slope 0.

    Source: Platt, J. (1999), Probabilistic Outputs for Support Vector Machines; Newton's method as in Lin, Lin and
    Weng (2007), Machine Learning 68, 267–276. Equal to ``statsmodels`` on these targets (tested).

    Parameters, Returns
    -------------------
    As `fit_isotonic`.
    """
    confidence, correct = with_labels(confidence, correct)
    if reason := _why_no_fit(correct):
        return NoMap(reason=reason)
    n, right = len(correct), int(correct.sum())
    target = np.where(correct == 1, (right + 1) / (right + 2), 1 / (n - right + 2))
    centre, scale = float(confidence.mean()), float(confidence.std())
    if np.ptp(confidence) == 0 or scale == 0:
        return Logistic(intercept=float(special.logit(target.mean())), slope=0.0, centre=centre, scale=1.0, n=n)
    intercept, slope = _newton((confidence - centre) / scale, target)
    return Logistic(intercept=intercept, slope=slope, centre=centre, scale=scale, n=n)


FITS: Mapping[str, Callable[[ArrayLike, ArrayLike], PercentageMap]] = {
    "isotonic": fit_isotonic,
    "logistic": fit_logistic,
}
"""The maps that estimate a chance, by name."""


def to_json(fitted: PercentageMap) -> dict[str, object]:
    """What `json.dumps` takes; `from_json` gives the same map again, to the last bit.

    >>> to_json(MinMax(lowest=0.0, highest=2.0))
    {'map': 'min-max', 'lowest': 0.0, 'highest': 2.0}
    """
    (kind,) = (name for name, cls in _KINDS.items() if type(fitted) is cls)
    return {"map": kind, **{name: list(v) if isinstance(v, tuple) else v for name, v in asdict(fitted).items()}}


def from_json(value: Mapping[str, object]) -> PercentageMap:
    """
    Raises
    ------
    ValueError
        If it is not what `to_json` gives.
    """
    cls = _KINDS.get(str(value.get("map")))
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items() if name != "map"}
    if cls is None or given.keys() != {field.name for field in fields(cls)}:
        raise ValueError(f"no map from confidence to a chance: {dict(value)}")
    return cls(**given)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _why_no_fit(correct: Floats) -> str:
    if len(correct) < MIN_ITEMS:
        items = "item" if len(correct) == 1 else "items"
        return f"{len(correct)} validation {items}: a map needs {MIN_ITEMS}"
    if reason := why_one_class(correct):
        return f"of the validation items {reason}"
    return ""


def _newton(x: Floats, target: Floats) -> tuple[float, float]:
    """Intercept and slope of the least cross-entropy; x standardised, targets inside (0, 1): it exists."""
    design = np.stack([np.ones_like(x), x])
    beta = np.array([special.logit(target.mean()), 0.0])

    def loss(beta: Floats) -> float:
        eta = beta @ design
        return float(np.sum(np.logaddexp(0, eta) - target * eta))

    current = loss(beta)
    for _ in range(100):
        chance = special.expit(beta @ design)
        gradient = design @ (chance - target)
        hessian = (design * (chance * (1 - chance))) @ design.T
        step = np.linalg.solve(hessian + 1e-12 * np.trace(hessian) * np.eye(2), gradient)
        size = 1.0
        while (new := loss(beta - size * step)) > current + 1e-12 * abs(current) and size > 1e-10:
            size /= 2
        beta, current = beta - size * step, min(new, current)
        if np.abs(size * step).max() <= 1e-12 * (1 + np.abs(beta).max()):
            break
    if not (np.isfinite(beta).all() and np.abs(gradient).max() <= 1e-6 * len(x)):
        raise ArithmeticError("the logistic map did not converge")
    return float(beta[0]), float(beta[1])


def percent(chance: float) -> int:
    """Whole per cent, halves up, at least 1 and at most 99: an estimate from a sample excludes neither.

    Raises
    ------
    ValueError
        If it is no chance (NaN, below 0 or above 1).

    >>> [percent(chance) for chance in (0.0, 0.004, 0.125, 0.995, 1.0)]
    [1, 1, 13, 99, 99]
    """
    if not 0 <= chance <= 1:
        raise ValueError(f"{chance} is no chance")
    return min(99, max(1, math.floor(100 * chance + 0.5)))
