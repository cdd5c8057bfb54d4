"""Figures of single items: what is drawn, from which numbers, and always the same bytes."""

from __future__ import annotations

import io
import re
from math import nan

import numpy as np
import pandas as pd
import pytest

from aftertune.analysis.schema import Analysis
from aftertune.report.figures import Drawing, draw
from aftertune.report.figures.figure import CONCORDANT, OVER, UNDER, sheets
from aftertune.report.figures.quadrants import BEYOND, LOWER, SIZES, dots, limit
from aftertune.report.items import ItemChanges
from aftertune.report.palette import LOOKS
from aftertune.report.summary import summarise
from aftertune.stats.items import quadrants
from aftertune.types import Records
from report_text import words

LOGPROB, BLEU = "mean_token_logprob", "dropout_bleu_variance"
EPOCHS = (0, 1, 2, 3)
NAMES = ("model", "task", "setting", "score")


def study(
    make_items,
    make_correlation,
    *,
    models=("m",),
    tasks=("t",),
    seeds=(0, 1),
    epochs=EPOCHS,
    scores=(LOGPROB, BLEU, "beam_sum"),
    n=30,
    selected=2,
) -> tuple[Analysis, Records]:
    """Quality in steps of a quarter, so that many changes are ties; random scores; rho is 0.1 · epoch."""
    rng = np.random.default_rng(0)
    parts, rows = [], []
    for model in models:
        for task in tasks:
            at = [(seed, epoch) for seed in seeds for epoch in epochs]
            quality = {place: rng.integers(0, 5, n) / 4 for place in at}
            own = {score: {place: rng.normal(size=n) for place in at} for score in scores}
            chosen = [(seed, selected) for seed in seeds]
            parts.append(make_items(quality, own, selected=chosen))
            names = {"model": model, "task": task}
            for name, value in names.items():
                getattr(parts[-1], name)[:] = value
            rows += [
                make_correlation(score, epoch, 0.1 * epoch, seed=seed, selected=epoch == selected, **names)
                for score in scores
                for seed, epoch in at
            ]
    return Analysis.of(correlation=tuple(rows)), joined(parts)


def joined(parts: list[Records]) -> Records:
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Records.__dataclass_fields__
        if name not in ("scores", "extra")
    }
    scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores}
    return Records(**columns, scores=scores)


def of_items(analysis: Analysis, records: Records) -> list[Drawing]:
    return [d for d in draw(summarise(analysis, records)) if d.name.startswith(("quadrant", "distribution"))]


def test_which_figures(make_items, make_correlation) -> None:
    analysis, records = study(make_items, make_correlation)
    drawings = of_items(analysis, records)
    assert [d.name for d in drawings] == [
        "quadrant_scheme",
        "quadrants_epoch_1_last",
        "quadrants_before_selected",
        "distribution_by_epoch",
    ]
    assert [d.name for d in draw(summarise(analysis))] == [
        "correlation_by_epoch"
    ]  # nothing of items without records


def test_no_figure_without_two_checkpoints(make_items, make_correlation) -> None:
    assert of_items(*study(make_items, make_correlation, epochs=(1,), selected=1)) == []
    assert of_items(*study(make_items, make_correlation, epochs=(0,))) == []
    analysis, records = study(make_items, make_correlation)
    assert of_items(analysis, records.take(np.array([], dtype=np.int64))) == []
    assert of_items(Analysis.of(), records) == []
    two = of_items(*study(make_items, make_correlation, epochs=(0, 2)))
    assert [d.name for d in two] == ["quadrant_scheme", "quadrants_before_selected"]


def by_hand(make_items, make_correlation) -> tuple[Analysis, Records]:
    """From epoch 1 to 2: over, under, both up, both down, quality tied, confidence tied, over, over."""
    quality = {(0, 1): [1, 0, 0, 1, 1, 0, 1, 1], (0, 2): [0, 1, 1, 0, 1, 1, 0, 0]}
    score = {(0, 1): [0.0] * 8, (0, 2): [1.0, -1, 1, -1, 1, 0, 1, 1]}
    records = make_items(quality, {LOGPROB: score})
    rows = tuple(make_correlation(LOGPROB, epoch, 0.1) for epoch in (1, 2))
    return Analysis.of(correlation=rows), records


