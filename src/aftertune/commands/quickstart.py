"""The quickstart: a small study on embedded tasks and models."""

from __future__ import annotations

from pathlib import Path

import torch

from aftertune.commands.analyze import Result
from aftertune.commands.run import run
from aftertune.measure.reporter import Reporter


def quickstart(*, out: str | Path, fast: bool = False, reporter: Reporter | None = None) -> Result:
    """Fine-tune the embedded models on the toy tasks and judge every score.

    `fast` takes one model and task, and fewer items and epochs. One thread is used: on idle cores two are
    quicker (16 s against 20 s for the fast one), but where the cores are shared they wait for each other (49 s
    against 29 s with both of two cores busy). The number of threads is put back afterwards.
    """
    study = Path(__file__).with_name("quickstart-fast.yaml" if fast else "quickstart.yaml")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run(study, out=out, reporter=reporter)
    finally:
        torch.set_num_threads(threads)
