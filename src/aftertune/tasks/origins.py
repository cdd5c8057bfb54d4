"""Rows of local task files and of datasets on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aftertune.errors import InputError
from aftertune.tasks.fields import Row
from aftertune.tasks.files import read_rows
from aftertune.tasks.task import Origin, Split


def local_rows(origin: Origin, task: str, split: Split) -> Iterator[Row]:
    """The rows of ``<data_dir>/<task>/<split>.jsonl``."""
    if origin.data_dir is None:
        raise ValueError("the origin has no folder")
    path = origin.data_dir / task / f"{split}.jsonl"
    if not path.is_file():
        raise InputError(
            f"no such file: --data-dir is a folder that holds {task}/train.jsonl, {task}/test.jsonl, …", file=path
        )
    return read_rows(path)


def hub_rows(origin: Origin, dataset: str, split: str, *, config: str | None = None) -> Iterator[Row]:
    """The rows of one split of a dataset, or of what `origin.hub` puts in its place.

    Raises
    ------
    InputError
        The package `datasets` is not installed; the dataset cannot be reached, is gated, or has no such
        configuration or split.
    """
    name = origin.hub.get(dataset, dataset)
    try:
        from datasets import load_dataset
        from datasets.exceptions import DatasetsError
    except ImportError as error:
        raise InputError(
            f"{name} is read with the package datasets: pip install 'aftertune[hub]', "
            "or give local files with --data-dir"
        ) from error
    try:
        rows: Any = load_dataset(name, config, split=split)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise unreachable(name, error) from error
    for index, cells in enumerate(rows):
        yield Row(cells=cells, index=index, file=name)


def unreachable(name: str, error: Exception) -> InputError:
    """The error for a dataset that cannot be loaded, in one line."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(
        f"the dataset {name} cannot be loaded ({reason[:200]}): "
        "check the network and the name, or give local files with --data-dir"
    )
