"""The HTML page: one self-contained file that answers first, and lets a reader look further.

Whatever comes from models, data or names is escaped in the text and packed in the data, which the script shows as
text. A Content-Security-Policy lets run and style only what is known by its hash, and nothing load from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from aftertune._version import __version__
from aftertune.analysis.labels import labels_of
from aftertune.analysis.schema import Row
from aftertune.files.atomic import atomic_write_text
from aftertune.quality import QUALITY
from aftertune.report import leads, numbers
from aftertune.report.answers import judge_words
from aftertune.report.by_setting import by_setting
from aftertune.report.checks import MARKS as CHECK_MARKS
from aftertune.report.checks import Finding, findings, summary_of, told
from aftertune.report.names import CHECKPOINT_NAMES, group_name, grouped, key_of
from aftertune.report.overview import CHIPS, USABLE, Overview, overviews
from aftertune.report.page_data import packed, page_data
from aftertune.report.summary import Summary
from aftertune.report.verdicts import MARKS, answer, scope
from aftertune.scores import known_score
from aftertune.stats.calibration import percent
from aftertune.types import Records
from aftertune.visible import visible

PAGE = "report.html"
_BEGINNING, _LONGEST = 600, 12_000  # characters of a text that are shown at once, and at all
_MOST_LINES = 13  # of the chart on the first screen
_LIBRARIES = ("d3.min.js", "plot.umd.min.js")
_PLOT_STYLE = """:where(.plot) {
  --plot-background: white;
  display: block;
  height: auto;
  height: intrinsic;
  max-width: 100%;
}
:where(.plot text),
:where(.plot tspan) {
  white-space: pre;
}"""
"""The style that Observable Plot puts into each chart of the class "plot"; its hash lets it through."""

KINDS = {
    "improved": "good",
    "holds": "good",
    "degraded": "bad",
    "fell": "bad",
    "inconclusive": "doubt",
    "undefined": "none",
}
"""Verdict → class of its colour."""
_SURVIVED = {
    "improved": "improved with fine-tuning",
    "holds": "survived fine-tuning",
    "degraded": "degraded with fine-tuning",
    "fell": "fell with fine-tuning",
    "inconclusive": "not shown whether it survived",
    "undefined": "undefined",
}


class Matrix(NamedTuple):
    """Which overview stands in which cell: models (with their setting) down, tasks across."""

    tasks: list[str]
    rows: list[tuple[str, list[int | None]]]

    @property
    def is_sparse(self) -> bool:
        """Whether a list says it in less room."""
        cells = [number for _, row in self.rows for number in row]
        return 2 * sum(number is not None for number in cells) <= len(cells)


def write_page(
    out: Path,
    summary: Summary,
    records: Records | None = None,
    *,
    title: str,
    settings: Mapping[str, str],
    signatures: Mapping[str, str],
    correct_at: float | None = None,
) -> Path:
    """Write `<out>/report.html`, whole or not at all; its path.

    Parameters
    ----------
    records : what the summary is of; without them there are no charts and no items.
    settings : how the numbers were made, as the reader should see it (margin, resamples, seeds, …); "reproduce" is
        what makes the run again.
    signatures : score or quality metric → signature.
    correct_at : quality from which an answer counts as right, as in the analysis.
    """
    out = Path(out)
    # Tables, and items one by one; not the same again for LaTeX.
    tables = sorted(file.name for kind in ("csv", "jsonl") for file in (out / "tables").glob(f"*.{kind}"))
    figures = sorted(file.name for kind in ("png", "svg") for file in (out / "figures").glob(f"*.{kind}"))
    text = render(
        summary,
        records,
        title=title,
        settings=settings,
        signatures=signatures,
        tables=tables,
        figures=figures,
        correct_at=correct_at,
    )
    atomic_write_text(out / PAGE, text)
    return out / PAGE


def render(
    summary: Summary,
    records: Records | None = None,
    *,
    title: str,
    settings: Mapping[str, str],
    signatures: Mapping[str, str],
    tables: Sequence[str] = (),
    figures: Sequence[str] = (),
    correct_at: float | None = None,
) -> str:
    """The page as text; `tables` and `figures` are names of files in these folders beside it."""
    found = overviews(summary)
    settings = dict(settings)
    reproduce = settings.pop("reproduce", "")
    data: dict[str, Any] = {"settings": []}
    if records is not None:
        data = page_data(summary, found, records, labels_of(records, correct_at)[0])
    style, script = _own("page.css"), _own("page.js")
    libraries = [_library(name) for name in _LIBRARIES]
    checks = told(summary.checks)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            version=__version__,
            policy=_policy([*libraries, script], [style, _PLOT_STYLE]),
            style=Markup(style),
            scripts=[Markup(text) for text in (*libraries, script)],
            data=Markup(packed(data)),
            contents=[],
            summary=summary,
            overviews=found,
            matrix=_matrix(found),
            ranked=_ranked(found),
            compared=_compared(settings),
            metrics=[name for name in signatures if name in QUALITY],
            panels={panel.key: panel for panel in summary.panels},
            answers={one.key: one for one in summary.answers},
            leads=leads,
            blocks=[(group, answer(group), scope(group)) for group in summary.groups],
            covers={group.key: scope(group) for group in summary.groups},
            checks=checks,
            first_checks=_one_of_each(check for check in checks if check.level in ("refused", "warning"))[:3],
            worst=_worst(summary.checks),
            all_checks=findings(summary.checks),
            checks_made=summary_of(summary.checks),
            read=list(grouped(summary.prompts_read, key_of).items()),
            rows=by_setting(summary, found),
            sizes=_sizes(summary, found),
            settings=settings,
            reproduce=reproduce,
            signatures=signatures,
            tables=tables,
            figures=figures,
            glossary=[(name, known_score(name)) for name in summary.scores],
        )
    )


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """The Content-Security-Policy that lets through these texts, and data: pictures; nothing else."""

    def hashes(texts: Sequence[str]) -> str:
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts
        )

    return (
        f"default-src 'none'; script-src {hashes(scripts)}; style-src {hashes(styles)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _own(name: str) -> str:
    return resources.files("aftertune.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _library(name: str) -> str:
    return resources.files("aftertune.report").joinpath("vendored", name).read_text(encoding="utf-8")


def _matrix(found: Sequence[Overview]) -> Matrix | None:
    """None where there is one setting only."""
    if len(found) < 2:
        return None
    tasks = list(dict.fromkeys(one.key[1] for one in found))
    rows: dict[str, list[int | None]] = {}
    for number, one in enumerate(found):
        model, task, setting = one.key
        name = model if setting == "default" else f"{model} ({setting})"
        rows.setdefault(name, [None] * len(tasks))[tasks.index(task)] = number
    return Matrix(tasks, list(rows.items()))


def _ranked(found: Sequence[Overview]) -> list[int]:
    """Several models of one task, the best first; empty where there are several tasks, or one model."""
    if len(found) < 2 or len({one.key[1:] for one in found}) > 1:
        return []

    def key(number: int) -> tuple:
        one = found[number]
        if one.said is None or not one.use:
            return 3, 0.0
        row = one.said.recommended
        worth = 0.0 if math.isnan(row.concordance) else row.concordance
        return 0 if row.verdict in ("holds", "improved") else 1, -worth

    return sorted(range(len(found)), key=key)


def _sizes(summary: Summary, found: Sequence[Overview]) -> list[tuple[str, list[int], list[Row]]]:
    """For each model and task with experiments on numbers of training items: name, overviews and tests."""
    tests = grouped(summary.sample_sizes, lambda row: (row.model, row.task))
    pairs = dict.fromkeys((*((panel.model, panel.task) for panel in summary.size_panels), *tests))
    return [
        (
            group_name(*pair, "default"),
            [number for number, one in enumerate(found) if one.key[:2] == pair],
            tests.get(pair, []),
        )
        for pair in pairs
    ]


def _compared(settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """What was compared, as pairs of a name and a path."""
    if "before" in settings and "after" in settings:
        afters = settings["after"].split(", ")
        after = settings["after"]
        if len(afters) > 2:
            after = f"{afters[0]} … {afters[-1]} ({numbers.count(len(afters), 'checkpoint')})"
        return [("before", settings["before"]), ("after", after)]
    paths = [
        (key.split(".")[1], path)
        for key, path in settings.items()
        if key.startswith("models.") and key.endswith(".path")
    ]
    return paths or [(key, settings[key]) for key in ("records",) if key in settings]


def _one_of_each(checks: Iterable[Finding]) -> list[Finding]:
    """The first finding of each check."""
    found: dict[str, Finding] = {}
    for one in checks:
        found.setdefault(one.check, one)
    return list(found.values())


def _worst(checks: Sequence[Row]) -> str:
    """The class of the colour of all checks together."""
    levels = {row.level for row in checks}
    worst = next((level for level in CHECK_MARKS if level in levels), "ok")
    return {"refused": "bad", "warning": "doubt"}.get(worst, "good")


def _shown(value: object) -> object:
    """What the template prints: text as a reader may see it."""
    return visible(value, keep="\n\r\t") if type(value) is str else value


@cache
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
        "zip": zip,
        "dict": dict,
        "interval": numbers.interval,
        "marks": MARKS,
        "most_lines": _MOST_LINES,
        "chips": CHIPS,
        "usables": USABLE,
        "kinds": KINDS,
        "survived": _SURVIVED,
        "isnan": math.isnan,
        "group_name": group_name,
        "comparison": lambda row: f"{row.from_} → {row.to}".replace("_", " "),
        "names": CHECKPOINT_NAMES,
    }
    return environment
