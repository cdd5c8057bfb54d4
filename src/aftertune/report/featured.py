"""The two scores whose items are drawn: the paper's, or those that went wrong most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from aftertune.report.item_changes import ItemChanges

PAPER_SCORES = ("mean_token_logprob", "dropout_bleu_variance")
"""Of the paper's Figures 5, 7 and 8: one by probability, one by consistency."""

_WHY = ("over-confident", "under-confident")


@dataclass(frozen=True, slots=True, kw_only=True)
class Featured:
    """At most two scores; `remarks` has those that were chosen by their outcome, and what stands about it."""

    scores: tuple[str, ...]
    remarks: Mapping[str, str]


def featured(changes: Iterable[ItemChanges]) -> Featured:
    """The paper's scores that are there; in the place of a missing one what else there is.

    In the place of the first the score with the largest mean share of over-confident items, in that of the
    second the one with the largest mean share of under-confident items; ties by name.
    """
    shares: dict[str, list[tuple[float, float]]] = {}
    for change in changes:
        q = change.quadrants
        shares.setdefault(change.score, []).append((q.overconfident_share, q.underconfident_share))
    mean = {score: np.mean(own, axis=0) for score, own in shares.items()}
    others = sorted(score for score in mean if score not in PAPER_SCORES)
    chosen: list[str] = []
    remarks: dict[str, str] = {}
    for place, score in enumerate(PAPER_SCORES):
        if score in mean:
            chosen.append(score)
        elif others:
            most = max(others, key=lambda name: mean[name][place])
            others.remove(most)
            chosen.append(most)
            if others or (place == 1 and len(mean) > 2):
                remarks[most] = f"of the scores, the one with the largest share of {_WHY[place]} items"
    return Featured(scores=tuple(chosen), remarks=remarks)
