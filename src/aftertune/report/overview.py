"""The first screen of the page: for each setting what was compared, what to use, what to do next, every score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aftertune.analysis.checkpoints import Setting, named_points
from aftertune.analysis.recommending import ALIKE
from aftertune.report.items import key_of_setting
from aftertune.report.names import Key, group_name
from aftertune.report.recommendation import Recommendation
from aftertune.report.summary import QualityChange, Summary
from aftertune.report.verdicts import Group, Outcome
from aftertune.stats.ranks import centred_ranks
from aftertune.stats.verdict import FEWEST_ITEMS, MOST_ITEMS

CHIPS = {
    "improved": ("▲", "improved"),
    "holds": ("✓", "holds"),
    "degraded": ("▼", "degraded"),
    "fell": ("▽", "fell"),
    "inconclusive": ("?", "inconclusive"),
    "undefined": ("–", "undefined"),
}
"""Verdict → sign and word: did the score survive fine-tuning?"""
USABLE = {"yes": ("✓", "usable"), "reversed": ("⇅", "reversed"), "not shown": ("?", "not shown"), "": ("–", "")}


class Place(NamedTuple):
    """Where a score stands on the axis of its chart, in per cent of its width; NaN for what is undefined.

    `low` and `high`: the earlier value and the interval of the change added up.
    """

    before: float
    after: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One score of the chart.

    Attributes
    ----------
    role : "recommended", "relied on" or "".
    alike : scores with the same verdict that order the answers almost the same way and have no line of their own.
    """

    outcome: Outcome
    role: str
    place: Place | None
    alike: tuple[str, ...] = ()

    @property
    def score(self) -> str:
        return self.outcome.score


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Ticks of the chart: place in per cent and label."""

    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One model, task and setting.

    Attributes
    ----------
    from_, to : checkpoints compared; `from_` is "" where there is one only.
    lines : of use first: recommended, survived and usable, usable, the others; near-duplicates folded.
    every : the same with a line for each score.
    next_step : what to do now, a sentence.
    """

    key: Key
    from_: str
    to: str
    group: Group | None
    said: Recommendation | None
    quality: QualityChange | None
    lines: tuple[Line, ...]
    every: tuple[Line, ...]
    axis: Axis
    next_step: str

    @property
    def name(self) -> str:
        return group_name(*self.key)

    @property
    def use(self) -> str:
        """The score that is recommended; "" where none is."""
        return "" if self.said is None else self.said.score

    @property
    def headline(self) -> str:
        """The answer in a few words."""
        if self.said is None:
            return "No recommendation"
        if self.said.relied_on is None:
            return self.said.sentences[0]
        instead = next((one for one in self.said.sentences if one.endswith(" instead.")), "")
        return f"You rely on {self.said.relied_on.score}. {instead}".rstrip()

    @property
    def words(self) -> tuple[str, ...]:
        """The sentences after the headline, the most important first."""
        return () if self.said is None else self.said.sentences[self.said.relied_on is None :]

    @property
    def first(self) -> str:
        """The score that is shown first."""
        return self.every[0].score if self.every else ""


def overviews(summary: Summary) -> tuple[Overview, ...]:
    """One for each setting that has a verdict or a recommendation."""
    groups = {group.key: group for group in summary.groups}
    said = {one.key: one for one in summary.recommendations}
    quality = {one.group.key: one for one in summary.quality}
    settings = {key_of_setting(setting): setting for setting in summary.settings}
    return tuple(
        _overview(key, groups.get(key), said.get(key), quality.get(key), settings.get(key))
        for key in dict.fromkeys((*groups, *said))
    )


def _overview(
    key: Key,
    group: Group | None,
    said: Recommendation | None,
    quality: QualityChange | None,
    setting: Setting | None,
) -> Overview:
    outcomes = by_use(group, said) if group is not None else []
    axis, places = _places(outcomes)
    roles = _roles(said)
    every = [Line(outcome=o, role=roles.get(o.score, ""), place=places.get(o.score)) for o in outcomes]
    alike = set() if setting is None or group is None else near_duplicates(setting, group)
    row = None if said is None else said.recommended
    from_, to = ("", "") if row is None else (row.from_, row.to)
    if group is not None:
        from_, to = group.from_, group.to
    return Overview(
        key=key,
        from_=from_,
        to=to,
        group=group,
        said=said,
        quality=quality,
        lines=tuple(_folded(every, alike)),
        every=tuple(every),
        axis=axis,
        next_step=next_step(said, outcomes),
    )


def _roles(said: Recommendation | None) -> dict[str, str]:
    if said is None:
        return {}
    roles = {said.score: "recommended"} if said.score else {}
    return roles | ({said.relied_on.score: "relied on"} if said.relied_on is not None else {})


