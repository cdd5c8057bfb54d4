"""Analyse records that somebody else's pipeline wrote, or redraw a run. No model is loaded, no torch imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aftertune.files.runfolder import RunFolder
from aftertune.records.records import read_signatures
from aftertune.study.finish import Result, check_statistics, finish
from aftertune.study.reporter import Silent


def analyze(
    records: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    margin: float = 0.05,
    resamples: int = 2000,
    seed: int = 0,
    permutation: bool = False,
    correct_at: float | None = None,
    title: str | None = None,
) -> Result:
    """Tables, figures and a report from records files or folders of them.

    Parameters
    ----------
    records : JSONL or Parquet files, run folders, or folders of such files (docs/records.md).
    out : folder to write to.
    resamples : of the bootstrap, and permutations of the permutation test.
    seed : of both.
    permutation : add a label-swap permutation test of each change, as a cross-check of the bootstrap.
    correct_at : quality from which an answer counts as correct, for tasks whose records do not say `correct`.

    Raises
    ------
    InputError
        What is wrong in which file and line; `out` is then not touched.
    """
    check_statistics(margin, resamples)
    sources = [Path(records)] if isinstance(records, str | Path) else [Path(path) for path in records]
    folder = RunFolder(Path(out))
    folder.check("analyze")
    signatures = read_signatures(sources)
    return finish(
        folder,
        title=title or ", ".join(path.stem for path in sources),
        settings={
            "command": "analyze",
            "records": [str(path) for path in sources],
            "margin": margin,
            "resamples": resamples,
            "analysis_seed": seed,
            "permutation": permutation,
            "correct_at": correct_at,
        },
        signatures=signatures,
        notes=[],
        reporter=Silent(),
        sources=sources,
    )


def redraw(run: str | Path) -> Result:
    """Write the tables, figures and report of a run folder again, from its records."""
    folder = RunFolder(Path(run))
    manifest = folder.manifest()
    sources = manifest["sources"]
    return finish(
        folder,
        title=manifest["title"],
        settings=manifest["settings"],
        signatures=manifest["signatures"],
        notes=manifest["notes"],
        reporter=Silent(),
        sources=None if sources is None else [Path(path) for path in sources],
    )
