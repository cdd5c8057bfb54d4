"""Which figures an analysis has something for."""

from __future__ import annotations

import numpy as np

from aftertune import setting_names
from aftertune.analysis.schema import Analysis
from aftertune.report.figures.before_after import before_after
from aftertune.report.figures.before_after import height_of as height_of_group
from aftertune.report.figures.by_epoch import by_epoch
from aftertune.report.figures.by_epoch import height_of as height_of_panel
from aftertune.report.figures.by_samples import HEIGHT, by_samples
from aftertune.report.figures.controlled import chosen_score, controlled, pairs
from aftertune.report.figures.drawing import Drawing
from aftertune.report.figures.of_answers import draw_answers
from aftertune.report.figures.of_items import draw_items
from aftertune.report.figures.pages import pages, slug
from aftertune.report.figures.style import style
from aftertune.report.outcome import groups
from aftertune.report.palette import looks
from aftertune.report.sample_sizes import SizePanel, size_panels
from aftertune.report.series import by_setting, ends, panels
from aftertune.types import Records

PAGE = 9.6  # inches of height
MOST_PAIRS = 12  # on a page


def draw(analysis: Analysis, records: Records | None = None) -> tuple[Drawing, ...]:
    """The figures that the analysis, and the records that it is of, have something for; none if they have nothing.

    - "correlation_by_epoch": where a training run has three checkpoints or more.
    - "correlation_before_after": where it has two.
    - "correlation_by_samples", "correlation_by_samples_fixed_steps": a family of settings each, where there
      are two numbers of training items or more. Families with other keys add them to the name.
    - "correlation_by_samples_controlled": one score, both of these families side by side.
    - With records, figures of single items: `draw_items`.
    - "reliability": where percentages could be made before and after fine-tuning: `draw_answers`.

    Where a figure would be longer than a page there is one for each model, whose name it then ends with.
    """
    found = panels(analysis)
    colours = looks(series.score for panel in found for series in panel.series)
    by_key = {group.key: group for group in groups(analysis)}
    defined = [panel for panel in found if any(np.isfinite(s.rho).any() for s in panel.series)]
    many = [panel for panel in defined if panel.checkpoints > 2]
    two = [by_key[panel.key] for panel in defined if panel.checkpoints == 2 and panel.key in by_key]
    rows = by_setting(analysis)
    by_size = size_panels(analysis)
    both = pairs(by_size)
    drawings = []
    with style():
        most = _most(height_of_panel(many)) if many else 0
        for name, own in pages("correlation_by_epoch", many, lambda panel: panel.key[0], most):
            drawings.append(by_epoch(name, own, by_key, colours))
        most = _most(max(map(height_of_group, two))) if two else 0
        for name, own in pages("correlation_before_after", two, lambda group: group.model, most):
            points = {group.key: ends(rows[group.key], group) for group in own}
            drawings.append(before_after(name, own, points))
        for family_name, of_family in _families(by_size).items():
            for name, own in pages(family_name, of_family, lambda panel: panel.model, _most(HEIGHT)):
                drawings.append(by_samples(name, own, colours))
        if both:
            score, remark = chosen_score(both)
            shown = [pair for pair in both if pair.has(score)]
            for name, own in pages(
                "correlation_by_samples_controlled", shown, lambda pair: pair.epochs.model, MOST_PAIRS
            ):
                drawings.append(controlled(name, own, score, remark, colours[score]))
        if records is not None:
            drawings += draw_items(records, found, colours, PAGE)
        drawings += draw_answers(analysis, colours, PAGE)
    return tuple(drawings)


def _most(height: float) -> int:
    """How many panels fit on a page, at least one."""
    return max(1, int(PAGE / height))


def _families(found: tuple[SizePanel, ...]) -> dict[str, list[SizePanel]]:
    """Name of the figure → its panels, one family of settings each."""
    families = list(dict.fromkeys(panel.family for panel in found))
    steps_alone = [family for family in families if setting_names.parse(family).keys() == {"n", "steps"}]
    named: dict[str, list[SizePanel]] = {}
    for family in families:
        name = "correlation_by_samples"
        if family in steps_alone:
            name += "_fixed_steps"
            name += f"_{setting_names.parse(family)['steps']}" if len(steps_alone) > 1 else ""
        elif family != "n=*":
            name += "_" + slug(family.replace("n=*", "").strip(","))
        named.setdefault(name, []).extend(panel for panel in found if panel.family == family)
    return named
