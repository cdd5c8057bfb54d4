"""Text from outside as a reader may see it: what a terminal or a browser would obey is shown instead."""

from __future__ import annotations

import json
from functools import cache

_OBEYED = (
    *range(0x20),
    *range(0x7F, 0xA0),  # escape sequences begin with one of these or of the above
    0x061C,
    0x200E,
    0x200F,  # marks of the direction of writing, also of signs beside them
    0x2028,
    0x2029,
    *range(0x202A, 0x202F),  # embeddings and overrides of the direction of writing
    *range(0x2066, 0x2070),  # isolates, and what Unicode has given up of the kind
    *range(0xD800, 0xE000),  # halves of a character
    *range(0xE0000, 0xE0080),  # letters that nobody sees
)


def visible(text: str, keep: str = "") -> str:
    r"""The text with control characters, bidirectional overrides and the like shown by their numbers.

    All else stays, such as letters of any script and the joiners in them.

    Parameters
    ----------
    keep : characters that stay all the same, such as line feeds.

    >>> visible("a\x1b[31mb\u202e"), visible("one\ntwo\r", keep="\n")
    ('a⟨U+001B⟩[31mb⟨U+202E⟩', 'one\ntwo⟨U+000D⟩')
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_table(keep))


def in_json(text: str) -> str:
    r"""JSON text of the same value, in which these characters are escaped, line ends of Unicode among them.

    >>> in_json('["a\u2028b\u202ec"]')
    '["a\\u2028b\\u202ec"]'
    """
    return text if text.isascii() else text.translate(_escapes())


@cache
def _escapes() -> dict[int, str]:
    return {code: json.dumps(chr(code))[1:-1] for code in _OBEYED if code > 0x7E}


@cache
def _table(keep: str) -> dict[int, str]:
    return {code: f"⟨U+{code:04X}⟩" for code in _OBEYED if chr(code) not in keep}
