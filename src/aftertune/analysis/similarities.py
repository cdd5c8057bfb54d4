"""Rows of similarity.csv: is a score a memory of the training set?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from aftertune.analysis.grouping import Point, Setting, of_scores
from aftertune.analysis.rhos import Rhos
from aftertune.analysis.schema import SIMILARITY, Row
from aftertune.stats.correlation import partial_rank_correlation, rank_correlation, rho_p_value, why_undefined
from aftertune.stats.verdict import holm

ABSENT = "no train_similarity"

ROUGH = 10
"""Fewer items make Student's t a rough approximation."""

_NAN = float("nan")


def similarity_rows(setting: Setting, names: Sequence[str], rhos: Rhos) -> list[Row]:
    """One row for each checkpoint and score, on the items that have quality, score and similarity there.

    Where no checkpoint of the setting has a similarity, the last one of each run alone has rows, which say so.
    """
    points: Sequence[Point] = setting.points
    if not any(_known(point) for point in points):
        points = [run[-1] for run in setting.runs()]
    return [_row(setting, point, name, rhos) for point in points for name in names]


def similarity_notes(setting: Setting, names: Sequence[str]) -> Iterator[str]:
    """One sentence on items that lack the similarity where others of the same checkpoint have it."""
    total = len(setting.item_ids)
    most: dict[int, list[str]] = {}
    for name in names:
        lacking = [int((p.having(name) & np.isnan(p.similarity)).sum()) for p in setting.points if _known(p)]
        most.setdefault(max(lacking, default=0), []).append(name)
    most.pop(0, None)
    for count in sorted(most, reverse=True):
        yield (
            f"{setting.label}: up to {count} of {total} items lack train_similarity at a checkpoint: left out of "
            f"its correlation with {of_scores(most[count], names)}"
        )


def with_holm(rows: Sequence[Row]) -> list[Row]:
    """Corrected over all rows of the table."""
    return [row._replace(p_holm=float(p)) for row, p in zip(rows, holm([row.p for row in rows]))]


def _known(point: Point) -> bool:
    return bool(np.isfinite(point.similarity).any())


def _row(setting: Setting, point: Point, name: str, rhos: Rhos) -> Row:
    used = point.having(name) & np.isfinite(point.similarity)
    n = int(used.sum())
    x, y, z = point.scores[name][used], point.quality[used], point.similarity[used]
    rho = rank_correlation(x, z)
    of_quality, given = rhos.on(point, name, used), partial_rank_correlation(x, y, z)
    return SIMILARITY.row(
        model=setting.model,
        task=setting.task,
        setting=setting.setting,
        seed=point.seed,
        epoch=point.epoch,
        score=name,
        n=n,
        spearman=rho,
        p=rho_p_value(rho, n),
        p_holm=_NAN,
        quality_spearman=of_quality,
        quality_given_similarity=given,
        status=_status(point, name, used, given) if _known(point) else ABSENT,
    )


def _status(point: Point, name: str, used: np.ndarray, given: float) -> str:
    """What is undefined and why; "" where nothing is."""
    if np.isnan(point.scores[name]).all():
        return "no item has this score"
    if np.isnan(point.quality).all():
        return "no item has a quality"
    x, y, z = point.scores[name][used], point.quality[used], point.similarity[used]
    n = len(x)
    if n < 3 or np.ptp(x) == 0:
        return why_undefined(x, z) if n < 3 else "confidence is constant: no correlation"
    found = []
    if np.ptp(z) == 0:
        found.append("train_similarity is constant: no correlation with it")
    elif n < ROUGH:
        found.append(f"p is rough (fewer than {ROUGH} items)")
    if np.ptp(y) == 0:
        found.append("quality is constant: no correlation with it")
    elif np.isnan(given):
        found.append("train_similarity gives the order of confidence or of quality: nothing is left to correlate")
    return "; ".join(found)
