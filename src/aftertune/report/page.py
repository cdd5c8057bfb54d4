"""The HTML page: one self-contained file that answers first and explains after.

No script, no request to anywhere; whatever comes from models, data or names is escaped.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from aftertune._version import __version__
from aftertune.analysis.schema import Row
from aftertune.errors import InputError
from aftertune.files.atomic import atomic_write_text
from aftertune.report import numbers
from aftertune.report.answers import judge_words
from aftertune.report.names import CHECKPOINT_NAMES, group_name
from aftertune.report.summary import Summary
from aftertune.report.verdicts import Group, answer, scope
from aftertune.scores import get
from aftertune.scores.definition import Score
from aftertune.stats.calibration import percent

if TYPE_CHECKING:
    from aftertune.report.figures import Drawing

PAGE = "report.html"
_MARKS = {"degraded": "▼", "improved": "▲", "holds": "=", "inconclusive": "?", "undefined": "–"}
_BEGINNING, _LONGEST = 600, 12_000  # characters of a text that are shown at once, and at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
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
            blocks=[(group, answer(group), scope(group), _bars(group)) for group in summary.groups],
            figures=[_embedded(figure) for figure in figures if figure.about == "correlation"],
            item_figures=[_embedded(figure) for figure in figures if figure.about == "items"],
            answer_figures=[_embedded(figure) for figure in figures if figure.about == "answers"],
            epoch_falls=sorted(summary.epoch_falls, key=_by_setting_and_fall),
            glossary=_glossary(summary.scores),
            settings=settings,
            signatures=signatures,
            tables=tables,
        )
    )


_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"}


def _without_controls(value: object) -> object:
    """Texts of models may hold control characters, which HTML does not allow and terminals obey."""
    return value.translate(_CONTROLS) if isinstance(value, str) else value


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("aftertune.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_without_controls,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "plain": numbers.plain,
        "signed": numbers.signed,
        "percent": lambda share: numbers.UNDEFINED if math.isnan(share) else f"{100 * share:.0f} %",
        "epoch": lambda epoch: f"{epoch:g}",
        "items": numbers.number_range,
        "count": numbers.count,
        "beginning": lambda text: text[:_BEGINNING],
        "rest": lambda text: text[_BEGINNING:_LONGEST],
        "left_out": lambda text: max(len(text) - _LONGEST, 0),
        "whole_percent": percent,
        "per_cent": lambda value: numbers.UNDEFINED if math.isnan(value) else f"{value:.1f} %",
        "significant": numbers.short,
        "p": _p,
        "judge_words": judge_words,
    }
    environment.globals |= {
        "interval": numbers.interval,
        "marks": _MARKS,
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


def _p(value: float) -> str:
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _glossary(names: Iterable[str]) -> list[tuple[str, Score | None]]:
    """What each score is; None for one of other people's making, which came with their records."""
    entries = []
    for name in names:
        try:
            entries.append((name, get(name)))
        except InputError:
            entries.append((name, None))
    return entries


def _bars(group: Group) -> dict[str, Bar]:
    """Score → where its interval stands; one axis for the whole table, zero always on it."""
    rows = {o.score: o.change for o in group.outcomes if math.isfinite(o.change.mean)}
    ends = [v for c in rows.values() for v in (c.mean, c.ci_low, c.ci_high) if math.isfinite(v)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    width = (high - low) or 1.0

    def at(value: float) -> float:
        return round(3 + 94 * (value - low) / width, 2)

    found = {}
    for score, change in rows.items():
        bounds = (change.ci_low, change.ci_high)
        ends = bounds if all(map(math.isfinite, bounds)) else (change.mean, change.mean)
        found[score] = Bar(low=at(ends[0]), high=at(ends[1]), mean=at(change.mean), zero=at(0.0))
    return found
