"""LaTeX tables in the paper's layout: score rows, model × task columns. They need the package booktabs alone.

A float holds one tabular: blocks of columns one below the other, each with its own header of models and tasks,
as the paper prints them. What does not fit on a page goes on in the next float.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_COLUMNS = 6
MOST_LINES = 54

_SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "^": r"\textasciicircum{}",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "%": r"\%",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "`": r"{\char96}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "ρ": r"$\rho$",
    "δ": r"$\delta$",
    "∞": r"$\infty$",
    "’": "'",
    "“": "``",
    "”": "''",
}
_NEED_T1 = frozenset("ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲų")  # pdfLaTeX stops at these in its default font encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: LaTeX, or "" for what does not exist; `note` says why a value is missing or incomplete."""

    text: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One table of the paper's form.

    Attributes
    ----------
    label : the key of ``\\ref``.
    title, caption : LaTeX; the title alone stands in a list of tables, title and caption under the table.
    columns : model and task of each column; the columns of a model are neighbours.
    rows : key and LaTeX label of each row; None for a little space between rows.
    cells : (key of the row, model, task) → cell; what is missing is printed as "--" with the note of `absent`.
    absent : why a cell has no value where `cells` has none.
    """

    label: str
    title: str
    caption: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, str] | None]
    cells: Mapping[tuple[str, str, str], Cell]
    absent: str = "not measured"


def escape(text: str) -> str:
    r"""Text as LaTeX that prints it: signs that LaTeX reads, ligatures and letters that pdfLaTeX lacks.

    >>> escape("my_model|50 %"), escape("a--b {x}"), escape("é ę 模")
    ('my\\_model\\textbar{}50 \\%', 'a-{}-b \\{x\\}', 'é e U+6A21')
    """
    plain = " ".join(text.split())
    return "".join(
        ("{}" if letter in "-'," and letter == before else "") + _letter(letter)
        for before, letter in zip(" " + plain, plain)
    )


def _letter(letter: str) -> str:
    if letter in _SIGNS:
        return _SIGNS[letter]
    if letter.isprintable() and (letter.isascii() or ("À" <= letter < "ſ" and letter not in _NEED_T1)):
        return letter
    base = unicodedata.normalize("NFD", letter)[0]
    return base if base.isascii() and base.isalnum() else f"U+{ord(letter):04X}"


def typewriter(text: str) -> str:
    return rf"\texttt{{{escape(text)}}}"


def comment(text: str) -> str:
    """A line of the file that LaTeX does not read."""
    return "% " + " ".join(text.split()) + "\n"


def slug(text: str) -> str:
    """
    >>> slug("n=500, steps=2500")
    'n-500-steps-2500'
    """
    return re.sub(r"[^0-9A-Za-z]+", "-", text).strip("-")


def floats(table: Layout) -> str:
    """The table as one or more floats, ``table*``, which is as wide as the page in one column and in two."""
    per_float = max(1, MOST_LINES // (len(table.rows) + 3))
    blocks = column_blocks(table.columns)
    groups = [blocks[i : i + per_float] for i in range(0, len(blocks), per_float)]
    return "\n".join(_float(table, group, first=i == 0) for i, group in enumerate(groups))


def column_blocks(columns: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Columns side by side: at most `MOST_COLUMNS`, and a model in two blocks only if it has more than that.

    >>> [len(block) for block in column_blocks([(model, task) for model in "abcd" for task in "xyz"])]
    [6, 6]
    """
    blocks: list[list[tuple[str, str]]] = []
    for model in dict.fromkeys(model for model, _ in columns):
        own = [column for column in columns if column[0] == model]
        for start in range(0, len(own), MOST_COLUMNS):
            part = own[start : start + MOST_COLUMNS]
            if blocks and len(blocks[-1]) + len(part) <= MOST_COLUMNS:
                blocks[-1] += part
            else:
                blocks.append(part)
    return blocks


def _float(table: Layout, blocks: Sequence[Sequence[tuple[str, str]]], *, first: bool) -> str:
    width = max(map(len, blocks))
    notes: dict[str, str] = {}
    lines: list[str] = []
    for i, block in enumerate(blocks):
        lines.append(r"\toprule" if i == 0 else r"\midrule[\heavyrulewidth]")
        lines += [*_header(block, width), r"\midrule"]
        for row in table.rows:
            if row is None:
                lines.append(r"\addlinespace")
                continue
            key, label = row
            lines.append(_row([label, *(_cell(table, key, column, notes) for column in block)], width))
    lines.append(r"\bottomrule")
    caption = f"{table.title}{table.caption}" if first else f"(continued) {table.title}{table.caption}"
    if notes:
        listed = "; ".join(f"$^{{{mark}}}$~{escape(note)}" for note, mark in notes.items())
        caption += f" {listed}."
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering",
            r"\scriptsize" if width > MOST_COLUMNS // 2 else r"\small",
            r"\setlength{\tabcolsep}{3pt}",
            r"\renewcommand{\arraystretch}{1.1}",
            r"\makebox[\textwidth][c]{%",
            rf"\begin{{tabular}}{{@{{}}l{'l' * width}@{{}}}}",
            *lines,
            r"\end{tabular}}",
            rf"\caption[{{{table.title}}}]{{{caption}}}",
            *([rf"\label{{{table.label}}}"] if first else []),
            r"\end{table*}",
            "",
        ]
    )


def _header(block: Sequence[tuple[str, str]], width: int) -> list[str]:
    models, rules, at = [], [], 2
    for model in dict.fromkeys(model for model, _ in block):
        n = sum(column[0] == model for column in block)
        models.append(rf"\multicolumn{{{n}}}{{c}}{{{escape(model)}}}")
        rules.append(rf"\cmidrule(lr){{{at}-{at + n - 1}}}")
        at += n
    empty = [""] * (width - len(block))
    tasks = [rf"\multicolumn{{1}}{{c}}{{{escape(task)}}}" for _, task in block]
    return [_row(["", *models, *empty], 0), " ".join(rules), _row(["", *tasks], width)]


def _row(cells: Sequence[str], width: int) -> str:
    return " & ".join([*cells, *[""] * (width + 1 - len(cells))]).rstrip() + r" \\"


def _cell(table: Layout, row: str, column: tuple[str, str], notes: dict[str, str]) -> str:
    cell = table.cells.get((row, *column)) or Cell(text="", note=table.absent)
    text = cell.text or r"\multicolumn{1}{c}{--}"
    if not cell.note:
        return text
    mark = rf"$^{{{notes.setdefault(cell.note, _mark(len(notes)))}}}$"
    return text + mark if cell.text else rf"\multicolumn{{1}}{{c}}{{--{mark}}}"


def _mark(i: int) -> str:
    """
    >>> [_mark(0), _mark(25), _mark(26)]
    ['a', 'z', 'aa']
    """
    return ("" if i < 26 else _mark(i // 26 - 1)) + chr(ord("a") + i % 26)
