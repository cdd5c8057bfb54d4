"""Words of a text, for measures that match words."""

from __future__ import annotations

import regex

from aftertune.word_breaks import separated

# a letter or digit with all that follow and their marks (vowel signs of Hindi, say), or any other single character
_WORD = regex.compile(r"[\p{L}\p{N}_][\p{L}\p{N}_\p{M}\u200c\u200d]*|[^\p{L}\p{N}_\s\x1c-\x1f]")


def words(text: str) -> list[str]:
    """Lower-cased runs of letters and digits, and single punctuation marks.

    Of scripts without spaces each grapheme is a word (`aftertune.word_breaks`). A text that is not only white
    space has at least one.

    >>> words("It's 1,000!")
    ['it', "'", 's', '1', ',', '000', '!']
    """
    return _WORD.findall(separated(text.lower()))
