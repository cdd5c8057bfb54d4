"""Which figures of single items there is something for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from aftertune.report.featured import featured
from aftertune.report.figures.distributions import distributions, most_rows_of_distributions
from aftertune.report.figures.drawing import Drawing
from aftertune.report.figures.quadrants import most_rows_of_quadrants, quadrant_scatter
from aftertune.report.figures.scheme import scheme
from aftertune.report.figures.sheets import sheets
from aftertune.report.item_changes import COMPARED, item_changes
from aftertune.report.item_spread import item_spreads
from aftertune.report.palette import Look
from aftertune.report.series import Panel
from aftertune.types import Records


def draw_items(
    records: Records, panels: Sequence[Panel], looks: Mapping[str, Look], page: float
) -> Iterator[Drawing]:
    """Figures of two scores (`featured`), none longer than `page` inches; the matplotlib style must be set.

    - "quadrant_scheme": once, before the first figure of quadrants.
    - "quadrants_epoch_1_last", "quadrants_before_selected": where items have both checkpoints.
    - "distribution_by_epoch": where there are three whole epochs or more.

    Many settings have a figure for each score, whose name it then ends with.
    """
    keys = [panel.key for panel in panels]
    changes = {ends: item_changes(records, keys, *ends) for ends in COMPARED}
    chosen = featured([change for found in changes.values() for change in found])
    spreads = item_spreads(records, panels, chosen.scores)
    if any(changes.values()):
        yield scheme()
    for (from_, to), found in changes.items():
        shown = [change for change in found if change.score in chosen.scores]
        for sheet in sheets(f"quadrants_{from_}_{to}", shown, chosen.scores, most_rows_of_quadrants(page)):
            yield quadrant_scatter(sheet, from_, to, chosen.remarks)
    for sheet in sheets("distribution_by_epoch", spreads, chosen.scores, most_rows_of_distributions(page)):
        yield distributions(sheet, looks, chosen.remarks)
