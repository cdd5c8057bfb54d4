"""``aftertune list``: what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from aftertune.cli.progress import text_console
from aftertune.errors import unknown

if TYPE_CHECKING:
    from aftertune.tasks import Task

_LEGEND_OF_SCORES = (
    "Logarithms are natural, entropies H and divergences KL in nats. ŷ is the greedy output, y_t its tokens, len "
    "counts tokens with the end-of-sequence token; y_1 … y_K are the beams, best first; y^(1) … y^(n) the dropout "
    "samples, each decoded with its own dropout mask, and p_i,t the next-token distribution of sample i after its "
    "own first t − 1 tokens. sim is chrF unless set: cocoa_msp[similarity=meteor]; k likewise: beam_ratio[k=5]. "
    "METEOR of equal texts is below 1 (0.5 for one word), so dropout_meteor also grows with length. “The paper” "
    "is Confident in a Confidence Score: Investigating the Sensitivity of Confidence Scores to Supervised "
    "Fine-Tuning."
)
_EVIDENCE = {
    "greedy": "the greedy output",
    "beams": "beams",
    "dropout": "dropout samples",
    "embedding": "embeddings",
}


def show_list(what: str) -> None:
    """Print what is registered of one kind: scores, tasks, quality or models; `InputError` for any other."""
    if what not in _LISTS:
        raise unknown("list", what, _LISTS)
    from aftertune.report.terminal import fit

    console = text_console()
    console.print(fit(console, _LISTS[what]()))
    if what == "scores":
        console.print(fit(console, Text(_LEGEND_OF_SCORES, style="dim")))


def _table(rows: Iterable[tuple[str, str, str]]) -> Table:
    """Rows are name, what it is, and further facts, which stand in a second, dimmer line."""
    table = Table(box=None, padding=(0, 2, 1, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, what, facts in rows:
        table.add_row(Text(name, style="bold"), Text.assemble(what, "\n" if facts else "", (facts, "dim")))
    return table


def _scores() -> Table:
    from aftertune.scores import SCORES

    return _table(
        (
            entry.name,
            entry.formula,
            f"{entry.paper_name} in the paper; needs {' and '.join(_EVIDENCE[part] for part in entry.needs)}; "
            f"{entry.source}",
        )
        for _, entry in SCORES.items()
    )


def _tasks() -> Table:
    from aftertune.tasks import TASKS

    def facts(task: Task) -> str:
        sizes = " / ".join("all" if n is None else f"{n:,}" for n in (task.train, task.validation, task.test))
        return f"{sizes} items (train / validation / test); quality {task.quality}; {task.source} ({task.licence})"

    return _table((name, task.title, facts(task)) for name, task in TASKS.items())


def _quality() -> Table:
    from aftertune.quality import QUALITY

    return _table(
        (name, metric.title, f"from {metric.range[0]:g} to {metric.range[1]:g}; {metric.source}")
        for name, metric in QUALITY.items()
    )


def _models() -> Table:
    from aftertune.models import embedded

    def title(name: str) -> str:
        _, shape, task = name.split("-")
        shape = {"llama": "Llama", "t5": "T5"}[shape]
        return f"{shape}-shaped, pre-trained for toy_{task}, not fine-tuned"

    shipped = [(name, title(name), "in the package: no download") for name in embedded.names()]
    others = [
        ("a folder", "saved with save_pretrained(); a folder with an adapter counts", ""),
        ("owner/name", "a model on the Hugging Face hub", ""),
    ]
    return _table([*shipped, *others])


_LISTS: dict[str, Callable[[], Table]] = {
    "scores": _scores,
    "tasks": _tasks,
    "quality": _quality,
    "models": _models,
}
