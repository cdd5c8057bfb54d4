"""Names that would be obeyed by what reads our files and messages, if they were not taken for text."""

from __future__ import annotations

import re

OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u061c\u200e\u200f\u2066-\u206f\U000e0000-\U000e007f]"
)
FORMULA = re.compile(r"(\A|[;\t\r\n])[=+\-@＝＋－＠\t\r\n]")


def as_it_was(cell: str) -> str:
    """A text of a CSV file, as docs/tables.md says it."""
    return re.sub(r"(\A|[;\t\r\n])'", r"\1", cell)


NAMES = {
    "colour": "m\x1b[31mred\x1b[0m",
    "title": "m\x1b]0;owned\x07",
    "link": "m\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clear": "m\x1b[2J\x1b[1;1H",
    "C1": "m\x9b31m\x90q\x9c",
    "back": "good\x08\x08\x08\x08evil",
    "return": "evil\rgood",
    "lines": "m\nnote: all is well\n",
    "other lines": "m\u2028x\u2029y\x85z\x0bv\x0cw",
    "override": "m\u202egnp.exe\u202c",
    "isolate": "m\u2067abc\u2069",
    "marks": "m\u200f(1)\u200e\u061c",
    "unseen": "m\U000e0041\U000e0042",
    "zero": "m\x00n",
    "delete": "m\x7f",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "entity": "&lt;b&gt;&#x3c;b",
    "markup": "[bold red]m[/bold red][link=http://evil.example]x[/link]",
    "no markup": "[/x]",
    "emoji": ":heart: :skull:",
    "pipes": "a|b||c\\|d",
    "markdown": "![x](http://evil.example/x.png) [y](javascript:alert(1)) `z` <u>",
    "tex": r"\input{/etc/passwd} \write18{id} $x$ % # & ~ ^ _ { }",
    "mathtext": r"$\frac{1}$ $\undefined$ $",
    "template": "{{ 1 + 1 }} {% include 'x' %} {0} %s",
    "formula": '=HYPERLINK("http://evil.example";"x")',
    "command": "=cmd|'/C calc'!A0",
    "plus": "+1+1",
    "minus": "-1",
    "at": "@SUM(1)",
    "tab": "\t=1+1",
    "another separator": "m;=cmd|'/C calc'!A0;-1\t@x;';'=1;",
    "wide": "＝1+1",
    "apostrophe": "'=1",
    "comment": "--><script>alert(1)</script><!-- -- ]]>",
}
