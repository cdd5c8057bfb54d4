"""What the page draws and searches, packed: items, their outputs and ranks, curves of review, reliability.

The packed text is base64 of gzipped JSON; arrays in it are base64 of little-endian numbers. Ranks are shares of the
other items below, in thousandths; `UNDEFINED` stands for none.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from aftertune.analysis.checkpoints import Point, Setting, named_points
from aftertune.analysis.schema import JudgedItems, Row
from aftertune.report.items import key_of_setting
from aftertune.report.names import CHECKPOINT_NAMES, Key, group_name, grouped, key_of
from aftertune.report.numbers import count
from aftertune.report.overview import Overview
from aftertune.report.palette import looks
from aftertune.report.summary import Summary
from aftertune.stats.calibration import calibration
from aftertune.stats.ranks import share_below
from aftertune.stats.review import cut_at, reviewed_sum
from aftertune.types import Floats, Ints, Records
from aftertune.visible import visible

UNDEFINED = 65535
MOST_RANKS = 1_500_000
"""Ranks in a page: items × scores × checkpoints. Of more items an even sample is shown."""
MOST_LETTERS = 4_000_000
"""Characters of all texts in a page; they are cut to the first of `LENGTHS` that keeps to it."""
LENGTHS = (4000, 2000, 1000, 500, 250, 120, 60)
SHARES = np.arange(0, 101) / 100
"""Shares of the answers that a person reviews, on the slider."""


class Ends(NamedTuple):
    """One training run at the two checkpoints that are compared; `before` is None where there is one only."""

    before: Point | None
    after: Point


def page_data(summary: Summary, overviews: Sequence[Overview], records: Records, labels: Floats) -> dict[str, Any]:
    """All that the page's script reads, as JSON values.

    Parameters
    ----------
    labels : (m,) of the records: 1 for a right answer, 0 for a wrong one, NaN where it is not known.
    """
    by_key = {key_of_setting(setting): setting for setting in summary.settings}
    found = [(one, by_key[one.key]) for one in overviews if one.key in by_key]
    stride = _stride([setting for _, setting in found])
    texts = _Texts()
    settings = []
    for overview, setting in found:
        shown = np.arange(0, len(setting.item_ids), stride)
        settings.append(_setting(summary, overview, setting, records, labels, texts, shown))
    names = dict.fromkeys(score for one in settings for score in one["scores"])
    return {
        "scores": {name: look.colour for name, look in looks(names).items()},
        "shares": SHARES.tolist(),
        "settings": settings,
        "texts": texts.cut(),
    }


def packed(data: Mapping[str, Any]) -> str:
    """Base64 of gzipped JSON; the same data give the same text."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), 9, mtime=0)).decode("ascii")


