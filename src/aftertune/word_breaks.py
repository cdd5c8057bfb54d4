"""Where words end in scripts that are written without spaces.

Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan and a few others put no space between words, so that whatever
splits a text at white space takes a sentence for one word. Their *graphemes* (a letter with the marks that follow
it) are taken for words instead, as sacreBLEU's tokenizer ``zh`` and MLQA's evaluation (Lewis et al. 2020) do with
Chinese characters. Scripts with spaces, Korean and Hindi among them, are left alone, digits everywhere.
"""

from __future__ import annotations

import regex

TOKENS = "graphemes_where_unspaced"
"""What signatures say of measures that compare words."""

_SCRIPTS = (
    *("Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"),
    *("Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Javanese", "Balinese"),
)
# what these scripts share: the marks of long vowels, and East Asian and full-width punctuation
_SHARED = (
    r"\u30fc\uff70\u3001-\u303f\u30a0\u30fb\ufe10-\ufe1f\ufe30-\ufe4f"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_UNSPACED = "[[" + "".join(rf"\p{{Script={script}}}" for script in _SCRIPTS) + _SHARED + r"]--\p{Nd}]"
# SARA AM of Thai and Lao, the voicing marks of kana, and the joiners are no marks by category
_MARK = r"[\p{M}\u0e33\u0eb3\u309b\u309c\uff9e\uff9f\u200c\u200d]"
# Khmer and Burmese put the letter behind one of these below the one before it
_STACKER = r"[\u17d2\u1039]"
_GRAPHEME = regex.compile(rf"(?V1){_UNSPACED}(?:{_STACKER}\p{{L}}|{_MARK})*")


def separated(text: str) -> str:
    """The text with spaces around each grapheme of a script without spaces; any other text as it is.

    >>> separated("น้ำ 3 ลิตร, please").split()
    ['น้ำ', '3', 'ลิ', 'ต', 'ร', ',', 'please']
    """
    return text if text.isascii() else _GRAPHEME.sub(r" \g<0> ", text)


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
