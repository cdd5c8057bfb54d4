"""The sentence that each section of the page opens with: what it shows of this run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from aftertune.analysis.schema import Row
from aftertune.report.answers import Answers
from aftertune.report.by_setting import SettingRows
from aftertune.report.names import CHECKPOINT_NAMES, at
from aftertune.report.numbers import count, interval, plain, signed
from aftertune.report.overview import Overview
from aftertune.report.series import Panel
from aftertune.report.summary import ALPHA, Summary


def epochs(one: Overview, panel: Panel | None) -> str:
    """How the shown score's rho went over the checkpoints."""
    series = next((s for s in panel.series if s.score == one.first), None) if panel is not None else None
    if series is None or not np.isfinite(series.adjusted).any():
        return f"{one.name}: no correlation is defined."
    known = np.isfinite(series.adjusted)
    epoch, rho = series.epoch[known], series.adjusted[known]
    said = f"{one.name}: by {one.first}, ρ with quality is {plain(rho[0], 2)} {_named(epoch[0])}"
    if len(epoch) == 1:
        return f"{said}."
    said += f" and {plain(rho[-1], 2)} {_named(epoch[-1])}"
    if len(epoch) > 2:
        best, worst = int(np.argmax(rho)), int(np.argmin(rho))
        said += (
            f"; of {count(len(epoch), 'checkpoint')} it is highest {_named(epoch[best])} ({plain(rho[best], 2)}) "
            f"and lowest {_named(epoch[worst])} ({plain(rho[worst], 2)})"
        )
    return f"{said}."


def _named(epoch: float) -> str:
    return "before fine-tuning" if epoch == 0 else f"at epoch {epoch:g}"


def falls(one: Overview, rows: SettingRows) -> str:
    """In how many scores rho falls further between two epochs than it would with no change."""
    known = [row for row in rows.falls if math.isfinite(row.mean) and math.isfinite(row.null_low)]
    if not known:
        return f"{one.name}: how far ρ would fall between two epochs if nothing changed is not known."
    further = sum(row.mean < row.null_low for row in known)
    worst = min(known, key=lambda row: row.mean)
    ends = interval(worst.null_low, worst.null_high, 2)
    return (
        f"{one.name}: in {further} of {count(len(known), 'score')} ρ falls further from one epoch to the next "
        f"than it would if nothing changed; furthest by {worst.score}, {signed(worst.mean, 2)} "
        f"(no change: {ends})."
    )


def lengths(one: Overview, rows: SettingRows) -> str:
    """How much of rho is the output's length: of the shown score, and at most."""
    if not rows.lengths:
        return f"{one.name}: the length of the outputs is not known."
    most = max(rows.lengths, key=lambda row: abs(row.rho) - abs(row.given_length))
    first = next((row for row in rows.lengths if row.score == one.first), most)
    said = " and ".join(
        f"{row.score} from {plain(row.rho, 2)} to {plain(row.given_length, 2)}"
        for row in dict.fromkeys((first, most))
    )
    return f"{one.name}: with the length of the output removed, ρ goes for {said}."


def moves(one: Overview, rows: SettingRows) -> str:
    """Shares of the items that became over-confident and under-confident."""
    row = next((row for row in rows.moved if row.score == one.first), None)
    if row is None or math.isnan(row.overconfident):
        return f"{one.name}: nothing can be said, since no item has quality and confidence at two checkpoints."
    ends = (CHECKPOINT_NAMES.get(name, str(name)) for name in (row.from_, row.to))
    return (
        f"{one.name}: by {one.first}, {100 * row.overconfident:.0f} % of the items became over-confident "
        f"(its value rose, quality fell) and {100 * row.underconfident:.0f} % under-confident (the other way "
        f"round), {' → '.join(ends)}."
    )


