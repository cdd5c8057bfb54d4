"""Process CPU time and wall time of calls that are run side by side.

Machines drift (clock rates, neighbours), so a figure here is never one time divided by another that was taken
minutes apart: in each *round* all cases run one after another, every second round backwards, a ratio is formed
within each round, and the median over the rounds is reported.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

Case = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Seconds that one call took: of all processors together, and on the clock."""

    cpu: float
    wall: float


Rounds = dict[str, list[Reading]]
"""Case → its reading in each round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Median over the rounds, with the smallest and the largest; `ours` and `other` are median CPU seconds."""

    cpu: float
    wall: float
    spread: tuple[float, float]
    ours: float
    other: float


def cpu_seconds() -> float:
    """CPU time of this process and of its children, those that still run included."""
    ended = os.times()
    total = time.process_time() + ended.children_user + ended.children_system
    return total + sum(_cpu_of(pid) for pid in _children(os.getpid()))


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.exists():
        return []
    found: list[int] = []
    for file in tasks.glob("*/children"):
        for child in map(int, file.read_text().split()):
            found += [child, *_children(child)]
    return found


def _cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:  # it has ended in the meantime
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read(case: Case) -> Reading:
    """One call. Garbage is collected before, not during it."""
    gc.collect()
    cpu, wall = cpu_seconds(), time.perf_counter()
    answer = case()
    if isinstance(answer, Reading):  # it ran in another process, which measured itself
        return answer
    return Reading(wall=time.perf_counter() - wall, cpu=cpu_seconds() - cpu)


def rounds(cases: Mapping[str, Case], repeats: int) -> Rounds:
    """Every case `repeats` times, in alternating order.

    A case may return a `Reading` of its own, which is then taken instead of what was measured here.
    """
    readings: Rounds = {name: [] for name in cases}
    for i in range(repeats):
        for name in list(cases)[:: 1 if i % 2 == 0 else -1]:
            readings[name].append(read(cases[name]))
    return readings


def ratio(readings: Rounds, ours: Sequence[str], other: Sequence[str]) -> Ratio:
    """Sum of the cases `ours` over the sum of the cases `other`: median of the ratios of each round.

    >>> two = [Reading(cpu=2.0, wall=1.0), Reading(cpu=3.0, wall=1.0), Reading(cpu=9.0, wall=1.0)]
    >>> one = [Reading(cpu=2.0, wall=1.0), Reading(cpu=2.0, wall=1.0), Reading(cpu=2.0, wall=1.0)]
    >>> ratio({"a": two, "b": one}, ["a"], ["b"]).cpu
    1.5
    """
    cpu = [_sums(readings, names, "cpu") for names in (ours, other)]
    wall = [_sums(readings, names, "wall") for names in (ours, other)]
    each = [a / b for a, b in zip(*cpu)]
    return Ratio(
        cpu=median(each),
        wall=median(a / b for a, b in zip(*wall)),
        spread=(min(each), max(each)),
        ours=median(cpu[0]),
        other=median(cpu[1]),
    )


def _sums(readings: Rounds, names: Sequence[str], what: str) -> list[float]:
    return [sum(getattr(one, what) for one in each) for each in zip(*(readings[name] for name in names))]


def raw(readings: Rounds) -> dict[str, list[dict[str, float]]]:
    """Every reading, for the JSON file."""
    return {name: [{"cpu": one.cpu, "wall": one.wall} for one in each] for name, each in readings.items()}