def test_shares_and_dots_by_hand(make_items, make_correlation, figures) -> None:
    _, drawing = of_items(*by_hand(make_items, make_correlation))
    printed = words(drawing)
    assert {"over-confident 37.5 %", "under-confident 12.5 %", "concordant 50.0 %", "tied 25.0 %"} < set(printed)
    assert {LOGPROB, "8 items"} < set(printed)
    axes = figures["quadrants_epoch_1_last"].axes[0]
    drawn = {
        (line.get_color(), x, y, line.get_markersize())
        for line in axes.get_lines()
        if line.get_marker() == "o"
        for x, y in zip(line.get_xdata(), line.get_ydata())
    }
    small, larger = SIZES[:2]
    assert drawn == {
        (OVER, -1, 1, larger),  # three items
        (UNDER, 1, -1, small),
        (CONCORDANT, 1, 1, small),
        (CONCORDANT, -1, -1, small),
        (CONCORDANT, 0, 1, small),
        (CONCORDANT, 1, 0, small),
    }
    assert "beyond" not in drawing.caption


def test_several_seeds_are_pooled(make_items, make_correlation) -> None:
    for seeds, said in (((0, 1), "30 items × 2 seeds"), ((4,), "30 items")):
        analysis, records = study(make_items, make_correlation, seeds=seeds, epochs=(1, 2), scores=(LOGPROB,))
        drawing = of_items(analysis, records)[1]
        assert ("all training runs together" in drawing.caption) == (len(seeds) > 1)
        assert said in words(drawing)


def test_changes_far_out_stand_on_the_edge(make_items, make_correlation, figures) -> None:
    n = 100
    quality = {(0, 1): [1.0] * n, (0, 2): [0.0] * n}
    score = {(0, 1): [0.0] * n, (0, 2): [*[1.0] * (n - 1), 50.0]}
    rows = tuple(make_correlation("s", epoch, nan) for epoch in (1, 2))
    _, drawing = of_items(Analysis.of(correlation=rows), make_items(quality, {"s": score}))
    axes = figures["quadrants_epoch_1_last"].axes[0]
    (triangle,) = [line for line in axes.get_lines() if line.get_marker() == "^"]
    assert (triangle.get_xdata()[0], triangle.get_ydata()[0]) == (-1, 1.25)
    assert drawing.caption.endswith("At most 1.0 % of a panel’s items lie beyond its axis: triangles.")


def test_dots_never_mix_quadrants_and_ties() -> None:
    rng = np.random.default_rng(1)
    dq, dc = rng.choice([0, *np.linspace(-1, 1, 41)], 2000), np.round(rng.normal(size=2000), 1)
    found = dots(dq, dc, (0.3, 0.5))
    assert found.n.sum() == 2000
    assert found.dq @ found.n == pytest.approx(dq.sum())
    assert found.dc @ found.n == pytest.approx(dc.sum())
    for sign_q in (-1, 0, 1):
        for sign_c in (-1, 0, 1):
            inside = (np.sign(found.dq) == sign_q) & (np.sign(found.dc) == sign_c)
            assert found.n[inside].sum() == ((np.sign(dq) == sign_q) & (np.sign(dc) == sign_c)).sum()
    assert len(dots(np.array([]), np.array([]), (1, 1)).n) == 0
    assert found.n.max() >= LOWER[1]


def test_the_axis_leaves_few_outside() -> None:
    rng = np.random.default_rng(2)
    for values in (rng.standard_cauchy(500), rng.normal(size=50), np.zeros(9), np.r_[np.zeros(99), 7.0]):
        top = limit(values)
        assert 0 < top <= (np.abs(values).max() or 1)
        assert (np.abs(values) > top).mean() <= BEYOND
    assert limit(np.r_[np.zeros(99), 7.0]) == 7


