"""Question answering on SQuAD v1.1."""

from __future__ import annotations

from dataclasses import replace

from aftertune.tasks import Origin, Split, Task, register
from aftertune.tasks.rows import Row, hub_rows, local_rows
from aftertune.types import Example

HUB = "rajpurkar/squad"
PROMPT = "Context: {context}\nQuestion: {question}\nAnswer:"


def _pool(split: Split, origin: Origin) -> tuple[Example, ...] | None:
    """Items of local files, which have a validation set of their own, or of the hub.

    There validation is cut out of train, paragraph by paragraph, and the test items come from the dev set, which
    is called validation.
    """
    if origin.data_dir is not None:
        return tuple(map(_example, local_rows(origin.data_dir, "squad", split)))
    if split == "validation":
        return None
    return tuple(map(_example, hub_rows(origin, HUB, "validation" if split == "test" else "train")))


def _example(row: Row) -> Example:
    """The item in a row; answers are a list of texts, or the hub's {"text": [...], "answer_start": [...]}."""
    answers = row.cell("answers")
    if isinstance(answers, dict):
        row = replace(row, cells={**row.cells, "answers": answers.get("text")})
    prompt = PROMPT.format(context=row.filled("context"), question=row.filled("question"))
    return Example(id=row.filled("id"), prompt=prompt, references=row.texts("answers"))


def _paragraph(example: Example) -> str:
    return example.prompt.rpartition("\nQuestion: ")[0]


register(
    Task(
        name="squad",
        title="Question answering (SQuAD v1.1)",
        quality="token_f1",
        max_new_tokens=32,
        train=10_000,
        validation=100,
        test=1_000,
        of_paper=True,
        licence="CC BY-SA 4.0",
        source="Rajpurkar et al. 2016",
        prompt=PROMPT,
        datasets=(HUB,),
        pool=_pool,
        group=_paragraph,
    )
)
