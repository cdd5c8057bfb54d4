"""The verdict on each score, one comparison of checkpoints a group, and what follows from it in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from aftertune.analysis.checkpoints import COMPARISONS
from aftertune.analysis.schema import Analysis, Row
from aftertune.report.names import (
    CHECKPOINT_NAMES,
    Key,
    decisive,
    group_name,
    grouped,
    key_of,
)
from aftertune.report.numbers import count, plain

State = Literal["trusted", "not useful", "degraded", "inconclusive", "undefined"]

MARKS = {"degraded": "▼", "improved": "▲", "holds": "=", "inconclusive": "?", "undefined": "–"}
BEST = 3
INCONCLUSIVE = "Inconclusive; if the change stayed as estimated, about so many items would settle it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One score in one comparison: the row of change.csv that its verdict stands in."""

    change: Row

    @property
    def score(self) -> str:
        return self.change.score

    @property
    def verdict(self) -> str:
        """`holds`, `improved`, `degraded`, `inconclusive` or `undefined`."""
        return self.change.verdict

    @property
    def before(self) -> float:
        """Spearman's rho at the earlier checkpoint."""
        return self.change.spearman_from

    @property
    def after(self) -> float:
        """Spearman's rho at the later checkpoint."""
        return self.change.spearman_to

    @property
    def state(self) -> State:
        """Trusted: holds or improved, and useful. Not useful: holds or improved, and not shown to be useful."""
        if self.verdict in ("holds", "improved"):
            return "trusted" if self.change.useful else "not useful"
        return self.verdict  # pyright: ignore[reportReturnType]


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
    def key(self) -> Key:
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


def groups(analysis: Analysis) -> tuple[Group, ...]:
    """One group for each model, task and setting: its most telling comparison (`COMPARISONS`, in that order)."""
    found = []
    for key, rows in grouped(analysis.rows("change"), key_of).items():
        by_pair = grouped(rows, lambda row: (row.from_, row.to))
        from_, to = next(pair for pair in (*COMPARISONS, *by_pair) if pair in by_pair)
        by_score = grouped(by_pair[from_, to], lambda row: row.score)
        outcomes = [Outcome(change=decisive(own)) for own in by_score.values()]
        outcomes.sort(key=lambda o: (o.verdict == "undefined", math.isnan(o.change.mean), o.change.mean, o.score))
        model, task, setting = key
        found.append(Group(model=model, task=task, setting=setting, from_=from_, to=to, outcomes=tuple(outcomes)))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A lead, then scores, each with a remark that may be "".

    Attributes
    ----------
    state : what the sentence is about; None where that is no verdict.
    """

    state: State | None
    lead: str
    scores: tuple[tuple[str, str], ...] = ()


def answer(group: Group) -> list[Sentence]:
    """Which scores can be trusted, these first, and which not; nothing about what was not measured."""
    total = len(group.outcomes)
    sentences = []

    def say(
        state: State | None, lead: str, some: Sequence[Outcome], remark: Callable[[Outcome], str] = lambda o: ""
    ) -> None:
        if some:
            scores = tuple((o.score, remark(o)) for o in some)
            sentences.append(Sentence(state=state, lead=lead, scores=scores))

    def rose(outcome: Outcome) -> str:
        return "improved" if outcome.verdict == "improved" else ""

    trusted, undefined = group.having("trusted"), group.having("undefined")
    lead = f"{len(trusted)} of {count(total, 'score')} can be trusted after fine-tuning"
    say("trusted", lead, trusted, rose)
    if not trusted and len(undefined) < total:
        sentences.append(Sentence(state=None, lead=f"None of {count(total, 'score')} is shown to be trustworthy."))
    useful = [o for o in group.outcomes if o.change.useful and o.state != "undefined"]
    best = sorted(useful, key=lambda o: -o.after)[:BEST]
    lead = "Track quality best after fine-tuning" if len(best) > 1 else "Alone tracks quality after fine-tuning"
    say(None, lead, best, lambda o: f"ρ {plain(o.after, 2)}")
    degraded, inconclusive = group.having("degraded"), group.having("inconclusive")
    tracking = [o for o in degraded if o.change.useful]
    say("degraded", "Degraded, though still tracking quality", tracking)
    say("degraded", "Degraded, and not shown to track quality", [o for o in degraded if o not in tracking])
    # More items would settle some, others only more training runs, and the rest neither.
    items = [o for o in inconclusive if o.change.items_needed is not None]
    runs = [o for o in inconclusive if o not in items and o.change.ci_scope == "training"]
    say("inconclusive", INCONCLUSIVE, items, lambda o: f"{float(f'{o.change.items_needed:.2g}'):,.0f}")
    say("inconclusive", "Inconclusive, and more training runs are needed rather than more items", runs)
    say("inconclusive", "Inconclusive", [o for o in inconclusive if o not in items and o not in runs])
    say("not useful", "Not worse, but not shown to track quality", group.having("not useful"), rose)
    for reason, some in grouped(undefined, lambda o: o.change.status).items():
        lead = "Nothing can be said" + (f", because {reason}" if reason else "")
        if len(some) == total:
            sentences.append(Sentence(state=None, lead=f"{lead}: all {count(total, 'score')} undefined."))
        else:
            say("undefined", lead, some)
    return sentences


def scope(group: Group) -> str:
    """What the intervals of the group cover, and what was not measured."""
    defined = [o for o in group.outcomes if o.state != "undefined"]
    if not defined:
        return ""
    over_runs = [o.change.ci_scope == "training" for o in defined]
    if group.n_seeds == 1:
        said = "One training run was measured: whether another run would end the same way was not."
    elif not any(over_runs):
        said = f"The intervals are for these {group.n_seeds} trained models, not for another training run."
    else:
        but = "" if all(over_runs) else ", except where the table says “these models”"
        said = f"The intervals allow for another training run too ({group.n_seeds} seeds){but}."
    if len(defined) > 1:
        said += (
            f" Each verdict stands by itself: tables/change.csv has p-values corrected for judging {len(defined)} "
            "scores at once (Holm)."
        )
    return said
