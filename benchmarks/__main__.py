"""One command for every figure: ``python -m benchmarks`` from the project's root."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from benchmarks import table
from benchmarks.machine import describe
from benchmarks.models import SHAPES
from benchmarks.plan import Plan, quick
from benchmarks.row import Row
from benchmarks.subjects import EMBEDDED, NAMES, Subject, subjects

ROOM = Path(__file__).parent
SECTIONS = ("evidence", "memory", "texts", "training", "analyze", "pairs", "peer", "gpu")
Measured = tuple[str, list[Row], dict[str, Any]]


def main(arguments: list[str] | None = None) -> int:
    given = _parse(arguments)
    plan = Plan(threads=given.threads, tiny=given.tiny)
    if given.quick:
        plan = quick(plan)
    if given.repeats is not None:
        plan = replace(plan, repeats=given.repeats)
    if given.tokens is not None:
        plan = replace(plan, tokens=given.tokens)
    os.environ["OMP_NUM_THREADS"] = str(plan.threads)  # of the processes that are started
    torch.set_num_threads(plan.threads)
    transformers_logging.set_verbosity_error()
    trial = given.quick or given.tiny or given.gpu_on_cpu
    folder = given.out or ROOM / "results" / ("trial" if trial else "")
    machine = describe(plan.threads)
    started = time.monotonic()
    for name, rows, raw in _measure(given, plan):
        table.write_results(folder, name, machine, asdict(plan), rows, raw)
        for row in rows:
            _say(row, time.monotonic() - started)
    rows, machines = table.read_results(folder)
    if trial or given.out:
        print(table.render(rows, machines))
    else:
        table.into_readme(ROOM / "README.md", table.render(rows, machines))
    return 0


def _measure(given: argparse.Namespace, plan: Plan) -> Iterator[Measured]:
    """Each section of each model; what a section needs is imported when its turn comes."""
    models: list[str] = given.models
    own_shapes = [name for name in models if name in SHAPES]
    if "evidence" in given.only or "texts" in given.only:
        yield from _decoding(given.only, models, plan)
    if "peer" in given.only:
        from benchmarks import peer

        python = given.peer_python or peer.make_environment()
        for subject in subjects(models, plan):
            yield f"peer-{subject.name}-{_ending(subject)}", *peer.measure(subject, plan, python)
    if "memory" in given.only:
        from benchmarks import memory

        for name in own_shapes:
            if name in memory.SHAPES_MEASURED:
                yield f"memory-{name}", *memory.measure(name, plan)
    if "training" in given.only:
        from benchmarks import training

        for name in [*own_shapes, *(name for name in models if name in EMBEDDED)]:
            if name in training.MEASURED:
                yield f"training-{name}", *training.measure(name, plan)
    if "analyze" in given.only:
        from benchmarks import analyze

        yield "analyze", *analyze.measure(plan)
    if "pairs" in given.only:
        from benchmarks import pairs

        yield "pairs", *pairs.measure(plan)
    if "gpu" in given.only:
        from benchmarks import gpu

        for name in gpu.CONFIGURATIONS:
            yield f"gpu-{name}", *gpu.measure(name, on_cpu=given.gpu_on_cpu)


def _decoding(only: list[str], models: list[str], plan: Plan) -> Iterator[Measured]:
    from benchmarks import evidence, texts

    for subject in subjects(models, plan):
        ending = _ending(subject)
        if "evidence" in only:
            yield f"evidence-{subject.name}-{ending}", *evidence.measure(subject, plan)
        if "texts" in only:
            yield f"texts-{subject.name}-{ending}", *texts.measure(subject)


def _ending(subject: Subject) -> str:
    return "natural" if subject.natural else "never"


def _say(row: Row, seconds: float) -> None:
    figure = "–" if row.value is None else f"{row.value:.3f} {row.unit}"
    print(
        f"[{seconds:5.0f} s] {row.section}: {row.model}: {row.case}: {figure} ({row.verdict()})", file=sys.stderr
    )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_choices(SECTIONS), default=list(SECTIONS), help="sections, with commas")
    parser.add_argument("--models", type=_choices(NAMES), default=list(NAMES), help="models, with commas")
    parser.add_argument("--repeats", type=int, help="rounds of each comparison")
    parser.add_argument("--tokens", type=int, help="new tokens at most (of the time measurements)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="small, rough; README.md is left alone")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes: only to see that it runs")
    parser.add_argument("--peer-python", help="interpreter of an environment with requirements-peer.txt")
    parser.add_argument("--gpu-on-cpu", action="store_true", help="try the GPU script on the processor, tiny")
    parser.add_argument("--out", type=Path, help="folder of the JSON files; README.md is left alone")
    return parser.parse_args(arguments)


def _choices(known: tuple[str, ...]) -> Any:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    sys.exit(main())
