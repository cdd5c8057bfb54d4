"""Records → analysis → tables, figures and page. No model is loaded, no torch imported.

`analyze` takes records of another pipeline, `redraw` those of a run; the other commands end in `finish`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import Analysis
from aftertune.arguments import check_names, checked
from aftertune.commands.reproduce import command_line
from aftertune.errors import InputError
from aftertune.files.lock import writer_of
from aftertune.files.runfolder import Manifest, RunFolder
from aftertune.measure.reporter import Logged, Reporter
from aftertune.options import FEWEST_RESAMPLES, MARGIN, RESAMPLES
from aftertune.records.records import check_enough_items, read_records, read_signatures
from aftertune.report.names import PARTIAL
from aftertune.report.overview import overviews
from aftertune.report.page import write_page
from aftertune.report.summary import Summary, summarise
from aftertune.report.summary_file import summary_file, write_summary
from aftertune.report.tables import write_tables
from aftertune.types import Records

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Result:
    """What a command gives back; a notebook shows it as a table of verdicts.

    Attributes
    ----------
    analysis : the tables and notes.
    summary : what page and terminal show of them.
    records : what the analysis is of.
    out : the folder with all files.
    """

    analysis: Analysis
    summary: Summary
    records: Records
    out: Path

    @property
    def report(self) -> Path:
        """report.html."""
        return RunFolder(self.out).report

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Name → table (docs/tables.md), as in ``result.tables["change"]``."""
        return self.analysis.tables

    def __repr__(self) -> str:
        rows = self.analysis.rows("change")
        verdicts = Counter(row.verdict for row in rows if (row.effect, row.ci_scope) == ("adjusted", "models"))
        counts = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.items()) or "no change to judge"
        return f"Result({self.out}: {counts})"

    def _repr_html_(self) -> str:
        shown = ["model", "task", "score", "from", "to", "n_items", "mean", "ci_low", "ci_high", "ci_scope", "verdict", "usable"]  # fmt: skip # noqa: E501
        by_use = [(*one.key, line.score) for one in overviews(self.summary) for line in one.every]
        place = {key: i for i, key in enumerate(by_use)}
        change = self.tables["change"]
        change = change[change["effect"] == "adjusted"]
        keys = list(zip(*(change[name] for name in ("model", "task", "setting", "score"))))
        order = sorted(range(len(keys)), key=lambda i: place.get(keys[i], len(place)))
        return change.iloc[order][shown].to_html(index=False, float_format="%.3f", na_rep="–")


@checked
def analyze(
    records: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    margin: float = MARGIN,
    resamples: int = RESAMPLES,
    seed: int = 0,
    permutation: bool = False,
    correct_at: float | None = None,
    negate: Sequence[str] = (),
    allow_other_items: bool = False,
    rely_on: str | None = None,
    paper: bool = False,
    title: str | None = None,
    reporter: Reporter | None = None,
) -> Result:
    """Tables, figures and a report from records files or folders of them.

    Parameters
    ----------
    records : JSONL or Parquet files, run folders, or folders of such files (docs/records.md).
    out : folder to write to.
    margin : a smaller fall of the tie-adjusted rho than this counts as holding.
    resamples : draws behind simultaneous intervals, and permutations of the permutation test.
    seed : of all draws.
    permutation : add a label-swap permutation test of each change, as a cross-check.
    correct_at : quality from which an answer counts as correct, for tasks whose records do not say `correct`.
    negate : scores that measure uncertainty: they are multiplied by −1.
    allow_other_items : whether to go on where two checkpoints have no item in common.
    rely_on : the score that is relied on: answered first, and judged by itself.
    paper : also lay the numbers beside the paper's, as `redraw` does.
    title : of the report; None for the names of the sources.

    Raises
    ------
    InputError
        What is wrong in which file and line; `out` is then not touched.
    """
    check_statistics(margin, resamples)
    sources = [Path(records)] if isinstance(records, str | Path) else [Path(path) for path in records]
    folder, reporter = RunFolder(Path(out)), reporter or Reporter()
    folder.check("analyze")
    runs = [run for path in sources if (run := RunFolder(path)).is_begun]
    manifest = Manifest(
        title=title or ", ".join(path.stem for path in sources),
        settings={
            "command": "analyze",
            "records": [str(path) for path in sources],
            "margin": margin,
            "resamples": resamples,
            "analysis_seed": seed,
            "permutation": permutation,
            "correct_at": correct_at,
            "negate": list(negate) or None,
            "allow_other_items": allow_other_items or None,
            "rely_on": rely_on,
            "reproduce": command_line(
                "analyze",
                *sources,
                out=out,
                margin=None if margin == MARGIN else margin,
                resamples=None if resamples == RESAMPLES else resamples,
                seed=seed or None,
                permutation=permutation,
                correct_at=correct_at,
                negate=list(negate),
                allow_other_items=allow_other_items,
                rely_on=rely_on,
                paper=paper,
            ),
            "paper": paper or None,
        },
        signatures=read_signatures(sources),
        sources=[str(path.resolve()) for path in sources],
        notes=[note for run in runs for note in partial_notes(run)],
        checks=[check for run in runs for check in run.read().checks],
    )
    with folder.writing("analyze", reporter.note):
        return finish(folder, manifest, reporter=Logged(reporter, folder.log), sources=sources)


