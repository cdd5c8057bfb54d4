"""``aftertune plan``: what is printed of a plan, and the lines of it that ``run --dry-run`` has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aftertune.cli.progress import text_console
from aftertune.commands.planning import Plan, plan
from aftertune.errors import InputError
from aftertune.report.numbers import count, plain, signed
from aftertune.stats.planning import Question
from aftertune.stats.verdict import MOST_ITEMS, POWER, VERDICTS


def show_plans(plans: Sequence[Plan]) -> None:
    """Print the answer and the tables of each, on stdout."""
    from aftertune.report.terminal import fit

    console = text_console()
    for i, one in enumerate(plans):
        console.print(fit(console, Group(*[""] * bool(i), *_parts(one))))


def chances_of_study(
    items: Mapping[str, tuple[int, str]], *, seeds: int, scores: int, margin: float
) -> Iterator[str]:
    """Lines for a study that is not run yet.

    Parameters
    ----------
    items : task → its number of test items, and the kind of its quality as `plan` takes it.
    """
    alike: dict[tuple[int, str], list[str]] = {}
    for task, key in items.items():
        alike.setdefault(key, []).append(task)
    assumed: dict[str, None] = {}
    for (n, kind), tasks in alike.items():
        try:
            one = plan(items=n, seeds=seeds, quality=kind, scores=scores, margin=margin)[0]
        except InputError as error:
            yield f"No chances of verdicts for {', '.join(tasks)}: {error}"
            continue
        yield f"{', '.join(tasks)}: {one.answer}"
        assumed |= dict.fromkeys(one.assumed[-1:])
    yield from (f"{line} Other assumptions: aftertune plan." for line in assumed)


def _parts(one: Plan) -> Iterator[RenderableType]:
    if one.name:
        yield Text(one.name, style="bold")
    yield one.answer
    yield from one.assumed
    if one.seeds == 1:
        yield "One seed: the verdict is about these models; another training run may end otherwise."
    yield ""
    yield _chances(one)
    yield _needed(one)


def _chances(one: Plan) -> Table:
    table = _table(f"Chance of each verdict, in %, with {count(one.items, 'item')} and {count(one.seeds, 'seed')}")
    for name in ("true change", *VERDICTS, "usable"):
        table.add_column(name, justify="right", no_wrap=True)
    for change, found in one.chances.items():
        table.add_row(
            signed(change, 2) if change else "none", *(_percent(p) for p in (*found.values(), one.usable[change]))
        )
    return table


def _needed(one: Plan) -> Table:
    table = _table(f"Items with which it is shown in {100 * POWER:.0f} of 100 studies, by seeds")
    table.add_column("")
    for seeds in one.needed["holds"]:
        table.add_column(f"{seeds}", justify="right", no_wrap=True)
    together = f", {one.scores} scores judged together" if one.scores > 1 else ""
    rho = one.expected.rho + one.expected.change
    what: dict[Question, str] = {
        "holds": "no change: holds",
        "falls": f"a fall by {plain(2 * one.expected.margin, 2)}: fell or degraded",
        "usable": f"ρ {plain(rho, 2)} after it: usable",
    }
    for question, words in what.items():
        table.add_row(words + together * (question == "holds"), *_cells(one.needed[question]))
    if one.scores > 1:
        table.add_row("no change: holds, one score named beforehand", *_cells(one.needed_alone["holds"]))
    return table


def _cells(needed: Mapping[int, int | None]) -> list[str]:
    return [
        "more runs" if n is None else f"> {MOST_ITEMS:,}" if n > MOST_ITEMS else f"{n:,}" for n in needed.values()
    ]


def _percent(chance: float) -> str:
    return f"{100 * chance:.0f}"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
