"""One line of the table: what was measured, what was wanted, and whether it is so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Sense = Literal["at most", "at least"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure.

    Attributes
    ----------
    section : evidence, memory, floor, texts, training, analyze, pairs, peer, gpu.
    case : what is compared with what, in words.
    model : name of the model's shape.
    value : the figure; None where it was not measured, then `note` says why.
    unit : "×" for ratios, "%" for shares, …
    target, sense : the bound that `value` must keep; None for figures that are for information.
    ours, other : CPU seconds (or MiB) behind a ratio, medians, for the reader.
    wall : the same ratio in wall time.
    spread : smallest and largest ratio of a pair.
    note : what a reader must know.
    """

    section: str
    case: str
    model: str
    value: float | None
    unit: str = "×"
    target: float | None = None
    sense: Sense = "at most"
    ours: float | None = None
    other: float | None = None
    wall: float | None = None
    spread: tuple[float, float] | None = None
    note: str = ""

    def verdict(self) -> str:
        """met, not met, not measured, or – for a figure without a target.

        >>> Row(section="s", case="c", model="m", value=1.04, target=1.05).verdict()
        'met'
        >>> Row(section="s", case="c", model="m", value=1.9, target=2.0, sense="at least").verdict()
        'not met'
        """
        if self.value is None:
            return "not measured"
        if self.target is None:
            return "–"
        kept = self.value <= self.target if self.sense == "at most" else self.value >= self.target
        return "met" if kept else "not met"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict()}


def row_from_json(fields: dict[str, Any]) -> Row:
    """The row that `Row.as_json` wrote."""
    kept = {name: value for name, value in fields.items() if name != "verdict"}
    if kept.get("spread") is not None:
        kept["spread"] = tuple(kept["spread"])
    return Row(**kept)
