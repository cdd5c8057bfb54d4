"""The sections of the page, for the list of them at its top."""

from __future__ import annotations

import re

from markupsafe import Markup

_HEADING = re.compile(r'<section id="([\w-]+)">\s*<h2>(.*?)</h2>', re.DOTALL)


def sections(page: Markup) -> list[tuple[str, Markup]]:
    """Anchor and title of the sections that have one, in order.

    They are read from what was written, so that no section is listed that is not there. Texts of users are escaped
    in it, and look like no section.

    >>> sections(Markup('<section id="notes">\\n<h2>Notes</h2>…</section>'))
    [('notes', Markup('Notes'))]
    """
    return [(anchor, Markup(title)) for anchor, title in _HEADING.findall(page)]
