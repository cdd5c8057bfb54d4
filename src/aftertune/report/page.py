"""The HTML page: one self-contained file that answers first and explains after.

No script, no request to anywhere; whatever comes from models, data or names is escaped.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import numpy as np

from aftertune._version import __version__
from aftertune.analysis.schema import Analysis, Row
from aftertune.files.atomic import atomic_write_text
from aftertune.report import number_format as numbers
from aftertune.report.acting import acting
from aftertune.report.answer import answer, scope
from aftertune.report.beside_length import beside_length
from aftertune.report.contents import sections
from aftertune.report.dynamics import dynamics
from aftertune.report.examples import examples
from aftertune.report.glossary import glossary
from aftertune.report.judge_words import judge_words
from aftertune.report.outcome import CHECKPOINT_NAMES, Group, group_name, groups, keys
from aftertune.report.quality import QualityChange, quality_changes
from aftertune.report.series import panels
from aftertune.report.tally import auroc_sentences, tally_sentences
from aftertune.stats.calibration import percent
from aftertune.types import Records

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


@dataclass(frozen=True, slots=True, kw_only=True)
class UndefinedRho:
    """Correlations that are undefined for one reason."""

    name: str
    reason: str
    n: int
    epochs: str
    scores: tuple[str, ...]


def write_all(
    out: Path,
    analysis: Analysis,
    records: Records | None,
    *,
    title: str,
    settings: Mapping[str, str],
    signatures: Mapping[str, str],
) -> Path:
    """Draw the figures into `<out>/figures` and write `<out>/report.html`; the path of the page.

    Quality and the figures of single items are left out if `records` is None.
    """
    from aftertune.report.figures import draw

    drawings = draw(analysis, records)
    for drawing in drawings:
        drawing.save(Path(out) / "figures")
    found = groups(analysis)
    return write_report(
        out,
        analysis,
        title=title,
        settings=settings,
        signatures=signatures,
        figures=drawings,
        quality=() if records is None else quality_changes(records, found),
    )


def write_report(
    out: Path,
    analysis: Analysis,
    *,
    title: str,
    settings: Mapping[str, str],
    signatures: Mapping[str, str],
    figures: Sequence[Drawing] = (),
    quality: Sequence[QualityChange] = (),
) -> Path:
    """Write `<out>/report.html`, whole or not at all; its path.

    Parameters
    ----------
    settings : how the numbers were made, as the reader should see it (margin, resamples, seeds, …).
    signatures : score or quality metric → signature.
    figures, quality : as `draw` and `quality_changes` make them.
    """
    path = Path(out) / PAGE
    atomic_write_text(
        path,
        render(
            analysis,
            title=title,
            settings=settings,
            signatures=signatures,
            figures=figures,
            quality=quality,
            tables=_tables(Path(out) / "tables"),
        ),
    )
    return path


def render(
    analysis: Analysis,
    *,
    title: str,
    settings: Mapping[str, str],
    signatures: Mapping[str, str],
    figures: Sequence[Drawing] = (),
    quality: Sequence[QualityChange] = (),
    tables: Sequence[str] = (),
) -> str:
    """The page as text; `tables` are names of files in the folder `tables` beside it."""
    found = groups(analysis)
    scores = dict.fromkeys([row.score for row in (*analysis.rows("correlation"), *analysis.rows("change"))])
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            version=__version__,
            groups=found,
            tallies=tally_sentences(analysis),
            auroc_tallies=auroc_sentences(analysis),
            blocks=[(group, answer(group), scope(group), _bars(group)) for group in found],
            panels=panels(analysis) if not found else (),
            overview=_overview(analysis),
            figures=[_embedded(figure) for figure in figures if figure.about == "correlation"],
            item_figures=[_embedded(figure) for figure in figures if figure.about == "items"],
            answer_figures=[_embedded(figure) for figure in figures if figure.about == "answers"],
            acting=acting(analysis),
            dynamics=dynamics(analysis),
            epoch_falls=sorted(analysis.rows("epoch_fall"), key=_by_subject_and_fall),
            sample_sizes=analysis.rows("sample_size"),
            lengths=beside_length(analysis, found),
            quality=quality,
            examples=examples(analysis, found),
            undefined=_undefined(analysis),
            notes=analysis.notes,
            glossary=glossary(scores),
            settings=settings,
            signatures=signatures,
            tables=tables,
            changes=analysis.rows("change"),
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
        "sections": sections,
        "percent": lambda share: "–" if math.isnan(share) else f"{100 * share:.0f} %",
        "epoch": lambda epoch: f"{epoch:g}",
        "items": numbers.number_range,
        "count": numbers.count,
        "beginning": lambda text: text[:_BEGINNING],
        "rest": lambda text: text[_BEGINNING:_LONGEST],
        "left_out": lambda text: max(len(text) - _LONGEST, 0),
        "whole_percent": percent,
        "per_cent": lambda value: "–" if math.isnan(value) else f"{value:.1f} %",
        "significant": lambda value: f"{value:.3g}".replace("-", "−"),
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


def _tables(folder: Path) -> list[str]:
    """Names of the files there that are linked: tables, and items one by one; not the same again for LaTeX."""
    found = [file.name for kind in ("csv", "jsonl") for file in folder.glob(f"*.{kind}")]
    return sorted(found)


def _embedded(figure: Drawing) -> tuple[Drawing, str, str]:
    """The figure, its picture, and the width that it takes on the page."""
    return figure, base64.b64encode(figure.svg).decode("ascii"), f"{7.5 * figure.width:g}rem"


def _by_subject_and_fall(row: Row) -> tuple:
    """Largest fall first within a model and task, undefined last."""
    return row.model, row.task, row.setting, math.isnan(row.mean), row.mean


def _p(value: float) -> str:
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _overview(analysis: Analysis) -> dict[str, str]:
    found = keys(analysis.rows("correlation")) or keys(analysis.rows("change"))
    models, tasks = (list(dict.fromkeys(key[i] for key in found)) for i in (0, 1))
    seeds = {row.seed for row in analysis.rows("correlation")}
    return {"models": ", ".join(models), "tasks": ", ".join(tasks), "seeds": numbers.count(len(seeds), "seed")}


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


def _undefined(analysis: Analysis) -> list[UndefinedRho]:
    found: dict[tuple[str, str], list] = {}
    for row in analysis.rows("correlation"):
        if math.isnan(row.spearman):
            name = group_name(row.model, row.task, row.setting)
            found.setdefault((name, row.status), []).append(row)
    return [
        UndefinedRho(
            name=name,
            reason=reason,
            n=len(rows),
            epochs=_span(sorted({row.epoch for row in rows})),
            scores=tuple(dict.fromkeys(row.score for row in rows)),
        )
        for (name, reason), rows in found.items()
    ]


def _span(epochs: Sequence[float]) -> str:
    """Whole epochs without a gap as a range, others one by one."""
    if len(epochs) > 2 and np.array_equal(np.diff(epochs), np.ones(len(epochs) - 1)):
        return f"{epochs[0]:g}–{epochs[-1]:g}"
    return ", ".join(f"{epoch:g}" for epoch in epochs)
