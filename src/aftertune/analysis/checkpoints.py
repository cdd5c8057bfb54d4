"""Records as arrays by checkpoint: which checkpoints there are, what they are called, and which are compared.

The one place that says what before, epoch 1, selected and last mean (`is_at`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from aftertune.analysis.schema import Row
from aftertune.errors import InputError
from aftertune.records.fields import LARGEST
from aftertune.stats.correlation import rank_correlation
from aftertune.stats.effect import Effect, by_group, effects
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
    """All checkpoints of one model, task and setting, by seed and epoch, over the same n item ids.

    Attributes
    ----------
    groups : (n,) which of G groups each item belongs to, such as an article, or an item that stands there twice;
        None where each item stands for itself.
    """

    model: str
    task: str
    setting: str
    item_ids: Texts
    points: tuple[Point, ...]
    groups: Ints | None = None

    def n_groups(self, items: np.ndarray) -> int:
        """How many independent groups the items of a mask are."""
        return int(items.sum()) if self.groups is None else len(np.unique(self.groups[items]))

    @property
    def names(self) -> dict[str, str]:
        """The first columns of every table."""
        return {"model": self.model, "task": self.task, "setting": self.setting}

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
        together = _groups(test.take(rows), axis)
        found.append(
            Setting(model=model, task=task, setting=setting, item_ids=ids, points=tuple(points), groups=together)
        )
    return found


GROUP = "group"
"""The records' field that says which items belong together, such as questions about one article."""


def _groups(part: Records, axis: Mapping[str, int]) -> Ints | None:
    """`Setting.groups`: by the field `group`, and else items with the same input and references are together."""
    unknown = np.full(len(part), None, dtype=object)
    keys: dict[int, Hashable] = {}
    for item, group, text, references in zip(
        part.item_id, part.extra.get(GROUP, unknown), part.extra.get("input", unknown), part.references
    ):
        place = axis[item]
        if place in keys:
            continue
        if isinstance(group, str | int | float) and not isinstance(group, bool):
            keys[place] = (GROUP, str(group))
        elif isinstance(text, str):
            keys[place] = ("input", text, tuple(references or ()))
        else:
            keys[place] = ("item", item)
    numbers: dict[Hashable, int] = {}
    found = np.array([numbers.setdefault(keys[i], len(numbers)) for i in range(len(axis))])
    return found if len(numbers) < len(axis) else None


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


def number(value: float, form: str = ".2f") -> str:
    """A number in a sentence, with a true minus sign.

    >>> number(-0.364), number(-0.364, "+.1f")
    ('−0.36', '−0.4')
    """
    return format(value, form).replace("-", "−")