def by_use(group: Group, said: Recommendation | None) -> list[Outcome]:
    """Recommended first, then usable ones that survived, other usable ones, the rest; each by effect after."""
    first = _roles(said)
    places = {"trusted": 0, "not usable": 2, "undefined": 4}

    def key(outcome: Outcome) -> tuple:
        place = places.get(outcome.state, 1 if outcome.is_usable else 2)
        place = 3 if outcome.change.usable == "reversed" else place
        after = -math.inf if math.isnan(outcome.after) else outcome.after
        return outcome.score not in first, place, -after, outcome.score

    return sorted(group.outcomes, key=key)


def near_duplicates(setting: Setting, group: Group) -> set[frozenset[str]]:
    """Pairs of scores whose ranks agree, by a Spearman's rho of `ALIKE`, at both ends of every training run."""
    runs = [named_points(run) for run in setting.runs()]
    ends = [
        run[name] for run in runs if group.from_ in run and group.to in run for name in (group.from_, group.to)
    ]
    names = [o.score for o in group.outcomes if all(o.score in end.scores for end in ends)]
    least = np.ones((len(names), len(names)))
    for end in ends:
        values = np.array([end.scores[name] for name in names]).reshape(len(names), -1)
        known = np.isfinite(values).all(axis=0)
        if known.sum() < FEWEST_ITEMS:
            return set()
        ranks = np.array([centred_ranks(row) for row in values[:, known]], dtype=np.float64)
        norms = np.sqrt((ranks**2).sum(axis=1))
        norms[norms == 0] = np.inf
        least = np.minimum(least, ranks @ ranks.T / np.outer(norms, norms))
    pairs = zip(*np.nonzero(np.triu(least >= ALIKE, 1)))
    return {frozenset((names[a], names[b])) for a, b in pairs} if ends else set()


def _folded(lines: Sequence[Line], alike: set[frozenset[str]]) -> Iterator[Line]:
    """Each line takes up those after it that are near-duplicates of it and have the same verdict and use."""
    rest = list(lines)
    while rest:
        line = rest.pop(0)
        same = [
            other
            for other in rest
            if not other.role
            and frozenset((line.score, other.score)) in alike
            and other.outcome.verdict == line.outcome.verdict
            and other.outcome.change.usable == line.outcome.change.usable
        ]
        rest = [other for other in rest if other not in same]
        yield Line(
            outcome=line.outcome,
            role=line.role,
            place=line.place,
            alike=tuple(other.score for other in same),
        )


def _places(outcomes: Iterable[Outcome]) -> tuple[Axis, Mapping[str, Place]]:
    """The axis of a chart, with 0 always on it, and where each score stands."""
    spans = {}
    for outcome in outcomes:
        before, after, change = outcome.before, outcome.after, outcome.change
        if math.isfinite(before) and math.isfinite(after):
            spans[outcome.score] = (before, after, before + change.ci_low, before + change.ci_high)
    shown = [value for span in spans.values() for value in span[:2]]
    ends = [value for span in spans.values() for value in span[2:] if math.isfinite(value)]
    low, high = min([0.0, *shown, *ends]), max([0.0, *shown, *ends])
    low, high = max(low, -1.0), min(max(high, low + 0.2), 1.0)
    width = high - low

    def place(value: float) -> float:
        return round(2 + 96 * (min(max(value, low), high) - low) / width, 2) if math.isfinite(value) else math.nan

    step = 0.5 if width > 1.2 else 0.25 if width > 0.5 else 0.1
    ticks = [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    labels = tuple((place(tick), f"{tick:g}".replace("-", "−")) for tick in ticks)
    return Axis(ticks=labels), {score: Place(*map(place, span)) for score, span in spans.items()}


def next_step(said: Recommendation | None, outcomes: Sequence[Outcome]) -> str:
    """What to do now: with the recommended score, or without any."""
    if said is None:
        return ""
    row = said.recommended
    if not said.score:
        more = ""
        if row.items_needed is not None and row.items_needed <= MOST_ITEMS:
            more = f", or measure about {_about(row.items_needed)} test items"
        return f"Do not let any of these scores decide which answers a person sees{more}."
    threshold = "Set its threshold on answers of the fine-tuned model, not of the model before."
    found = {outcome.score: outcome for outcome in outcomes}.get(row.score)
    if found is None or found.verdict in ("holds", "improved"):
        return f"Send the least confident answers by {row.score} to review. {threshold}"
    if found.verdict in ("degraded", "fell"):
        return f"{row.score} is weaker than before, and still the best there is: review more answers. {threshold}"
    needed = found.change.items_needed
    if needed is not None and needed <= MOST_ITEMS:
        more = f"about {_about(needed)} test items"
    else:
        more = "more training runs"
    return f"Use {row.score} for now; {more} would settle whether it survived. {threshold}"


def _about(n: int) -> str:
    return f"{float(f'{n:.2g}'):,.0f}"
