"""Records → the test items of each checkpoint, by model, task, setting and training run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from aftertune.analysis.lengths import Lengths
from aftertune.errors import InputError
from aftertune.types import Floats, Ints, Records, Texts

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The test items of one checkpoint, on the axis of its setting's items; NaN where one is absent.

    Attributes
    ----------
    row : (n,) where the item stands in the records; −1 where it is absent.
    output : (n,) None where it is not known.
    similarity : (n,) `train_similarity`.
    """

    seed: int
    epoch: float
    selected: bool
    row: Ints
    quality: Floats
    scores: dict[str, Floats]
    lengths: Lengths
    output: Texts
    similarity: Floats

    @property
    def key(self) -> tuple[int, float]:
        return self.seed, self.epoch

    def having(self, score: str) -> np.ndarray:
        """Mask of the items that have quality and this score."""
        return np.isfinite(self.quality) & np.isfinite(self.scores[score])


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """All checkpoints of one model, task and setting, by seed and epoch, over the same n item ids."""

    model: str
    task: str
    setting: str
    item_ids: Texts
    points: tuple[Point, ...]

    @property
    def label(self) -> str:
        """For notes: model / task, and the setting unless it is the default."""
        parts = [self.model, self.task] + ([self.setting] if self.setting != "default" else [])
        return " / ".join(parts)

    def runs(self) -> list[list[Point]]:
        """The checkpoints of each training run, by epoch."""
        by_seed: dict[int, list[Point]] = {}
        for point in self.points:
            by_seed.setdefault(point.seed, []).append(point)
        return list(by_seed.values())


def _natural(text: str) -> tuple[list[str | int], str]:
    """Sort key in which numbers inside names count as numbers.

    >>> sorted(["n=1000", "n=500"], key=_natural)
    ['n=500', 'n=1000']
    """
    parts = re.split(r"([0-9]+)", text)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], text


def rows_by(keys: Iterable[Key]) -> dict[Key, np.ndarray]:
    """Key → the rows that have it, keys in order of first appearance."""
    rows: dict[Key, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return {key: np.array(value) for key, value in rows.items()}


def settings_of(records: Records) -> list[Setting]:
    """All settings that have test items, in natural order of model, task and setting.

    Raises
    ------
    InputError
        If an item occurs twice at one checkpoint or has an infinite value, or a training run has several
        selected checkpoints or one that is selected for some items only.
    """
    places = np.flatnonzero(records.split == "test")
    test = records.take(places)
    lengths = Lengths.of(test)
    groups = rows_by(zip(test.model, test.task, test.setting))
    found = []
    for key in sorted(groups, key=lambda names: [_natural(name) for name in names]):
        rows = groups[key]
        items = sorted(set(test.item_id[rows]))
        axis = {item: i for i, item in enumerate(items)}
        where = " / ".join(key)
        points = []
        for checkpoint, at in sorted(rows_by(zip(test.seed[rows].tolist(), test.epoch[rows].tolist())).items()):
            here = f"{where}, seed {checkpoint[0]}, epoch {checkpoint[1]:g}"
            own = rows[at]
            points.append(_point(test.take(own), places[own], lengths.take(own), axis, here))
        _check_selected(points, where)
        model, task, setting = key
        ids = np.array(items, dtype=object)
        found.append(Setting(model=model, task=task, setting=setting, item_ids=ids, points=tuple(points)))
    return found


def _point(part: Records, places: Ints, lengths: Lengths, axis: dict[str, int], where: str) -> Point:
    index = np.array([axis[item] for item in part.item_id])
    if len(np.unique(index)) < len(index):
        twice = next(item for item, count in Counter(part.item_id).items() if count > 1)
        raise InputError(f"{where}: item {twice!r} occurs twice; keep one record of it")
    if part.selected.any() and not part.selected.all():
        raise InputError(f"{where}: selected for some items only; write the same for all items")
    numbers = {"quality": part.quality, "train_similarity": part.train_similarity, **part.scores}
    for name, values in numbers.items():
        if np.isinf(values).any():
            item = part.item_id[int(np.argmax(np.isinf(values)))]
            raise InputError(f"{where}: {name} of item {item!r} is infinite; leave it undefined (NaN)")

    def on_axis(values: Floats) -> Floats:
        placed = np.full(len(axis), np.nan)
        placed[index] = values
        return placed

    row, output = np.full(len(axis), -1), np.full(len(axis), None, dtype=object)
    row[index], output[index] = places, part.output
    return Point(
        seed=int(part.seed[0]),
        epoch=float(part.epoch[0]),
        selected=bool(part.selected.all()),
        row=row,
        quality=on_axis(part.quality),
        scores={name: on_axis(values) for name, values in part.scores.items()},
        lengths=Lengths(tokens=on_axis(lengths.tokens), characters=on_axis(lengths.characters)),
        output=output,
        similarity=on_axis(part.train_similarity),
    )


def _check_selected(points: Sequence[Point], where: str) -> None:
    chosen: dict[int, float] = {}
    for point in points:
        if point.selected and point.seed in chosen:
            raise InputError(
                f"{where}, seed {point.seed}: epochs {chosen[point.seed]:g} and {point.epoch:g} are both "
                "selected; mark one"
            )
        if point.selected:
            chosen[point.seed] = point.epoch


def listed(names: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def of_scores(scores: Sequence[str], all_scores: Sequence[str]) -> str:
    """For notes: the names, or "every score"."""
    return "every score" if len(scores) == len(all_scores) else listed(scores)
