"""Exact match of the final number, as GSM8K is scored."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np

from aftertune.errors import InputError
from aftertune.quality.metric import quality
from aftertune.types import Floats

MARKER = "####"

_CURRENCY = "[$€£¥₹₩₽₺₫₪₱฿₦₴]"
_DIGITS = (
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?"
    r"|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?![0-9])(?:\.[0-9]+)?"  # Indian groups: 1,00,000
    r"|[0-9]+(?:\.[0-9]+)?|(?<![0-9])\.[0-9]+)"
)
_NUMBER = re.compile(
    # dates, times and ratios, versions, powers: places of numbers that are not read
    r"(?P<unread>[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])|[0-9]{1,2}([-/])[0-9]{1,2}\2[0-9]{2,4}(?![0-9])"
    r"|[0-9]+(?::[0-9]+)+|[0-9]+(?:\.[0-9]+){2,}"
    rf"|(?:{_DIGITS}\s*)?\^\s*[{{(]?\s*-?[0-9]+|{_DIGITS}(?:\*\*[0-9]+|[⁰¹²³⁴-⁹]+))"
    # a minus is a sign unless something stands right before it: "10-3", "(4)-1" and "5%-2" subtract
    rf"|(?P<sign>(?<![0-9A-Za-z_\u00c0-\u05ff)\]}}%])-(?=(?:{_CURRENCY} ?)?\.?[0-9]))?(?:{_CURRENCY} ?)?"
    rf"(?:(?:(?P<whole>[0-9]+) +)?(?P<over>{_DIGITS}) ?/ ?(?P<under>{_DIGITS})"
    rf"|(?P<digits>{_DIGITS}(?:[eE][-+]?[0-9]{{1,3}}(?!\w))?))"
)
# what may stand between a marker and its number: white space, emphasis, brackets, LaTeX commands
_NOTHING = re.compile(rf"(?:[\s*_`(\[{{~≈=:>$]|{_CURRENCY}|\\[A-Za-z]+|\\[(\[])*")
_MORE = re.compile(rf"\s*[-+*/×÷x]\s*\(?{_CURRENCY}?\.?[0-9]")
_CLAUSE_END = re.compile(r"[,;:.!?](?:\s|$)|(?<=[^\s=+*/×÷x-])\s+\(|\n")
_EQUALS = re.compile(r"[=≈→]")
_CUE = re.compile(r"[=≈→]|\b(?:answer|total|result|so|therefore|thus|hence)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n")
_NUMBERED = re.compile(r"\s*[0-9]+[.):]\s+[^\W0-9]")
_LABEL = re.compile(r"[\s*_]*(?:(?:step|part|section|case)\s*[0-9]+|[0-9]+(?=[.):]\s))[.):*_\s-]*", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\s*\{")


@quality(
    title="Exact match of the final number",
    range=(0, 1),
    source="Cobbe et al. 2021",
    settings={"marker": MARKER, "numbers": 2, "refs": "any"},
)
def exact_match(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """1 where the final number of the output equals that of one of its references, else 0.

    `final_number` says which number that is; numbers are compared exactly (18 = 18.00, 3/4 = 0.75). `numbers` in
    the signature is the version of that reading.

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


def final_number(text: str) -> Fraction | None:
    r"""The number that a text ends with, by the first of these places that the text has.

    1. A ``####`` with a number right behind it: that number, or the one after the last "=" of its clause.
    2. The last ``\boxed{…}``: likewise.
    3. A ``####`` that is a heading: the number that the section headed "answer" comes to, else the last section:
       in the heading's own line, or in the paragraph below it, the first number of the last sentence, or
       behind its last "=", "so", "total" or the like.
    4. Anywhere else: the last number of the text.

    Digits and signs of any script are read, with separators of groups (1,000; 1,00,000; 1{,}000; thin and no-break
    spaces), exponents (1e3) and fractions (3/4, 1 1/2, ½, ``\frac{3}{4}``). A currency sign is left out; so is
    what follows the number (a full stop, %, a unit). Dates, times, ratios, powers and, in 1 to 3, a sum or a range
    without a result are no number. Number words are not read.

    >>> final_number("She pays 3 * $400 = $1,200.00.")
    Fraction(1200, 1)
    >>> final_number("3 + 4 = <<3+4=7>>7 #### -7 or 8")
    Fraction(-7, 1)
    >>> final_number("no idea") is None
    True
    """
    text = _plain(text)
    _, *sections = re.split(rf"{MARKER}#*", text)
    numbered = len(sections) > 1 and _NUMBERED.match(sections[0])
    for section in sections:
        if _begins_with_number(section) and not (numbered and _NUMBERED.match(section)):
            return _of_clause(section)
    *_, boxed = [None, *_BOXED.finditer(text)]
    if boxed is not None:
        return _of_clause(_inside(text[boxed.end() :]))
    if sections:
        headed = [part for part in sections if re.search(r"\banswer\b", part.lstrip().partition("\n")[0], re.I)]
        return _of_section([*headed, sections[-1]][0])
    *_, last = [None, *_NUMBER.finditer(text)]
    return last and _value(last)


