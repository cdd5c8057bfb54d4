"""Does the quickstart print the same where sums are rounded otherwise? The measurement of docs/start.md.

    python scripts/quickstart_stability.py            # a quarter of an hour on two cores
    python scripts/quickstart_stability.py --fast     # that of `quickstart --fast`

Each row of the table is a whole quickstart, trainings included, in a process of its own: with two threads, with
the kernels of another processor, without oneDNN, with every weight of the models moved by one unit in its last
place. It is compared with the ordinary quickstart:

words       scores with another verdict, or another "usable", and tasks with another recommended score
lines       of `report --verbose` that differ; they are printed below the table
rho         largest difference of a tie-adjusted rho, or of a bound of its change
outputs     greedy outputs of test items that differ, at all checkpoints
log-prob    largest difference of an item's mean_token_logprob, where the output is the same; with 0, nothing was
            perturbed
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

import aftertune
from aftertune.cli.progress import show_result
from aftertune.commands import run as room
from aftertune.files.runfolder import RunFolder
from aftertune.models import embedded
from aftertune.study.config import read_study

OTHER_KERNELS = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41"}
"""As in the Makefile."""
ORDINARY = "ordinary"
PERTURBED: dict[str, tuple[list[str], dict[str, str]]] = {
    ORDINARY: ([], {}),
    "two threads": (["--threads", "2"], {}),
    "other kernels": ([], OTHER_KERNELS),
    "without oneDNN": (["--no-onednn"], {}),
    "weights + 1 ulp": (["--ulp", "1"], {}),
    "weights + 1 ulp, others": (["--ulp", "2"], {}),
    "all of these": (["--threads", "2", "--no-onednn", "--ulp", "3"], OTHER_KERNELS),
}
"""What is perturbed → options of the child process, and its environment."""


def one_ulp(name: str, folder: Path, seed: int) -> Path:
    """The embedded model with each weight, as float32, moved up or down by one unit in its last place."""
    source, draw = embedded.path(name), torch.Generator().manual_seed(seed)
    shutil.copytree(source, folder)
    moved = {}
    for key, half in load_file(source / "model.safetensors").items():
        weight = half.float()
        ends = torch.where(torch.rand(weight.shape, generator=draw) < 0.5, -torch.inf, torch.inf)
        moved[key] = torch.nextafter(weight, ends)
    save_file(moved, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def perturbed_quickstart(fast: bool, threads: int, onednn: bool, ulp: int) -> None:
    """In the working folder: the quickstart into `run`, and what it says into `said.txt`."""
    torch.set_num_threads(threads)
    torch.backends.mkldnn.set_flags(onednn)  # pyright: ignore[reportAttributeAccessIssue]
    study = read_study(Path(room.__file__).with_name("quickstart-fast.yaml" if fast else "quickstart.yaml"))
    if ulp:
        models = [
            model.model_copy(update={"path": str(one_ulp(model.path, Path(f"moved-{model.name}"), ulp))})
            for model in study.models
        ]
        study = study.model_copy(update={"models": models})
    result = aftertune.run(study, out="run", device="cpu")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        show_result(result, verbose=True)
    Path("said.txt").write_text(said.getvalue(), encoding="utf-8")


class Told:
    """What a quickstart said and measured."""

    def __init__(self, folder: Path) -> None:
        run = RunFolder(folder / "run")
        self.lines = (folder / "said.txt").read_text(encoding="utf-8").splitlines()
        changes = pd.read_csv(run.tables / "change.csv").query("effect == 'adjusted' and ci_scope == 'models'")
        changes = changes.set_index(["model", "from", "to", "score"])
        self.words = changes[["verdict", "usable"]]
        self.numbers = changes[["value_from", "value_to", "ci_low", "ci_high"]]
        self.recommended = pd.read_csv(run.tables / "recommendation.csv").set_index(["model", "role"])[["score"]]
        rows = pd.concat([pd.read_parquet(path) for path in run.record_paths()]).query("split == 'test'")
        rows["logprob"] = [dict(scores)["mean_token_logprob"] for scores in rows["scores"]]
        self.items = rows.set_index(["model", "epoch", "item_id"])[["output", "logprob"]].sort_index()

    def against(self, other: Told) -> list[str]:
        """The cells of a row of the table."""
        words = sum(
            int((mine.fillna("") != theirs.fillna("")).any(axis=1).sum())
            for mine, theirs in ((self.words, other.words), (self.recommended, other.recommended))
        )
        lines = sum(line[0] == "-" for line in self.differing(other))
        same = self.items["output"] == other.items["output"]
        logprob = (self.items["logprob"] - other.items["logprob"]).abs()[same].max()
        rho = (self.numbers - other.numbers).abs().max(axis=None)
        total = len(self.words) + len(self.recommended)
        return [
            f"{words} of {total}",
            f"{lines} of {len(other.lines)}",
            f"{rho:.4f}",
            f"{(~same).sum()} of {len(same):,}",
            f"{logprob:.1e}",
        ]

    def differing(self, other: Told) -> list[str]:
        """Lines of a diff, without its headings."""
        return [
            line
            for line in difflib.unified_diff(other.lines, self.lines, n=0, lineterm="")
            if not line.startswith(("---", "+++", "@@"))
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="that of `quickstart --fast`")
    parser.add_argument("--out", type=Path, help="keep the run folders here; what is there is not run again")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--no-onednn", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ulp", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        perturbed_quickstart(arguments.fast, arguments.threads, not arguments.no_onednn, arguments.ulp)
        return
    with tempfile.TemporaryDirectory() as scratch:
        told: dict[str, Told] = {}
        print(f"{'':24} | {'words':8} | {'lines':10} | {'rho':6} | {'outputs':12} | log-prob", flush=True)
        for name, (options, environment) in PERTURBED.items():
            folder = (arguments.out or Path(scratch)) / re.sub(r"\W+", "-", name)
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "said.txt").exists():
                command = [sys.executable, str(Path(__file__).resolve()), "--child", *options]
                command += ["--fast"] if arguments.fast else []
                with (folder / "stderr.txt").open("w") as errors:
                    subprocess.run(command, cwd=folder, env=os.environ | environment, stderr=errors, check=True)
            told[name] = Told(folder)
            words, lines, rho, outputs, logprob = told[name].against(told[ORDINARY])
            print(f"{name:24} | {words:8} | {lines:10} | {rho:6} | {outputs:12} | {logprob}", flush=True)
        for name, one in told.items():
            if found := one.differing(told[ORDINARY]):
                print(f"\n{name}:", *found, sep="\n")


if __name__ == "__main__":
    main()
