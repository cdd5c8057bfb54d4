"""The HTML page: one self-contained file that answers first and explains after.

No script, no request to anywhere; whatever comes from models, data or names is escaped.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jinja2

from aftertune._version import __version__
from aftertune.analysis.schema import Row
from aftertune.files.atomic import atomic_write_text
from aftertune.report import numbers
from aftertune.report.answers import judge_words
from aftertune.report.checks import findings, summary_of, told
from aftertune.report.latex_tables import known_score
from aftertune.report.names import CHECKPOINT_NAMES, group_name, grouped, key_of
from aftertune.report.summary import Summary
from aftertune.report.verdicts import MARKS, Group, answer, scope
from aftertune.stats.calibration import percent
from aftertune.visible import visible

if TYPE_CHECKING:
    from aftertune.report.figures import Drawing

PAGE = "report.html"
_BEGINNING, _LONGEST = 600, 12_000  # characters of a text that are shown at once, and at all


class Bar(NamedTuple):
    """Where an interval of change stands on the axis of its table, in per cent of its width."""

    low: float
    high: float
    mean: float
    zero: float


def write_all(
    out: Path,
    summary: Summary,
    *,
    title: str,
    settings: Mapping[str, str],
    signatures: Mapping[str, str],
) -> Path:
    """Draw the figures into `<out>/figures` and write `<out>/report.html`, whole or not at all; its path.

    Parameters
    ----------
    settings : how the numbers were made, as the reader should see it (margin, resamples, seeds, …).
    signatures : score or quality metric → signature.
    """
    from aftertune.report.figures import draw

    out = Path(out)
    figures = draw(summary)
    for figure in figures:
        figure.save(out / "figures")
    # Tables, and items one by one; not the same again for LaTeX.
    tables = sorted(file.name for kind in ("csv", "jsonl") for file in (out / "tables").glob(f"*.{kind}"))
    text = render(summary, title=title, settings=settings, signatures=signatures, figures=figures, tables=tables)
    atomic_write_text(out / PAGE, text)
    return out / PAGE


def render(
    summary: Summary,
    *,
    title: str,
    settings: Mapping[str, str],
    signatures: Mapping[str, str],
    figures: Sequence[Drawing] = (),
    tables: Sequence[str] = (),
) -> str:
    """The page as text; `tables` are names of files in the folder `tables` beside it."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            version=__version__,
            summary=summary,
            checks=told(summary.checks),
            all_checks=findings(summary.checks),
            checks_made=summary_of(summary.checks),
            read=list(grouped(summary.prompts_read, key_of).items()),
            blocks=[(group, answer(group), scope(group), _bars(group)) for group in summary.groups],
            figures=[_embedded(figure) for figure in figures if figure.about == "correlation"],
            item_figures=[_embedded(figure) for figure in figures if figure.about == "items"],
            answer_figures=[_embedded(figure) for figure in figures if figure.about == "answers"],
            epoch_falls=sorted(summary.epoch_falls, key=_by_setting_and_fall),
            glossary=[(name, known_score(name)) for name in summary.scores],
            settings=settings,
            signatures=signatures,
            tables=tables,
        )
    )


def _shown(value: object) -> object:
    """Every text on its way to the page; lines and tabs of outputs stay, and so does what is escaped already."""
    return type(value)(visible(value, keep="\n\r\t")) if isinstance(value, str) else value


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("aftertune.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "plain": numbers.plain,
        "null": numbers.null,
        "null_percentage": numbers.null_percentage,
        "signed": numbers.signed,
        "share": lambda share: numbers.UNDEFINED if math.isnan(share) else f"{100 * share:.0f} %",
        "epoch": lambda epoch: f"{epoch:g}",
        "items": numbers.number_range,
        "count": numbers.count,
        "beginning": lambda text: text[:_BEGINNING],
        "rest": lambda text: text[_BEGINNING:_LONGEST],
        "left_out": lambda text: max(len(text) - _LONGEST, 0),
        "whole_percent": percent,
        "percentage": lambda value: numbers.UNDEFINED if math.isnan(value) else f"{value:.1f} %",
        "significant": numbers.short,
        "p": numbers.p_value,
        "judge_words": judge_words,
    }
    environment.globals |= {
        "interval": numbers.interval,
        "marks": MARKS,
        "isnan": math.isnan,
        "group_name": group_name,
        "comparison": lambda row: f"{row.from_} → {row.to}".replace("_", " "),
        "names": CHECKPOINT_NAMES,
    }
    return environment


def _embedded(figure: Drawing) -> tuple[Drawing, str, str]:
    """The figure, its picture, and the width that it takes on the page."""
    return figure, base64.b64encode(figure.svg).decode("ascii"), f"{7.5 * figure.width:g}rem"


def _by_setting_and_fall(row: Row) -> tuple:
    """Largest fall first within a model and task, undefined last."""
    return row.model, row.task, row.setting, math.isnan(row.mean), row.mean


def _bars(group: Group) -> dict[str, Bar]:
    """Score → where its interval stands, or its mean alone; one axis for the whole table, zero always on it."""
    spans = {}
    for outcome in group.outcomes:
        low, high, mean = outcome.change.ci_low, outcome.change.ci_high, outcome.change.mean
        if math.isfinite(mean):
            is_whole = math.isfinite(low) and math.isfinite(high)
            spans[outcome.score] = (low, high, mean, 0.0) if is_whole else (mean, mean, mean, 0.0)
    places = [0.0, *(place for span in spans.values() for place in span)]
    start, width = min(places), (max(places) - min(places)) or 1.0
    return {
        score: Bar(*(round(3 + 94 * (place - start) / width, 2) for place in span))
        for score, span in spans.items()
    }
