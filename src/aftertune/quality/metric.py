"""What a quality metric is, and the decorator that registers one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aftertune.errors import InputError
from aftertune.registry import Registry
from aftertune.signature import signature
from aftertune.types import Floats

Measure = Callable[[Sequence[str], Sequence[Sequence[str]]], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityMetric:
    """One quality metric; call it with outputs and references.

    Attributes
    ----------
    name : the id in records, commands and `compute`.
    title : for tables and figures.
    range : smallest and largest value; the largest is the best.
    source : the publication.
    measure : (outputs (n,), references (n,)) → (n,) float64; sees checked input only.
    settings : what else decides the value (parameters, versions); part of the signature.
    """

    name: str
    title: str
    range: tuple[float, float]
    source: str
    measure: Measure
    settings: Mapping[str, object] = field(default_factory=dict)

    def __call__(self, outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        """(n,) float64. See `aftertune.quality.compute`."""
        _check(outputs, references)
        value = np.asarray(self.measure(outputs, references), dtype=np.float64)
        if value.shape != (len(outputs),):
            raise ValueError(f"{self.name} returned shape {value.shape} for {len(outputs)} items")
        low, high = self.range
        if np.any((value < low) | (value > high)):
            raise ValueError(f"{self.name} returned values outside its range [{low}, {high}]")
        return value

    def signature(self) -> str:
        """The string that travels with the number: name, settings and versions.

        >>> from aftertune.quality import QUALITY
        >>> QUALITY.get("token_f1").signature().rsplit("|", 1)[0]
        'token_f1|normalization:squad_v1.1|tokens:graphemes_where_unspaced|refs:max'
        """
        return signature(self.name, **self.settings)


QUALITY: Registry[QualityMetric] = Registry("quality metric", "quality", "aftertune.quality")


def quality(
    *, title: str, range: tuple[float, float], source: str, settings: Mapping[str, object] | None = None
) -> Callable[[Measure], QualityMetric]:
    """Register a function as the quality metric of its own name.

    The function is given n outputs and, for each, at least one reference, all strings, and returns (n,)
    numbers within `range`. The name that it is bound to becomes the `QualityMetric`.
    """

    def register(measure: Measure) -> QualityMetric:
        name = measure.__name__
        metric = QualityMetric(
            name=name, title=title, range=range, source=source, measure=measure, settings=settings or {}
        )
        return QUALITY.add(name, metric)

    return register


def _check(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(outputs) != len(references):
        raise InputError(
            f"{len(outputs)} outputs but {len(references)} lists of references: one list for each output"
        )
    for i, (output, refs) in enumerate(zip(outputs, references, strict=True)):
        if not isinstance(output, str):
            raise InputError(f"item {i}: the output is {output!r}, not a string")
        if isinstance(refs, str):
            raise InputError(f"item {i}: references are a list of strings, not one string: write [{refs!r}]")
        if len(refs) == 0:
            raise InputError(f"item {i} has no reference: quality needs at least one")
        for reference in refs:
            if not isinstance(reference, str):
                raise InputError(f"item {i}: the reference {reference!r} is not a string")
