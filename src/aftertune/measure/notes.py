"""Notes on checkpoints, prompts, items and judges that a reader needs before the numbers, one sentence each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aftertune.errors import InputError
from aftertune.files.runfolder import RunFolder
from aftertune.generate.prompts import today, writes_the_date
from aftertune.measure.worklist import readable
from aftertune.models.load import resolve
from aftertune.models.loaded import LoadedModel
from aftertune.types import Example


def without_test_items(
    validation: Sequence[Example], test: Sequence[Example]
) -> tuple[tuple[Example, ...], list[str]]:
    """Validation items whose prompt is no test item's, and a note on the others.

    Otherwise percentages would be shown on answers that they were fitted on.

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


def changed_settings(folder: RunFolder, asked: Mapping[str, Any]) -> list[str]:
    """A note where the folder holds this audit with other settings; checkpoints may have been added.

    Parameters
    ----------
    asked : settings of the audit that is about to begin.

    Raises
    ------
    InputError
        The folder's audit is about other checkpoints or other data: its report would be lost.
    """
    there = folder.settings()
    if "before" not in there:
        return []
    gone = [path for path in there["after"] if resolve(path) not in map(resolve, asked["after"])]
    other = [f"{name} {there[name]}" for name in ("task", "data") if there.get(name) != asked[name]]
    other += [f"before {there['before']}"] if resolve(there["before"]) != resolve(asked["before"]) else []
    other += [f"after {', '.join(gone)}"] if gone else []
    if other:
        raise InputError(
            f"{folder.root} holds another audit ({'; '.join(other)}): give another folder with --out, such as "
            f"{folder.root}-{readable(Path(asked['after'][-1]).name)}"
        )
    changed = [
        f"{name} was {there.get(name)}" if name != "item digest" else "other items"
        for name in asked
        if name not in ("before", "after", "task", "data") and there.get(name) != asked[name]
    ]
    if not changed:
        return []
    return [
        f"{folder.root} holds this audit with other settings ({', '.join(changed)}): its tables and report are "
        "replaced"
    ]


def date_notes(readers: Iterable[LoadedModel], chat: str) -> list[str]:
    """A note where prompts change from day to day."""
    if chat == "off" or not any(writes_the_date(reader.tokenizer) for reader in readers):
        return []
    return [
        f"a chat template writes the date of today into prompts ({today()}): on another day prompts are others, "
        "and are decoded anew"
    ]


def judge_notes(spec: str | None, measured: Mapping[str, Sequence[Example]]) -> list[str]:
    """Notes on what the judge can say of these items.

    Parameters
    ----------
    spec : of the judge; None for none.
    measured : split → items; without a judge, validation items are among them only if the user gave them.
    """
    if spec is None and "validation" in measured:
        return [
            "no judge: answers are known to be right or wrong only where quality is 0 or 1 everywhere; say which "
            "are right with --judge, such as --judge token_f1:0.5 (docs/judges.md)"
        ]
    kind, _, threshold = (spec or "").partition(":")
    if kind != "rule":
        return []
    notes = []
    if threshold and float(threshold) == 0:
        notes.append(
            f"right is by the judge {spec} what lies nearest to a correct answer, however far: one word in "
            "common is enough, which is no measure of truth"
        )
    lacking, n = sum(not example.incorrect for example in measured["test"]), len(measured["test"])
    if lacking:
        some = f"{lacking:,} of {n:,} test items {'has' if lacking == 1 else 'have'} no"
        some = "no item has" if lacking == n else some
        notes.append(
            f"{some} known wrong answers: there the judge {spec} looks at the nearest correct answer alone"
        )
    return notes
