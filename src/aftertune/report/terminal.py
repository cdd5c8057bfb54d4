"""Verdict tables and the answer in words, on a terminal of 80 columns or more."""

from __future__ import annotations

import math

from rich import box
from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aftertune.analysis.schema import Analysis, Row
from aftertune.report.acting import Acting, ScoreAct, acting
from aftertune.report.answer import Sentence, answer, scope
from aftertune.report.number_format import count, interval, number_range, plain, signed
from aftertune.report.outcome import Group, Outcome, groups
from aftertune.report.tally import auroc_sentences, tally_sentences
from aftertune.report.told import at
from aftertune.stats.calibration import percent

WIDE = 104
MOST_NOTES = 4
MOST_SCORES = 5
"""Of those that AUROC is printed for where none was chosen on validation items."""
_MARKS = {
    "degraded": ("▼", "bold red"),
    "improved": ("▲", "bold green"),
    "holds": ("=", "green"),
    "inconclusive": ("?", "yellow"),
    "undefined": ("–", "dim"),
}
_STATE_STYLES = {
    "trusted": "bold green",
    "degraded": "bold red",
    "inconclusive": "yellow",
    "not useful": "cyan",
    "undefined": "dim",
}
_ASCII = str.maketrans(
    {
        "▼": "v",
        "▲": "^",
        "→": ">",
        "−": "-",
        "–": "-",
        "ρ": "r",
        "“": '"',
        "”": '"',
        "·": "|",
        "…": ".",
        "─": "-",
        "’": "'",
        "✓": "+",
        "✗": "x",
        "×": "x",
    }
)


def print_verdicts(console: Console, analysis: Analysis) -> None:
    """Print, for each model, task and setting, the verdict table and what follows from it; then AUROC.

    AUROC is printed where some answers are known to be right and others wrong; of settings in which nothing can be
    compared, such as those with another number of training items, only where there are no verdicts either.
    On a terminal that is not UTF-8, signs outside ASCII that are ours are replaced by plain ones.
    """
    found = groups(analysis)
    if not found:
        console.print(Text("One checkpoint only: there is no change to judge."))
    for group in found:
        if len(group.having("undefined")) == len(group.outcomes):
            console.print(fit(console, _title(group)))
        else:
            console.print(fit(console, verdict_table(group, width=console.width)))
        console.print(fit(console, Padding(answer_text(group), (0, 0, 1, 1))))
    for act in acting(analysis):
        known = any(math.isfinite(value) for one in act.scores for value in (one.before, one.after))
        if (known or act.best) and (act.from_ or not found):
            _print_acting(console, act)
    for note in analysis.notes[:MOST_NOTES]:
        console.print(fit(console, Padding(Text(f"Note: {_clean(note)}", style="dim"), (0, 0, 0, 1))))
    if len(analysis.notes) > MOST_NOTES:
        more = count(len(analysis.notes) - MOST_NOTES, "more note")
        console.print(Padding(Text(f"{more} in the report.", style="dim"), (0, 0, 0, 1)))
    for sentence in (*tally_sentences(analysis), *auroc_sentences(analysis)):
        console.print(fit(console, Padding(Text(_clean(sentence), style="bold"), (0, 0, 0, 1))))


def verdict_table(group: Group, *, width: int) -> Table:
    """One row a score: rho before and after, change with interval, verdict, and whether it is useful."""
    wide = width >= WIDE
    used = f"{number_range(group.n_items)} test items, {count(group.n_seeds, 'seed')}"
    table = Table(
        title=_title(group),
        title_justify="left",
        caption=Text(f" {used}. Spearman’s ρ with quality [95 % interval].", style="dim"),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1) if wide else 0,
        show_edge=wide,
    )
    table.add_column("score", overflow="fold", min_width=8)
    table.add_column("ρ before" if wide else "before", justify="right", no_wrap=True)
    table.add_column("ρ after" if wide else "after", justify="right", no_wrap=True)
    table.add_column("change of ρ" if wide else "change", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("useful", no_wrap=True)
    for outcome in group.outcomes:
        table.add_row(*_cells(outcome, wide))
    return table


def _title(group: Group) -> Text:
    return Text(f"{_clean(group.name)}: {_clean(group.comparison)}", style="bold")


def _cells(outcome: Outcome, wide: bool) -> list[Text]:
    digits = 3 if wide else 2
    change, (mark, style) = outcome.change, _MARKS[outcome.verdict]
    moved = _with(signed(change.mean, digits), interval(change.ci_low, change.ci_high, digits))
    useful = {True: Text("yes"), False: Text("no", style="red"), None: Text("–", style="dim")}[change.useful]
    return [
        Text(_clean(outcome.score)),
        Text(plain(outcome.before, digits)),
        Text(plain(outcome.after, digits)),
        Text(moved),
        Text(f"{mark} {outcome.verdict}" if wide else outcome.verdict, style=style),
        useful,
    ]


def answer_text(group: Group) -> Text:
    """The answer in words, one line a sentence."""
    text = Text()
    for sentence in answer(group):
        text.append_text(_sentence(sentence))
        text.append("\n")
    text.append(scope(group))
    text.rstrip()
    return text


def _print_acting(console: Console, act: Acting) -> None:
    """Title, how many answers are right, AUROC, and what a person is told."""
    best = next((one for one in act.scores if one.score == act.best), None)
    console.print(fit(console, Text(f"{_clean(act.name)}: can a person act on it?", style="bold")))
    if best is None:
        console.print(fit(console, auroc_table(act, width=console.width)))
    console.print(fit(console, Padding(acting_text(act, best), (0, 0, 1, 1))))


def auroc_table(act: Acting, *, width: int) -> Table:
    """The scores with the largest AUROC: before, after, and the change with its interval."""
    digits = 3 if width >= WIDE else 2
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1) if width >= WIDE else 0, show_edge=width >= WIDE)
    table.add_column("score", overflow="fold", min_width=8)
    for name in ("AUROC before", "after", "change") if act.from_ else ("AUROC",):
        table.add_column(name, justify="left" if name == "change" else "right", no_wrap=True)
    for one in act.scores[:MOST_SCORES]:
        if act.from_:
            moved = _with(signed(one.change, digits), interval(one.low, one.high, digits))
            values = [plain(one.before, digits), plain(one.after, digits), moved]
        else:
            values = [_with(plain(one.after, digits), interval(one.low, one.high, digits, sign=False))]
        table.add_row(*map(Text, (_clean(one.score), *values)))
    return table


