"""Less text for the same picture: matplotlib's SVG at two fifths of its length.

Pages embed one SVG after another, so that their length counts.
"""

from __future__ import annotations

import re

_COORDINATES = re.compile(r' (?:d|x|y)="[^"]*"')
_GLYPH = re.compile(r'(<use xlink:href="[^"]*") transform="translate\((-?[0-9.]+)(?: 0)?\)"/>')
_MARKERS = re.compile(r"<g([^>]*)>\n((?:<use [^>]*/>\n)+)</g>")
_STYLE = re.compile(r' style="[^"]*"')
_REFERENCE = re.compile(r'(href="|url\()#([^")]+)')


def compact(svg: str) -> str:
    """Coordinates to a hundredth of a point, markers' style once a line, short ids and only those in use."""
    svg = re.sub(r"\n +", "\n", svg)
    svg = re.sub(r'<g id="[^"]*"/>\n', "", svg)
    svg = _COORDINATES.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), svg)
    svg = _GLYPH.sub(lambda found: f'{found[1]} x="{float(found[2]):.1f}"/>', svg)
    svg = _MARKERS.sub(_style_once, svg)
    svg = _STYLE.sub(lambda found: re.sub("([;:]) ", r"\1", found[0]), svg)
    return _short_ids(svg)


def _style_once(found: re.Match[str]) -> str:
    attributes, uses = found[1], found[2]
    styles = {"".join(_STYLE.findall(line)) for line in uses.splitlines()}
    if len(styles) > 1 or "style=" in attributes:
        return found[0]
    return f"<g{attributes}{styles.pop()}>\n{_STYLE.sub('', uses)}</g>"


def _short_ids(svg: str) -> str:
    """Ids that something refers to become a letter and a number, in order of appearance; others go."""
    names = {name: f"i{i}" for i, name in enumerate(dict.fromkeys(name for _, name in _REFERENCE.findall(svg)))}
    svg = _REFERENCE.sub(lambda found: f"{found[1]}#{names[found[2]]}", svg)
    return re.sub(r' id="([^"]*)"', lambda found: f' id="{names[found[1]]}"' if found[1] in names else "", svg)
