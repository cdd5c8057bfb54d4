"""Wall time and peak memory of counting pairs of items, each case in a fresh process.

    python -m benchmarks.pairs ITEMS TRANSITIONS

Values are normal and correlated, without ties, which is the most work: a pair tied in quality is never looked at.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from aftertune.stats.pairs import pair_changes
from aftertune.types import Floats
from benchmarks.plan import Plan
from benchmarks.row import Row

LARGE, STUDY = (100_000, 1), (1_000, 351)
"""Items and transitions: one large test set; 9 transitions of 13 scores with 3 seeds."""

SECONDS = {LARGE: 60.0, STUDY: 10.0}
MIB = 2048.0
"""Targets: of the whole process, from its start to its end; two processors, of which the count uses one."""

ROOT = Path(__file__).resolve().parents[1]


def measure(plan: Plan) -> tuple[list[Row], dict[str, Any]]:
    rows: list[Row] = []
    raw: dict[str, Any] = {}
    for case, seconds in SECONDS.items():
        items, transitions = (case[0] // 100, 1) if plan.tiny else case
        rounds = [in_new_process(items, transitions) for _ in range(plan.repeats)]
        wall = sorted(one["wall"] for one in rounds)
        words = f"all pairs of {items:,} items, {transitions} transition{'s' if transitions > 1 else ''}"
        rows += [
            Row(
                section="pairs",
                case=words,
                model="–",
                value=median(wall),
                unit="s",
                target=seconds,
                spread=(wall[0], wall[-1]),
                note=f"{median(one['cpu'] for one in rounds):.1f} s of CPU time; start of Python included",
            ),
            Row(
                section="pairs",
                case=f"peak memory (resident): {words}",
                model="–",
                value=max(one["mib"] for one in rounds),
                unit="MiB",
                target=MIB,
            ),
        ]
        raw[f"{items} × {transitions}"] = rounds
    return rows, raw


def in_new_process(items: int, transitions: int) -> dict[str, float]:
    """Seconds on the clock from its start to its end, its CPU seconds, MiB at its peak, and the pairs it found."""
    command = [sys.executable, "-m", "benchmarks.pairs", str(items), str(transitions)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    wall = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{done.stderr[-3000:]}")
    return {"wall": wall, **json.loads(done.stdout)}


def transitions(items: int, count: int) -> Iterator[tuple[Floats, Floats, Floats, Floats]]:
    """Quality and confidence before and after, `count` times; correlated with one another."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        q_from, c_from, q_to, c_to = rng.normal(size=items) + rng.normal(size=(4, items))
        yield q_from, c_from, q_to, c_to


def count_all(items: int, count: int) -> int:
    """Relatively correlated pairs, of all transitions; what is unchanged is counted too."""
    found = 0
    for q_from, c_from, q_to, c_to in transitions(items, count):
        same = np.arange(items) % 3 == 0
        found += pair_changes(q_from, c_from, q_to, c_to, output_same=same, quality_same=~same).n_correlated
    return found


def own_peak() -> float:
    """MiB resident at the peak of this process, from Linux.

    Not by `getrusage`: what that says of a process begins with the size of the one that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    correlated = count_all(int(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps({"cpu": time.process_time(), "mib": own_peak(), "correlated": correlated}))
