"""Records for the tests of the page: an audit of one model, and names and texts that mean harm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from aftertune.analysis.analyse import analyse
from aftertune.report.page import write_page
from aftertune.report.summary import summarise
from aftertune.types import Records
from downstream_samples import with_correct
from record_samples import checkpoint, together

AUDITED = ("mean_token_logprob", "mean_token_entropy", "cocoa_msp", "beam_sum", "beam_ratio", "dropout_kl", "mine")


@cache
def audit(n: int = 100) -> Records:
    """One model before and after, graded, no ties in confidence; of the scores one falls and two are alike."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(2, n))
    truth[1] = 0.8 * truth[0] + 0.6 * truth[1]
    noise = rng.normal(size=(len(AUDITED), n))
    parts = []
    for epoch in (0, 1):
        own = 0.5 * rng.normal(size=(len(AUDITED), n)) + 0.7 * noise
        scores = {name: truth[epoch] + own[k] for k, name in enumerate(AUDITED)}
        scores["mean_token_entropy"] = scores["mean_token_logprob"] + 0.05 * noise[1]
        scores["beam_ratio"] = (1 - epoch) * truth[0] + own[4]
        scores["mine"] = own[6]
        parts.append(
            checkpoint(
                np.round(64 / (1 + np.exp(-truth[epoch]))) / 64,  # exact in single precision
                scores,
                model="llama",
                task="qa",
                epoch=epoch,
                selected=epoch == 1,
                ids=[f"qa-{i:03}" for i in range(n)],
                output=[f"answer {i} of epoch {epoch if i % 3 else 0}" for i in range(n)],
                references=[(f"reference {i}", "another")[: 1 + i % 2] for i in range(n)],
                extra={"input": [f"question {i} about {'birds' if i % 4 else 'fish'}?" for i in range(n)]},
            )
        )
    return together(*parts)


def hostile(names: Sequence[str], texts: Sequence[str], n: int = 40) -> Records:
    """Two checkpoints whose scores have these names, as have models, tasks, settings and items; texts in turn."""
    rng = np.random.default_rng(5)
    parts = []
    quality = rng.integers(0, 2, n).astype(float)
    for epoch in (0, 1):
        part = checkpoint(
            quality,
            {name: quality + rng.normal(size=n) for name in names},
            model=names[0],
            task=names[1 % len(names)],
            setting=names[2 % len(names)],
            epoch=epoch,
            selected=epoch == 1,
            ids=[names[i] if i < len(names) else f"{names[i % len(names)]}{i}" for i in range(n)],
            output=[texts[i % len(texts)] for i in range(n)],
            references=[(texts[i % len(texts)],) for i in range(n)],
            extra={"input": [texts[(i + 1) % len(texts)] for i in range(n)]},
        )
        parts.append(with_correct(part, [bool(q) for q in quality]))
    return together(*parts)


def written(folder: Path, records: Records, **options: object) -> Path:
    """The page of these records, in a new folder."""
    folder.mkdir(parents=True)
    found = {"title": "A study", "settings": {"before": "models/base", "after": "runs/tuned"}, "signatures": {}}
    return write_page(folder, summarise(analyse(records, resamples=100), records), records, **found | options)


def without(records: Records, **columns: object) -> Records:
    """The records with other columns; a value for all of them, or an array."""
    n = len(records)
    values = {k: v if isinstance(v, np.ndarray) else np.full(n, v, dtype=object) for k, v in columns.items()}
    return replace(records, **values)
