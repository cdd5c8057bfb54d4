"""The quickstart: a small study on embedded tasks and models."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import torch

from aftertune.commands.analyze import Result
from aftertune.commands.run import run
from aftertune.measure.reporter import Reporter
from aftertune.study.config import StudyConfig, read_study


def quickstart(*, out: str | Path, fast: bool = False, reporter: Reporter | None = None) -> Result:
    """Fine-tune the embedded models on the toy tasks and judge every score.

    `fast` takes one model and task, and fewer items and epochs. One thread is used: on idle cores two are
    quicker (16 s against 20 s for the fast one), but where the cores are shared they wait for each other (49 s
    against 29 s with both of two cores busy). The number of threads is put back afterwards.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run(quickstart_study(fast=fast), out=out, reporter=reporter)
    finally:
        torch.set_num_threads(threads)


def quickstart_study(*, fast: bool = False) -> StudyConfig:
    """The shipped study file, parsed."""
    name = "quickstart-fast.yaml" if fast else "quickstart.yaml"
    return read_study(Path(str(files("aftertune.commands") / name)))
