"""LaTeX tables in the paper's layout: blocks one below the other. They need the package booktabs alone.

A float holds one tabular: blocks of columns, each with its own header of two lines (such as models and tasks), as
the paper prints them. What does not fit on a page goes on in the next float.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aftertune.visible import visible

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
class Grid:
    """Rows and columns of a table; as many blocks as its columns need.

    Attributes
    ----------
    columns : group and name of each column, such as model and task; the columns of a group are neighbours.
    rows : key and LaTeX label of each row; None for a little space between rows.
    cells : (key of the row, group, name) → cell; what is missing is printed as "--" with the note of `absent`.
    absent : why a cell has no value where `cells` has none.
    corner : LaTeX at the left of the two lines of the header.
    heads : group → LaTeX of its header; the group itself where there is none.
    most_columns : side by side.
    """

    columns: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, str] | None]
    cells: Mapping[tuple[str, str, str], Cell]
    absent: str = "not measured"
    corner: tuple[str, str] = ("", "")
    heads: Mapping[str, str] = field(default_factory=dict)
    most_columns: int = MOST_COLUMNS


Columns = Sequence[tuple[str, str]]
Block = tuple[Grid, Columns]


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
    return "% " + visible(" ".join(text.split())) + "\n"


def slug(text: str) -> str:
    """
    >>> slug("n=500, steps=2500")
    'n-500-steps-2500'
    """
    return re.sub(r"[^0-9A-Za-z]+", "-", text).strip("-")


def floats(*, label: str, title: str, caption: str, grids: Sequence[Grid]) -> str:
    """A table as one or more floats, ``table*``, which is as wide as the page in one column and in two.

    Parameters
    ----------
    label : the key of ``\\ref``.
    title, caption : LaTeX; the title alone stands in a list of tables, title and caption under the table.
    grids : one below the other.
    """
    first, *more = _pages(grids)
    found = [_float(first, title, title + caption, label)]
    return "\n".join([*found, *(_float(blocks, title, f"(continued) {title}{caption}") for blocks in more)])


def _pages(grids: Sequence[Grid]) -> Iterator[list[Block]]:
    """The blocks of each float: as many as fit on a page, at least one."""
    page: list[Block] = []
    lines = 0
    for grid in grids:
        for columns in column_blocks(grid.columns, grid.most_columns):
            more = len(grid.rows) + 3
            if page and lines + more > MOST_LINES:
                yield page
                page, lines = [], 0
            page.append((grid, columns))
            lines += more
    yield page


def column_blocks(columns: Columns, most: int = MOST_COLUMNS) -> list[list[tuple[str, str]]]:
    """Columns side by side: at most `most`, and a group in two blocks only if it has more than that.

    >>> [len(block) for block in column_blocks([(model, task) for model in "abcd" for task in "xyz"])]
    [6, 6]
    """
    blocks: list[list[tuple[str, str]]] = []
    for group in dict.fromkeys(group for group, _ in columns):
        own = [column for column in columns if column[0] == group]
        for start in range(0, len(own), most):
            part = own[start : start + most]
            if blocks and len(blocks[-1]) + len(part) <= most:
                blocks[-1] += part
            else:
                blocks.append(part)
    return blocks


def _float(blocks: Sequence[Block], title: str, caption: str, label: str = "") -> str:
    width = max(len(columns) for _, columns in blocks)
    notes: dict[str, str] = {}
    lines: list[str] = []
    for i, (grid, columns) in enumerate(blocks):
        lines.append(r"\toprule" if i == 0 else r"\midrule[\heavyrulewidth]")
        lines += [*_header(grid, columns, width), r"\midrule"]
        for row in grid.rows:
            if row is None:
                lines.append(r"\addlinespace")
                continue
            key, name = row
            lines.append(_row([name, *(_cell(grid, key, column, notes) for column in columns)], width))
    lines.append(r"\bottomrule")
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
            rf"\caption[{{{title}}}]{{{caption}}}",
            *([rf"\label{{{label}}}"] if label else []),
            r"\end{table*}",
            "",
        ]
    )


def _header(grid: Grid, columns: Columns, width: int) -> list[str]:
    groups, rules, at = [], [], 2
    for group in dict.fromkeys(group for group, _ in columns):
        n = sum(column[0] == group for column in columns)
        groups.append(rf"\multicolumn{{{n}}}{{c}}{{{grid.heads.get(group) or escape(group)}}}")
        rules.append(rf"\cmidrule(lr){{{at}-{at + n - 1}}}")
        at += n
    empty = [""] * (width - len(columns))
    names = [rf"\multicolumn{{1}}{{c}}{{{escape(name)}}}" for _, name in columns]
    above, beside = grid.corner
    return [_row([above, *groups, *empty], 0), " ".join(rules), _row([beside, *names], width)]


def _row(cells: Sequence[str], width: int) -> str:
    return " & ".join([*cells, *[""] * (width + 1 - len(cells))]).rstrip() + r" \\"


def _cell(grid: Grid, row: str, column: tuple[str, str], notes: dict[str, str]) -> str:
    cell = grid.cells.get((row, *column)) or Cell(text="", note=grid.absent)
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
