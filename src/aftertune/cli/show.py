"""Results on the screen: progress while the work runs, then the verdicts and where the report is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aftertune.cli.console import text_console
from aftertune.cli.progress import ProgressBars

if TYPE_CHECKING:
    from aftertune.study.finish import Result
    from aftertune.study.reporter import Reporter


def with_progress(work: Callable[[Reporter], Result]) -> Result:
    """Run `work` with progress on stderr, and without transformers' own bars and reports."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    with ProgressBars(text_console(stderr=True)) as bars:
        return work(bars)


def show_result(result: Result) -> None:
    """Verdict tables and where to look next, on stdout."""
    from aftertune.report.terminal import print_verdicts

    console = text_console()
    print_verdicts(console, result.analysis)
    console.print(f"report: {result.report}", soft_wrap=True)
    console.print(f"tables: {result.tables}", soft_wrap=True)
