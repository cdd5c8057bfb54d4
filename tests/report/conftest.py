"""Hand-made analyses."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from math import nan

import numpy as np
import pytest
from matplotlib.axis import Tick
from matplotlib.figure import Figure
from matplotlib.text import Text

from aftertune.analysis.schema import CHANGE, CORRELATION, MOVED_ITEMS, SAMPLE_SIZE, Analysis, Row
from aftertune.report.figures.figure import Drawing, render
from aftertune.types import Records
from report_rows import both, row


def change(score: str, **values: object) -> Row:
    base: dict[str, object] = {
        "from_": "before", "to": "selected", "n_items": 100, "n_seeds": 1, "mean": 0.0, "ci_low": -0.02,
        "ci_high": 0.02, "effect": "adjusted", "ci_scope": "models", "p_change": 0.5, "p_beyond_margin": 1e-9,
        "verdict": "holds", "usable": "yes",
    }  # fmt: skip
    return row(CHANGE, **base | values, score=score)


def correlation(score: str, epoch: float, spearman: float, **values: object) -> Row:
    ends = {"ci_low": spearman - 0.1, "ci_high": spearman + 0.1}
    ends |= {"adjusted": spearman, "adjusted_low": spearman - 0.1, "adjusted_high": spearman + 0.1}
    return row(CORRELATION, **ends | {"n": 100} | values, score=score, epoch=epoch, spearman=spearman)


def sample_size(score: str, setting: str, p: float, **values: object) -> Row:
    base = {"score": score, "setting": setting, "f": 3.0, "p_anova": p, "p_anova_holm": min(1.0, 10 * p)}
    return row(SAMPLE_SIZE, **base | values)


@pytest.fixture
def make_sample_size() -> Callable[..., Row]:
    return sample_size


Values = Sequence[float]


def item_table(
    quality: dict[tuple[int, float], Values],
    scores: dict[str, dict[tuple[int, float], Values]],
    *,
    selected: Sequence[tuple[int, float]] = (),
    **changes: object,
) -> Records:
    """Items i0, i1, … of "m" on "t" at (seed, epoch); a score has values at the same places."""
    places = [(*at, f"i{k}") for at, values in quality.items() for k in range(len(values))]

    def column(values: Sequence[object]) -> np.ndarray:
        return np.fromiter(values, dtype=object, count=len(places))

    columns: dict[str, object] = {
        "model": column(["m"] * len(places)),
        "task": column(["t"] * len(places)),
        "setting": column(["default"] * len(places)),
        "seed": np.array([seed for seed, _, _ in places]),
        "epoch": np.array([epoch for _, epoch, _ in places], dtype=float),
        "selected": np.array([(seed, epoch) in selected for seed, epoch, _ in places]),
        "split": column(["test"] * len(places)),
        "item_id": column([item for _, _, item in places]),
        "output": column([f"out {epoch:g} {item}" for _, epoch, item in places]),
        "references": column([(f"ref {item}",) for _, _, item in places]),
        "quality": np.concatenate([np.array(v, dtype=float) for v in quality.values()]),
        "correct": column([None] * len(places)),
        "train_similarity": np.full(len(places), np.nan),
        "scores": {
            name: np.concatenate([np.array(own[at], dtype=float) for at in quality])
            for name, own in scores.items()
        },
    }
    return Records(**columns | changes)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def make_items() -> Callable[..., Records]:
    return item_table


def sizes(
    *,
    models: Sequence[str] = ("m",),
    tasks: Sequence[str] = ("t",),
    seeds: Sequence[int] = (0, 1, 2),
    scores: Sequence[str] = ("beam_sum", "mean_token_entropy"),
    n: Sequence[int] = (100, 500, 1000),
    extras: Sequence[str] = ("", ",steps=2500"),
) -> Analysis:
    """Rho is 0.1 · (place of the score, modulo 5) + 0.1 · (place of n) + 0.01 · seed, − 0.2 if steps are fixed."""
    rows, tests = [], []
    for model, task, extra in itertools.product(models, tasks, extras):
        for s, score in enumerate(scores):
            tests.append(sample_size(score, "n=*" + extra, 0.003 if s else 0.2, model=model, task=task))
            for (i, size), seed in itertools.product(enumerate(n), seeds):
                rho = 0.1 * (s % 5) + 0.1 * i + 0.01 * seed - (0.2 if extra else 0)
                rows.append(
                    correlation(
                        score,
                        20000 / size if extra else 10,
                        rho,
                        seed=seed,
                        setting=f"n={size}{extra}",
                        model=model,
                        task=task,
                    )
                )
    return Analysis.of(correlation=tuple(rows), sample_size=tuple(tests))


@pytest.fixture
def make_sizes() -> Callable[..., Analysis]:
    return sizes


@pytest.fixture
def make_change() -> Callable[..., Row]:
    return change


@pytest.fixture
def make_correlation() -> Callable[..., Row]:
    return correlation


@pytest.fixture
def one_of_each() -> Analysis:
    """One model and task, one seed, epochs 0 and 1, one score for each verdict, and one that holds uselessly."""
    ends = {
        "holding": (0.5, 0.5),
        "rising": (0.2, 0.4),
        "falling": (0.6, 0.2),
        "lost": (0.4, -0.1),
        "vague": (0.3, 0.25),
        "idle": (0.0, 0.0),
        "absent": (nan, 0.3),
    }
    correlations = []
    for score, (before, after) in ends.items():
        status = "confidence is constant" if before != before else ""
        correlations.append(correlation(score, 0, before, status=status))
        correlations.append(correlation(score, 1, after, selected=True))
    changes = (
        change("holding"),
        change("rising", mean=0.2, ci_low=0.1, ci_high=0.3, verdict="improved"),
        change("falling", mean=-0.4, ci_low=-0.5, ci_high=-0.3, verdict="degraded"),
        change("lost", mean=-0.5, ci_low=-0.6, ci_high=-0.4, verdict="degraded", usable="not shown"),
        change("vague", mean=-0.05, ci_low=-0.2, ci_high=0.1, verdict="inconclusive", items_needed=1234),
        change("idle", usable="not shown"),
        change(
            "absent",
            mean=nan,
            ci_low=nan,
            ci_high=nan,
            n_items=0,
            verdict="undefined",
            status="confidence is constant before fine-tuning",
            usable="",
        ),
    )
    changes = both(row._replace(value_from=ends[row.score][0], value_to=ends[row.score][1]) for row in changes)
    return Analysis.of(correlation=tuple(correlations), change=changes, notes=("first note",))


def moved(item_id: str, side: str, move: float, **values: object) -> Row:
    base: dict[str, object] = {
        "item_id": item_id, "side": side, "move": move, "from_": "before", "to": "selected", "input": None,
        "output_from": "old", "output_to": "new", "quality_from": 1.0, "quality_to": 0.5,
        "confidence_from": -1.25, "confidence_to": -0.0012345, "quality_rank_from": 0.75, "quality_rank_to": 0.25,
        "confidence_rank_from": 0.125, "confidence_rank_to": 0.875,
    }  # fmt: skip
    return row(MOVED_ITEMS, **base | values)


@pytest.fixture
def make_moved() -> Callable[..., Row]:
    return moved


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Figure]]:
    """Name → the figure, filled by `draw`; in the end each must be legible."""
    found: dict[str, Figure] = {}

    def keep(figure: Figure, name: str, caption: str, *data) -> Drawing:
        found[name] = figure
        return render(figure, name, caption, *data)

    for kind in ("by_epoch", "before_after", "by_samples", "quadrants", "distributions", "reliability"):
        monkeypatch.setattr(importlib.import_module(f"aftertune.report.figures.{kind}"), "render", keep)
    yield found
    for name, figure in found.items():
        check_legible(name, figure)


def check_legible(name: str, figure: Figure) -> None:
    """All that is drawn is on the page, and no words lie over others."""
    figure.draw_without_rendering()  # places depend on the resolution of the last picture
    wide, tall = figure.get_size_inches()
    drawn = figure.get_tightbbox()
    assert min(drawn.x0, drawn.y0, wide - drawn.x1, tall - drawn.y1) > -0.005, (name, drawn)
    ticks = {label for tick in figure.findobj(Tick) for label in (tick.label1, tick.label2)}
    texts = [text for text in figure.findobj(Text) if text not in ticks]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [tick.label1 for tick in shown if tick.label1.get_visible()]
    texts = [text for text in texts if text.get_text().strip() and text.get_visible()]
    for text in texts:
        x0, y0, x1, y1 = text.get_window_extent().extents / figure.dpi
        assert min(x0, y0, wide - x1, tall - y1) > -0.01, (name, text.get_text())
    level = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_rotation() % 90 == 0]
    for (one, a), (other, b) in itertools.combinations(level, 2):
        across, up = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, up) < 2, (name, one, other)  # dots
