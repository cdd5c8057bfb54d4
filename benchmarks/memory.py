"""Peak memory of evidence beside bare generation without logits.

Each side runs in a process of its own: the model is built, the peak is reset, the calls are made, and the growth
of the resident set's peak over its size right after building is reported. Bare generation runs the three calls
one after another, of which the hungriest decides. The growth of a bare greedy call varies by a half between
processes (where the allocator's thresholds fall), so the median of some rounds counts.

    python -m benchmarks.memory SIDE CASE MODEL PLAN_AS_JSON
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.bare import Bare
from benchmarks.ours import Ours
from benchmarks.plan import Plan
from benchmarks.row import Row
from benchmarks.subjects import Subject, never_stopping

TARGET = 1.15
ROUNDS = 3
SHAPES_MEASURED = ("llama-128k",)
CASES = {
    "greedy": "peak memory of log-prob and entropy with greedy / bare greedy",
    "all": "peak memory of all evidence / bare calls",
}


def measure(name: str, plan: Plan) -> tuple[list[Row], dict[str, Any]]:
    rows, found = [], {}
    for case, words in CASES.items():
        rounds = [
            [_in_new_process(side, case, name, plan) for side in ("ours", "bare")]
            for _ in range(1 if plan.tiny else ROUNDS)
        ]
        ours, bare = (median(mib) for mib in zip(*rounds))
        rows.append(
            Row(
                section="memory",
                case=f"{words}, batch 16, {plan.memory_tokens} new tokens (MiB)",
                model=name,
                value=ours / bare,
                target=TARGET,
                ours=ours,
                other=bare,
                note=f"medians of {len(rounds)} processes each",
            )
        )
        found[case] = {"ours_mib": [ours for ours, _ in rounds], "bare_mib": [bare for _, bare in rounds]}
    return rows, found


def _in_new_process(side: str, case: str, name: str, plan: Plan) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", side, case, name, json.dumps(asdict(plan))]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:6])} failed:\n{done.stderr[-3000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["mib"])


def growth(side: str, case: str, name: str, plan: Plan) -> float:
    """MiB by which the peak exceeds what the process had with the model built. For a fresh process."""
    torch.set_num_threads(plan.threads)
    subject = never_stopping(name, plan)
    calls = _calls(side, case, subject)
    gc.collect()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    for call in calls:
        call(plan.memory_tokens)
    return (_status("VmHWM") - before) / 1024


def _calls(side: str, case: str, subject: Subject) -> list[Any]:
    if side == "ours":
        ours = Ours(subject.model, subject.tokenizer, subject.prompts, subject.dropout)
        return [ours.greedy] if case == "greedy" else [ours.everything]
    bare = Bare(subject.model, subject.tokenizer, subject.prompts, subject.dropout)
    return [bare.greedy] if case == "greedy" else [bare.greedy, bare.beams, bare.dropout]


def _status(field: str) -> int:
    """KiB, from Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


if __name__ == "__main__":
    side, case, name, plan = sys.argv[1:]
    print(json.dumps({"mib": growth(side, case, name, Plan(**json.loads(plan)))}))