def test_constant_quality_is_all_tied(make_items, make_correlation) -> None:
    quality = {(0, epoch): [0.0] * 5 for epoch in (1, 2)}
    score = {(0, 1): [0.0, 1, 2, 3, 4], (0, 2): [1.0, 2, 3, 3, 2]}
    rows = tuple(make_correlation("s", epoch, nan) for epoch in (1, 2))
    _, drawing = of_items(Analysis.of(correlation=rows), make_items(quality, {"s": score}))
    assert {"concordant 100.0 %", "tied 100.0 %", "over-confident 0.0 %"} < set(words(drawing))


def test_distribution_and_correlation_on_one_axis(make_items, make_correlation, figures) -> None:
    values = {(seed, epoch): [10 * seed + epoch + k for k in range(21)] for seed in (0, 1) for epoch in EPOCHS}
    records = make_items({at: [0.0] * 21 for at in values}, {"s": values}, selected=[(0, 2), (1, 2)])
    rows = [
        make_correlation("s", epoch, nan if epoch == 3 else 0.1 * epoch, seed=seed, selected=epoch == 2)
        for seed, epoch in values
    ]
    drawing = of_items(Analysis.of(correlation=tuple(rows)), records)[-1]
    above, beneath = figures["distribution_by_epoch"].axes
    assert above.get_xlim() == beneath.get_xlim()
    (median,) = [line for line in above.get_lines() if len(line.get_xdata()) == 4]
    np.testing.assert_allclose(median.get_ydata(), [15, 16, 17, 18])  # medians 10 + epoch and 20 + epoch
    outer, inner = (band.get_paths()[0].get_extents() for band in above.collections)
    assert (outer.y0, outer.y1) == pytest.approx((6, 27))  # 5 % at epoch 0, 95 % at epoch 3
    assert (inner.y0, inner.y1) == pytest.approx((10, 23))
    (rho,) = [line for line in beneath.get_lines() if len(line.get_xdata()) == 4]
    np.testing.assert_allclose(rho.get_ydata(), [0, 0.1, 0.2, nan])
    (cross,) = [line for line in beneath.get_lines() if line.get_marker() == "x"]
    assert list(cross.get_xdata()) == [3]
    place = beneath.get_ylim()[0] + 0.08 * np.ptp(beneath.get_ylim())
    assert place < -0.1  # lower than all that is drawn
    assert "×: ρ is undefined" in drawing.caption


def test_a_late_checkpoint_is_left_out(make_items, make_correlation, figures) -> None:
    analysis, records = study(make_items, make_correlation, seeds=(0,), epochs=(0, 1, 2, 9), selected=9)
    drawing = of_items(analysis, records)[-1]
    assert drawing.name == "distribution_by_epoch"
    assert all(axes.get_xlim()[1] < 3 for axes in figures["distribution_by_epoch"].axes)
    assert "selected after these epochs are left out" in drawing.caption
    assert "Dotted" not in drawing.caption


def test_scores_chosen_by_their_outcome_are_said_to_be(make_items, make_correlation) -> None:
    drawings = of_items(*study(make_items, make_correlation, scores=("a", "b", "c")))
    for drawing in drawings[1:]:
        assert "(of the scores, the one with the largest share of over-confident items)" in drawing.caption
        assert "(of the scores, the one with the largest share of under-confident items)" in drawing.caption


def test_captions_say_nothing_that_is_not_there(make_items, make_correlation) -> None:
    analysis, records = study(make_items, make_correlation, seeds=(0,), epochs=(1, 2, 3), selected=None)
    drawing = of_items(analysis, records)[-1]
    for part in ("seed", "Dotted", "×", "Epoch 0"):
        assert part not in drawing.caption


@pytest.mark.slow
def test_many_settings_make_a_figure_for_each_score(make_items, make_correlation) -> None:
    analysis, records = study(
        make_items, make_correlation, models=("a", "b"), tasks=("t", "u"), n=6, scores=(LOGPROB, BLEU)
    )
    drawings = of_items(analysis, records)
    assert [d.name for d in drawings] == [
        "quadrant_scheme",
        *(f"quadrants_{ends}_{s}" for ends in ("epoch_1_last", "before_selected") for s in (LOGPROB, BLEU)),
        f"distribution_by_epoch_{LOGPROB}",
        f"distribution_by_epoch_{BLEU}",
    ]
    for drawing in drawings[1:]:
        printed = words(drawing)
        assert [text for text in printed if " on " in text] == ["a on t", "a on u", "b on t", "b on u"]
        assert sum(score in printed for score in (LOGPROB, BLEU)) == 1


