"""The sentence that each section of the page opens with: what it shows of this run."""

from __future__ import annotations

import math

import numpy as np

from aftertune.report.answers import Answers
from aftertune.report.names import CHECKPOINT_NAMES, at
from aftertune.report.numbers import count, plain, signed
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
            f"; of {count(len(epoch), 'checkpoint')} it is highest {_named(epoch[best])} ({plain(rho[best], 2)}) and "
            f"lowest {_named(epoch[worst])} ({plain(rho[worst], 2)})"
        )
    return f"{said}."


def _named(epoch: float) -> str:
    return "before fine-tuning" if epoch == 0 else f"at epoch {epoch:g}"


def moves(one: Overview, summary: Summary) -> str:
    """Shares of the items that became over-confident and under-confident."""
    rows = [*summary.items.quadrants.shown, *summary.items.quadrants.all]
    row = next(
        (
            r
            for r in rows
            if (r.model, r.task, r.setting) == one.key
            and r.score == one.first
            and (r.from_, r.to) == (one.from_, one.to)
        ),
        None,
    )
    if row is None or math.isnan(row.overconfident):
        return f"{one.name}: nothing can be said, since no item has quality and confidence at two checkpoints."
    return (
        f"{one.name}: by {one.first}, {100 * row.overconfident:.0f} % of the items became over-confident "
        f"(confidence rose, quality fell) and {100 * row.underconfident:.0f} % under-confident (the other way round), "
        f"{CHECKPOINT_NAMES[row.from_]} → {CHECKPOINT_NAMES[row.to]}."
    )


def items(one: Overview, summary: Summary) -> str:
    """How many items there are, and how many got better and worse."""
    if one.quality is None:
        return f"{one.name}: every test item, with what the model answered at each checkpoint."
    q = one.quality
    return (
        f"{one.name}: of {count(q.n_items, 'test item')} {100 * q.better:.0f} % got a better answer with fine-tuning, "
        f"{100 * q.worse:.0f} % a worse one, and {100 * q.same:.0f} % one of the same quality."
    )


def act(one: Overview, answers: Answers | None) -> str:
    """Whether a person can act on the score."""
    if answers is not None and answers.choice.answer:
        return f"{one.name}: {answers.choice.answer}"
    row = one.said.recommended if one.said is not None else None
    if row is None or math.isnan(row.quality_kept):
        return f"{one.name}: no score is shown to help a reviewer."
    return (
        f"{one.name}: reviewing the least confident {100 * row.review_share:.0f} % by {row.score} leaves answers of mean "
        f"quality {plain(row.quality_kept, 2)} instead of {plain(row.quality_all, 2)}, {at(row.to)}."
    )


def sizes(summary: Summary) -> str:
    """In how many cases rho differs between numbers of training items."""
    rows = summary.sample_sizes
    sure = sum(row.p_anova_holm < ALPHA for row in rows)
    return (
        f"ρ after fine-tuning differs between numbers of training items in {sure} of "
        f"{count(len(rows), 'combination')} of model, task and score (ANOVA, corrected by Holm)."
    )


def pairs(summary: Summary) -> str:
    """Whose fault it is that pairs come out of order."""
    said = " ".join(summary.items.case1)
    return said or "How pairs of items come out of order from one epoch to the next: by confidence, or by quality."


def similarity(summary: Summary) -> str:
    """How many scores follow similarity to the training set."""
    rows = summary.items.similarities.all or summary.items.similarities.shown
    if not rows:
        return "Whether a score is a memory of the training set was not measured."
    sure = [row for row in rows if row.n_significant]
    most = max(rows, key=lambda row: abs(row.rho) if math.isfinite(row.rho) else -1.0)
    return (
        f"In {len(sure)} of {count(len(rows), 'row')} a score follows similarity to the training set (p below 0.05 after "
        f"Holm’s correction in some run); the strongest is {most.score} with ρ {signed(most.rho, 2)} ({most.name})."
    )