def items(one: Overview) -> str:
    """How many items there are, and how many got better and worse."""
    if one.quality is None:
        return f"{one.name}: every test item, with what the model answered at each checkpoint."
    q = one.quality
    return (
        f"{one.name}: of {count(q.n_items, 'test item')} {100 * q.better:.0f} % got a better answer with "
        f"fine-tuning, {100 * q.worse:.0f} % a worse one, and {100 * q.same:.0f} % one of the same quality."
    )


def act(one: Overview, answers: Answers | None) -> str:
    """Whether a person can act on the score."""
    if answers is not None and answers.choice.answer:
        return f"{one.name}: {answers.choice.answer}"
    row = one.said.recommended if one.said is not None else None
    if row is None or math.isnan(row.quality_kept):
        return f"{one.name}: no score is shown to help a reviewer."
    return (
        f"{one.name}: reviewing the least confident {100 * row.review_share:.0f} % by {row.score} leaves answers "
        f"of mean quality {plain(row.quality_kept, 2)} instead of {plain(row.quality_all, 2)}, {at(row.to)}."
    )


def sizes(name: str, rows: Sequence[Row]) -> str:
    """In how many cases rho differs between numbers of training items, of one model and task."""
    if not rows:
        return f"{name}: ρ after fine-tuning by the number of training items."
    sure = sum(row.p_anova_holm < ALPHA for row in rows)
    experiments = len({row.setting for row in rows})
    said = f" in {count(experiments, 'experiment')}" if experiments > 1 else ""
    return (
        f"{name}: ρ after fine-tuning differs between numbers of training items in {sure} of "
        f"{count(len(rows), 'case')} ({count(len({row.score for row in rows}), 'score')}{said}; ANOVA, p below "
        "0.05 after Holm’s correction)."
    )


def pairs(one: Overview, rows: SettingRows) -> str:
    """What becomes of pairs in the right order, by the shown score."""
    row = next((row for row in rows.pairs if row.score == one.first), next(iter(rows.pairs), None))
    if row is None or math.isnan(row.mean.stays):
        return f"{one.name}: no pair of items was followed from an epoch to the next."
    null = row.null_of_case1[0]
    by_chance = "" if math.isnan(null) else f" (no change would give {100 * null:.0f} %)"
    return (
        f"{one.name}: by {row.score}, {100 * row.mean.stays:.0f} % of the pairs in the right order at an epoch "
        f"stay so at the next; confidence alone turns {100 * row.mean.case1:.0f} %{by_chance}, quality alone "
        f"{100 * row.mean.case2:.0f} %, and both together {100 * row.mean.both_flip:.0f} %."
    )


def similarity(one: Overview, rows: SettingRows) -> str:
    """How many scores follow similarity to the training set."""
    if not rows.similarities:
        return f"{one.name}: whether a score is a memory of the training set was not measured."
    sure = sum(row.n_significant > 0 for row in rows.similarities)
    most = max(rows.similarities, key=lambda row: abs(row.rho))
    return (
        f"{one.name}: {sure} of {count(len(rows.similarities), 'score')} follow similarity to the training "
        f"set (p below 0.05 after Holm’s correction in some run); the strongest is {most.score}, with ρ "
        f"{signed(most.rho, 2)}."
    )


def undefined(one: Overview, rows: SettingRows) -> str:
    """How many correlations are undefined."""
    if not rows.undefined:
        return f"{one.name}: every correlation is defined."
    scores = len({score for row in rows.undefined for score in row.scores})
    n = sum(row.n for row in rows.undefined)
    said = "is" if n == 1 else "are"
    return f"{one.name}: {count(n, 'correlation')} of {count(scores, 'score')} {said} undefined, and nowhere a 0."


def methods(summary: Summary, settings: Mapping[str, str], version: str) -> str:
    """What was measured and how sure a verdict is."""
    margin = f", with a margin of {settings['margin']}" if "margin" in settings else ""
    return (
        f"aftertune {version} judged {count(len(summary.scores), 'score')} on {count(len(summary.tasks), 'task')} "
        f"with {count(len(summary.models), 'model')} by 95 % intervals{margin}."
    )
