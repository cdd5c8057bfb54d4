"""Which fine-tuning each audited checkpoint belongs to, and in which order its checkpoints were made."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aftertune.errors import InputError

_STEP = r"(?:checkpoint|ckpt|epoch|ep|global_step|step|iter|iteration)s?"
_NUMBERED = re.compile(rf"(?:(?P<word>{_STEP})[-_]?|(?P<stem>.*?)[-_](?:{_STEP}[-_]?)?)(?P<number>\d+)")
_ONLY_WHICH = re.compile(rf"{_STEP}[-_]?\d*|selected|best|final|last|latest|model|merged|adapter")


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """One fine-tuning that an audit is about.

    Attributes
    ----------
    name : what its model is called in tables.
    checkpoints : paths or hub ids, in the order of training; they become epochs 1, 2, ….
    """

    name: str
    checkpoints: tuple[str, ...]


def fine_tunings(afters: Sequence[str | Path], name: str | None = None) -> tuple[list[FineTuning], list[str]]:
    """Sort the checkpoints of an audit into fine-tunings; notes say if that changes the order or finds several.

    Checkpoints belong to one fine-tuning if they have the same name in ``NAME=PATH``, or lie in one folder and
    their names differ by a number at the end (out/checkpoint-500, out/checkpoint-1000; mine-1, mine-2) or say
    only which checkpoint they are (final, selected). They are put into the order of these numbers, or of
    ``global_step`` in trainer_state.json where the name has none; a checkpoint with neither is last.

    Parameters
    ----------
    afters : paths or hub ids, each perhaps as ``NAME=PATH``.
    name : of the model, if there is one fine-tuning.

    Raises
    ------
    InputError
        The same checkpoint is given twice, or `name` is given for several fine-tunings.
    """
    groups: dict[str, list[tuple[str, int | None]]] = {}
    labels: dict[str, str] = {}
    for after in afters:
        label, path = _labelled(str(after))
        key, step = _place(path)
        if label is not None:
            key = f"{label}="
            labels[key] = label
        members = groups.setdefault(key, [])
        if path in (other for other, _ in members):
            raise InputError(f"{path} is given twice: give each checkpoint once")
        members.append((path, step))
    if name is not None and len(groups) > 1:
        firsts = ", ".join(members[0][0] for members in groups.values())
        raise InputError(
            f"--name is for one fine-tuning, and these are {len(groups)} ({firsts}): write NAME=PATH for each "
            "checkpoint, with the same NAME for those of one training"
        )
    names = _names(groups, labels)
    found, notes = [], []
    for key, members in groups.items():
        ordered = sorted(members, key=lambda member: (member[1] is None, member[1] or 0))
        paths = tuple(path for path, _ in ordered)
        found.append(FineTuning(name=name or names[key], checkpoints=paths))
        if ordered != members:
            order = ", ".join(Path(path).name or path for path in paths)
            notes.append(f"checkpoints of {found[-1].name} are taken in the order of training: {order}")
    if len(found) > 1:
        several = ", ".join(one.name for one in found)
        notes.append(
            f"{len(found)} different fine-tunings, {several}, are each compared with the model before: if they "
            "are checkpoints of one training, write NAME=PATH with the same NAME"
        )
    return found, notes


def model_name(path: str | Path) -> str:
    """The last part of a path that says more than which checkpoint of a training it is.

    >>> model_name("runs/my-model/checkpoint-500"), model_name("owner/name"), model_name("embedded:tiny")
    ('my-model', 'name', 'tiny')
    """
    parts = _parts(path)
    telling = [part for part in parts if not _ONLY_WHICH.fullmatch(part)]
    return (telling or parts or [str(path)])[-1]


def _labelled(text: str) -> tuple[str | None, str]:
    """NAME=PATH → (NAME, PATH); a path that exists as it stands has no name."""
    label, equals, path = text.partition("=")
    if not equals or Path(text).expanduser().exists() or "/" in label:
        return None, text
    if not label.strip() or not path.strip():
        raise InputError(f"{text!r} should be NAME=PATH: a name and a checkpoint")
    return label.strip(), path.strip()


def _place(path: str) -> tuple[str, int | None]:
    """What the checkpoints of one fine-tuning have in common, and the number of the step.

    >>> _place("out/checkpoint-500"), _place("out/final"), _place("out/mine-2"), _place("org/llama-3b")
    (('out', 500), ('out', None), ('out/mine', 2), ('org/llama-3b', None))
    """
    whole = _whole(path)
    parent, _, last = whole.rpartition("/")
    if numbered := _NUMBERED.fullmatch(last):
        key = "/".join(part for part in (parent, numbered["stem"]) if part)
        return key or whole, int(numbered["number"])
    return parent if parent and _ONLY_WHICH.fullmatch(last) else whole, _saved_step(whole)


def _whole(path: str) -> str:
    folder = Path(path).expanduser()
    return str(folder.resolve()) if folder.is_dir() else path.rstrip("/")


def _saved_step(path: str) -> int | None:
    """``global_step`` of the Trainer's state beside the weights; None where there is none."""
    try:
        state = json.loads((Path(path).expanduser() / "trainer_state.json").read_text(encoding="utf-8"))
        return int(state["global_step"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _names(groups: dict[str, list[tuple[str, int | None]]], labels: dict[str, str]) -> dict[str, str]:
    """Key → name of the fine-tuning, with as much of its path as tells it from the others."""
    names = {
        key: labels.get(key) or model_name(_whole(members[0][0]) if len(members) == 1 else key)
        for key, members in groups.items()
    }
    for width in range(2, 10):
        twice = [key for key, found in names.items() if list(names.values()).count(found) > 1]
        for key in twice:
            names[key] = "/".join(_parts(key)[-width:])
    return names


def _parts(path: str | Path) -> list[str]:
    return [part for part in str(path).rpartition(":")[2].split("/") if part not in ("", ".", "..", "~")]
