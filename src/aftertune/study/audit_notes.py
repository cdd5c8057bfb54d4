"""What a reader of an audit must know about its items and its checkpoints before the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aftertune.errors import InputError
from aftertune.models.fingerprint import fingerprint
from aftertune.store.runfolder import RunFolder
from aftertune.types import Example


def apart_from_test(
    validation: Sequence[Example], test: Sequence[Example]
) -> tuple[tuple[Example, ...], list[str]]:
    """Validation items without those whose prompt is also a test item's, and a note on these.

    Percentages would else be shown on answers that they were fitted on.

    Raises
    ------
    InputError
        None is left.
    """
    prompts = {example.prompt for example in test}
    kept = tuple(example for example in validation if example.prompt not in prompts)
    n = len(validation) - len(kept)
    if not n:
        return kept, []
    if not kept:
        what = (
            "the only validation item is a test item" if n == 1 else f"all {n:,} validation items are test items"
        )
        raise InputError(f"{what} too: percentages must be fitted on other items (--validation)")
    too = "it is a test item" if n == 1 else "they are test items"
    return kept, [f"{n:,} of {len(validation):,} validation items left out: {too} too"]


def on_another(folder: RunFolder, now: Mapping[str, object]) -> Iterator[str]:
    """Where the folder holds the audit of something else: its report is about to be replaced.

    Parameters
    ----------
    now : settings that say what is audited.
    """
    there = folder.settings()
    other = [f"{name} {there[name]}" for name in now if name in there and there[name] != now[name]]
    if other:
        yield f"{folder.root} holds another audit ({', '.join(other)}): its tables and report are replaced"


def on_same_weights(checkpoints: Sequence[str | Path]) -> Iterator[str]:
    """Where two checkpoints hold the same model."""
    seen: dict[str, str | Path] = {}
    for path in checkpoints:
        weights = fingerprint(path)
        if weights in seen:
            yield f"{path} and {seen[weights]} are the same files: between them nothing can change"
        seen.setdefault(weights, path)
