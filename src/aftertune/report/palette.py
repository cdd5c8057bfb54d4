"""The look of each score in every figure: the same everywhere.

Families stay apart without colour, by dashes and markers, and no two scores share both marker and filling.
The colours of our scores were chosen by a search for the largest smallest distance between any two of them, in
ordinary vision and in simulated protanopia, deuteranopia and tritanopia at once (the tests measure it).
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
    """Colour (#RRGGBB), dashes as matplotlib takes them, marker and whether it is filled."""

    colour: str
    dashes: Dashes
    marker: str
    filled: bool


LOOKS: dict[str, Look] = {
    "mean_token_logprob": Look("#1E3092", SOLID, "o", True),
    "mean_token_entropy": Look("#5A7ACC", SOLID, "o", False),
    "beam_importance_weighted": Look("#076F52", DASHED, "s", True),
    "beam_ratio": Look("#0AA59C", DASHED, "s", False),
    "beam_sum": Look("#7D8511", DASHED, "D", True),
    "beam_sum_logprob": Look("#77C77D", DASHED, "D", False),
    "dropout_entropy": Look("#67010D", DASHDOT, "^", True),
    "dropout_bleu_variance": Look("#D96F6B", DASHDOT, "^", False),
    "dropout_kl": Look("#6A4600", DASHDOT, "v", True),
    "dropout_meteor": Look("#E7A209", DASHDOT, "v", False),
    "cocoa_msp": Look("#C293E9", DOTTED, "P", True),
    "cocoa_mte": Look("#8E0DC3", DOTTED, "P", False),
    "cocoa_ppl": Look("#A0548D", DOTTED, "X", True),
}
_OTHER_COLOURS = ("#1A1A1A", "#6E6E6E", "#8C2D5B", "#2A7F86", "#A0522D", "#5B6FB5")
_OTHER_DASHES = (SOLID, DASHED, DASHDOT, DOTTED)
_OTHER_MARKERS = ("*", "h", "<", ">", "p", "d", "8")


def looks(scores: Iterable[str]) -> dict[str, Look]:
    """The look of each score: a fixed one for ours, the next free one by name for others.

    With more than 14 others, marker and filling repeat in another colour or other dashes; 168 others are
    all different.
    """
    names = list(dict.fromkeys(scores))
    others = sorted(name for name in names if name not in LOOKS)
    found = dict(LOOKS)
    for i, name in enumerate(others):
        again, mark = divmod(i, 14)
        found[name] = Look(
            _OTHER_COLOURS[(mark + again) % 6],
            _OTHER_DASHES[(mark + again // 3) % 4],
            _OTHER_MARKERS[mark % 7],
            filled=mark < 7,
        )
    return {name: found[name] for name in names}


def in_order(scores: Iterable[str]) -> list[str]:
    """Each score once: ours family by family, then others by name."""
    names = set(scores)
    return [*(name for name in LOOKS if name in names), *sorted(names - LOOKS.keys())]
