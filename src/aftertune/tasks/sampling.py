"""Nested samples and cuts of a pool of items, from a seed alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aftertune.seeds import derive
from aftertune.types import Example


def ordered(pool: Sequence[Example], seed: int) -> list[Example]:
    """The items in a random order that depends on `seed` and on each item's id alone.

    The first k items are a random sample of size k, and samples are nested: the first 100 are the first 100
    of the first 500. Taking an item out of the pool does not move the others.
    """
    return sorted(pool, key=lambda example: derive(seed, "order", example.id))


def hold_out(
    items: Sequence[Example], k: int, group: Callable[[Example], str]
) -> tuple[list[Example], list[Example]]:
    """Cut k items off the end of `items`, no two from one group, and keep their groups out of the rest.

    Returns
    -------
    held, rest
        `held` begins with the last item, so that held-out sets of other sizes are nested too. At most half
        of the groups are held out.
    """
    held: dict[str, Example] = {}
    k = min(k, len({group(example) for example in items}) // 2)
    for example in reversed(items):
        if len(held) >= k:
            break
        held.setdefault(group(example), example)
    return list(held.values()), [example for example in items if group(example) not in held]
