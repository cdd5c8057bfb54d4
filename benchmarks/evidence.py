"""What evidence costs beside plain generation: the central figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.bare import Bare
from benchmarks.floor import everything_flops, flops_per_cpu_second, greedy_flops
from benchmarks.measure import Case, Ratio, Rounds, ratio, raw, rounds
from benchmarks.ours import Ours
from benchmarks.plan import Plan
from benchmarks.row import Row
from benchmarks.subjects import Subject

TOKENS_TARGET = 1.05
ALL_TARGET, ALL_NATURAL_TARGET = 1.0, 0.6
WARM_UP_TOKENS = 2


def measure(subject: Subject, plan: Plan) -> tuple[list[Row], dict[str, Any]]:
    """Rows and raw readings for one subject."""
    bare = Bare(subject.model, subject.tokenizer, subject.prompts, subject.dropout)
    ours = Ours(subject.model, subject.tokenizer, subject.prompts, subject.dropout)
    calls = {
        "bare greedy": bare.greedy,
        "ours greedy": ours.greedy,
        "bare beams": bare.beams,
        "bare dropout": bare.dropout,
        "ours all": ours.everything,
        "ours beams": ours.beams,
        "ours dropout": ours.dropout,
    }
    for call in calls.values():
        call(min(WARM_UP_TOKENS, subject.tokens))
    cases: dict[str, Case] = {name: partial(call, subject.tokens) for name, call in calls.items()}
    short = rounds({name: cases[name] for name in ("bare greedy", "ours greedy")}, 2 * plan.repeats + 1)
    whole = rounds(_only(cases, ["bare greedy", "bare beams", "bare dropout", "ours all"]), plan.repeats)
    parts: Rounds = {}
    if not subject.natural:
        parts = rounds(_only(cases, ["bare beams", "ours beams", "bare dropout", "ours dropout"]), 1)
    note = length_note(ours, subject)
    rows = _rows(subject, short, whole, parts, note)
    if subject.shape is not None and not subject.natural:
        rows += _floor_rows(subject, short, whole)
    return rows, {"greedy": raw(short), "all": raw(whole), "parts": raw(parts), "lengths": note}


def _only(cases: dict[str, Case], names: Sequence[str]) -> dict[str, Case]:
    return {name: cases[name] for name in names}


def _rows(subject: Subject, short: Rounds, whole: Rounds, parts: Rounds, note: str) -> list[Row]:
    lengths = subject.lengths
    bare_calls = ["bare greedy", "bare beams", "bare dropout"]
    rows = [
        _row(
            subject,
            f"log-prob and entropy with greedy / bare greedy, {lengths}",
            ratio(short, ["ours greedy"], ["bare greedy"]),
            TOKENS_TARGET,
        ),
        _row(
            subject,
            f"all evidence / sum of bare calls, {lengths}",
            ratio(whole, ["ours all"], bare_calls),
            ALL_NATURAL_TARGET if subject.natural else ALL_TARGET,
            note,
        ),
    ]
    for words, ours, bare in (
        ("10 beams alone / bare beams", "ours beams", "bare beams"),
        ("3 dropout decodes alone / bare dropout", "ours dropout", "bare dropout"),
    ):
        if ours in parts:
            rows.append(_row(subject, f"{words}, {lengths}", ratio(parts, [ours], [bare])))
    return rows


def _row(subject: Subject, case: str, of: Ratio, target: float | None = None, note: str = "") -> Row:
    return Row(
        section="evidence",
        case=case,
        model=subject.name,
        value=of.cpu,
        target=target,
        ours=of.ours,
        other=of.other,
        wall=of.wall,
        spread=of.spread,
        note=note,
    )


def _floor_rows(subject: Subject, short: Rounds, whole: Rounds) -> list[Row]:
    assert subject.shape is not None
    lengths = [len(subject.tokenizer(prompt)["input_ids"]) for prompt in subject.prompts]
    rate = flops_per_cpu_second()
    rows = []
    for case, readings, name, flops in (
        ("greedy with log-prob and entropy", short, "ours greedy", greedy_flops),
        ("all evidence", whole, "ours all", everything_flops),
    ):
        floor = flops(subject.shape, lengths, subject.tokens) / rate
        taken = float(np.median([reading.cpu for reading in readings[name]]))
        rows.append(
            Row(
                section="floor",
                case=f"{case}: share of CPU time that its matrix products need",
                model=subject.name,
                value=100 * floor / taken,
                unit="%",
                ours=taken,
                other=floor,
                note=f"products at {rate / 1e9:.0f} GFLOP per CPU second",
            )
        )
    return rows


def length_note(ours: Ours, subject: Subject) -> str:
    """Realised lengths of the greedy outputs, in tokens with the end of sequence."""
    if not subject.natural:
        return ""
    greedy = ours.greedy(subject.tokens).greedy
    assert greedy is not None
    quantiles = np.quantile(greedy.n_tokens, [0.1, 0.5, 0.9])
    low, middle, high = (f"{value:.0f}" for value in quantiles)
    return (
        f"output tokens of {len(greedy.n_tokens)} items: 10 % at most {low}, half {middle}, 90 % {high}, "
        f"longest {greedy.n_tokens.max()} of {subject.tokens}"
    )
