"""Words of a text, for measures that match words."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Lower-cased runs of letters and digits, and single punctuation marks.

    A text that is not only white space has at least one.

    >>> words("It's 1,000!")
    ['it', "'", 's', '1', ',', '000', '!']
    """
    return _WORD.findall(text.lower())
