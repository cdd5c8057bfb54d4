"""Figure 1 of the paper from a study's own answers: where fine-tuning made a person trust a wrong one more.

The stated chance is that of an alert, by the map fitted at its checkpoint; it rose or fell only where the whole
per cent that a person reads did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from aftertune.analysis.schema import Row
from aftertune.report.outcome import CHECKPOINT_NAMES, COMPARISONS
from aftertune.stats.calibration import percent

Kind = Literal["turned wrong", "wrong", "right"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer before and after, the clearest of its kind.

    Attributes
    ----------
    kind : "turned wrong": right before, wrong after, and the stated chance rose. "wrong": wrong after, and it
        rose; only where there is none of the first kind. "right": right after, and the stated chance fell.
    n : test items of the kind, of the `of` that are told a chance at both checkpoints.
    """

    kind: Kind
    before: Row
    after: Row
    n: int
    of: int

    @property
    def title(self) -> str:
        return {
            "turned wrong": "trusted more, now wrong",
            "wrong": "trusted more, and wrong",
            "right": "trusted less, though right",
        }[self.kind]

    @property
    def checkpoints(self) -> tuple[str, str]:
        return self.before.checkpoint, self.after.checkpoint

    @property
    def side(self) -> str:
        """As in `MovedItem`."""
        return "underconfident" if self.kind == "right" else "overconfident"

    @property
    def sentence(self) -> str:
        """Which answers these are, how many, and which of them this is."""
        start, end = at(self.before.checkpoint), at(self.after.checkpoint)
        share = f"{self.n:,} of {self.of:,} test answers"
        if self.kind == "turned wrong":
            most = "this one" if self.n == 1 else "most of all this one"
            return f"Right {start}, wrong {end}, and yet the stated chance rose: {share}, {most}."
        before = {True: f"It was right {start} too", False: f"It was wrong {start} too", None: ""}
        if self.kind == "wrong":
            earlier = before[self.before.correct] or f"Whether it was right {start} is not known"
            return (
                f"No answer that turned from right to wrong has a higher stated chance {end}. Wrong there, and "
                f"yet the stated chance rose: {share}, most of all this one. {earlier}."
            )
        words = before | {False: f"It was wrong {start}"}
        earlier = f" {words[self.before.correct]}." if words[self.before.correct] else ""
        return f"Right {end}, and yet the stated chance fell: {share}, most of all this one.{earlier}"


def at(checkpoint: str) -> str:
    """
    >>> at("before"), at("epoch_1"), at("selected")
    ('before fine-tuning', 'at epoch 1', 'at the selected checkpoint')
    """
    name = CHECKPOINT_NAMES.get(checkpoint, checkpoint)
    if checkpoint == "before":
        return name
    return f"at the {name}" if checkpoint in ("selected", "last") else f"at {name}"


def later(alerts: Sequence[Row]) -> list[Row]:
    """Those of one run's later checkpoint, or of its only one."""
    pair = _pair(alerts)
    return [one for one in alerts if pair is None or one.checkpoint == pair[1]]


def told_answers(alerts: Sequence[Row]) -> tuple[Told, ...]:
    """Of one training run: a wrong answer that is trusted more, then a right one that is trusted less.

    Of each kind the one whose stated chance moved most, ties by item id; none where there is no such answer, or no
    earlier checkpoint.
    """
    pair = _pair(alerts)
    if pair is None:
        return ()
    both = list(_both(alerts, *pair))
    wrong = [(b, a) for b, a in both if a.correct is False and _points(b, a) > 0]
    turned = [(b, a) for b, a in wrong if b.correct is True]
    right = [(b, a) for b, a in both if a.correct is True and _points(b, a) < 0]
    found = [
        _most("turned wrong", turned, len(both), _rise) or _most("wrong", wrong, len(both), _rise),
        _most("right", right, len(both), lambda b, a: -_rise(b, a)),
    ]
    return tuple(one for one in found if one is not None)


Ends = tuple[Row, Row]


def _most(kind: Kind, ends: Sequence[Ends], of: int, move: Callable[[Row, Row], float]) -> Told | None:
    if not ends:
        return None
    before, after = min(ends, key=lambda pair: (-move(*pair), pair[1].item_id))
    return Told(kind=kind, before=before, after=after, n=len(ends), of=of)


def _pair(alerts: Sequence[Row]) -> tuple[str, str] | None:
    present = {one.checkpoint for one in alerts}
    return next((pair for pair in COMPARISONS if present.issuperset(pair)), None)


def _both(alerts: Sequence[Row], from_: str, to: str) -> Iterator[Ends]:
    """Of each item that is told a chance at both checkpoints."""
    known = [one for one in alerts if one.chance is not None and one.output is not None]
    before = {one.item_id: one for one in known if one.checkpoint == from_}
    for one in known:
        if one.checkpoint == to and one.item_id in before:
            yield before[one.item_id], one


def _rise(before: Row, after: Row) -> float:
    assert before.chance is not None
    assert after.chance is not None
    return after.chance - before.chance


def _points(before: Row, after: Row) -> int:
    """By how many per cent, as a person reads them, the stated chance rose."""
    assert before.chance is not None
    assert after.chance is not None
    return percent(after.chance) - percent(before.chance)
