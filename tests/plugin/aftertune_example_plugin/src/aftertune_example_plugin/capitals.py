"""A task: name the capital."""

from __future__ import annotations

from aftertune.tasks import Origin, Split, Task, register
from aftertune.types import Example

CAPITALS = {
    "train": {"Namibia": "Windhoek", "Botswana": "Gaborone", "Zambia": "Lusaka"},
    "validation": {"Lesotho": "Maseru"},
    "test": {"Malawi": "Lilongwe", "Angola": "Luanda"},
}
PROMPT = "What is the capital of {country}?"


def _pool(split: Split, origin: Origin) -> tuple[Example, ...]:
    return tuple(
        Example(id=country, prompt=PROMPT.format(country=country), references=(capital,))
        for country, capital in CAPITALS[split].items()
    )


register(
    Task(
        name="capitals",
        title="Capitals",
        quality="word_recall",
        max_new_tokens=8,
        licence="facts",
        source="an example",
        prompt=PROMPT,
        pool=_pool,
    )
)
