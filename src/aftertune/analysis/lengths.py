"""How long each output is: in tokens where the records say so, else in characters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from aftertune.types import Floats, Records

FIELD = "n_tokens"
"""The records' field that holds the number of generated tokens; any pipeline may write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Lengths of m outputs; NaN where they are not known."""

    tokens: Floats
    characters: Floats

    @classmethod
    def of(cls, records: Records) -> Lengths:
        unknown = np.full(len(records), None, dtype=object)
        return cls(
            tokens=_floats(map(_number, records.extra.get(FIELD, unknown)), len(records)),
            characters=_floats((len(t) if isinstance(t, str) else np.nan for t in records.output), len(records)),
        )

    def take(self, rows: np.ndarray) -> Lengths:
        return Lengths(tokens=self.tokens[rows], characters=self.characters[rows])

    def on(self, items: np.ndarray) -> tuple[Floats, str]:
        """Lengths of the items of a mask, and their unit: "tokens" if all are known, else "characters", or ""."""
        if items.any():
            for unit, values in (("tokens", self.tokens), ("characters", self.characters)):
                if np.isfinite(values[items]).all():
                    return values[items], unit
        return np.full(int(items.sum()), np.nan), ""


def _floats(values: Iterable[float], count: int) -> Floats:
    return np.fromiter(values, dtype=np.float64, count=count)


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else np.nan
