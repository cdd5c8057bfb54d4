"""Tasks: items with prompts and references, cut into training, validation and test.

One task is one file in this room that calls `register`, or a module of a plug-in package behind an entry
point in the group ``aftertune.tasks``. The user's own files become a task too (`own_task`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aftertune.arguments import checked
from aftertune.registry import Registry
from aftertune.tasks.own import load_file, own_task
from aftertune.tasks.task import Origin, Sizes, Split, Splits, Task

__all__ = [
    "TASKS",
    "Origin",
    "Sizes",
    "Split",
    "Splits",
    "Task",
    "load_file",
    "load_task",
    "own_task",
    "register",
]

TASKS: Registry[Task] = Registry("task", "tasks", "aftertune.tasks")


def register(task: Task) -> Task:
    """Make a task known by its name."""
    return TASKS.add(task.name, task)


@checked
def load_task(
    name: str,
    *,
    data_dir: str | Path | None = None,
    sizes: Sizes | None = None,
    seed: int = 0,
    hub: Mapping[str, str] | None = None,
) -> Splits:
    """The items of the registered task called `name`. See `Task.load`.

    Raises
    ------
    InputError
        Unknown name (with the nearest ones), or what `Task.load` raises.
    """
    return TASKS.get(name).load(data_dir=data_dir, sizes=sizes, seed=seed, hub=hub)