def _stride(settings: Sequence[Setting]) -> int:
    """Every how many-th item is shown."""
    ranks = sum(len(s.item_ids) * sum(len(p.scores) for p in s.points) for s in settings)
    return max(1, -(-ranks // MOST_RANKS))


class _Texts:
    """Texts, each once, as a reader may see them."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: object) -> int:
        """Its place among the texts; −1 where it is none."""
        return self._places.setdefault(text, len(self._places)) if isinstance(text, str) else -1

    def cut(self) -> list[str]:
        texts = list(self._places)
        fits = (n for n in LENGTHS if sum(min(len(text), n) for text in texts) <= MOST_LETTERS)
        most = next(fits, LENGTHS[-1])
        return [visible(text[:most], keep="\n\r\t") + _rest(len(text) - most) for text in texts]


def _rest(n: int) -> str:
    return f" … ({count(n, 'more character')})" if n > 0 else ""


def _setting(
    summary: Summary,
    overview: Overview,
    setting: Setting,
    records: Records,
    labels: Floats,
    texts: _Texts,
    shown: Ints,
) -> dict[str, Any]:
    scores = [row.score for row in overview.every]
    ends = ends_of(setting, overview.from_, overview.to)
    named = {(end.seed, end.epoch): name for run in setting.runs() for name, end in named_points(run).items()}
    rows = _any_row(setting)[shown]
    references = [records.references[row] for row in rows]
    inputs = records.extra.get("input")
    return {
        "name": visible(group_name(*overview.key)),
        "from": CHECKPOINT_NAMES.get(overview.from_, overview.from_),
        "to": CHECKPOINT_NAMES.get(overview.to, overview.to),
        "scores": scores,
        "score": overview.first,
        "total": len(setting.item_ids),
        "ids": [visible(str(item)) for item in setting.item_ids[shown]],
        "inputs": [-1 if inputs is None else texts.place(inputs[row]) for row in rows],
        "references": [[texts.place(text) for text in (own or ())[:5]] for own in references],
        "checkpoints": [
            {
                "seed": point.seed,
                "epoch": point.epoch,
                "selected": bool(point.selected),
                "name": CHECKPOINT_NAMES.get(named.get(point.key, ""), f"epoch {point.epoch:g}"),
                "quality": _array(point.quality[shown], "<f4"),
                "correct": _labels(labels, point.row[shown]),
                "output": _array([texts.place(text) for text in point.output[shown]], "<i4"),
                "ranks": {name: _ranks(point.scores[name], shown) for name in scores if name in point.scores},
            }
            for point in setting.points
        ],
        "ends": [
            {
                "seed": end.after.seed,
                "before": None if end.before is None else setting.points.index(end.before),
                "after": setting.points.index(end.after),
                "dc": {name: _moved(end, name, shown) for name in scores},
            }
            for end in ends
        ],
        "curves": curves(summary, overview.key),
        "selected": sorted({point.epoch for point in setting.points if point.selected}),
        "review": {name: found for name in scores if (found := review(ends, name, labels))},
        "reliability": [reliability(row) for row in summary.reliability if key_of(row) == overview.key],
    }


def ends_of(setting: Setting, from_: str, to: str) -> list[Ends]:
    """The checkpoints compared, of each training run that has them; of one that is compared with none, the last."""
    found = []
    for run in setting.runs():
        named = named_points(run)
        if not from_:
            found.append(Ends(None, named.get(to, run[-1])))
        elif from_ in named and to in named:
            found.append(Ends(named[from_], named[to]))
    return found


def _any_row(setting: Setting) -> Ints:
    """(n,) a row of the records for each item: that of the last checkpoint that has it."""
    rows = np.full(len(setting.item_ids), -1)
    for point in setting.points:
        rows = np.where(point.row >= 0, point.row, rows)
    return rows


def _array(values: Any, dtype: DTypeLike) -> str:
    return base64.b64encode(np.asarray(values).astype(dtype).tobytes()).decode("ascii")


def _labels(labels: Floats, rows: Ints) -> str:
    """1 right, 0 wrong, 2 not known."""
    found = np.where(rows >= 0, labels[rows], np.nan)
    return _array(np.where(np.isfinite(found), found, 2), "u1")


def _ranks(values: Floats, shown: Ints) -> str:
    known = np.isfinite(values)
    ranks = np.full(len(values), UNDEFINED)
    ranks[known] = np.rint(1000 * share_below(values[known]))
    return _array(ranks[shown], "<u2")


def _moved(end: Ends, name: str, shown: Ints) -> str:
    """Change of confidence of each item, NaN where it is undefined."""
    if end.before is None or name not in end.before.scores or name not in end.after.scores:
        return ""
    return _array((end.after.scores[name] - end.before.scores[name])[shown], "<f4")


def curves(summary: Summary, key: Key) -> dict[str, list[list[float | None]]]:
    """Score → [epoch, tie-adjusted rho, low, high], means over training runs."""
    panel = next((panel for panel in summary.panels if panel.key == key), None)
    if panel is None:
        return {}
    return {
        one.score: [
            [float(epoch), *map(_known, ends)]
            for epoch, *ends in zip(one.epoch, one.adjusted, one.adjusted_low, one.adjusted_high)
        ]
        for one in panel.series
    }


def _known(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None


def review(ends: Sequence[Ends], name: str, labels: Floats) -> dict[str, list[float | None]]:
    """What review by a score gains, for each of `SHARES`; means over training runs.

    Returns
    -------
    before, after : mean quality (share right where that is known) of the answers that are not reviewed.
    oracle : the same at `after` if quality itself chose.
    found, found_before : share of the wrong answers that are reviewed; absent where answers are graded.
    sent, found_old : by the threshold that sends the share to review at `before`: what share it sends at `after`,
        and what share of the wrong answers these are.
    """
    found: dict[str, list[Floats]] = {}
    for end in ends:
        for key, curve in _review_of_run(end, name, labels).items():
            found.setdefault(key, []).append(curve)
    return {
        key: [_known(value) for value in np.mean(own, axis=0)]
        for key, own in found.items()
        if len(own) == len(ends)
    }


def _review_of_run(end: Ends, name: str, labels: Floats) -> dict[str, Floats]:
    points = [point for point in end if point is not None]
    if any(name not in point.scores for point in points):
        return {}
    judged = [np.where(point.row >= 0, labels[point.row], np.nan) for point in points]
    is_judged = all(np.isfinite(one).any() for one in judged)
    truths = judged if is_judged else [point.quality for point in points]
    known = np.all([np.isfinite(t) & np.isfinite(p.scores[name]) for t, p in zip(truths, points)], axis=0)
    n = int(known.sum())
    if n < 2:
        return {}
    confidences, truths = [point.scores[name][known] for point in points], [truth[known] for truth in truths]
    kept = np.maximum(n * (1 - SHARES), 1e-9)
    found = {}
    for stage, confidence, truth in zip(("after", "before"), confidences[::-1], truths[::-1]):
        values = (truth.sum() - reviewed_sum(confidence, truth, SHARES)) / kept
        found[stage] = np.where(SHARES < 1, values, np.nan)
    found["oracle"] = np.where(SHARES < 1, (truths[-1].sum() - reviewed_sum(truths[-1], truths[-1], SHARES)) / kept, np.nan)
    if np.isin(np.concatenate(truths), (0.0, 1.0)).all():
        wrong = [1 - truth for truth in truths]
        for stage, confidence, own in zip(("found", "found_before"), confidences[::-1], wrong[::-1]):
            if own.any():
                found[stage] = reviewed_sum(confidence, own, SHARES) / own.sum()
        if end.before is not None:
            reviewed = [cut_at(confidences[0], share).reviewed(confidences[1]) for share in SHARES]
            if wrong[1].any():
                found["found_old"] = np.array([weight @ wrong[1] for weight in reviewed]) / wrong[1].sum()
    if end.before is not None:
        found["sent"] = np.array([cut_at(confidences[0], share).reviewed(confidences[1]).mean() for share in SHARES])
    return found


def reliability(row: Row) -> dict[str, Any]:
    """The reliability diagrams of a score and run: groups of answers of about the same percentage."""
    return {
        "score": row.score,
        "seed": row.seed,
        "stages": [
            _stage(name, judged)
            for name, judged in (
                (CHECKPOINT_NAMES.get(row.from_, row.from_), row.before),
                (f"{CHECKPOINT_NAMES.get(row.to, row.to)}, old map", row.carried),
                (f"{CHECKPOINT_NAMES.get(row.to, row.to)}, new map", row.renewed),
            )
        ],
    }


def _stage(name: str, judged: JudgedItems) -> dict[str, Any]:
    if not len(judged.correct):
        return {"name": name, "reason": visible(judged.reason), "bins": []}
    found = calibration(judged.chance, judged.correct)
    bins = [[round(v, 5) for v in (b.stated, b.correct, b.low, b.high)] + [int(b.n)] for b in found.bins]
    return {"name": name, "bins": bins, "ece": _known(found.ece), "by_chance": _known(found.ece_if_calibrated)}
