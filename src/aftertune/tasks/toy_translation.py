"""The toy task toy_translation, made by rule: see `aftertune.tasks.toy.translation`."""

from __future__ import annotations

from functools import cache

from aftertune.tasks import Origin, Split, Task, register
from aftertune.tasks.toy import translation
from aftertune.types import Example

TRAIN, VALIDATION, TEST = 300, 100, 200


def _pool(split: Split, origin: Origin) -> tuple[Example, ...]:
    """The same items always; nothing is read."""
    return _items()[split]


@cache
def _items() -> dict[Split, tuple[Example, ...]]:
    train, validation, test = translation.splits(train=TRAIN, validation=VALIDATION, test=TEST)
    return {"train": tuple(train), "validation": tuple(validation), "test": tuple(test)}


register(
    Task(
        name=translation.NAME,
        title=translation.TITLE,
        quality=translation.QUALITY,
        max_new_tokens=translation.MAX_NEW_TOKENS,
        train=TRAIN,
        validation=VALIDATION,
        test=TEST,
        licence="made by rule, part of aftertune (Apache-2.0)",
        source="aftertune",
        prompt="translate: {source} =>",
        pool=_pool,
    )
)
