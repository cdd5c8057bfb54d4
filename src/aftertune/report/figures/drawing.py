"""A figure as files: the same bytes for the same numbers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from aftertune.files.atomic import atomic_write_bytes
from aftertune.report.figures.compact_svg import compact
from aftertune.report.figures.style import DPI, WIDTH

About = Literal["correlation", "items", "answers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure ready for paper and screen.

    Attributes
    ----------
    name : stem of its files.
    caption : what is drawn, a few sentences.
    width : inches.
    about : correlations, what happened to single items, or whether answers are right.
    """

    name: str
    caption: str
    svg: bytes
    png: bytes
    width: float = WIDTH
    about: About = "correlation"

    def save(self, folder: Path) -> list[Path]:
        """Write `<name>.svg` and `<name>.png`; the paths."""
        paths = []
        for suffix, content in ((".svg", self.svg), (".png", self.png)):
            paths.append(Path(folder) / f"{self.name}{suffix}")
            atomic_write_bytes(paths[-1], content)
        return paths


def render(figure: Figure, name: str, caption: str, *, about: About = "correlation") -> Drawing:
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    return Drawing(
        name=name,
        caption=caption,
        svg=compact(svg.getvalue().decode()).encode(),
        png=png.getvalue(),
        width=float(figure.get_size_inches()[0]),
        about=about,
    )