def acting_text(act: Acting, best: ScoreAct | None) -> Text:
    """Whether a person can act on a score, how it was chosen, how many answers are right, and an answer."""
    apart = act.told_apart
    lines = [apart.answer]
    if best is not None and act.from_ and math.isfinite(best.before):
        lines[0] += f" {_before(act, best)}"
    lines += [apart.choice, act.counts]
    if len(act.scores) > MOST_SCORES and best is None:
        lines.append(f"{count(len(act.scores) - MOST_SCORES, 'more score')} in the report.")
    lines += [act.no_percentages, _told(act)]
    return Text("\n".join(_clean(line) for line in lines if line))


def _before(act: Acting, best: ScoreAct) -> str:
    """AUROC at the earlier checkpoint, and its change on the items that are judged at both."""
    start = "Before" if act.from_ == "before" else at(act.from_).capitalize()
    if math.isnan(best.change):
        return f"{start}: {plain(best.before)}."
    moved = f"change {_with(signed(best.change), interval(best.low, best.high))}"
    if set(act.n_answers) != {best.n_items}:
        moved += f" to {plain(best.after)} (on the {count(best.n_items, 'item')} judged and scored at both)"
    return f"{start}: {plain(best.before)}, {moved}."


def _told(act: Acting) -> str:
    """The clearest answer that a person trusts more and wrongly, else a wrong one in the middle by its chance."""
    worse = next((one for one in act.told if one.kind != "right"), None)
    typical = next((one for one in act.alerts if one.correct is False), None)
    if worse is not None:
        verdict = {True: "right", False: "wrong", None: "not judged"}[worse.before.correct]
        start, end = ("before", "after") if worse.before.checkpoint == "before" else map(at, worse.checkpoints)
        first, then = (f"{percent(one.chance or 0)} %" for one in (worse.before, worse.after))
        told = f"{worse.title.capitalize()}: {_item(act, worse.after)}, told {first} {start} ({verdict})"
        told += f", {then} {end} (wrong)."
    elif typical is not None:
        chance = percent(typical.chance or 0)
        told = f"An answer in the middle of the wrong ones: {_item(act, typical)}, told {chance} %."
    else:
        return ""
    doubt = act.told_apart.doubt
    return told + (f" Do not act on such percentages: {doubt}." if doubt else "")


def _item(act: Acting, alert: Row) -> str:
    return f"item {alert.item_id}" + (f", seed {alert.seed}" if act.n_runs > 1 else "")


def _with(value: str, interval: str) -> str:
    """A value and its interval, where it has one."""
    return f"{value} {interval}".rstrip()


def _sentence(sentence: Sentence) -> Text:
    text = Text(_clean(sentence.lead), style=_STATE_STYLES.get(sentence.state or "", ""))
    text = Text().append_text(text)
    for i, (score, remark) in enumerate(sentence.scores):
        text.append(", " if i else ": ")
        text.append(_clean(score), style="bold")
        if remark:
            text.append(f" ({remark})")
    if sentence.scores:
        text.append(".")
    return text


def _clean(text: str) -> str:
    """Control characters shown, not sent to the terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def fit(console: Console, what: RenderableType) -> RenderableType:
    """`what` as it is, or in ASCII for a terminal that is not UTF-8."""
    if console.encoding.lower().startswith("utf"):
        return what
    plain_console = Console(width=console.width, color_system=None, force_terminal=False, legacy_windows=False)
    with plain_console.capture() as capture:
        plain_console.print(what)
    text = capture.get().translate(_ASCII)
    return Stack(Text(text.rstrip("\n").encode("ascii", "replace").decode()))
