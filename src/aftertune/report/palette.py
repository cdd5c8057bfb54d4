"""The look of each score in every figure: hue, dashes and marker by family, lightness by member.

Families stay apart without colour (dashes, markers) and members of a family differ in lightness and in a
filled or hollow marker, so that the figures survive colour blindness and grey print.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Dashes = Literal["-"] | tuple[float, tuple[float, ...]]
SOLID: Dashes = "-"
DASHED: Dashes = (0, (5, 1.6))
DASHDOT: Dashes = (0, (6, 1.5, 1.2, 1.5))
DOTTED: Dashes = (0, (1.2, 1.2))


@dataclass(frozen=True, slots=True)
class Look:
    colour: str
    dashes: Dashes
    marker: str
    filled: bool


LOOKS: dict[str, Look] = {
    "mean_token_logprob": Look("#0B4F8A", SOLID, "o", True),
    "mean_token_entropy": Look("#3D9BDC", SOLID, "o", False),
    "beam_importance_weighted": Look("#00523C", DASHED, "s", True),
    "beam_ratio": Look("#009E73", DASHED, "s", False),
    "beam_sum": Look("#4C7A1F", DASHED, "D", True),
    "beam_sum_logprob": Look("#86B83C", DASHED, "D", False),
    "dropout_entropy": Look("#7A2F00", DASHDOT, "^", True),
    "dropout_bleu_variance": Look("#D55E00", DASHDOT, "^", False),
    "dropout_kl": Look("#B8860B", DASHDOT, "v", True),
    "dropout_meteor": Look("#E8A33D", DASHDOT, "v", False),
    "cocoa_msp": Look("#4B2A85", DOTTED, "P", True),
    "cocoa_mte": Look("#9A5FC4", DOTTED, "P", False),
    "cocoa_ppl": Look("#CC6FA0", DOTTED, "X", True),
}
_OTHERS = (
    Look("#1A1A1A", SOLID, "*", True),
    Look("#6E6E6E", DASHED, "*", False),
    Look("#8C2D5B", DASHDOT, "h", True),
    Look("#2A7F86", DOTTED, "h", False),
    Look("#A0522D", SOLID, "<", True),
    Look("#5B6FB5", DASHED, ">", False),
)


def looks(scores: Iterable[str]) -> dict[str, Look]:
    """The look of each score: a fixed one for ours, the next free one by name for others (they repeat)."""
    names = list(dict.fromkeys(scores))
    others = sorted(name for name in names if name not in LOOKS)
    free = {name: _OTHERS[i % len(_OTHERS)] for i, name in enumerate(others)}
    return {name: LOOKS.get(name) or free[name] for name in names}