@checked
def redraw(run: str | Path, *, paper: bool = False, reporter: Reporter | None = None) -> Result:
    """Write the tables, figures and report of a run folder again, from the records that it has so far.

    Parameters
    ----------
    paper : also lay the numbers beside the paper's: a section of the report, paper.csv and paper_claims.csv.

    Raises
    ------
    InputError
        The folder holds no run, or one without records.
    """
    folder, reporter = RunFolder(Path(run)), reporter or Reporter()
    manifest, notes = folder.read(), partial_notes(folder)
    for note in notes:
        reporter.note(note)
    others = writer_of(folder.root) is not None
    with folder.listing() if others else folder.writing(manifest.command, reporter.note, makes=False):
        result = _report(folder, replace(manifest, notes=[*notes, *manifest.notes]), reporter, paper=paper)
        if folder.read().state == "recorded" and not others:
            folder.change(state="finished")
    now = folder.read()
    if others and (now.records, now.state == "running") != (manifest.records, manifest.state == "running"):
        # Else this, drawn last, would stand where the whole belongs.
        return redraw(run, paper=paper, reporter=reporter)
    return result


def partial_notes(folder: RunFolder) -> list[str]:
    """One sentence where a run is not at its end, so that some of its records are missing."""
    manifest, writer = folder.read(), writer_of(folder.root)
    if manifest.state in ("recorded", "finished") or not manifest.records:
        return []
    state = f"is being written by {writer}" if writer is not None else f"was {folder.state()}"
    n, error = len(manifest.records or ()), f" ({manifest.error})" if manifest.error else ""
    return [
        f"{PARTIAL}the run in {folder.root} {state}{error}: this is of the {n} files of records that there are; "
        f"give the same aftertune {manifest.command} command again for the rest"
    ]


def check_statistics(margin: float, resamples: int) -> None:
    """Refuse settings of the statistics that make no sense."""
    if not 0 <= margin <= 2:
        raise InputError(f"margin is {margin}: it is a change of rho, 0 or a little more")
    if resamples < FEWEST_RESAMPLES:
        raise InputError(f"resamples is {resamples}: take at least {FEWEST_RESAMPLES}")


def finish(
    folder: RunFolder,
    manifest: Manifest,
    *,
    reporter: Reporter | None = None,
    sources: Sequence[Path] | None = None,
) -> Result:
    """Analyse the records of a run, or its sources, and write run.json, tables, figures and report.html.

    Where records lie elsewhere, nothing is written before the analysis has succeeded.

    Parameters
    ----------
    manifest : its settings say how the numbers were made and are shown in the report; `margin`, `resamples`,
        `analysis_seed`, `permutation`, `correct_at`, `negate`, `allow_other_items`, `rely_on` and `paper` are used
        here. Its notes and checks come before the analysis' own.
    sources : the manifest's sources as the user wrote them, for messages; None for those of the manifest, or
        else the run folder.
    """
    reporter = reporter or Reporter()
    if manifest.sources is None:
        there = folder.read()
        checkpoints = there.checkpoints if manifest.checkpoints is None else manifest.checkpoints
        manifest = replace(manifest, records=there.records, checkpoints=checkpoints, state="recorded")
        folder.write(manifest)
    result = _report(folder, manifest, reporter, sources)
    folder.change(state="finished")
    return result


def _report(
    folder: RunFolder,
    manifest: Manifest,
    reporter: Reporter,
    sources: Sequence[Path] | None = None,
    *,
    paper: bool = False,
) -> Result:
    reporter.stage("statistics, tables, figures", 1)
    if sources is None:
        sources = [folder.root] if manifest.sources is None else [Path(path) for path in manifest.sources]
    settings = manifest.settings
    records = _negated(read_records(sources), settings.get("negate") or ())
    check_enough_items(records)
    analysis = analyse(
        records,
        margin=settings["margin"],
        resamples=settings["resamples"],
        seed=settings.get("analysis_seed", 0),
        permutation=settings.get("permutation", False),
        correct_at=settings.get("correct_at"),
        checks=manifest.checks,
        allow_other_items=bool(settings.get("allow_other_items")),
        rely_on=settings.get("rely_on"),
    )
    analysis = replace(analysis, notes=(*manifest.notes, *analysis.notes))
    comparison = None
    if paper or settings.get("paper"):
        from aftertune.report.paper.comparison import compare

        comparison = compare(analysis)
        analysis = comparison.added_to(analysis)
    if manifest.sources is not None:
        folder.write(replace(manifest, state="recorded"))
    write_tables(analysis, folder.tables)
    summary, shown = replace(summarise(analysis, records), paper=comparison), _shown(settings)
    whole = not any(note.startswith(PARTIAL) for note in manifest.notes)
    content = summary_file(analysis, summary, records, title=manifest.title, settings=settings, partial=not whole)
    write_summary(content, folder.summary)
    from aftertune.report.figures import write_figures

    write_figures(summary, folder.root / "figures")
    write_page(
        folder.root,
        summary,
        records,
        title=manifest.title,
        settings=shown,
        signatures=manifest.signatures,
        correct_at=settings.get("correct_at"),
    )
    return Result(analysis=analysis, summary=summary, records=records, out=folder.root)


def _negated(records: Records, names: Sequence[str]) -> Records:
    """The records with these scores multiplied by −1.

    Raises
    ------
    InputError
        There is no such score.
    """
    check_names("score in these records", names, list(records.scores))
    scores = {name: -values if name in names else values for name, values in records.scores.items()}
    return replace(records, scores=scores) if names else records


def _shown(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings as the report shows them: nested ones by dotted names, absent ones left out."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if value is None:
            continue
        if isinstance(value, Mapping):
            flat |= _shown(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            for item in value:
                if isinstance(item, Mapping):
                    others = {k: v for k, v in item.items() if k != "name"}
                    flat |= _shown(others, f"{name}.{item.get('name', '')}.")
                else:
                    flat[f"{name}.{item}"] = str(item)
        else:
            flat[name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return flat
