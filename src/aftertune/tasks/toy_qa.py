"""The toy task toy_qa, made by rule: see `aftertune.tasks.toy.facts`."""

from __future__ import annotations

from functools import cache

from aftertune.tasks import Origin, Split, Task, register
from aftertune.tasks.toy import facts
from aftertune.types import Example

TRAIN, VALIDATION, TEST = 300, 100, 200


def _pool(split: Split, origin: Origin) -> tuple[Example, ...]:
    """The same items always; nothing is read."""
    return _items()[split]


@cache
def _items() -> dict[Split, tuple[Example, ...]]:
    train, validation, test = facts.splits(train=TRAIN, validation=VALIDATION, test=TEST)
    return {"train": tuple(train), "validation": tuple(validation), "test": tuple(test)}


register(
    Task(
        name=facts.NAME,
        title=facts.TITLE,
        quality=facts.QUALITY,
        max_new_tokens=facts.MAX_NEW_TOKENS,
        train=TRAIN,
        validation=VALIDATION,
        test=TEST,
        licence="made by rule, part of aftertune (Apache-2.0)",
        source="aftertune",
        prompt="facts: {facts} question: {question} =>",
        pool=_pool,
    )
)
