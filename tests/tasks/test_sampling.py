"""Nested samples, held-out groups, and the independence of the splits from one another's sizes."""

import itertools
from collections import Counter

import pytest

from aftertune.tasks import Sizes, Task
from aftertune.tasks.task import hold_out, ordered
from aftertune.types import Example


def items(n, prompts=None):
    return [Example(id=f"i{k}", prompt=f"p{k % (prompts or n)}", references=("r",)) for k in range(n)]


def test_ordered_is_a_permutation_that_ignores_where_the_items_stood():
    pool = items(50)
    order = ordered(pool, 0)
    assert sorted(order, key=lambda e: e.id) == sorted(pool, key=lambda e: e.id)
    assert order == ordered(pool[::-1], 0) == ordered(pool, 0)
    assert order not in (pool, ordered(pool, 1))
    without = [e for e in order if e.id not in ("i3", "i4")]
    assert without == ordered([e for e in pool if e.id not in ("i3", "i4")], 0)


def test_ordered_is_uniform():
    """Each of the 6 orders of three items in a sixth of 3,000 seeds: chi-square with 5 degrees of freedom."""
    pool = items(3)
    seen = Counter(tuple(e.id for e in ordered(pool, seed)) for seed in range(3000))
    assert set(seen) == set(itertools.permutations(("i0", "i1", "i2")))
    assert sum((count - 500) ** 2 / 500 for count in seen.values()) < 20.5  # p = 0.001


@pytest.mark.parametrize("k", [0, 1, 3, 5])
def test_hold_out(k):
    pool = items(30, prompts=10)
    held, rest = hold_out(pool, k, lambda e: e.prompt)
    assert held == pool[::-1][:k]  # the last k items are of k different groups
    assert rest == [e for e in pool if e.prompt not in {h.prompt for h in held}]
    assert len(rest) == 30 - 3 * k
    assert hold_out(pool, 9, lambda e: e.prompt)[0][:k] == held


def test_hold_out_takes_half_of_the_groups_at_most():
    held, rest = hold_out(items(30, prompts=7), 100, lambda e: e.prompt)
    assert len(held) == 3
    assert len({e.prompt for e in rest}) == 4


def make_task(pools, **options):
    return Task(
        name="t", title="t", quality="token_f1", max_new_tokens=1, licence="", source="", prompt="",
        pool=lambda split, origin: pools.get(split), **options,
    )  # fmt: skip


def test_splits_do_not_depend_on_one_anothers_sizes():
    task = make_task({"train": items(100)}, train=40, validation=10, test=20)
    whole = task.load()
    assert [len(s) for s in (whole.train, whole.validation, whole.test)] == [40, 10, 20]
    small = task.load(sizes=Sizes(train=7, validation=3, test=5))
    assert (small.train, small.validation, small.test) == (whole.train[:7], whole.validation[:3], whole.test[:5])
    more = task.load(sizes=Sizes(train=60))
    assert more.train[:40] == whole.train
    assert (more.validation, more.test) == (whole.validation, whole.test)
    only_test = task.load(sizes=Sizes(train=0, validation=0))
    assert (only_test.train, only_test.validation, only_test.test) == ((), (), whole.test)


def test_only_the_test_items_are_read_when_only_they_are_wanted():
    read = []

    def pool(split, origin):
        read.append(split)
        return tuple(items(5))

    task = Task(
        name="t", title="t", quality="token_f1", max_new_tokens=1, licence="", source="", prompt="", pool=pool
    )
    assert len(task.load(sizes=Sizes(train=0, validation=0)).test) == 5
    assert read == ["test"]


def test_notes_say_whose_number_is_missed():
    pools = {"train": items(30), "validation": [], "test": [Example(id="t", prompt="t", references=("r",))]}
    task = make_task(pools, train=1000, validation=0, test=2, of_paper=True)
    assert task.load().notes == (
        "train has 30 of the 1,000 items of the paper",
        "test has 1 of the 2 items of the paper",
    )
    assert task.load(sizes=Sizes(train=31)).notes[0] == "train has 30 of the 31 items asked for"
    assert task.load(sizes=Sizes(train=30, test=1)).notes == ()