def _of_clause(text: str) -> Fraction | None:
    """The first number, or the one after the last "=" before its clause ends."""
    first = _NUMBER.search(text)
    if first is None:
        return None
    end = _CLAUSE_END.search(text, first.end())
    clause = text[: end.start() if end else len(text)]
    found = [first, *(_NUMBER.search(clause, sign.end()) for sign in _EQUALS.finditer(clause, first.end()))]
    *_, last = [None, *(number for match in found if match and (number := _result(match, clause)) is not None)]
    return last


def _of_section(section: str) -> Fraction | None:
    """What a heading and the paragraph below it come to."""
    heading, _, body = section.lstrip().partition("\n")
    heading = heading[label.end() :] if (label := _LABEL.match(heading)) else heading
    if _NUMBER.search(heading) and not heading.rstrip("* ").endswith(":"):
        paragraph = heading
    else:
        paragraph = body.strip().partition("\n\n")[0]
        if _begins_with_number(paragraph):
            return _of_clause(paragraph)
    *_, sentence = ["", *(part for part in _SENTENCE_END.split(paragraph) if _NUMBER.search(part))]
    found = [_NUMBER.search(sentence), *(_NUMBER.search(sentence, cue.end()) for cue in _CUE.finditer(sentence))]
    *_, last = [None, *(match for match in found if match)]
    return last and _result(last, sentence)


def _of_reference(reference: str, i: int) -> Fraction:
    number = final_number(reference)
    if number is None:
        raise InputError(
            f"item {i}: the reference {reference[:60]!r} has no number, which exact_match compares: "
            "use token_f1 or exact_text"
        )
    return number


def _begins_with_number(text: str) -> bool:
    found = _NUMBER.search(text)
    return found is not None and _NOTHING.fullmatch(text, 0, found.start()) is not None


def _result(match: re.Match[str], text: str) -> Fraction | None:
    """The number of a match; None where it is the beginning of a sum, or of a range."""
    return None if _MORE.match(text, match.end()) else _value(match)


def _value(match: re.Match[str]) -> Fraction | None:
    if match["unread"]:
        return None
    if match["digits"]:
        number = _read(match["digits"])
    else:
        whole, over, under = (_read(match[name] or "0") for name in ("whole", "over", "under"))
        if under == 0:
            return None
        number = over / under
        if number < 1:
            number += whole
    return -number if match["sign"] else number


def _read(digits: str) -> Fraction:
    return Fraction(Decimal(digits.replace(",", "")))


def _inside(text: str) -> str:
    """The text up to the brace that closes one opened before it."""
    depth = 1
    for i, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            return text[:i]
    return text


class _Plain(dict[int, str]):
    """ASCII for digits of any script, full-width forms, and signs that are written in several ways."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        digit = unicodedata.decimal(letter, None)
        if digit is not None:
            letter = str(digit)
        elif 0xFF01 <= code <= 0xFF5E and letter != "，":
            letter = chr(code - 0xFEE0)
        self[code] = letter
        return letter


_PLAIN = _Plain()
_PLAIN |= str.maketrans(
    dict.fromkeys("−–‐‑‒﹣", "-") | {"٫": ".", "٬": ",", "⁄": "/", "∕": "/", "￥": "¥", "￡": "£"}
)
_ONE_CHARACTER = re.compile("[¼-¾⅐-⅞]")
_FULL_WIDTH_COMMA = re.compile("(?<=[０-９])，(?=[０-９]{3})")
_FRACTION = re.compile(
    rf"\\[dtc]?frac\s*(?:\{{\s*(-?{_DIGITS})\s*\}}|([0-9]))\s*(?:\{{\s*({_DIGITS})\s*\}}|([0-9]))"
)
_REWRITTEN = (
    (re.compile(r"\{,\}|,\\!"), ","),
    (re.compile(r"(?<=[0-9])(?:\\[,;:! ]|[\u00a0\u2007\u2009\u202f~'’])(?=[0-9]{3}(?![0-9]))"), ","),
    (re.compile(r"(?<=[0-9])(?=\\[dtc]?frac)"), " "),
    (_FRACTION, r"\1\2/\3\4"),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\\(?:times|cdot)"), "*"),
    (re.compile(r"\\div"), "÷"),
    (re.compile(rf"(?<=[=#])([ \t]*)-[ \t]+(?={_CURRENCY}?\.?[0-9])"), r"\1-"),
)


def _plain(text: str) -> str:
    """The text with its numbers in ASCII, and LaTeX's fractions, group separators and signs as in plain text."""
    if not text.isascii():
        text = _FULL_WIDTH_COMMA.sub(",", text)
        text = _ONE_CHARACTER.sub(lambda match: " " + unicodedata.normalize("NFKC", match[0]), text)
        text = text.translate(_PLAIN)
    for pattern, plain in _REWRITTEN:
        text = pattern.sub(plain, text)
    return text
