"""The consoles that commands print to."""

from __future__ import annotations

from rich.console import Console


def text_console(*, stderr: bool = False) -> Console:
    """Prints text as it stands: names and messages hold colons and brackets that are no emoji and no markup.

    What is styled is a `Text`, or has a style of its own.
    """
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)
