"""Wall time and peak memory of `aftertune analyze` on many records, as our run folders write them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aftertune.records.records import write_records
from aftertune.scores import SCORES
from aftertune.types import Floats, Records
from benchmarks.plan import Plan
from benchmarks.row import Row

SECONDS, GIB = 60.0, 2.0
"""Targets: of the whole command, from its start to its end; two processors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    items: int = 10_000
    scores: int = 13
    epochs: int = 10
    seeds: int = 3
    resamples: int = 2000

    @property
    def words(self) -> str:
        return (
            f"{self.items:,} items × {self.scores} scores × {self.epochs + 1} checkpoints × {self.seeds} seeds, "
            f"{self.resamples:,} resamples"
        )


def measure(plan: Plan, *, size: Size | None = None) -> tuple[list[Row], dict[str, Any]]:
    size = size or (Size(items=200, resamples=200) if plan.tiny else Size())
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder) / "run" / "records", size)
        rounds = [_analyse(Path(folder), size) for _ in range(plan.repeats)]
    wall = sorted(one["wall"] for one in rounds)
    peak = max(one["mib"] for one in rounds)
    rows = [
        Row(
            section="analyze",
            case=f"aftertune analyze: {size.words}",
            model="–",
            value=float(np.median(wall)),
            unit="s",
            target=SECONDS,
            spread=(wall[0], wall[-1]),
            note=f"{float(np.median([one['cpu'] for one in rounds])):.1f} s of CPU time",
        ),
        Row(
            section="analyze",
            case="its peak memory (resident)",
            model="–",
            value=peak / 1024,
            unit="GiB",
            target=GIB,
        ),
    ]
    return rows, {"analyze": rounds}


def write_run(folder: Path, size: Size) -> None:
    """One Parquet file for each checkpoint of each training run, with outputs, references, lengths and similarity.

    Quality is like token F1, with many zeros and ones. Of the scores, which are correlated with it, two have as
    many ties, two are undefined for a few items, and half do not depend on the seed before fine-tuning.
    """
    rng = np.random.default_rng(0)
    talent, before = rng.normal(size=size.items), rng.normal(size=(size.scores + 1, size.items))
    folder.mkdir(parents=True)
    for seed in range(size.seeds):
        for epoch in range(size.epochs + 1):
            noise = rng.normal(size=before.shape)
            if epoch == 0:
                noise[: size.scores // 2 + 1] = before[: size.scores // 2 + 1]
            records = _checkpoint(talent, noise, seed, epoch, selected=epoch == size.epochs // 2)
            write_records(records, folder / f"{seed}-{epoch}.parquet")


def _checkpoint(talent: Floats, noise: Floats, seed: int, epoch: int, *, selected: bool) -> Records:
    n = len(talent)
    latent = talent + 0.1 * epoch + noise[0]
    quality = np.round(np.clip((latent + 0.6) / 2, 0, 1), 2)
    strength = np.linspace(0.2, 1.5, len(noise) - 1) * (1 - 0.04 * epoch)
    scores = strength[:, None] * latent + noise[1:]
    scores[1], scores[2] = np.maximum(scores[1], 0), np.round(scores[2], 1)
    scores[3], scores[4] = np.minimum(scores[3], 0), np.where(np.abs(noise[5]) > 3, np.nan, scores[4])
    scores[5] = np.where(np.abs(noise[6]) > 3, np.nan, scores[5])
    lengths = np.maximum(1, np.round(8 - 2 * noise[1])).astype(int)
    ids = SCORES.names()
    known = [ids[i] if i < len(ids) else f"score_{i}" for i in range(len(scores))]

    def column(value: object) -> np.ndarray:
        return np.full(n, value, dtype=object)

    def texts(values: Any) -> np.ndarray:
        return np.fromiter(values, dtype=object, count=n)

    return Records(
        model=column("model"),
        task=column("task"),
        setting=column("default"),
        seed=np.full(n, seed),
        epoch=np.full(n, float(epoch)),
        selected=np.full(n, selected),
        split=column("test"),
        item_id=texts(f"item-{i}" for i in range(n)),
        output=texts(f"answer {i % 977} " + "word " * length for i, length in enumerate(lengths)),
        references=texts((f"answer {i % 977}", f"the answer is {i}") for i in range(n)),
        quality=quality,
        correct=column(None),
        train_similarity=np.tanh(np.abs(noise[-1])),
        scores=dict(zip(known, scores)),
        extra={
            "input": texts(f"question {i}: what is it that stands in this sentence?" for i in range(n)),
            "n_tokens": texts(map(int, lengths)),
        },
    )


def _analyse(folder: Path, size: Size) -> dict[str, float]:
    """The command in a process of its own: seconds on the clock and of the processors, MiB at its peak."""
    command = [sys.executable, "-m", "aftertune", "analyze", str(folder / "run")]
    command += ["--out", str(folder / "analysis"), "--resamples", str(size.resamples)]
    started = time.perf_counter()
    with (folder / "said.txt").open("w") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(folder / 'said.txt').read_text()[-3000:]}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "mib": usage.ru_maxrss / 1024}
