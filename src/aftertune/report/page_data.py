"""What the page draws and searches, packed: items, their outputs and ranks, curves of review, reliability.

The packed text is base64 of gzipped JSON; arrays in it are base64 of little-endian numbers. Ranks are shares of
the other items below, in thousandths; `UNDEFINED` stands for none.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from aftertune.analysis.checkpoints import Point, Setting, named_points
from aftertune.analysis.schema import JudgedItems, Row
from aftertune.report.by_setting import SettingRows, by_setting
from aftertune.report.items import PairsOfItems, key_of_setting
from aftertune.report.names import CHECKPOINT_NAMES, Key, group_name, key_of
from aftertune.report.numbers import count
from aftertune.report.overview import Overview
from aftertune.report.palette import Look, in_order, looks
from aftertune.report.series import SizePanel
from aftertune.report.summary import Summary
from aftertune.stats.calibration import calibration
from aftertune.stats.ranks import share_below
from aftertune.stats.review import carried_sum, reviewed_sum
from aftertune.types import Floats, Ints, Records
from aftertune.visible import visible

UNDEFINED = 65535
_REFERENCES = 5  # of an item that are shown
MOST_ITEMS = 5_000
"""Items of a setting in a page, which a browser draws in about a second. Of more an even sample is shown."""
MOST_RANKS = 1_500_000
"""Ranks in a page: items × scores × checkpoints; the same of more."""
MOST_BYTES = 4_500_000
"""Of all texts in a page. They are cut to the first of `LENGTHS` that keeps to it; the same where none does."""
LENGTHS = (4000, 2000, 1000, 500, 250, 120)
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
    rows = by_setting(summary, overviews)
    found = [(one, by_key[one.key]) for one in overviews if one.key in by_key]
    stride = _stride([setting for _, setting in found], records)
    colours = looks(name for _, setting in found for point in setting.points for name in point.scores)
    texts = _Texts()
    settings = []
    for overview, setting in found:
        shown = np.arange(0, len(setting.item_ids), stride)
        own = _setting(summary, overview, setting, records, labels, texts, shown, colours)
        settings.append(
            own | {"charts": charts(rows[overview.key]), "sizes": sizes(summary.size_panels, overview.key)}
        )
    return {"settings": settings, "texts": texts.cut()}


def packed(data: Mapping[str, Any]) -> str:
    """Base64 of gzipped JSON; the same data give the same text."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), 9, mtime=0)).decode("ascii")


