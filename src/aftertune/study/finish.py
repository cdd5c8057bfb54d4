"""From records to what a person reads: analysis, tables, figures, page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aftertune._version import __version__
from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import Analysis
from aftertune.errors import InputError
from aftertune.files.runfolder import RunFolder
from aftertune.records.records import check_enough_items, read_records
from aftertune.report.page import write_all
from aftertune.report.tables import write_tables
from aftertune.study.reporter import Reporter
from aftertune.types import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command leaves: the analysis, the records that it comes from, and where the files are."""

    analysis: Analysis
    records: Records
    out: Path

    @property
    def report(self) -> Path:
        return RunFolder(self.out).report

    @property
    def tables(self) -> Path:
        return RunFolder(self.out).tables


def check_statistics(margin: float, resamples: int) -> None:
    if not 0 <= margin <= 2:
        raise InputError(f"margin is {margin}: it is a change of Spearman's rho, 0 or a little more")
    if resamples < 200:
        raise InputError(f"resamples is {resamples}: take at least 200")


def finish(
    folder: RunFolder,
    *,
    title: str,
    settings: Mapping[str, Any],
    signatures: Mapping[str, str],
    notes: Sequence[str],
    reporter: Reporter,
    sources: Sequence[Path] | None = None,
) -> Result:
    """Analyse the records of a run (or those of `sources`) and write tables, figures and report.html.

    Nothing is written, and no folder made, before the analysis has succeeded.

    Parameters
    ----------
    settings : how the numbers were made; kept in run.json and shown in the report. `margin`, `resamples`,
        `analysis_seed`, `permutation` and `correct_at` are used here.
    notes : what a reader must know besides the analysis' own notes.
    """
    reporter.stage("statistics, tables, figures", 1)
    records = read_records(list(sources) if sources is not None else [folder.root])
    check_enough_items(records)
    analysis = analyse(
        records,
        margin=settings["margin"],
        resamples=settings["resamples"],
        seed=settings.get("analysis_seed", 0),
        permutation=settings.get("permutation", False),
        correct_at=settings.get("correct_at"),
    )
    analysis = replace(analysis, notes=(*notes, *analysis.notes))
    folder.make(settings)
    folder.write_manifest(
        {
            "aftertune": __version__,
            "finished": True,
            "title": title,
            "settings": dict(settings),
            "signatures": dict(signatures),
            "notes": list(notes),
            "sources": None if sources is None else [str(path.resolve()) for path in sources],
        }
    )
    write_tables(analysis, folder.tables)
    write_all(folder.root, analysis, records, title=title, settings=_shown(settings), signatures=signatures)
    return Result(analysis=analysis, records=records, out=folder.root)


def _shown(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings as a reader sees them: nested ones by dotted names, absent ones left out."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            flat |= _shown(value, f"{prefix}{key}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            for item in value:
                if isinstance(item, Mapping):
                    name = item.get("name", "")
                    flat |= _shown({k: v for k, v in item.items() if k != "name"}, f"{prefix}{key}.{name}.")
                else:
                    flat[f"{prefix}{key}.{item}"] = str(item)
        elif isinstance(value, list):
            flat[f"{prefix}{key}"] = ", ".join(map(str, value))
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