def of(model: str, task: str, score: str) -> ItemChanges:
    one = np.ones(1)
    return ItemChanges(
        key=(model, task, "default"),
        score=score,
        dc=one,
        dq=one,
        n_items=1,
        n_seeds=1,
        quadrants=quadrants(one, one),
    )


def test_places_of_panels() -> None:
    def layout(*panels: ItemChanges, most_rows: int = 4) -> list[tuple[str, int, list[str]]]:
        found = sheets("f", panels, ("x", "y"), 9.1 / most_rows)
        return [(s.name, s.columns, ["".join(c.key[:2]) + c.score if c else "" for c in s.cells]) for s in found]

    assert layout() == []
    assert layout(of("m", "t", "y")) == [("f", 1, ["mty"])]
    both = [of(m, "t", s) for m in "ab" for s in "xy"]
    assert layout(*both[:3]) == [("f", 2, ["atx", "aty", "btx", ""])]
    assert layout(*both, most_rows=1) == [("f_x", 2, ["atx", "btx"]), ("f_y", 2, ["aty", "bty"])]
    grid = [of(m, t, "x") for m in "abc" for t in "tu"]
    assert layout(*grid) == [("f", 2, ["atx", "aux", "btx", "bux", "ctx", "cux"])]
    assert layout(*grid[:5])[0][1] == 3
    many = [of(m, t, "x") for m in "ab" for t in "pqrstu"]
    assert [name for name, _, _ in layout(*many, most_rows=2)] == ["f_a", "f_b"]


@pytest.mark.slow
def test_pictures_are_reproducible_and_whole(make_items, make_correlation, figures) -> None:
    """With hostile and long names, and no warning (they are errors)."""
    models = ("$x$ <b>&amp;", "an-organisation/a-model-with-a-long-name-of-70B-parameters-instruct")
    long = "a_score_with_a_very_long_name[and=parameters,and=more]"
    analysis, records = study(make_items, make_correlation, models=models, scores=(long, "$\\frac$"))
    first = of_items(analysis, records)
    assert first == of_items(analysis, records)
    assert len(first) == 4
    for drawing in first:
        assert re.search(rb"<dc:date>|matplotlib\.org|Date", drawing.svg) is None
    assert all(figure.get_size_inches()[1] <= 9.6 for figure in figures.values())


def test_the_numbers_of_the_figures(make_items, make_correlation) -> None:
    _, drawing = of_items(*by_hand(make_items, make_correlation))
    found = pd.read_csv(io.StringIO(drawing.csv))
    assert list(found) == [*NAMES, "quality_change", "confidence_change", "n"]
    assert sorted(found[["quality_change", "confidence_change", "n"]].itertuples(index=False, name=None)) == [
        (-1, -1, 1), (-1, 1, 3), (0, 1, 1), (1, -1, 1), (1, 0, 1), (1, 1, 1),
    ]  # fmt: skip
    scheme, *_, drawing = of_items(*study(make_items, make_correlation))
    assert scheme.csv == ""
    found = pd.read_csv(io.StringIO(drawing.csv))
    assert list(found) == [*NAMES, "epoch", "q05", "q25", "median", "q75", "q95", "spearman", "ci_low", "ci_high"]
    assert len(found) == 2 * len(EPOCHS)
    assert (found.q05 < found["median"]).all()
    assert found.spearman.tolist() == pytest.approx([0.1 * epoch for epoch in EPOCHS] * 2)


def test_colours_are_those_of_the_score(make_items, make_correlation) -> None:
    drawing = of_items(*study(make_items, make_correlation))[-1]
    for score in (LOGPROB, BLEU):
        assert LOOKS[score].colour.lower() in drawing.svg.decode().lower()
