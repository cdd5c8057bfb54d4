"""Before anything is run: how likely each verdict is, and how many test items and training runs settle it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aftertune.arguments import checked
from aftertune.errors import InputError, shown
from aftertune.options import MARGIN, PLANNED
from aftertune.report.numbers import count, plain
from aftertune.scores import SCORES
from aftertune.stats.planning import LARGEST, Expected, Planner, Question, equally_correlated, qualities
from aftertune.stats.verdict import FEWEST_ITEMS, MOST_ITEMS, POWER, Verdict
from aftertune.types import Floats

if TYPE_CHECKING:
    from aftertune.analysis.planning import Measured

SEEDS = (1, 2, 3, 5, 10)
"""Numbers of training runs for which the needed items are said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a study would show.

    Attributes
    ----------
    name : model, task and checkpoints of the run that it is like; "" without one.
    assumed : in words: what is given, what is measured in a run, what is assumed.
    expected : the same as numbers.
    items, seeds : of the study.
    chances : change of the tie-adjusted rho → chance of each verdict.
    usable : change → chance that the score is shown to be usable afterwards.
    settled, settled_alone : question → chance of the wished answer; alone, of one score that is named beforehand.
    needed, needed_alone : question → seeds → items for a chance of 80 %; `MOST_ITEMS` + 1 for more than that; None
        where no number of items is enough.
    """

    name: str
    assumed: tuple[str, ...]
    expected: Expected
    items: int
    seeds: int
    chances: Mapping[float, Mapping[Verdict, float]]
    usable: Mapping[float, float]
    settled: Mapping[Question, float]
    settled_alone: Mapping[Question, float]
    needed: Mapping[Question, Mapping[int, int | None]]
    needed_alone: Mapping[Question, Mapping[int, int | None]]

    @property
    def scores(self) -> int:
        """Scores that are judged together."""
        return len(self.expected.correlation)

    @property
    def answer(self) -> str:
        """In a few sentences."""
        holds, falls = (_of_100(self.settled[question]) for question in ("holds", "falls"))
        alone = f" ({_of_100(self.settled_alone['holds'])} if it is the one named beforehand)" * (self.scores > 1)
        said = (
            f"With {count(self.items, 'item')} and {count(self.seeds, 'seed')} a score that holds is shown to "
            f"hold in {holds} of 100 studies{alone}, and one that falls by "
            f"{plain(2 * self.expected.margin, 2)} is shown to fall in {falls}."
        )
        return f"{said} {self._to_reach()}"

    def _to_reach(self) -> str:
        """What makes it 80 of 100 for a score that holds."""
        needed = self.needed["holds"]
        ways = [
            f"{count(items, 'item')} × {count(seeds, 'seed')}"
            for seeds in sorted({self.seeds, *SEEDS})
            if seeds >= self.seeds and (items := needed[seeds]) is not None and items <= MOST_ITEMS
        ]
        wanted, here = f"For {100 * POWER:.0f} of 100", needed[self.seeds]
        if here is not None and here <= self.items:
            return f"{wanted}, {ways[0]} are enough."
        if not ways:
            return f"{wanted} more than {count(MOST_ITEMS, 'item')} or {count(max(needed), 'seed')} are needed."
        no = "" if here is not None else f"; with {count(self.seeds, 'seed')} no number of items is enough"
        return f"{wanted} it takes {' or '.join(ways[:2])}{no}."


@checked
def plan(
    *,
    like: str | Path | Sequence[str | Path] | None = None,
    items: int | None = None,
    seeds: int | None = None,
    expected: float | None = None,
    stability: float | None = None,
    spread: float | None = None,
    quality: str | None = None,
    scores: int | None = None,
    margin: float = MARGIN,
    changes: Sequence[float] | None = None,
) -> list[Plan]:
    """Chances of each verdict of a study that is not run yet; see docs/planning.md.

    Parameters
    ----------
    like : run folder or records; what is not given is taken from there, for each model and task.
    items, seeds : test items and training runs.
    expected : tie-adjusted rho before fine-tuning.
    stability : share of item noise that two checkpoints share: the correlation of their sampling errors.
    spread : standard deviation over training runs of the true rho after fine-tuning.
    quality : "binary:ACC", right and wrong answers of which the share ACC is right; "graded", as F1; "continuous".
    scores : that are judged together.
    margin : delta, a larger fall counts as such.
    changes : true changes of rho; None for none, half the margin, the margin and twice the margin downwards.

    Returns
    -------
    One plan; with `like` one for each model and task.

    Raises
    ------
    InputError
        Numbers that cannot be, or a run that shows nothing about noise.
    """
    if items is not None and items < FEWEST_ITEMS:
        raise InputError(f"items is {items}: fewer than {FEWEST_ITEMS} get no verdict, write a larger number")
    if margin == 0:
        raise InputError("margin is 0: any fall is beyond it and nothing is shown to hold, write a larger number")
    if expected is not None and abs(expected) > 0.9:
        raise InputError(f"expected is {expected:g}: write a rho from -0.9 to 0.9")
    runs = [None] if like is None else _read(like)
    given = {
        "rho": expected, "stability": stability, "spread": spread, "quality": quality, "scores": scores
    }  # fmt: skip
    return [_plan(run, given, items, seeds, margin, changes) for run in runs]


def _read(like: str | Path | Sequence[str | Path]) -> list[Measured]:
    from aftertune.analysis.planning import measured
    from aftertune.records.records import read_records

    found = list(measured(read_records(like)))
    if not found:
        names = like if isinstance(like, str | Path) else ", ".join(map(str, like))
        raise InputError(
            f"no two checkpoints with {FEWEST_ITEMS} items that have quality and scores at both: give another "
            "run, or plan without one",
            file=Path(names),
        )
    return found


def _plan(
    run: Measured | None,
    given: Mapping[str, float | str | None],
    items: int | None,
    seeds: int | None,
    margin: float,
    changes: Sequence[float] | None,
) -> Plan:
    said = _Assumptions(run, given)
    n_items = items or (run.items if run else PLANNED.items)
    n_seeds = seeds or (run.seeds if run else PLANNED.seeds)
    expected = said.expected(margin)
    wanted = list(changes) if changes is not None else [0.0, -margin / 2, -margin, -2 * margin]
    if changes is None and run is not None and given["rho"] is None:
        wanted.append(expected.change)
    for change in [*wanted, -2 * margin]:
        if not abs(expected.rho + change) <= LARGEST:
            raise InputError(
                f"a change of {change:+.2f} from {expected.rho:.2f} ends beyond ±{LARGEST}: write a smaller "
                f"{'margin' if change not in (changes or ()) else 'change'}, or another expected rho"
            )
    planner = Planner(expected)
    named = planner.named()
    questions: tuple[Question, ...] = ("holds", "falls", "usable")
    every = sorted({n_seeds, *SEEDS})

    def chance(one: Planner) -> dict[Question, float]:
        return {question: float(one.chance(question, [n_items], n_seeds)[0]) for question in questions}

    def needed(one: Planner) -> dict[Question, dict[int, int | None]]:
        return {question: {r: one.needed(question, r) for r in every} for question in questions}

    return Plan(
        name="" if run is None else run.name,
        assumed=tuple(said.in_words()),
        expected=expected,
        items=n_items,
        seeds=n_seeds,
        chances={
            change: {name: float(p[0]) for name, p in planner.chances(change, [n_items], n_seeds).items()}
            for change in wanted
        },
        usable={change: float(planner.usable(change, [n_items], n_seeds)[0]) for change in wanted},
        settled=chance(planner),
        settled_alone=chance(named),
        needed=needed(planner),
        needed_alone=needed(named),
    )


class _Assumptions:
    """What is given, else what a run shows, else what is assumed."""

    def __init__(self, run: Measured | None, given: Mapping[str, float | str | None]) -> None:
        self._run, self._given = run, given
        self._words: dict[str, list[str]] = {"Given": [], "As in the run": [], "Assumed": []}

    def expected(self, margin: float) -> Expected:
        """As numbers; fills the words."""
        run = self._run
        rho = self._number("rho", PLANNED.rho, run and run.rho, "ρ {} before fine-tuning")
        change = run.rho_after - run.rho if run is not None and self._given["rho"] is None else 0.0
        stability = self._number("stability", PLANNED.stability, run and run.stability, "stability {}")
        agreement = stability
        if run is not None and run.agreement is not None and self._given["stability"] is None:
            agreement = run.agreement
            self._words["As in the run"].append(f"stability {plain(agreement, 2)} between training runs")
        spread = self._number("spread", PLANNED.spread, run and run.spread, "spread {} over training runs")
        before, after = self._qualities()
        return Expected(
            rho=float(np.clip(rho, -LARGEST, LARGEST)),
            change=change,
            before=before,
            after=after,
            stability=max(stability, 0.0),
            agreement=max(agreement, 0.0),
            spread=spread,
            correlation=self._correlation(),
            margin=margin,
        )

    def in_words(self) -> Iterator[str]:
        """One sentence for each source."""
        yield from (f"{source}: {', '.join(words)}." for source, words in self._words.items() if words)

    def _number(self, name: str, default: float, seen: float | None, words: str) -> float:
        given = self._given[name]
        source, value = ("As in the run", seen) if seen is not None else ("Assumed", default)
        if given is not None:
            source, value = "Given", float(given)
        self._words[source].append(words.format(plain(value, 2)))
        return value

    def _qualities(self) -> tuple[Floats, Floats]:
        given = self._given["quality"]
        if given is None and self._run is not None:
            before, after = self._run.before, self._run.after
            self._words["As in the run"].append(_quality_in_words(before, after))
            return before, after
        source = "Assumed" if given is None else "Given"
        values = _read_quality(PLANNED.quality if given is None else str(given))
        self._words[source].append(_quality_in_words(values, values))
        return values, values

    def _correlation(self) -> Floats:
        given, run = self._given["scores"], self._run
        n = len(SCORES.names()) if given is None else int(given)
        if run is None:
            self._words["Assumed" if given is None else "Given"].append(_count_scores(n))
            if n > 1:
                self._words["Assumed"].append(f"scores correlated by {plain(PLANNED.score_correlation, 2)}")
            return equally_correlated(n, PLANNED.score_correlation)
        m = len(run.correlation)
        between = run.correlation[np.triu_indices(m, 1)]
        mean = float(between.mean()) if m > 1 else PLANNED.score_correlation
        if given is not None and n != m:
            self._words["Given"].append(_count_scores(n))
            return equally_correlated(n, max(mean, 0.0))
        words = f"{_count_scores(m)}" + f" correlated by {plain(mean, 2)}" * (m > 1)
        self._words["As in the run"].append(words)
        return run.correlation


def _count_scores(n: int) -> str:
    return "one score" if n == 1 else f"{n} scores judged together"


def _quality_in_words(before: Floats, after: Floats) -> str:
    if set(np.unique(np.concatenate([before, after]))) <= {0.0, 1.0}:
        shares = [f"{100 * float(values.mean()):.0f} %" for values in (before, after)]
        return f"right and wrong answers, {' → '.join(dict.fromkeys(shares))} right"
    tied = [f"{100 * _largest_share(values):.0f} %" for values in (before, after)]
    if len(np.unique(before)) == len(before):
        return "quality without ties"
    return f"graded quality, {' → '.join(dict.fromkeys(tied))} with the commonest value"


def _largest_share(values: Floats) -> float:
    return float(np.unique(values, return_counts=True)[1].max() / len(values))


def _read_quality(text: str) -> Floats:
    """
    >>> _read_quality("binary:0.8").mean().item()
    0.8
    """
    kind, _, share = text.partition(":")
    if kind in ("graded", "continuous") and not share:
        return qualities(kind)
    if kind == "binary" and (not share or re.fullmatch(r"0?\.\d+", share)):
        right = float(share or 0.7)
        if not 0.01 <= right <= 0.99:
            raise InputError(f"quality is {shown(text)}: write a share of right answers from 0.01 to 0.99")
        return qualities(kind, right)
    raise InputError(
        f"quality is {shown(text)}: write binary:0.7 (the share of right answers), graded or continuous"
    )


def _of_100(chance: float) -> str:
    """
    >>> _of_100(0.996), _of_100(0.001)
    ('99', '0')
    """
    return str(min(round(100 * chance), 99) if chance < 1 else 100)
