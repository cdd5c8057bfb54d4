"""Small multiples: which panels share a figure, and where each of them stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aftertune.report.figures.pages import pages, slug
from aftertune.report.figures.style import GREY, WIDTH, fit
from aftertune.report.series import Key

TOP = 0.26  # inches
BOLD = 1.1  # width of bold letters
TOGETHER = 3  # settings that still share a figure when there are two scores


class Panel(Protocol):
    @property
    def key(self) -> Key: ...
    @property
    def name(self) -> str: ...
    @property
    def score(self) -> str: ...


P = TypeVar("P", bound=Panel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet(Generic[P]):
    """One figure; `cells` row by row from the top left, None where a place stays empty."""

    name: str
    cells: tuple[P | None, ...]
    columns: int

    @property
    def rows(self) -> int:
        return -(-len(self.cells) // self.columns)

    @property
    def panels(self) -> list[P]:
        return [cell for cell in self.cells if cell is not None]

    @property
    def scores(self) -> list[str]:
        return list(dict.fromkeys(panel.score for panel in self.panels))

    @property
    def top(self) -> float:
        """Inches for the name of the score, where several panels are of the same."""
        return TOP if len(self.panels) > 1 and len(self.scores) == 1 else 0.0

    def head(self, figure: Figure) -> None:
        """Write that name above the panels."""
        if self.top:
            name = fit(self.scores[0], WIDTH - 0.2, 9)
            place = 0.1 / WIDTH, 1 - 0.06 / float(figure.get_size_inches()[1])
            figure.text(
                *place,
                name.text,
                fontsize=name.size,
                va="top",
                fontweight="bold",
                color=GREY,
            )

    def title(self, axes: Axes, panel: P, counts: str) -> None:
        """What the panel is of, above its axes."""
        inches = axes.get_position().width * WIDTH
        name = fit(panel.name, inches / BOLD, 8.5)
        smallest = min(fit(other.name, inches / BOLD, 8.5).size for other in self.panels)
        axes.set_title(name.text, fontsize=smallest, pad=14)
        below = fit(counts if self.top else f"{panel.score}, {counts}", inches, 6.8)
        axes.annotate(
            below.text,
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 4),
            textcoords="offset points",
            fontsize=below.size,
            color=GREY,
        )


def sheets(name: str, panels: Sequence[P], scores: Sequence[str], most_rows: int) -> list[Sheet[P]]:
    """Few settings: one figure, a row for each and a column for each score. Many: a figure for each score.

    The panels of a figure for one score stand three in a row (tasks below each other where all models have the
    same two or three), at most `most_rows` rows; where there are more, each model has its own figure.
    """
    by = {(panel.key, panel.score): panel for panel in panels}
    keys = list(dict.fromkeys(panel.key for panel in panels))
    scores = [score for score in scores if any(panel.score == score for panel in panels)]
    if len(scores) > 1 and len(keys) <= min(TOGETHER, most_rows):
        cells = tuple(by.get((key, score)) for key in keys for score in scores)
        return [Sheet(name=name, cells=cells, columns=len(scores))]
    found = []
    for score in scores:
        own = [by[key, score] for key in keys if (key, score) in by]
        stem = name if len(scores) == 1 else f"{name}_{slug(score)}"
        for sheet, cells in pages(stem, own, lambda panel: panel.key[0], 3 * most_rows):
            found.append(Sheet(name=sheet, cells=tuple(cells), columns=_columns(cells)))
    return found


def named(panels: Sequence[Panel], remarks: Mapping[str, str]) -> str:
    """The scores of the panels, for a caption."""
    scores = dict.fromkeys(panel.score for panel in panels)
    return " and ".join(f"{score} ({remarks[score]})" if score in remarks else score for score in scores)


def _columns(cells: Sequence[Panel]) -> int:
    columns = dict.fromkeys((cell.key[1], cell.key[2]) for cell in cells)
    models = dict.fromkeys(cell.key[0] for cell in cells)
    is_grid = len(cells) == len(columns) * len(models) and len(columns) in (2, 3)
    return len(columns) if is_grid and len(models) > 1 else {1: 1, 2: 2, 4: 2}.get(len(cells), 3)
