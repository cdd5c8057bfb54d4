"""What a command prints in the end, `MOST_LINES` lines at most; `terminal.py` has all of it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.text import Text

from aftertune.report.answers import Answers
from aftertune.report.checks import summary_of, told
from aftertune.report.names import PARTIAL
from aftertune.report.numbers import UNDEFINED, count, interval, number_range, plain, signed
from aftertune.report.overview import Overview, overviews
from aftertune.report.summary import Summary
from aftertune.report.terminal import STYLES, USABLE_STYLES, fit, marks, marks_said
from aftertune.report.verdicts import answer
from aftertune.stats.verdict import VERDICTS
from aftertune.visible import visible

MOST_LINES = 30
MOST_ROWS = 12
MOST_FINDINGS = 3
"""Findings of checks that are printed, of two lines each."""
MOST_TOLD = 4
"""Settings that have sentences; of more there is a table alone."""
MOST_JUDGED = 2
"""Settings that have AUROC; of more it is counted where it fell."""
_REST = 13
"""Lines about one setting that are no sentences on its score: title, next step, rows and what is around them."""
_NARROWEST = 12
"""Cells of a column of names, at least."""


def print_brief(console: Console, summary: Summary, paths: Sequence[str] = ()) -> None:
    """Print what checks found, which score to use, the verdicts on each, and `paths`, one a line.

    In 80 columns that is `MOST_LINES` at most, whatever the summary holds: long sentences are cut, and the scores
    and settings for which no line is left are counted.
    """
    width = console.width
    taken = sum(max(1, -(-cell_len(path) // width)) for path in paths)
    found = overviews(summary)
    shown = [one for one in found if one.group is not None] or list(found)
    for findings in range(MOST_FINDINGS, -1, -1):
        head = _checks(summary, width, findings)
        lines, cramped = _body(summary, shown, width, MOST_LINES - taken - len(head))
        if not cramped:
            break
    console.print(fit(console, Group(*head, *lines)))
    for path in paths:
        console.print(Text(visible(path)), soft_wrap=True)


def _body(summary: Summary, shown: Sequence[Overview], width: int, room: int) -> tuple[list[Text], bool]:
    """The lines after the checks, and whether there was no room for a few rows."""
    if not shown:
        return [Text("One checkpoint only: there is no change to judge.")], False
    return _of_one(summary, shown[0], width, room) if len(shown) == 1 else _of_many(summary, shown, width, room)


def _checks(summary: Summary, width: int, most: int) -> list[Text]:
    lines = []
    for note in summary.notes:
        if note.startswith(PARTIAL):
            lines += wrapped(Text(visible(note), style="bold yellow"), width, 3)
    if summary.checks:
        found = told(summary.checks)
        bad = [one for one in found if one.level != "note"]
        lines += wrapped(Text(summary_of(summary.checks), style="bold" if bad else "dim"), width, 2)
        for one in bad[:most]:
            lines += wrapped(Text(visible(one.line), style="yellow"), width, 2)
        if len(bad) > most > 0:
            lines.append(Text(f"{count(len(bad) - most, 'more warning')}.", style="yellow"))
    return [*lines, Text()] if lines else []


# One setting: what is said of it, and a row a score.


def _of_one(summary: Summary, one: Overview, width: int, room: int) -> tuple[list[Text], bool]:
    lines = wrapped(Text(visible(_title(one)), style="bold"), width, 2)
    if one.group is None:
        lines.append(Text("One checkpoint only: there is no change to judge."))
    if one.said is not None:
        most = 5 if one.said.relied_on is None else 9
        lines += _whole(one.said.sentences, width, max(min(most, room - _REST), 2))
    if one.next_step:
        lines += _whole(re.split(r"(?<=[.:]) (?=[A-Z])", f"Next: {one.next_step}"), width, 2)
    tail = [line for own in summary.answers if own.name == one.name for line in _judged(own, one, width)]
    if one.group is None:
        return lines + tail, False
    if len(one.group.having("undefined")) == len(one.group.outcomes):
        why = answer(one.group)[0].lead
        return [*lines, *wrapped(Text(visible(why)), width, 3), *tail], False
    legend = _legend(one, width)
    room -= len(lines) + len(legend) + len(tail) + 2  # a blank line and the heads of columns
    n = len(one.lines)
    n = n if n <= min(room, MOST_ROWS) else max(min(room - 1, MOST_ROWS), 1)
    rows = _verdicts(one, n, width)
    more = [line.outcome.verdict for line in one.lines[n:] for _ in (line.score, *line.alike)]
    if more:
        rows += wrapped(Text(f"{len(more)} more: {_counted(more)}", style="dim"), width, 1)
    return [*lines, Text(), *rows, *legend, *tail], n < min(len(one.lines), 4)


def _title(one: Overview) -> str:
    if one.group is None:
        return f"{one.name}:"
    runs = f", {count(one.group.n_seeds, 'training run')}" if one.group.n_seeds > 1 else ""
    return f"{one.name}: {one.group.comparison}, {number_range(one.group.n_items)} test items{runs}"


def _whole(sentences: Iterable[str], width: int, most: int) -> list[Text]:
    """As many whole sentences as so many lines hold, the first one in any case."""
    kept: list[Text] = []
    said = ""
    for sentence in sentences:
        said = f"{said} {sentence}".strip()
        text = Text(visible(said), style="bold")
        if len(wrapped(text, width, most + 1)) > most and kept:
            break
        kept = wrapped(text, width, most)
    return kept


def _verdicts(one: Overview, n: int, width: int) -> list[Text]:
    head = ("score", "before", "after", "change", "verdict", "usable")
    found: list[Text] = []
    for alike in (" (+{} alike)", " +{}"):
        rows = []
        for line in one.lines[:n]:
            change, verdict = line.outcome.change, line.outcome.verdict
            more = alike.format(len(line.alike)) if line.alike else ""
            rows.append(
                (
                    Text(f"{visible(line.score)}{more}{marks(one, line.score)}"),
                    Text(plain(line.outcome.before, 2)),
                    Text(plain(line.outcome.after, 2)),
                    Text(interval(change.ci_low, change.ci_high, 2) or signed(change.mean, 2)),
                    Text(verdict, style=STYLES[verdict]),
                    Text(change.usable or UNDEFINED, style=USABLE_STYLES[change.usable]),
                )
            )
        found = table(head, rows, width, right=(1, 2), expendable=(3, 1, 2))
        if not any("…" in line.plain for line in found):
            break
    return found


def _legend(one: Overview, width: int) -> list[Text]:
    """What the columns are, and what the marks mean."""
    said = ["before, after: tie-adjusted ρ with quality", "change: its 95 % interval", *marks_said(one)]
    said += ["+1: another in almost the same order"] * any(line.alike for line in one.lines)
    return wrapped(Text(f"{'; '.join(said)}.", style="dim"), width, 2)


def _judged(own: Answers, one: Overview, width: int) -> list[Text]:
    """AUROC of the recommended score, else of the best one, and the share of right answers."""
    rows = [row for row in own.scores if math.isfinite(row.after)]
    if not rows:
        return []
    wanted = one.first or (one.said.score if one.said is not None else "")
    row = next((row for row in rows if row.score == wanted), rows[0])
    if own.from_ and math.isfinite(row.before):
        moved = f"{signed(row.change, 2)} {interval(row.low, row.high, 2)}".rstrip()
        value = f"{plain(row.before, 2)} → {plain(row.after, 2)} (change {moved})"
    else:
        value = (
            f"{plain(row.after, 2)} {interval(row.low, row.high, 2, sign=False) if not own.from_ else ''}".rstrip()
        )
    return wrapped(
        Text(visible(f"Right or wrong: AUROC of {row.score} {value} on all test items. {own.counts}")), width, 3
    )


# Several settings: a sentence or two each where they are few, and a row each.


def _of_many(summary: Summary, shown: Sequence[Overview], width: int, room: int) -> tuple[list[Text], bool]:
    few = len(shown) <= MOST_TOLD
    tail = wrapped(
        Text("use: the recommended score; pairs: the better answer is the more confident.", style="dim"), width, 2
    )
    words = [outcome.verdict for one in shown if one.group is not None for outcome in one.group.outcomes]
    if words:
        tail += wrapped(Text(f"Of {count(len(words), 'verdict')} on scores: {_counted(words)}."), width, 2)
    if not few:
        tail += wrapped(Text(_most_recommended(shown), style="bold"), width, 2)
    if len(shown) <= MOST_JUDGED:
        by_name = {own.name: own for own in summary.answers}
        for one in shown:
            tail += _judged(by_name[one.name], one, width) if one.name in by_name else []
    elif summary.auroc_tallies:
        tail += wrapped(Text(visible(" ".join(summary.auroc_tallies))), width, 3)
    room -= len(tail)
    blocks: list[Text] = []
    if few:
        each = max((room - 1 - 2 * len(shown)) // len(shown), 1)
        for one in shown:
            said = () if one.said is None else one.said.sentences
            blocks += [*_whole([f"{one.name}: {' '.join(said[:1])}", *said[1:]], width, min(each, 5)), Text()]
    rows = [_row(one) for one in shown]
    room -= len(blocks) + 1
    n = len(rows) if len(rows) <= room else max(room - 1, 1)
    head = ("setting", "use", "verdict", "usable", "pairs")
    lines = table(head, rows[:n], width, right=(4,), flexible=(0, 1), expendable=(4, 3))
    left = [_verdict(one) for one in shown[n:]]
    if left:
        lines += wrapped(Text(f"{count(len(left), 'more setting')}: {_counted(left)}", style="dim"), width, 1)
    return [*blocks, *lines, *tail], n < min(len(rows), 4)


def _most_recommended(shown: Sequence[Overview]) -> str:
    """Which scores are recommended most often."""
    named = Counter(one.said.score for one in shown if one.said is not None and one.said.score)
    most = named.most_common(3)
    others, none = named.total() - sum(n for _, n in most), len(shown) - named.total()
    said = [f"{visible(score)} in {n}" for score, n in most]
    said += [f"others in {others}"] * bool(others) + [f"none in {none}"] * bool(none)
    return f"Recommended, of {len(shown)} settings: {', '.join(said)}."


def _verdict(one: Overview) -> str:
    """Of the recommended score."""
    if one.said is None or not one.said.score:
        return "none usable"
    return one.said.recommended.verdict or "one checkpoint"


def _row(one: Overview) -> tuple[Text, ...]:
    if one.said is None or not one.said.score:
        return Text(visible(one.name)), Text("none", style="red"), *[Text(UNDEFINED)] * 3
    row, verdict = one.said.recommended, _verdict(one)
    return (
        Text(visible(one.name)),
        Text(visible(row.score), style="bold"),
        Text(verdict, style=STYLES.get(verdict, "")),
        Text(row.usable or UNDEFINED, style=USABLE_STYLES[row.usable]),
        Text(f"{100 * row.concordance:.0f} %"),
    )


def _counted(words: Iterable[str]) -> str:
    """
    >>> _counted(["holds", "improved", "holds"])
    '1 improved, 2 holds'
    """
    numbers = Counter(words)
    order = [*(word for word in VERDICTS if word in numbers), *sorted(numbers.keys() - set(VERDICTS))]
    return ", ".join(f"{numbers[word]} {word}" for word in order)


# Lines.


def wrapped(text: Text, width: int, most: int) -> list[Text]:
    """The text in lines of so many cells; of more than `most`, the first ones, which then end with …"""
    whole, text = len(text), text[: 2 * width * most]
    lines = list(text.wrap(Console(width=width), width))
    cut = len(lines) > most or len(text) < whole
    for line in lines:
        line.rstrip()
    if cut:
        last = lines[:most][-1]
        last.truncate(width - 1)
        last.append("…")
    return lines[:most]


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[Text]],
    width: int,
    *,
    right: Collection[int] = (),
    flexible: Sequence[int] = (0,),
    expendable: Sequence[int] = (),
) -> list[Text]:
    """Columns of text, one line a row and nothing behind it.

    Parameters
    ----------
    right : columns that are aligned to the right.
    flexible : columns of names, which lose their middle where they are too long.
    expendable : columns that are left out, one after the other, where the width is too small.
    """
    cells = [[Text(name, style="bold") for name in head], *rows]
    kept = list(range(len(head)))
    for drop in (None, *expendable):
        kept = [i for i in kept if i != drop]
        wide = {i: max(cell_len(row[i].plain) for row in cells) for i in kept}
        room = width - sum(wide[i] for i in kept if i not in flexible) - len(kept) + 1
        if room >= _NARROWEST * len(flexible):
            break
    gap = 2 if sum(wide.values()) + 2 * (len(kept) - 1) <= width else 1
    shares = sorted(flexible, key=lambda i: wide[i])
    for n, i in enumerate(shares):
        wide[i] = min(wide[i], max(room // (len(shares) - n), 1))
        room -= wide[i]
    lines = []
    for row in cells:
        line = Text()
        for i in kept:
            cell = _shortened(row[i], wide[i])
            space = " " * (wide[i] - cell_len(cell.plain))
            line.append_text(Text(space) + cell if i in right else cell + Text(space))
            line.append(" " * gap)
        line.rstrip()
        lines.append(line)
    return lines


def _shortened(text: Text, cells: int) -> Text:
    """The text, without its middle where it is longer."""
    words = text.plain
    if cell_len(words) <= cells:
        return text
    end = max((cells - 1) // 2, 0)
    start = set_cell_size(words, cells - 1 - end).rstrip()
    return Text(start + "…" + set_cell_size(words[::-1], end)[::-1].lstrip() * bool(end), style=text.style)
