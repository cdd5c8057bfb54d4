"""Reading LaTeX tables in tests, without LaTeX."""

from __future__ import annotations

import re

RULE = re.compile(
    r"\\(top|bottom)rule|\\midrule(\[\\heavyrulewidth\])?|\\addlinespace|(\\cmidrule\(lr\)\{\d+-\d+\} ?)+"
)
HOSTILE = r"a_b & 50% {x} #1 $y^2 ~ \z <|> [0] *"


def tabulars(tex: str) -> list[list[list[str]]]:
    """Cells of each tabular, row by row; checks braces, environments and the number of columns of each row."""
    read = re.sub(r"(?m)^%.*\n", "", tex)
    open_ = 0
    for brace in re.findall(r"(?<!\\)[{}]", read.replace("\\\\", "")):
        open_ += 1 if brace == "{" else -1
        assert open_ >= 0
    assert open_ == 0
    stack: list[str] = []
    for what, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", read):
        if what == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    assert len(re.findall(r"(?<!\\)\$", read)) % 2 == 0
    assert "%" not in read.replace(r"\%", "").replace("[c]{%\n", "")
    found = []
    for form, body in re.findall(r"\\begin\{tabular\}\{@\{\}(l+)@\{\}\}\n(.*?)\\end\{tabular\}", read, re.DOTALL):
        table = []
        for line in body.splitlines():
            if RULE.fullmatch(line):
                continue
            assert line.endswith(r" \\")
            assert not line.startswith(("[", "*"))  # LaTeX would take it for an argument of the line before
            cells = [cell.strip() for cell in re.split(r"(?<!\\)&", line[:-2])]
            spans = [int(n) for cell in cells for n in re.findall(r"\\multicolumn\{(\d+)\}", cell)]
            assert len(cells) + sum(spans) - len(spans) == len(form)
            table.append([readable(cell) for cell in cells])
        found.append(table)
    assert len(found) == read.count(r"\begin{tabular}") == read.count(r"\caption[")
    return found


def readable(cell: str) -> str:
    cell = re.sub(r"\\multicolumn\{\d+\}\{c\}\{(.*)\}$", r"\1", cell)
    return cell.replace(r"\phantom{$-$}", "").replace("$-$", "−").replace("$<$", "<")


def body(table: list[list[str]]) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in table if row[0]}


def captions(tex: str) -> list[str]:
    return [" ".join(line.split()) for line in re.findall(r"(?m)^\\caption\[.*\]\{(.*)\}$", tex)]
