"""What a task is: where its items come from, how they are asked, and how they are cut into splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aftertune.errors import InputError
from aftertune.seeds import derive
from aftertune.tasks.template import Template, check_reworded, escape_check, reworded
from aftertune.types import Check, Example

Split = Literal["train", "validation", "test"]
Pool = tuple[Example, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the items are read from.

    Attributes
    ----------
    data_dir : folder that holds one folder for each task; None for the Hugging Face hub.
    hub : dataset id → what to load instead of it (another id, or a folder of data files).
    """

    data_dir: Path | None = None
    hub: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Wanted numbers of items; None stands for the task's own number."""

    train: int | None = None
    validation: int | None = None
    test: int | None = None

    def __post_init__(self) -> None:
        for split in ("train", "validation", "test"):
            size = getattr(self, split)
            if size is not None and size < 0:
                raise InputError(f"the size of {split} is {size}: write 0 or more items")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A pool of which a reader must know something.

    Attributes
    ----------
    items : as they lie there.
    notes : how they were chosen or read, one sentence each.
    of_more : whether they were chosen out of more items; their ids are then kept (`Splits.selected`).
    """

    items: Pool
    notes: tuple[str, ...]
    of_more: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """The items of a task. No prompt is in two splits, except where a template leaves a field out; a note says so.

    Attributes
    ----------
    train, validation, test : in the order of the seeded shuffle; () where none were wanted.
    notes : what a reader of results must know, one sentence each (fewer items than wanted, …).
    checks : of the template, and of prompts that are in two splits.
    selected : ids of all items that the task chose from a larger data set, in the order of its file; () where
        it takes all.
    """

    train: Pool
    validation: Pool
    test: Pool
    notes: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    selected: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for split in (self.train, self.validation, self.test):
            if len({example.id for example in split}) != len(split):
                raise ValueError("item ids are not unique within a split")


def prompt_of(example: Example) -> str:
    """The default of `Task.group`: only items with the same prompt belong together."""
    return example.prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task: its items, its prompt, its quality metric.

    Attributes
    ----------
    name, title : id, and the name for tables.
    quality : id of its quality metric.
    max_new_tokens : how long an answer may be.
    train, validation, test : numbers of items (the paper's, where the task is one of the paper's); None
        for all that there are.
    licence, source : of the data.
    prompt : template; `{field}` stands for a field of a row.
    datasets : ids on the Hugging Face hub.
    of_paper : whether the numbers of items are those of the paper.
    pool : (split, origin) → all items of a split as they lie there, with notes where there are any, or those that
        the task selects, or None where there is no such split and it is cut out of train.
    group : items with the same key (say, about the same paragraph) are never divided between train and a
        split that is cut out of it.
    whole_groups : whether a split that is cut out of train takes all items of a group instead of one; for
        data sets too small to leave any out.
    template : asks in other words than `prompt` does, of the same fields; None for `prompt` itself. Items and
        splits are the same.
    checks : of what the task was made of.
    """

    name: str
    title: str
    quality: str
    max_new_tokens: int
    licence: str
    source: str
    prompt: str
    pool: Callable[[Split, Origin], Pool | Selection | None]
    train: int | None = None
    validation: int | None = None
    test: int | None = None
    datasets: tuple[str, ...] = ()
    of_paper: bool = False
    group: Callable[[Example], str] = prompt_of
    whole_groups: bool = False
    template: str | None = None
    checks: tuple[Check, ...] = ()

    def __post_init__(self) -> None:
        if self.template is not None:
            check_reworded(self.name, Template(self.prompt), Template(self.template))

    def load(
        self,
        *,
        data_dir: str | Path | None = None,
        sizes: Sizes | None = None,
        seed: int = 0,
        hub: Mapping[str, str] | None = None,
    ) -> Splits:
        """Read the items and cut them into splits.

        All items of a pool are put into an order that depends on `seed` and on each item's id alone; a
        split is the beginning of it. So the items are nested (those of n = 100 are the first 100 of those
        of n = 500), and no split depends on the size of another, up to the task's own sizes. A split that
        has no file of its own is cut out of train: the groups that come last in the order give one item
        each (or all, see `whole_groups`), and the rest of those groups are left out of train (a tenth of the
        items where the task says no number, never more than half of the groups). Training items whose prompt is
        also in another pool are left out, and validation items with a prompt of the test pool, with a note.

        Parameters
        ----------
        data_dir : folder with one folder of files for each task; None reads from the Hugging Face hub.
        sizes : other numbers of items than the task's. With 0 training and 0 validation items only the test
            items are read.
        seed : of the order. It belongs to the data, not to a training run: keep it when other seeds vary.
        hub : dataset id → another id or a folder of data files.

        Raises
        ------
        InputError
            What cannot be read, with file and line; a split that has no items although some are wanted.
        """
        if data_dir is not None and not Path(data_dir).is_dir():
            raise InputError("no such folder (--data-dir)", file=data_dir)
        origin = Origin(data_dir=None if data_dir is None else Path(data_dir), hub=hub or {})
        sizes = sizes or Sizes()
        wanted = Sizes(
            train=self.train if sizes.train is None else sizes.train,
            validation=self.validation if sizes.validation is None else sizes.validation,
            test=self.test if sizes.test is None else sizes.test,
        )
        pools, notes, selected = self._pools(origin, wanted, seed)
        chosen: dict[Split, Pool] = {}
        for split, pool in pools.items():
            n = getattr(wanted, split)
            chosen[split] = tuple(pool[:n])
            if n != 0 and not pool:
                raise InputError(f"task {self.name}: no items for {split}")
            if n is not None and len(pool) < n:
                of_paper = self.of_paper and getattr(sizes, split) is None
                whose = "of the paper" if of_paper else "asked for"
                notes.append(f"{split} has {len(pool):,} of the {n:,} items {whose}")
        if self.template is not None:
            own, other = Template(self.prompt), Template(self.template)
            notes.append(f"prompts are {other.text!r} instead of {own.text!r}")
            chosen = {split: tuple(reworded(item, own, other) for item in pool) for split, pool in chosen.items()}
        template = self.prompt if self.template is None else self.template
        checks = (*self.checks, escape_check(template), *_shared(chosen))
        return Splits(**chosen, notes=tuple(notes), checks=checks, selected=tuple(selected))

    def _pools(
        self, origin: Origin, wanted: Sizes, seed: int
    ) -> tuple[dict[Split, list[Example]], list[str], list[str]]:
        """All items of each split, in order, with no prompt in two of them; notes; ids of selected items."""
        notes: list[str] = []
        selected: list[str] = []

        def pool(split: Split) -> Pool | None:
            items = self.pool(split, origin)
            read = items.items if isinstance(items, Selection) else items or ()
            twice = next((one for one, n in Counter(item.id for item in read).items() if n > 1), None)
            if twice is not None:
                raise InputError(f"task {self.name}, {split}: the id {twice!r} stands twice: ids are unique")
            if isinstance(items, Selection):
                notes.extend(note for note in items.notes if note not in notes)
                selected.extend(item.id for item in items.items if items.of_more)
                return items.items
            return items

        def cut(items: list[Example], split: Split) -> tuple[list[Example], list[Example]]:
            return hold_out(items, self._reserved(split, wanted, len(items)), self.group, whole=self.whole_groups)

        whole_test = pool("test")
        if whole_test is not None and wanted.train == 0 and wanted.validation == 0:
            return {"train": [], "validation": [], "test": ordered(whole_test, seed)}, notes, selected
        train = ordered(pool("train") or (), seed)
        if whole_test is None:
            test, train = cut(train, "test")
        else:
            test = ordered(whole_test, seed)
        whole_validation = pool("validation")
        if whole_validation is None:
            validation, train = cut(train, "validation")
        else:
            validation = ordered(whole_validation, seed)
        seen = {example.prompt for example in test}
        validation = _without(validation, seen, "validation", "test", notes)
        seen |= {example.prompt for example in validation}
        train = _without(train, seen, "training", "validation or test", notes)
        return {"train": train, "validation": validation, "test": test}, notes, selected

    def _reserved(self, split: Split, wanted: Sizes, n_train: int) -> int:
        """How many items are cut out of train: the task's own number, or more if more are asked for."""
        own: int | None = getattr(self, split)
        return max(n_train // 10 if own is None else own, getattr(wanted, split) or 0)


def _shared(chosen: Mapping[Split, Pool]) -> Iterator[Check]:
    """Are prompts equal across splits, because a template leaves a field out?"""
    ends: tuple[tuple[Split, tuple[Split, ...]], ...] = (
        ("validation", ("train",)),
        ("test", ("train", "validation")),
    )
    for split, others in ends:
        elsewhere = {example.prompt for other in others for example in chosen[other]}
        if not elsewhere or not chosen[split]:
            continue
        n = sum(example.prompt in elsewhere for example in chosen[split])
        where, message = " or ".join(others), f"no {split} prompt is also in {' or '.join(others)}"
        if n:
            share = f"{n:,} of {len(chosen[split]):,} {split} prompts"
            message = f"{share} are also in {where} by this template: take one that names every field"
        level = "warning" if n else "ok"
        yield Check(check=f"{split} prompts", level=level, value=n, message=message)


def _without(items: list[Example], prompts: set[str], these: str, others: str, notes: list[str]) -> list[Example]:
    kept = [example for example in items if example.prompt not in prompts]
    n = len(items) - len(kept)
    if n:
        notes.append(f"{n:,} {these} item{'s' * (n > 1)} left out: prompt also in {others}")
    return kept


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