def _stride(settings: Sequence[Setting], records: Records) -> int:
    """Every how many-th item is shown."""
    items = max((len(setting.item_ids) for setting in settings), default=0)
    ranks = sum(len(s.item_ids) * sum(len(p.scores) for p in s.points) for s in settings)
    texts = {text for setting in settings for text in _texts(setting, records)}
    parts = ((items, MOST_ITEMS), (ranks, MOST_RANKS), (_size(texts, LENGTHS[-1]), MOST_BYTES))
    return max(1, *(-(-size // most) for size, most in parts))


def _texts(setting: Setting, records: Records) -> Iterator[str]:
    """What items ask, should be answered and were answered."""
    rows = _any_row(setting)
    columns = [point.output for point in setting.points]
    columns += [records.extra["input"][rows]] if "input" in records.extra else []
    columns += [own[:_REFERENCES] for own in records.references[rows] if own]
    return (text for column in columns for text in column if isinstance(text, str))


def _size(texts: Iterable[str], most: int) -> int:
    """Bytes of the texts when each is cut to so many characters."""
    return sum(len(text[:most].encode("utf-8", "replace")) for text in texts)


class _Texts:
    """Texts, each once, as a reader may see them."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: object) -> int:
        """Its place among the texts; −1 where it is none."""
        return self._places.setdefault(text, len(self._places)) if isinstance(text, str) else -1

    def cut(self) -> list[str]:
        texts = list(self._places)
        most = next((n for n in LENGTHS if _size(texts, n) <= MOST_BYTES), LENGTHS[-1])
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
    colours: Mapping[str, Look],
) -> dict[str, Any]:
    """Lists about scores, such as ranks, are in the order of `scores`; a score without any has None."""
    scores = [row.score for row in overview.every] or in_order(name for p in setting.points for name in p.scores)
    found = curves(summary, overview.key)
    ends = ends_of(setting, overview.from_, overview.to)
    named = {(end.seed, end.epoch): name for run in setting.runs() for name, end in named_points(run).items()}
    rows = _any_row(setting)[shown]
    references = [records.references[row] for row in rows]
    inputs = records.extra.get("input")
    return {
        "name": visible(group_name(*overview.key)),
        "from": CHECKPOINT_NAMES.get(overview.from_, overview.from_),
        "to": CHECKPOINT_NAMES.get(overview.to, overview.to),
        "scores": [visible(name) for name in scores],
        "colours": [colours[name].colour for name in scores],
        "total": len(setting.item_ids),
        "ids": [visible(str(item)) for item in setting.item_ids[shown]],
        "inputs": [-1 if inputs is None else texts.place(inputs[row]) for row in rows],
        "references": [[texts.place(text) for text in (own or ())[:_REFERENCES]] for own in references],
        "checkpoints": [
            {
                "seed": point.seed,
                "epoch": point.epoch,
                "selected": bool(point.selected),
                "name": CHECKPOINT_NAMES.get(named.get(point.key, ""), f"epoch {point.epoch:g}"),
                "quality": _array(point.quality[shown], "<f4"),
                "correct": _labels(labels, point.row[shown]),
                "output": _array([texts.place(text) for text in point.output[shown]], "<i4"),
                "ranks": [_ranks(point.scores[name], shown) if name in point.scores else None for name in scores],
            }
            for point in setting.points
        ],
        "ends": [
            {
                "seed": end.after.seed,
                "before": None if end.before is None else setting.points.index(end.before),
                "after": setting.points.index(end.after),
                "dc": [_moved(end, name, shown) for name in scores],
            }
            for end in ends
        ],
        "curves": [found.get(name) for name in scores],
        "selected": sorted({point.epoch for point in setting.points if point.selected}),
        "review": [review(ends, name, labels) or None for name in scores],
        "reliability": [reliability(row) for row in summary.reliability if key_of(row) == overview.key],
    }


def ends_of(setting: Setting, from_: str, to: str) -> list[Ends]:
    """The checkpoints compared, of each training run that has them; where nothing is compared, the last."""
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


def _moved(end: Ends, name: str, shown: Ints) -> str | None:
    """Change of confidence of each item, NaN where it is undefined."""
    if end.before is None or name not in end.before.scores or name not in end.after.scores:
        return None
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


Numbers = list[float | None]


def charts(rows: SettingRows) -> dict[str, list[tuple[str, Numbers]]]:
    """Chart → each score and its numbers.

    Returns
    -------
    falls : mean largest fall; what no change would give, low, high.
    lengths : Spearman's rho, and the same with the output's length removed.
    quadrants : shares over-confident, concordant and moved, tied, under-confident.
    pairs : shares that stay, case 1, both flip, case 2; case 1 without change, low, high.
    similarity : rho with similarity, rho with quality, the same with similarity removed, and 1 where the first is
        significant in some run, else 0.
    """
    found: dict[str, Iterable[tuple[str, Iterable[float]]]] = {
        "falls": ((r.score, (r.mean, r.null, r.null_low, r.null_high)) for r in rows.falls),
        "lengths": ((r.score, (r.rho, r.given_length)) for r in rows.lengths),
        "quadrants": (
            (r.score, (r.overconfident, r.concordant - r.tied, r.tied, r.underconfident)) for r in rows.moved
        ),
        "pairs": ((r.score, (*_shares(r), *r.null_of_case1)) for r in rows.pairs),
        "similarity": (
            (r.score, (r.rho, r.quality_rho, r.given_similarity, float(r.n_significant > 0)))
            for r in rows.similarities
        ),
    }
    return {
        chart: [
            (visible(score), own) for score, values in of if (own := [_known(v) for v in values])[0] is not None
        ]
        for chart, of in found.items()
    }


def _shares(row: PairsOfItems) -> tuple[float, ...]:
    return row.mean.stays, row.mean.case1, row.mean.both_flip, row.mean.case2


def sizes(panels: Sequence[SizePanel], key: Key) -> list[dict[str, Any]]:
    """The experiments on numbers of training items with this model and task: score, [items, rho of each run]."""
    return [
        {
            "name": visible(panel.training),
            "scores": [
                (visible(score), [[at.size, *map(_known, at.runs)] for at in points])
                for score, points in panel.scores.items()
            ],
        }
        for panel in panels
        if (panel.model, panel.task) == key[:2]
    ]


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
    found = {"after": _kept(confidences[-1], truths[-1]), "oracle": _kept(truths[-1], truths[-1])}
    is_right_or_wrong = np.isin(np.concatenate(truths), (0.0, 1.0)).all()
    wrong = [1 - truth for truth in truths]
    if is_right_or_wrong and wrong[-1].any():
        found["found"] = reviewed_sum(confidences[-1], wrong[-1], SHARES) / wrong[-1].sum()
    if end.before is not None:
        found["before"] = _kept(confidences[0], truths[0])
        found["sent"] = carried_sum(*confidences, np.ones(n), SHARES) / n
        if "found" in found:
            found["found_old"] = carried_sum(*confidences, wrong[1], SHARES) / wrong[1].sum()
            if wrong[0].any():
                found["found_before"] = reviewed_sum(confidences[0], wrong[0], SHARES) / wrong[0].sum()
    return found


def _kept(confidence: Floats, values: Floats) -> Floats:
    """Mean value of the answers that are not reviewed, for each of `SHARES`; NaN where none is left."""
    kept = np.where(SHARES < 1, len(values) * (1 - SHARES), np.nan)
    return (values.sum() - reviewed_sum(confidence, values, SHARES)) / kept


def reliability(row: Row) -> dict[str, Any]:
    """The reliability diagrams of a score and run: groups of answers of about the same percentage."""
    return {
        "score": visible(row.score),
        "seed": row.seed,
        "stages": [
            _stage(name, judged)
            for name, judged in (
                (CHECKPOINT_NAMES[row.from_], row.before),
                (f"{CHECKPOINT_NAMES[row.to]}, old map", row.carried),
                (f"{CHECKPOINT_NAMES[row.to]}, new map", row.renewed),
            )
        ],
    }


def _stage(name: str, judged: JudgedItems) -> dict[str, Any]:
    if not len(judged.correct):
        return {"name": name, "reason": visible(judged.reason), "bins": []}
    found = calibration(judged.chance, judged.correct)
    bins = [[round(v, 5) for v in (b.stated, b.correct, b.low, b.high)] + [int(b.n)] for b in found.bins]
    return {"name": name, "bins": bins, "ece": _known(found.ece), "by_chance": _known(found.ece_if_calibrated)}
