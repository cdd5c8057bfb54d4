"""The verdict on each score, one comparison of checkpoints a group, and what follows from it in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
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
from aftertune.scores import known_score
from aftertune.stats.verdict import MOST_ITEMS

State = Literal["trusted", "not usable", "degraded", "fell", "inconclusive", "undefined"]

MARKS = {"degraded": "▼", "fell": "▽", "improved": "▲", "holds": "=", "inconclusive": "?", "undefined": "–"}
BEST = 3
INCONCLUSIVE = "Inconclusive; so many test items would settle it with a chance of 80 %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One score in one comparison.

    Attributes
    ----------
    change : the row of change.csv that its verdict stands in, about the tie-adjusted rho.
    plain : the same of the paper's plain rho.
    new_run : the prediction for one more training run; None with fewer than three.
    """

    change: Row
    plain: Row
    new_run: Row | None = None

    @property
    def score(self) -> str:
        return self.change.score

    @property
    def verdict(self) -> str:
        """`improved`, `holds`, `degraded`, `fell`, `inconclusive` or `undefined`."""
        return self.change.verdict

    @property
    def before(self) -> float:
        """Tie-adjusted rho at the earlier checkpoint."""
        return self.change.value_from

    @property
    def after(self) -> float:
        """Tie-adjusted rho at the later checkpoint."""
        return self.change.value_to

    @property
    def is_usable(self) -> bool:
        return self.change.usable == "yes"

    @property
    def state(self) -> State:
        """Trusted: holds or improved, and usable. Not usable: holds or improved, and not shown to be usable."""
        if self.verdict in ("holds", "improved"):
            return "trusted" if self.is_usable else "not usable"
        return self.verdict  # pyright: ignore[reportReturnType]


def outcomes(rows: Iterable[Row]) -> list[Outcome]:
    """One for each score among rows of change.csv of one comparison."""
    found = []
    for own in grouped(rows, lambda row: row.score).values():
        adjusted = [row for row in own if row.effect == "adjusted"]
        found.append(
            Outcome(
                change=decisive(adjusted),
                plain=decisive(row for row in own if row.effect == "spearman"),
                new_run=next((row for row in adjusted if row.ci_scope == "new_run"), None),
            )
        )
    return found


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
        own = outcomes(by_pair[from_, to])
        own.sort(key=lambda o: (o.verdict == "undefined", math.isnan(o.change.mean), o.change.mean, o.score))
        model, task, setting = key
        found.append(Group(model=model, task=task, setting=setting, from_=from_, to=to, outcomes=tuple(own)))
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

    def unusable(outcome: Outcome) -> str:
        words = {"not shown": "not shown to be usable", "reversed": "reversed"}
        return words.get(outcome.change.usable, "")

    trusted, undefined = sorted(group.having("trusted"), key=lambda o: -o.after), group.having("undefined")
    are = "is" if len(trusted) == 1 else "are"
    lead = f"{len(trusted)} of {count(total, 'score')} survived fine-tuning and {are} usable"
    say("trusted", lead, trusted, rose)
    if not trusted and len(undefined) < total:
        lead = f"Of {count(total, 'score')} none is shown to have survived fine-tuning and to be usable."
        sentences.append(Sentence(state=None, lead=lead))

    def say_best() -> None:
        best = sorted((o for o in group.outcomes if o.is_usable), key=lambda o: -o.after)[:BEST]
        lead = (
            "Track quality best after fine-tuning" if len(best) > 1 else "Alone tracks quality after fine-tuning"
        )
        say(None, lead, best, lambda o: f"ρ {plain(o.after, 2)}")

    if len(undefined) < total:
        say_best()
    degraded, fell, inconclusive = group.having("degraded"), group.having("fell"), group.having("inconclusive")
    say("degraded", "Degraded, though still usable", [o for o in degraded if o.is_usable])
    say("degraded", "Degraded, and not usable", [o for o in degraded if not o.is_usable], unusable)
    say("fell", "Fell; whether by more than the margin is not shown", fell, unusable)
    # More items would settle some, others only more training runs, and the rest neither.
    items = [o for o in inconclusive if o.change.items_needed is not None]
    runs = [o for o in inconclusive if o not in items and o.change.ci_scope == "training"]
    items.sort(key=lambda o: o.change.items_needed)
    say("inconclusive", INCONCLUSIVE, items, lambda o: _items(o.change.items_needed))
    say("inconclusive", "Inconclusive, and more training runs are needed rather than more items", runs)
    say("inconclusive", "Inconclusive", [o for o in inconclusive if o not in items and o not in runs])
    reversed_ = [o for o in group.outcomes if o.change.usable == "reversed"]
    ours = [o for o in reversed_ if known_score(o.score) is not None]
    say(None, "Reversed: the more confident answers are the worse ones", ours)
    lead = "Reversed: a higher value goes with worse answers (an uncertainty? analyze … --negate turns it)"
    say(None, lead, [o for o in reversed_ if o not in ours])
    rest = [o for o in group.having("not usable") if o not in reversed_]
    say("not usable", "Not worse, but not shown to be usable", rest, rose)
    for reason, some in grouped(undefined, lambda o: o.change.status).items():
        lead = "Nothing can be said" + (f", because {reason}" if reason else "")
        if len(some) == total:
            sentences.append(Sentence(state=None, lead=f"{lead}: all {count(total, 'score')} undefined."))
        else:
            say("undefined", lead, some)
    if len(undefined) == total:
        say_best()
    return sentences


def _items(n: int) -> str:
    return f"more than {MOST_ITEMS:,}" if n > MOST_ITEMS else f"{float(f'{n:.2g}'):,.0f}"


def scope(group: Group) -> str:
    """What the intervals of the group cover, and what was not measured."""
    defined = [o for o in group.outcomes if o.state != "undefined"]
    if not defined:
        return ""
    over_runs = [o.change.ci_scope == "training" for o in defined]
    if group.n_seeds == 1:
        said = "One training run was measured: whether another run would end the same way was not."
    elif not any(over_runs):
        said = f"The intervals are for these {group.n_seeds} trained models, not for training runs like these."
    else:
        but = "" if all(over_runs) else ", except where the table says “these models”"
        said = (
            f"The intervals are for the mean over training runs ({group.n_seeds} seeds){but}; one more run may "
            "lie outside (new_run in tables/change.csv)."
        )
    together = [o for o in defined if o.change.simultaneous]
    if len(together) > 1:
        said += f" The intervals hold for all {len(together)} scores at once with 95 % confidence."
    return said
