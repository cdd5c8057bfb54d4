"""All that is printed with --verbose: checks, tables of verdicts, and answers in words."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.table import Table
from rich.text import Text

from aftertune.report.answers import Answers, ScoreRow
from aftertune.report.checks import summary_of, told
from aftertune.report.names import at
from aftertune.report.numbers import UNDEFINED, count, interval, number_range, plain, signed
from aftertune.report.overview import Overview, overviews
from aftertune.report.recommendation import Recommendation
from aftertune.report.summary import Summary
from aftertune.report.verdicts import MARKS, Group, Outcome, Sentence, answer, scope
from aftertune.stats.calibration import percent
from aftertune.visible import visible

WIDE = 104
MOST_SCORES = 5
"""How many scores AUROC is printed for where none was chosen on validation items."""
RECOMMENDED, RELIED_ON = "*", "°"
"""What stands behind the name of such a score."""
STYLES = {
    "degraded": "bold red",
    "fell": "red",
    "improved": "bold green",
    "holds": "green",
    "inconclusive": "yellow",
    "undefined": "dim",
}
_STATE_STYLES = {
    "trusted": "bold green",
    "degraded": "bold red",
    "fell": "red",
    "inconclusive": "yellow",
    "not usable": "cyan",
    "undefined": "dim",
}
USABLE_STYLES = {"yes": "", "reversed": "bold red", "not shown": "red", "": "dim"}
_ASCII = str.maketrans("▼▽▲→−–ρ“”·…─’✓✗×⟨⟩⚠⛔°", 'vv^>--r""|.-\'+xx<>!Xo')


def print_verdicts(console: Console, summary: Summary) -> None:
    """Print what checks found; for each model, task and setting what to use, and the verdicts; then AUROC.

    AUROC is printed where some answers are known to be right and others wrong; of settings in which nothing can be
    compared, such as those with another number of training items, only where there are no verdicts either.
    On a terminal that is not UTF-8, signs outside ASCII that are ours are replaced by plain ones.
    """

    def show(what: RenderableType, style: str = "", below: int = 0) -> None:
        if isinstance(what, str):
            what = Text(visible(what), style=style)
        console.print(fit(console, Stack(what, *[""] * below)))

    print_checks(show, summary)
    if not summary.groups:
        show("One checkpoint only: there is no change to judge.")
    for one in overviews(summary):
        if one.group is None and summary.groups:
            continue
        if one.said is not None:
            print_recommendation(show, one.said)
            show(f"Next: {one.next_step}", "bold", below=1)
        if one.group is not None:
            defined = len(one.group.having("undefined")) < len(one.group.outcomes)
            show(verdict_table(one, one.group, width=console.width) if defined else _title(one.group))
            show(answer_text(one.group), below=1)
    for one in summary.answers:
        known = any(math.isfinite(value) for row in one.scores for value in (row.before, row.after))
        if (known or one.choice.score) and (one.from_ or not summary.groups):
            chosen = next((row for row in one.scores if row.score == one.choice.score), None)
            show(f"{one.name}: can a person act on it?", "bold")
            if chosen is None:
                show(auroc_table(one, width=console.width))
            show(answers_text(one, chosen), below=1)
    for note in summary.notes:
        show(f"Note: {note}", "dim")
    for sentence in (*summary.tallies, *summary.auroc_tallies):
        show(sentence, "bold")


def print_recommendation(show: Callable[..., None], one: Recommendation) -> None:
    """Which score to use, what it is worth, and whether the one that is relied on still holds."""
    show(f"{one.name}:", "bold")
    show(" ".join(one.sentences), "bold", below=1)


def print_checks(show: Callable[..., None], summary: Summary) -> None:
    """One line for each check that found something, the worst first, and how many were made."""
    if not summary.checks:
        return
    found = told(summary.checks)
    for one in found:
        show(one.line, "yellow" if one.level != "note" else "dim")
    show(summary_of(summary.checks), "bold" if found else "dim", below=1)


def verdict_table(one: Overview, group: Group, *, width: int) -> Table:
    """One row a score, of use first: tie-adjusted rho before and after, its change, the verdict, and its use."""
    wide = width >= WIDE
    used = f"{number_range(group.n_items)} test items"
    used += f", {count(group.n_seeds, 'training run')}" if group.n_seeds > 1 else ""
    said = "".join(f"; {mark}" for mark in marks_said(one))
    table = _table(wide)
    table.title, table.title_justify = _title(group), "left"
    table.caption = Text(f"{used}. Tie-adjusted ρ with quality [95 % interval]{said}.", style="dim")
    table.caption_justify = "left"
    table.add_column("ρ before" if wide else "before", justify="right", no_wrap=True)
    table.add_column("ρ after" if wide else "after", justify="right", no_wrap=True)
    table.add_column("change of ρ" if wide else "change", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("usable", no_wrap=True)
    for line in one.every:
        table.add_row(*_cells(one, line.outcome, wide))
    return table


def _table(wide: bool) -> Table:
    """An empty table whose first column is the score."""
    table = Table(box=None, padding=(0, 2 if wide else 1, 0, 0), pad_edge=False)
    table.add_column("score", overflow="fold", min_width=8)
    return table


def _title(group: Group) -> Text:
    return Text(f"{visible(group.name)}: {visible(group.comparison)}", style="bold")


def marks(one: Overview, score: str) -> str:
    """What stands behind the name of a score: whether it is recommended, or relied on."""
    if one.said is None:
        return ""
    relied_on = one.said.relied_on
    found = RECOMMENDED * (one.said.score == score)
    found += RELIED_ON * (relied_on is not None and relied_on.score == score)
    return f" {found}" if found else ""


def marks_said(one: Overview) -> list[str]:
    """What the marks of a table mean."""
    used = "".join(marks(one, line.score) for line in one.every)
    words = {RECOMMENDED: "recommended", RELIED_ON: "relied on"}
    return [f"{mark} {word}" for mark, word in words.items() if mark in used]


def _cells(one: Overview, outcome: Outcome, wide: bool) -> list[Text]:
    digits = 3 if wide else 2
    change, mark, style = outcome.change, MARKS[outcome.verdict], STYLES[outcome.verdict]
    moved = _moved(change.mean, change.ci_low, change.ci_high, digits)
    usable = Text(change.usable or UNDEFINED, style=USABLE_STYLES[change.usable])
    if not wide:
        usable.plain = {"not shown": "n.s.", "reversed": "rev."}.get(usable.plain, usable.plain)
    return [
        Text(visible(outcome.score) + marks(one, outcome.score)),
        Text(plain(outcome.before, digits)),
        Text(plain(outcome.after, digits)),
        Text(moved),
        Text(f"{mark} {outcome.verdict}" if wide else outcome.verdict, style=style),
        usable,
    ]


def _moved(change: float, low: float, high: float, digits: int = 3) -> str:
    """A change and its interval, where it has one."""
    return f"{signed(change, digits)} {interval(low, high, digits)}".rstrip()


def answer_text(group: Group) -> Text:
    """The answer in words, one line a sentence."""
    text = Text()
    for sentence in answer(group):
        text.append_text(_sentence(sentence))
        text.append("\n")
    text.append(scope(group))
    text.rstrip()
    return text


def auroc_table(answers: Answers, *, width: int) -> Table:
    """The scores with the largest AUROC: before, after, and the change with its interval."""
    digits = 3 if width >= WIDE else 2
    table = _table(width >= WIDE)
    for name in ("AUROC before", "after", "change") if answers.from_ else ("AUROC",):
        table.add_column(name, justify="left" if name == "change" else "right", no_wrap=True)
    for one in answers.scores[:MOST_SCORES]:
        if answers.from_:
            moved = _moved(one.change, one.low, one.high, digits)
            values = [plain(one.before, digits), plain(one.after, digits), moved]
        else:
            ends = interval(one.low, one.high, digits, sign=False)
            values = [f"{plain(one.after, digits)} {ends}".rstrip()]
        table.add_row(*map(Text, (visible(one.score), *values)))
    return table


def answers_text(one: Answers, chosen: ScoreRow | None) -> Text:
    """Whether a person can act on a score, how it was chosen, how many answers are right, and an answer."""
    lines = [one.choice.answer]
    if chosen is not None and one.from_ and math.isfinite(chosen.before):
        lines[0] += f" {_before(one, chosen)}"
    lines += [one.choice.grounds, one.counts]
    if len(one.scores) > MOST_SCORES and chosen is None:
        lines.append(f"{count(len(one.scores) - MOST_SCORES, 'more score')} in the report.")
    lines += [one.no_percentages, _example(one)]
    return Text("\n".join(visible(line) for line in lines if line))


def _before(one: Answers, chosen: ScoreRow) -> str:
    """AUROC at the earlier checkpoint, and its change on the items that are judged at both."""
    start = "Before" if one.from_ == "before" else at(one.from_).capitalize()
    if math.isnan(chosen.change):
        return f"{start}: {plain(chosen.before)}."
    moved = f"change {_moved(chosen.change, chosen.low, chosen.high)}"
    if set(one.n_answers) != {chosen.n_items}:
        moved += f" to {plain(chosen.after)} (on the {count(chosen.n_items, 'item')} judged and scored at both)"
    return f"{start}: {plain(chosen.before)}, {moved}."


def _example(one: Answers) -> str:
    """The clearest answer that a person trusts more and wrongly, else a wrong one in the middle by its chance."""
    worse = next((shift for shift in one.shifts if shift.kind != "right"), None)
    typical = next((alert for alert in one.alerts if alert.correct is False), None)
    told = worse.after if worse is not None else typical
    if told is None:
        return ""
    item = f"item {told.item_id}" + (f", seed {told.seed}" if one.n_runs > 1 else "")
    chance = f"{percent(told.chance or 0)} %"
    if worse is None:
        text = f"An answer in the middle of the wrong ones: {item}, told {chance}."
    else:
        verdict = {True: "right", False: "wrong", None: "not judged"}[worse.before.correct]
        start, end = "before", "after"
        if worse.before.checkpoint != "before":
            start, end = at(worse.before.checkpoint), at(worse.after.checkpoint)
        was = f"{percent(worse.before.chance or 0)} %"
        text = f"{worse.title.capitalize()}: {item}, told {was} {start} ({verdict}), {chance} {end} (wrong)."
    doubt = one.choice.doubt
    return text + (f" Do not act on such percentages: {doubt}." if doubt else "")


def _sentence(sentence: Sentence) -> Text:
    text = Text().append(visible(sentence.lead), style=_STATE_STYLES.get(sentence.state or "", ""))
    for i, (score, remark) in enumerate(sentence.scores):
        text.append(", " if i else ": ")
        text.append(visible(score), style="bold")
        if remark:
            text.append(f" ({remark})")
    if sentence.scores:
        text.append(".")
    return text


def fit(console: Console, what: RenderableType) -> RenderableType:
    """`what` as it is on a terminal; elsewhere without style and spaces at the end of lines.

    Where the encoding is not UTF-8, our signs outside ASCII are replaced by plain ones.
    """
    is_utf = console.encoding.lower().startswith("utf")
    if console.is_terminal and is_utf:
        return what
    unstyled = Console(
        width=console.width, color_system=None, force_terminal=False, legacy_windows=False, markup=False,
        emoji=False, highlight=False,
    )  # fmt: skip
    with unstyled.capture() as capture:
        unstyled.print(what)
    text = "\n".join(line.rstrip() for line in capture.get().removesuffix("\n").split("\n"))
    return Text(text if is_utf else text.translate(_ASCII).encode("ascii", "replace").decode())
