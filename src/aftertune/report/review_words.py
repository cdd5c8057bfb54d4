"""What a threshold for a wanted share of right answers does, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from aftertune.analysis.schema import Row
from aftertune.report import number_format as numbers
from aftertune.report.told import at


def review_sentences(rows: Sequence[Row], *, shown: bool) -> Iterator[str]:
    """One for each wanted share, of the first training run; one for all that no threshold is shown to give.

    Parameters
    ----------
    rows : of one score and setting.
    shown : whether the score is shown to tell right answers from wrong ones; where not, each sentence says so.
    """
    if not rows:
        return
    first = [row for row in rows if row.seed == rows[0].seed]
    remarks = [f"seed {first[0].seed}"] if len(first) < len(rows) else []
    remarks += [] if shown else ["not shown to tell right from wrong"]
    by = first[0].score + (f" ({', '.join(remarks)})" if remarks else "")
    shares = [[row for row in first if row.wanted == wanted] for wanted in dict.fromkeys(r.wanted for r in first)]
    lacking = [own[-1] for own in shares if math.isnan(own[-1].threshold)]
    if lacking:
        yield _lacking(lacking, by)
    for own in shares:
        held = "" if math.isnan(own[-1].threshold) else _held(own[-1], by)
        if said := f"{held} {_carried(own)}".strip():
            yield said


def _lacking(rows: Sequence[Row], by: str) -> str:
    n = min(row.n_validation for row in rows)
    items = f"With {numbers.count(n, 'validation item')}" if n else "Without judged validation items"
    wanted = " or ".join(f"{100 * row.wanted:g} %" for row in rows)
    return f"{items} no threshold of {by} can be shown to give answers of which {wanted} are right."


def _held(row: Row, by: str) -> str:
    low, high = 100 * row.ci_low, 100 * row.ci_high
    what = (
        f"For {100 * row.wanted:g} % right among the answers that are given, by {by}: give answers with a "
        f"confidence of at least {_short(row.threshold)} and send the others to review."
    )
    if not row.n:
        return f"{what} No test answer is judged to show what comes of it."
    right = (
        f"{100 * row.precision:.0f} % of them are right [{low:.0f} %, {high:.0f} %]"
        if row.kept
        else "there is none to count"
    )
    return (
        f"{what} Of {numbers.count(row.n, 'test item')}, {100 * row.coverage:.0f} % are given, and {right}; "
        f"without review {100 * row.without:.0f} %."
    )


def _carried(rows: Sequence[Row]) -> str:
    """What became of the threshold that was chosen at the earlier checkpoint; "" without any."""
    old = next((row for row in rows if row.chosen != row.applied and not math.isnan(row.threshold)), None)
    if old is None or not old.n:
        return ""
    right = f"{100 * old.precision:.0f} % of them right" if old.kept else "none to count"
    what = f"The threshold for {100 * old.wanted:g} % right chosen {at(old.chosen)}, {_short(old.threshold)},"
    return f"{what} now gives {100 * old.coverage:.0f} %, {right}."


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