def listed(names: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def of_scores(scores: Sequence[str], all_scores: Sequence[str]) -> str:
    """For notes: the names, or "every score"."""
    return "every score" if len(scores) == len(all_scores) else listed(scores)


FIELD = "n_tokens"
"""The records' field that holds the number of generated tokens; any pipeline may write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Lengths of m outputs; NaN where they are not known."""

    tokens: Floats
    characters: Floats

    @classmethod
    def of(cls, records: Records) -> Lengths:
        unknown = np.full(len(records), None, dtype=object)
        return cls(
            tokens=_floats(map(_number, records.extra.get(FIELD, unknown)), len(records)),
            characters=_floats((len(t) if isinstance(t, str) else np.nan for t in records.output), len(records)),
        )

    def take(self, rows: np.ndarray) -> Lengths:
        return Lengths(tokens=self.tokens[rows], characters=self.characters[rows])

    def on(self, items: np.ndarray) -> tuple[Floats, str]:
        """Lengths of the items of a mask, and their unit: "tokens" if all are known, else "characters", or ""."""
        if items.any():
            for unit, values in (("tokens", self.tokens), ("characters", self.characters)):
                if np.isfinite(values[items]).all():
                    return values[items], unit
        return np.full(int(items.sum()), np.nan), ""


def _floats(values: Iterable[float], count: int) -> Floats:
    return np.fromiter(values, dtype=np.float64, count=count)


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return np.nan
    return float(value) if abs(value) <= LARGEST else np.nan


Steps = dict[int, tuple[Point, Point]]
"""t → the checkpoints after epochs t and t + 1 of one training run."""


def neighbours(run: Sequence[Point]) -> list[tuple[Point, Point]]:
    """Each measured checkpoint of a run with the next one, whatever lies between them."""
    return list(pairwise(run))


def whole_steps(run: Sequence[Point]) -> Steps:
    """The whole epochs t ≥ 1 of a run that are followed by t + 1."""
    whole = {int(point.epoch): point for point in run if point.epoch >= 1 and point.epoch.is_integer()}
    return {t: (whole[t], whole[t + 1]) for t in whole if t + 1 in whole}


def having_both(a: Point, b: Point, score: str) -> np.ndarray:
    """Mask of the items that have quality and the score at both checkpoints."""
    return a.having(score) & b.having(score)


def changes(a: Point, b: Point, score: str, items: np.ndarray) -> tuple[Floats, Floats]:
    """Changes of confidence and of quality from a to b, of the items of a mask."""
    return (b.scores[score] - a.scores[score])[items], (b.quality - a.quality)[items]


class Rhos:
    """Of the checkpoints of one setting."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[int, float], str, bytes], float] = {}

    def on(self, point: Point, score: str, items: np.ndarray) -> float:
        """On the items of a mask, which all have quality and the score there; NaN where rho is undefined."""
        key = point.key, score, items.tobytes()
        if key not in self._known:
            self._known[key] = rank_correlation(point.scores[score][items], point.quality[items])
        return self._known[key]


class EffectsOfSetting:
    """Tie-adjusted and plain rho at the checkpoints of one setting, computed once for each set of items."""

    def __init__(self, setting: Setting) -> None:
        self._groups = setting.groups
        self.n_groups = len(setting.item_ids) if self._groups is None else int(self._groups.max()) + 1
        self._known: dict[tuple[tuple[int, float], str, bytes], list[tuple[float, Floats]]] = {}

    def at(self, point: Point, names: Sequence[str]) -> tuple[Effect, Effect]:
        """Of each score on all items that have it and quality: adjusted, and plain."""
        by_items = rows_by(point.having(name).tobytes() for name in names)
        for mask, index in by_items.items():
            self.on(point, [names[int(i)] for i in index], np.frombuffer(mask, dtype=bool))
        found = [self._known[point.key, name, point.having(name).tobytes()] for name in names]
        return self._joined(found)

    def on(self, point: Point, names: Sequence[str], items: np.ndarray) -> tuple[Effect, Effect]:
        """On the items of a mask, which all have quality and these scores there: adjusted, and plain.

        `Effect.deviation` is on the groups of the setting's items, (S, G), and 0 where none of a group is used.
        """
        mask = items.tobytes()
        lacking = [name for name in names if (point.key, name, mask) not in self._known]
        if lacking:
            scores = np.array([point.scores[name][items] for name in lacking])
            both = effects(scores, point.quality[items])
            for s, name in enumerate(lacking):
                self._known[point.key, name, mask] = [
                    (float(e.value[s]), self._placed(e.deviation[s], items))
                    for e in (both.adjusted, both.spearman)
                ]
        return self._joined([self._known[point.key, name, mask] for name in names])

    def _placed(self, deviation: Floats, items: np.ndarray) -> Floats:
        """(G,) from the items of a mask."""
        if self._groups is not None:
            return by_group(deviation[None], self._groups[items], self.n_groups)[0]
        placed = np.zeros(len(items))
        placed[items] = deviation
        return placed

    @staticmethod
    def _joined(found: Sequence[list[tuple[float, Floats]]]) -> tuple[Effect, Effect]:
        adjusted, plain = (
            Effect(np.array([one[e][0] for one in found]), np.array([one[e][1] for one in found])) for e in (0, 1)
        )
        return adjusted, plain


NAMES = ("before", "epoch_1", "selected", "last")
"""Names of checkpoints: not fine-tuned, after one epoch, chosen by early stopping, at the end of training."""

COMPARISONS = (("before", "selected"), ("before", "last"), ("epoch_1", "selected"), ("epoch_1", "last"))
"""Compared checkpoints, the most telling pair first: the order of the rows, and of what is shown first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One score between two named checkpoints of R training runs, on the items that all of them have."""

    score: str
    from_: str
    to: str
    ends: tuple[tuple[Point, Point], ...]
    items: np.ndarray


def is_at(at: Point | Row, checkpoint: str, last_epoch: float) -> bool:
    """Whether a checkpoint, or the row of a table, is the one of that name (`NAMES`) in its training run.

    Parameters
    ----------
    last_epoch
        Of the training run; `last` is a trained checkpoint, never epoch 0.
    """
    if checkpoint == "selected":
        return at.selected
    epochs = {"before": 0.0, "epoch_1": 1.0, "last": last_epoch or math.nan}
    return at.epoch == epochs.get(checkpoint)


def named_points(run: Sequence[Point]) -> dict[str, Point]:
    """Name → checkpoint of one training run, for the names that it has."""
    return {name: point for name in NAMES for point in run if is_at(point, name, run[-1].epoch)}


def _pairs(named: Sequence[dict[str, Point]]) -> Iterator[tuple[str, str, list[int]]]:
    """Pairs to compare, and which runs have both ends."""
    last_is_selected = all("selected" in n and n.get("last") is n["selected"] for n in named)
    for from_, to in COMPARISONS:
        if to == "last" and last_is_selected:
            continue
        runs = [i for i, n in enumerate(named) if from_ in n and to in n]
        if any(named[i][from_] is not named[i][to] for i in runs):
            yield from_, to, runs


def comparisons_of(setting: Setting, names: Sequence[str]) -> tuple[list[Comparison], list[str]]:
    """The comparisons of each score, and one note for each training run that lacks an end of one."""
    named = [named_points(run) for run in setting.runs()]
    found: list[Comparison] = []
    notes: list[str] = []
    pairs = list(_pairs(named))
    for from_, to, runs in pairs:
        for i, run in enumerate(setting.runs()):
            if i not in runs:
                lacks = listed(end for end in (from_, to) if end not in named[i])
                notes.append(
                    f"{setting.label}: seed {run[0].seed} has no {lacks} checkpoint: left out of {from_} → {to}"
                )
    for name in names:
        for from_, to, runs in pairs:
            ends = tuple((named[i][from_], named[i][to]) for i in runs)
            items = np.logical_and.reduce([point.having(name) for pair in ends for point in pair])
            found.append(Comparison(score=name, from_=from_, to=to, ends=ends, items=items))
    return found, notes
