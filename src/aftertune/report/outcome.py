"""What happened to each score: the rows of an analysis that a reader sees first, one comparison a group."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aftertune.analysis.schema import Analysis, Row

State = Literal["trusted", "not useful", "degraded", "inconclusive", "undefined"]

COMPARISONS = (
    ("before", "selected"),
    ("before", "last"),
    ("epoch_1", "selected"),
    ("epoch_1", "last"),
    ("before", "epoch_1"),
)
CHECKPOINT_NAMES = {
    "before": "before fine-tuning",
    "epoch_1": "epoch 1",
    "selected": "selected checkpoint",
    "last": "last checkpoint",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One score in one comparison.

    Attributes
    ----------
    before, after : Spearman's rho at the two checkpoints, mean over the seeds in which both are defined.
    change : the row of change.csv that the verdict stands in.
    """

    score: str
    before: float
    after: float
    change: Row

    @property
    def state(self) -> State:
        """Trusted: holds or improved, and useful. Not useful: holds or improved, and not shown to be useful."""
        verdict = self.verdict
        if verdict in ("holds", "improved"):
            return "trusted" if self.change.useful else "not useful"
        return verdict  # pyright: ignore[reportReturnType]

    @property
    def verdict(self) -> str:
        """The verdict without its reason."""
        word = self.change.verdict.split(":", 1)[0].strip()
        if word not in ("holds", "improved", "degraded", "inconclusive", "undefined"):
            raise ValueError(f"unknown verdict {self.change.verdict!r}")
        return word

    @property
    def reason(self) -> str:
        """Why the verdict is undefined, else ""."""
        return self.change.verdict.partition(":")[2].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All scores of one model, task and setting between two checkpoints; largest fall first, undefined last."""

    model: str
    task: str
    setting: str
    from_: str
    to: str
    outcomes: tuple[Outcome, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.model, self.task, self.setting

    @property
    def name(self) -> str:
        return group_name(*self.key)

    @property
    def comparison(self) -> str:
        return f"{CHECKPOINT_NAMES.get(self.from_, self.from_)} → {CHECKPOINT_NAMES.get(self.to, self.to)}"

    @property
    def n_items(self) -> list[int]:
        """Items used, one entry for each score whose change is defined (of all scores if none is)."""
        defined = [o.change.n_items for o in self.outcomes if o.verdict != "undefined"]
        return defined or [o.change.n_items for o in self.outcomes]

    @property
    def n_seeds(self) -> int:
        return max(o.change.n_seeds for o in self.outcomes)

    def having(self, *states: State) -> list[Outcome]:
        return [o for o in self.outcomes if o.state in states]


def group_name(model: str, task: str, setting: str) -> str:
    """
    >>> group_name("llama", "squad", "default"), group_name("llama", "squad", "n=500")
    ('llama on squad', 'llama on squad (n=500)')
    """
    return f"{model} on {task}" + ("" if setting == "default" else f" ({setting})")


def keys(rows: Iterable[Row | Row]) -> list[tuple[str, str, str]]:
    """Model, task and setting, each once, in order of appearance."""
    return list(dict.fromkeys((row.model, row.task, row.setting) for row in rows))


def is_at(row: Row | Row, checkpoint: str, last_epoch: float) -> bool:
    """Whether the row is of the checkpoint called before, epoch_1, selected or last (which is never epoch 0)."""
    if checkpoint == "selected":
        return row.selected
    epochs = {"before": 0.0, "epoch_1": 1.0, "last": last_epoch or math.nan}
    return checkpoint in epochs and row.epoch == epochs[checkpoint]


def groups(analysis: Analysis) -> tuple[Group, ...]:
    """One group for each model, task and setting: its most telling comparison (`COMPARISONS`, in that order).

    Of the two intervals of a change the one for another training run is taken where it is defined, else the
    one for these trained models.
    """
    found = []
    for key in keys(analysis.rows("change")):
        rows = [row for row in analysis.rows("change") if (row.model, row.task, row.setting) == key]
        present = list(dict.fromkeys((row.from_, row.to) for row in rows))
        from_, to = next((pair for pair in COMPARISONS if pair in present), present[0])
        rhos = [row for row in analysis.rows("correlation") if (row.model, row.task, row.setting) == key]
        outcomes = []
        for score in dict.fromkeys(row.score for row in rows if (row.from_, row.to) == (from_, to)):
            change = _telling([r for r in rows if (r.score, r.from_, r.to) == (score, from_, to)])
            before, after = _rho([r for r in rhos if r.score == score], from_, to)
            outcomes.append(Outcome(score=score, before=before, after=after, change=change))
        outcomes.sort(key=lambda o: (o.verdict == "undefined", math.isnan(o.change.mean), o.change.mean, o.score))
        model, task, setting = key
        found.append(Group(model=model, task=task, setting=setting, from_=from_, to=to, outcomes=tuple(outcomes)))
    return tuple(found)


def _telling(rows: list[Row]) -> Row:
    def rank(row: Row) -> tuple[bool, bool]:
        return math.isnan(row.ci_low), row.ci_scope != "training"

    return min(rows, key=rank)


def _rho(rows: list[Row], from_: str, to: str) -> tuple[float, float]:
    pairs = []
    for seed in dict.fromkeys(row.seed for row in rows):
        run = [row for row in rows if row.seed == seed]
        last = max(row.epoch for row in run)
        ends = [[row.spearman for row in run if is_at(row, end, last)] for end in (from_, to)]
        if all(ends):
            pairs.append((ends[0][0], ends[1][0]))
    if not pairs:
        return math.nan, math.nan
    values = np.array(pairs)
    both = np.isfinite(values).all(axis=1)
    if both.any():
        before, after = values[both].mean(axis=0)
        return float(before), float(after)
    columns = (values[np.isfinite(values[:, i]), i] for i in (0, 1))
    before, after = (float(c.mean()) if len(c) else math.nan for c in columns)
    return before, after
