"""Figures, one file for each kind. The only package that imports matplotlib, and never pyplot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from aftertune.analysis import setting_names
from aftertune.analysis.checkpoints import COMPARISONS
from aftertune.analysis.schema import Row
from aftertune.files.atomic import atomic_write_text, remove
from aftertune.report.figures import (
    before_after,
    by_epoch,
    by_samples,
    distributions,
    multiples,
    quadrants,
    reliability,
)
from aftertune.report.figures.figure import PAGE, Drawing, pages, sheets, slug, style
from aftertune.report.items import ItemLevel
from aftertune.report.names import CHECKPOINT_NAMES, key_of
from aftertune.report.overview import overviews
from aftertune.report.palette import Look, looks
from aftertune.report.series import SizePanel
from aftertune.report.summary import Summary
from aftertune.report.tables import markdown

__all__ = ["Drawing", "draw", "write_figures"]

CAPTIONS = "captions.md"
MOST_PAIRS = 12  # on a page
TOGETHER = 3  # settings whose percentages are shown with two scores; of more, the best score alone


def draw(summary: Summary) -> tuple[Drawing, ...]:
    """The figures that the summary has something for; none if it has nothing.

    - "correlation_by_epoch": where a training run has three checkpoints or more.
    - "correlation_before_after": where it has two.
    - "correlation_by_samples", "correlation_by_samples_fixed_steps": a family of settings each, where there
      are two numbers of training items or more. Families with other keys add them to the name.
    - "correlation_by_samples_controlled": one score, both of these families side by side.
    - With records, figures of two scores (`Featured`) item by item: "quadrant_scheme", before the first of
      "quadrants_epoch_1_last" and "quadrants_before_selected", where items have both checkpoints, and
      "distribution_by_epoch", where there are three whole epochs or more. Many settings have a figure for each
      score, whose name it then ends with.
    - "reliability": where percentages could be made before and after fine-tuning, of the first pair of
      `COMPARISONS` that there is. Settings with another pair have "reliability_epoch_1_last" and the like.

    Where a figure would be longer than a page there is one for each model, whose name it then ends with.
    """
    colours = looks(series.score for panel in summary.panels for series in panel.series)
    with style():
        return (
            *_of_epochs(summary, colours),
            *_of_samples(summary.size_panels, colours),
            *_of_items(summary.items, colours),
            *_of_answers(summary.reliability, colours),
        )


def write_figures(summary: Summary, folder: Path) -> None:
    """Draw all, and write each as PNG and SVG with its numbers as CSV; captions.md says what they show."""
    drawings = draw(summary)
    for drawing in drawings:
        drawing.save(folder)
    captions = "".join(f"- **{markdown(one.name)}**: {markdown(one.caption)}\n" for one in drawings)
    if captions:
        atomic_write_text(folder / CAPTIONS, f"# Captions\n\n{captions}")
    else:
        remove(folder / CAPTIONS)


def _most(height: float) -> int:
    """How many panels of so many inches fit on a page, at least one."""
    return max(1, int(PAGE / height))


def _of_epochs(summary: Summary, colours: Mapping[str, Look]) -> Iterator[Drawing]:
    views = {one.key: one for one in overviews(summary)}
    by_key = {group.key: group for group in summary.groups}
    defined = [panel for panel in summary.panels if any(np.isfinite(s.rho).any() for s in panel.series)]
    many = [panel for panel in defined if panel.checkpoints > 2]
    two = [by_key[panel.key] for panel in defined if panel.checkpoints == 2 and panel.key in by_key]
    most = multiples.most([by_epoch.block(panel, None) for panel in many]) if many else 0
    for name, own in pages("correlation_by_epoch", many, lambda panel: panel.key[0], most):
        yield by_epoch.by_epoch(name, own, views, colours)
    most = _most(max(map(before_after.height_of, two))) if two else 0
    for name, of in pages("correlation_before_after", two, lambda group: group.model, most):
        yield before_after.before_after(name, of, summary.compared, views)


def _of_samples(by_size: Sequence[SizePanel], colours: Mapping[str, Look]) -> Iterator[Drawing]:
    for family_name, of_family in _families(by_size).items():
        most = multiples.most([by_samples.block(panel, "items", panel.sizes) for panel in of_family])
        for name, own in pages(family_name, of_family, lambda panel: panel.model, most):
            yield by_samples.by_samples(name, own, colours)
    both = by_samples.pairs(by_size)
    if both:
        score, remark = by_samples.chosen_score(both)
        shown = [pair for pair in both if any(point.runs for point in pair.points(score))]
        stem = "correlation_by_samples_controlled"
        for name, of in pages(stem, shown, lambda pair: pair.epochs.model, MOST_PAIRS):
            yield by_samples.controlled(name, of, score, remark, colours[score])


def _families(found: Sequence[SizePanel]) -> dict[str, list[SizePanel]]:
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


def _of_items(items: ItemLevel, colours: Mapping[str, Look]) -> Iterator[Drawing]:
    scores, remarks = items.featured.scores, items.featured.remarks
    if any(items.changes.values()):
        yield quadrants.scheme()
    for (from_, to), own in items.changes.items():
        shown = [change for change in own if change.score in scores]
        for sheet in sheets(f"quadrants_{from_}_{to}", shown, scores, quadrants.HEIGHT):
            yield quadrants.quadrant_scatter(sheet, from_, to, remarks)
    for sheet in sheets("distribution_by_epoch", items.spreads, scores, distributions.HEIGHT):
        yield distributions.distributions(sheet, colours, remarks)


def _of_answers(rows: Sequence[Row], colours: Mapping[str, Look]) -> Iterator[Drawing]:
    """A row for each setting and score; a score without any percentage has none."""
    drawn = [row for row in rows if any(len(one.chance) for one in reliability.columns(row))]
    found = {(row.from_, row.to) for row in drawn}
    for i, pair in enumerate(pair for pair in COMPARISONS if pair in found):
        rows = [row for row in drawn if (row.from_, row.to) == pair]
        if len(set(map(key_of, rows))) > TOGETHER:
            rows = [row for row in rows if row.rank == 0]
        stages = CHECKPOINT_NAMES[pair[0]], CHECKPOINT_NAMES[pair[1]]
        stem = "_".join(("reliability", *pair)) if i else "reliability"
        for name, own in pages(stem, rows, lambda row: row.model, reliability.MOST_ROWS):
            yield reliability.reliability(name, own, colours, stages=stages)
