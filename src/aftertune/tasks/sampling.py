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
    items: Sequence[Example], k: int, group: Callable[[Example], str], *, whole: bool = False
) -> tuple[list[Example], list[Example]]:
    """Cut k items off the end of `items`, no two from one group, and keep their groups out of the rest.

    With `whole`, groups are cut off with all their items, until there are k or more; a group stands where its
    item with the smallest id does, so that large groups are not held out more often than small ones.

    Returns
    -------
    held, rest
        `held` begins with the last item (of the last group), so that held-out sets of other sizes are nested
        too. At most half of the groups are held out.
    """
    members_of: dict[str, list[Example]] = {}
    for example in reversed(items):
        members_of.setdefault(group(example), []).append(example)
    order = list(members_of)
    if whole:
        smallest = {min(members, key=lambda example: example.id).id for members in members_of.values()}
        order = [group(example) for example in reversed(items) if example.id in smallest]
    held: list[Example] = []
    groups: set[str] = set()
    for key in order:
        if len(held) >= k or len(groups) >= len(order) // 2:
            break
        members = members_of[key]
        groups.add(key)
        held += members if whole else members[:1]
    return held, [example for example in items if group(example) not in groups]
