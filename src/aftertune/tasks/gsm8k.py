"""Grade-school mathematics on GSM8K."""

from __future__ import annotations

from aftertune.tasks import Origin, Split, Task, register
from aftertune.tasks.rows import hub_rows, local_rows
from aftertune.types import Example

HUB = "openai/gsm8k"
PROMPT = "Question: {question}\nAnswer:"


def _pool(split: Split, origin: Origin) -> tuple[Example, ...] | None:
    """Items whose reference is the worked solution, up to and including "#### <number>".

    There is no validation set: it is cut out of train.
    """
    if split == "validation":
        return None
    if origin.data_dir is not None:
        rows = local_rows(origin.data_dir, "gsm8k", split)
    else:
        rows = hub_rows(origin, HUB, split, config="main")
    return tuple(
        Example(
            id=f"gsm8k-{split}-{row.index:05d}",
            prompt=PROMPT.format(question=row.filled("question")),
            references=(row.filled("answer"),),
        )
        for row in rows
    )


register(
    Task(
        name="gsm8k",
        title="Math (GSM8K)",
        quality="exact_match",
        max_new_tokens=256,
        train=7_000,
        validation=100,
        test=1_000,
        of_paper=True,
        licence="MIT",
        source="Cobbe et al. 2021",
        prompt=PROMPT,
        datasets=(HUB,),
        pool=_pool,
    )
)
