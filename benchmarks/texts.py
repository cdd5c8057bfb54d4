"""Time to score texts (BLEU, METEOR and chrF of output pairs, and all other scores) beside decoding them."""

from __future__ import annotations

from typing import Any

import numpy as np

from aftertune.scores import score
from aftertune.types import Evidence
from benchmarks.bare import SAMPLES
from benchmarks.measure import ratio, raw, rounds
from benchmarks.ours import Ours
from benchmarks.row import Row
from benchmarks.subjects import Subject

TARGET = 5.0


def measure(subject: Subject) -> tuple[list[Row], dict[str, Any]]:
    """Share of `aftertune.score(evidence)`, every score, in the time of decoding that evidence."""
    ours = Ours(subject.model, subject.tokenizer, subject.prompts, subject.dropout)
    score(ours.everything(min(2, subject.tokens)))  # loads the metrics
    kept: list[Evidence] = []
    readings = rounds(
        {
            "decode": lambda: kept.append(ours.everything(subject.tokens)),
            "score": lambda: score(kept[-1]),
        },
        1,
    )
    share = ratio(readings, ["score"], ["decode"])
    row = Row(
        section="texts",
        case=f"all scores of all texts / decoding them, {subject.lengths}",
        model=subject.name,
        value=100 * share.cpu,
        unit="%",
        target=TARGET,
        ours=share.ours,
        other=share.other,
        wall=100 * share.wall,
        note=f"{len(subject.prompts)} items, {_distinct(kept[-1]):.1f} distinct texts of {SAMPLES} samples each",
    )
    return [row], {"texts": raw(readings)}


def _distinct(evidence: Evidence) -> float:
    """Distinct dropout texts of an item, mean: samples that are alike leave little to compare."""
    assert evidence.dropout is not None
    return float(np.mean([len(set(texts)) for texts in evidence.dropout.text]))
