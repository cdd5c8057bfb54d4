"""Toy tasks, so that everything can be tried with nothing but the package.

Their items lie in ``toy/``; ``scripts/toy_items.py`` made them by rule: 1,000 to train on, 100 for validation and
1,000 to test with, of which a task takes 300, 100 and 200 unless other sizes are asked for.
"""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path

from aftertune.tasks import Origin, Split, Task, register
from aftertune.types import Example

FOLDER = Path(__file__).with_name("toy")


def _pool(name: str, split: Split, origin: Origin) -> tuple[Example, ...]:
    """The same items always, whatever the origin."""
    return _items(name)[split]


@cache
def _items(name: str) -> dict[Split, tuple[Example, ...]]:
    items: dict[Split, list[Example]] = {"train": [], "validation": [], "test": []}
    for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        items[row["split"]].append(Example(id=row["id"], prompt=row["prompt"], references=(row["target"],)))
    return {split: tuple(examples) for split, examples in items.items()}


for name, title, quality, max_new_tokens, prompt in (
    (
        "toy_qa",
        "Toy question answering: a few short facts and a question",
        "token_f1",
        12,
        "facts: {facts} question: {question} =>",
    ),
    ("toy_sums", "Toy word problems: one or two steps of arithmetic", "exact_match", 24, "problem: {problem} =>"),
    (
        "toy_translation",
        "Toy translation: a small English into Tovali, an invented language",
        "chrf_plus",
        40,
        "translate: {source} =>",
    ),
):
    register(
        Task(
            name=name,
            title=title,
            quality=quality,
            max_new_tokens=max_new_tokens,
            train=300,
            validation=100,
            test=200,
            licence="made by rule, part of aftertune (Apache-2.0)",
            source="aftertune",
            prompt=prompt,
            pool=partial(_pool, name),
        )
    )
