"""The answer in words: which scores can be trusted after fine-tuning, for terminal and page alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aftertune.report.number_format import count, plain
from aftertune.report.outcome import Group, Outcome, State

Remark = Callable[[Outcome], str]

BEST = 3
INCONCLUSIVE = "Inconclusive; if the change stayed as estimated, about so many items would settle it"


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
    """Sentences about one group, the scores that can be trusted first; nothing about what was not measured."""
    total = len(group.outcomes)
    undefined = group.having("undefined")
    sentences = []
    trusted = group.having("trusted")
    if trusted:
        lead = f"{len(trusted)} of {count(total, 'score')} can be trusted after fine-tuning"
        sentences.append(_sentence("trusted", lead, trusted, _rose))
    elif len(undefined) < total:
        sentences.append(Sentence(state=None, lead=f"None of {count(total, 'score')} is shown to be trustworthy."))
    useful = [o for o in group.outcomes if o.change.useful and o.state != "undefined"]
    best = sorted(useful, key=lambda o: -o.after)[:BEST]
    if best:
        lead = (
            "Track quality best after fine-tuning" if len(best) > 1 else "Alone tracks quality after fine-tuning"
        )
        sentences.append(_sentence(None, lead, best, _rho_after))
    degraded = group.having("degraded")
    items, runs, rest = _by_what_would_settle(group.having("inconclusive"))
    told: tuple[tuple[list[Outcome], State, str, Remark], ...] = (
        (
            [o for o in degraded if o.change.useful],
            "degraded",
            "Degraded, though still tracking quality",
            _nothing,
        ),
        (
            [o for o in degraded if not o.change.useful],
            "degraded",
            "Degraded, and not shown to track quality",
            _nothing,
        ),
        (items, "inconclusive", INCONCLUSIVE, _needed),
        (runs, "inconclusive", "Inconclusive, and more training runs are needed rather than more items", _nothing),
        (rest, "inconclusive", "Inconclusive", _nothing),
        (group.having("not useful"), "not useful", "Not worse, but not shown to track quality", _rose),
    )
    for some, state, lead, remark in told:
        sentences += [_sentence(state, lead, some, remark)] if some else []
    by_reason: dict[str, list[Outcome]] = {}
    for outcome in undefined:
        by_reason.setdefault(outcome.reason, []).append(outcome)
    for reason, some in by_reason.items():
        lead = "Nothing can be said" + (f", because {reason}" if reason else "")
        if len(some) == total:
            sentences.append(Sentence(state=None, lead=f"{lead}: all {count(total, 'score')} undefined."))
        else:
            sentences.append(_sentence("undefined", lead, some, _nothing))
    return sentences


def scope(group: Group) -> str:
    """What the intervals of the group cover, and what was not measured."""
    defined = [o for o in group.outcomes if o.state != "undefined"]
    if not defined:
        return ""
    together = ""
    if len(defined) > 1:
        together = (
            f" Each verdict stands by itself: tables/change.csv has p-values corrected for judging {len(defined)} "
            "scores at once (Holm)."
        )
    return _scope(group, defined) + together


def _scope(group: Group, defined: list[Outcome]) -> str:
    if group.n_seeds == 1:
        return "One training run was measured: whether another run would end the same way was not."
    over_runs = [o.change.ci_scope == "training" for o in defined]
    if all(over_runs):
        return f"The intervals allow for another training run too ({group.n_seeds} seeds)."
    if not any(over_runs):
        return f"The intervals are for these {group.n_seeds} trained models, not for another training run."
    return (
        f"The intervals allow for another training run too ({group.n_seeds} seeds), except where the table "
        "says “these models”."
    )


def _sentence(state: State | None, lead: str, outcomes: list[Outcome], remark: Remark) -> Sentence:
    return Sentence(state=state, lead=lead, scores=tuple((o.score, remark(o)) for o in outcomes))


def _nothing(outcome: Outcome) -> str:
    return ""


def _rho_after(outcome: Outcome) -> str:
    return f"ρ {plain(outcome.after, 2)}"


def _rose(outcome: Outcome) -> str:
    return "improved" if outcome.verdict == "improved" else ""


def _needed(outcome: Outcome) -> str:
    """Two significant digits: it is an estimate."""
    return f"{float(f'{outcome.change.items_needed:.2g}'):,.0f}"


def _by_what_would_settle(outcomes: list[Outcome]) -> tuple[list[Outcome], list[Outcome], list[Outcome]]:
    """Those that more items would settle, those that only more training runs would, and those of neither."""
    items = [o for o in outcomes if o.change.items_needed is not None]
    runs = [o for o in outcomes if o.change.items_needed is None and o.change.ci_scope == "training"]
    return items, runs, [o for o in outcomes if o not in items and o not in runs]
