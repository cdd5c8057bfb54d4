"""Exact match of the final number, as GSM8K is scored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from aftertune.errors import InputError
from aftertune.quality.metric import quality
from aftertune.types import Floats

MARKER = "####"

_CURRENCY = "[$€£¥₹]?"
_NUMBER = re.compile(
    # a minus is a sign unless something stands right before it: "10-3", "(4)-1" and "5%-2" subtract
    rf"(?P<sign>(?<![\w)\]%])[-−](?={_CURRENCY}\.?[0-9]))?{_CURRENCY}"
    r"(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|(?<![0-9])\.[0-9]+)"
)


@quality(
    title="Exact match of the final number",
    range=(0, 1),
    source="Cobbe et al. 2021",
    settings={"marker": MARKER, "refs": "any"},
)
def exact_match(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """1 where the final number of the output equals that of one of its references, else 0.

    The final number is given by `final_number`; numbers are compared as decimals, exactly (18 = 18.00).

    Returns
    -------
    (n,) float64, 0 or 1; 0 for an output without a number: it is a wrong answer.

    Raises
    ------
    InputError
        A reference has no number: this is the wrong metric for the item.
    """
    value = np.zeros(len(outputs), dtype=np.float64)
    for i, (output, refs) in enumerate(zip(outputs, references)):
        value[i] = final_number(output) in [_of_reference(ref, i) for ref in refs]
    return value


def final_number(text: str) -> Decimal | None:
    """The first number after the first ``####`` if there is one, else the last number of the text.

    Commas between groups of three digits and a currency sign are left out; so is what follows the number
    (a full stop, %, a unit). After ``####`` without a number there is none. Fractions, exponents and
    number words are not read.

    >>> final_number("She pays 3 * $400 = $1,200.00.")
    Decimal('1200.00')
    >>> final_number("3 + 4 = <<3+4=7>>7 #### -7 or 8")
    Decimal('-7')
    >>> final_number("no idea") is None
    True
    """
    _, marker, answer = text.partition(MARKER)
    found = list(_NUMBER.finditer(answer if marker else text))
    if not found:
        return None
    match = found[0] if marker else found[-1]
    number = Decimal(match["digits"].replace(",", ""))
    return number.copy_negate() if match["sign"] else number


def _of_reference(reference: str, i: int) -> Decimal:
    number = final_number(reference)
    if number is None:
        raise InputError(
            f"item {i}: the reference {reference[:60]!r} has no number, which exact_match compares: "
            "use token_f1 or exact_text"
        )
    return number
