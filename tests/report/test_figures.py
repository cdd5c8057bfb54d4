"""Which figure is drawn for what, from which numbers, and always the same bytes."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from dataclasses import replace
from math import nan

import matplotlib
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from aftertune.analysis.schema import RECOMMENDATION, Analysis
from aftertune.report.figures import draw, multiples, write_figures
from aftertune.report.figures.figure import COLUMN, PAGE, WIDTH
from aftertune.report.figures.multiples import OTHERS
from aftertune.report.palette import LOOKS
from aftertune.report.series import interval_over_runs
from aftertune.report.summary import summarise
from report_rows import both, row
from report_text import words


def curves(
    make_correlation,
    *,
    seeds=(0, 1),
    epochs=(0, 1, 2),
    scores=("beam_sum", "$x$<b>"),
    model="m",
    chosen=1,
    **values,
):
    return [
        make_correlation(
            score,
            epoch,
            0.1 * min(epoch, 5) + 0.2 * seed - 0.3 * (i % 3),
            seed=seed,
            selected=epoch == chosen,
            model=model,
            **values,
        )
        for i, score in enumerate(scores)
        for seed in seeds
        for epoch in epochs
    ]


def shown(*rows, changes=(), sample_sizes=()) -> Analysis:
    return Analysis.of(correlation=tuple(rows), change=both(changes), sample_size=tuple(sample_sizes))


def line(axes, colour: str, *, points: int):
    """The one line of this colour with so many points."""
    (found,) = [one for one in axes.get_lines() if one.get_color() == colour and len(one.get_xdata()) == points]
    return found


def test_which_figures(make_correlation, make_change, one_of_each) -> None:
    assert [d.name for d in draw(summarise(one_of_each))] == ["correlation_before_after"]
    rows = curves(make_correlation)
    assert [d.name for d in draw(summarise(shown(*rows)))] == ["correlation_by_epoch"]
    both = shown(*rows, *one_of_each.rows("correlation"), changes=one_of_each.rows("change"))
    assert [d.name for d in draw(summarise(both))] == ["correlation_by_epoch"]  # one model and task: one panel
    other = curves(make_correlation, model="other")
    both = shown(*other, *one_of_each.rows("correlation"), changes=one_of_each.rows("change"))
    assert [d.name for d in draw(summarise(both))] == ["correlation_by_epoch", "correlation_before_after"]
    undefined = tuple(make_correlation("s", e, nan) for e in (0, 1, 2))
    assert draw(summarise(shown(*undefined, changes=(make_change("s"),)))) == ()
    assert draw(summarise(shown())) == ()


def test_single_checkpoints_are_no_panels(make_sizes, make_correlation) -> None:
    sizes = make_sizes()
    names = ["correlation_by_samples", "correlation_by_samples_fixed_steps", "correlation_by_samples_controlled"]
    assert [d.name for d in draw(summarise(sizes))] == names
    assert [d.name for d in draw(summarise(shown(*curves(make_correlation), *sizes.rows("correlation"))))] == [
        "correlation_by_epoch",
        *names,
    ]
    assert draw(summarise(make_sizes(n=(500,)))) == ()  # one size: nothing to compare


def test_two_checkpoints_of_other_epochs_in_each_seed(make_correlation, make_change, figures) -> None:
    rows = [
        make_correlation("beam_sum", epoch, rho, seed=seed, selected=epoch > 0)
        for seed, epoch, rho in ((0, 0, 0.1), (0, 5, 0.3), (1, 0, 0.2), (1, 7, 0.6))
    ]
    (drawing,) = draw(summarise(shown(*rows, changes=[make_change("beam_sum", n_seeds=2)])))
    assert drawing.name == "correlation_before_after"
    assert "means over seeds" in drawing.caption
    (axes,) = figures[drawing.name].axes
    markers = [one for one in axes.get_lines() if one.get_marker() == "o"]
    assert [one.get_xdata()[0] for one in markers] == pytest.approx([0.15, 0.45])


def test_a_panel_for_each_score_by_epoch(make_correlation, make_change, figures) -> None:
    scores = ("beam_sum", "cocoa_msp", "beam_ratio")
    rows = curves(make_correlation, scores=scores)
    use = row(
        RECOMMENDATION, score="cocoa_msp", role="recommended", chosen_on="named", from_="before", to="selected"
    )
    changes = [make_change(score, value_to=0.1 * i) for i, score in enumerate(scores)]
    analysis = shown(*rows, changes=changes)
    analysis = replace(analysis, tables=analysis.tables | {"recommendation": RECOMMENDATION.frame([use])})
    (drawing,) = draw(summarise(analysis))
    panels = figures["correlation_by_epoch"].axes
    assert [axes.texts[0].get_text() for axes in panels] == ["cocoa_msp", "beam_ratio", "beam_sum"]  # by use
    assert [axes.texts[0].get_fontweight() for axes in panels] == ["bold", "normal", "normal"]
    for axes in panels:
        score = axes.texts[0].get_text()
        drawn, place = line(axes, LOOKS[score].colour, points=3), scores.index(score)
        np.testing.assert_allclose(drawn.get_ydata(), np.array([0.1, 0.2, 0.3]) - 0.3 * place, atol=1e-12)
        (band,) = axes.collections
        extents = band.get_paths()[0].get_extents()
        np.testing.assert_allclose((extents.y0, extents.y1), np.array([0, 0.4]) - 0.3 * place, atol=1e-12)
        (grey,) = [one for one in axes.get_lines() if one.get_color() == OTHERS]
        assert np.isfinite(grey.get_ydata()).sum() == 6  # the two others
        assert axes.get_ylim() == panels[0].get_ylim()
    assert "Bold: the recommended score" in drawing.caption
    assert "m on t" in words(drawing)


def test_a_late_selected_epoch_stands_apart(make_correlation, figures) -> None:
    epochs = (*range(11), 17)
    rows = curves(make_correlation, epochs=epochs, chosen=17, seeds=(0,))
    (drawing,) = draw(summarise(shown(*rows)))
    axes = figures["correlation_by_epoch"].axes[0]
    assert len(line(axes, LOOKS["beam_sum"].colour, points=11).get_xdata()) == 11
    apart = line(axes, LOOKS["beam_sum"].colour, points=1)
    assert 11 < apart.get_xdata()[0] < axes.get_xlim()[1] < 13
    assert apart.get_ydata() == pytest.approx([0.5])
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["0", "6", "sel."]
    assert "sel.: the later checkpoint that early stopping selected" in drawing.caption
    assert "Dotted" not in drawing.caption
    assert "Bold" not in drawing.caption
    assert "seed" not in drawing.caption
    found = pd.read_csv(io.StringIO(drawing.csv))
    assert found[found.epoch.isna()].selected_by_seeds.tolist() == [0, 0]


def test_a_score_that_is_undefined_has_its_panel(make_correlation, figures) -> None:
    rows = curves(make_correlation, seeds=(0,), scores=("beam_sum", "cocoa_msp", "never"))
    rows = [r for r in rows if r.score != "never" and (r.score, r.epoch) != ("cocoa_msp", 2)]
    rows.append(make_correlation("cocoa_msp", 2, nan, ci_low=nan, ci_high=nan))
    rows += [make_correlation("never", e, nan, ci_low=nan, ci_high=nan) for e in (0, 1, 2)]
    (drawing,) = draw(summarise(shown(*rows)))
    crosses = [
        sum(len(one.get_xdata()) for one in axes.get_lines() if one.get_marker() == "x")
        for axes in figures["correlation_by_epoch"].axes
    ]
    assert crosses == [0, 1, 3]
    assert drawing.caption.endswith("×: undefined.")
    assert ",2,,,,\n" in drawing.csv  # empty, not 0


def test_many_panels_make_a_figure_for_each_model(make_correlation, monkeypatch) -> None:
    rows = [
        row
        for model in ("a/b", "a-b")
        for task in ("t", "u")
        for row in curves(make_correlation, model=model, task=task, seeds=(0,))
    ]
    monkeypatch.setattr(multiples, "PAGE", 3.0)
    drawings = draw(summarise(shown(*rows)))
    assert [d.name for d in drawings] == ["correlation_by_epoch_a-b", "correlation_by_epoch_a-b_2"]
    assert [sum(" on " in text for text in words(d)) for d in drawings] == [2, 2]


def test_every_score_by_number_of_training_items(make_sizes, figures) -> None:
    drawing = draw(summarise(make_sizes(tasks=("t", "u"))))[0]
    panels = figures["correlation_by_samples"].axes
    assert [axes.texts[-1].get_text() for axes in panels] == ["mean_token_\nentropy", "beam_sum"] * 2
    assert len({axes.get_ylim() for axes in panels}) == 1
    colour = LOOKS["beam_sum"].colour
    means = line(panels[3], colour, points=3)
    np.testing.assert_allclose(means.get_ydata(), [0.01, 0.11, 0.21])
    whiskers = line(panels[3], colour, points=9).get_ydata()
    np.testing.assert_allclose(whiskers[3:5], interval_over_runs((0.10, 0.11, 0.12)))
    printed = words(drawing)
    assert printed.count("p = 0.030") == 2  # Holm p of mean_token_entropy; that of beam_sum is above 0.05
    assert not any(text.startswith("p = 1") for text in printed)
    assert {"beam_sum", "m on t", "m on u", "100", "500", "1k"} < set(printed)
    assert "Holm" in drawing.caption
    found = pd.read_csv(io.StringIO(drawing.csv))
    assert len(found) == 2 * 2 * 3
    one = found[(found.task == "u") & (found.score == "beam_sum") & (found.n == 500)].iloc[0]
    assert (one.spearman, one.ci_over) == (0.11, "runs")


def test_one_seed_has_intervals_over_items(make_sizes, figures) -> None:
    drawings = draw(summarise(make_sizes(seeds=(0,))))
    axes = figures["correlation_by_samples"].axes[1]
    whiskers = line(axes, LOOKS["beam_sum"].colour, points=9).get_ydata()
    np.testing.assert_allclose(whiskers[:2], [-0.1, 0.1], atol=1e-12)
    for drawing in drawings:
        assert "interval over test items (a single training run each)" in drawing.caption
        assert "mean" not in drawing.caption.replace("mean_token_entropy", "")


def test_undefined_sizes_are_crosses(make_sizes, figures) -> None:
    analysis = make_sizes(scores=("mean_token_entropy",))
    rows = [
        r if "n=100" not in r.setting.split(",") else r._replace(spearman=nan, ci_low=nan)
        for r in analysis.rows("correlation")
    ]
    drawings = draw(summarise(shown(*rows)))
    assert len(drawings) == 3
    for drawing in drawings:
        assert drawing.caption.endswith("×: undefined.")
    for axes in (*figures["correlation_by_samples"].axes, *figures["correlation_by_samples_controlled"].axes):
        (crosses,) = [one for one in axes.get_lines() if one.get_marker() == "x"]
        assert len(crosses.get_xdata()) == 1


def test_before_and_after_controlling_for_steps(make_sizes, figures) -> None:
    drawing = draw(summarise(make_sizes()))[-1]
    left, right = figures["correlation_by_samples_controlled"].axes
    assert left.get_ylim() == right.get_ylim()
    colour = LOOKS["mean_token_entropy"].colour
    np.testing.assert_allclose(line(left, colour, points=3).get_ydata(), [0.11, 0.21, 0.31])
    np.testing.assert_allclose(line(right, colour, points=3).get_ydata(), [-0.09, 0.01, 0.11], atol=1e-12)
    (runs,) = [one for one in left.get_lines() if len(one.get_xdata()) == 9 and one.get_color() != colour]
    np.testing.assert_allclose(runs.get_ydata(), np.add.outer([0.1, 0.2, 0.3], [0, 0.01, 0.02]).ravel())
    found = pd.read_csv(io.StringIO(drawing.csv))
    own = found[(found.setting == "n=*") & (found.n == 500)]
    assert own.of.tolist() == ["mean", "run", "run", "run"]
    assert own.spearman.tolist() == [0.21, 0.2, 0.21, 0.22]
    assert left.texts[0].get_text() == "10 epochs\nHolm p = 0.030"
    assert right.texts[0].get_text() == "2,500 steps\nHolm p = 0.030"
    assert "Correlation of mean_token_entropy with" in drawing.caption  # the paper's, not the smallest p


def test_the_score_of_the_controlled_figure(make_sizes, make_sample_size) -> None:
    def caption(analysis: Analysis) -> str:
        return draw(summarise(analysis))[-1].caption

    analysis = make_sizes(scores=("beam_sum", "cocoa_msp", "cocoa_mte"))  # p 0.2, then 0.003 twice: ties by name
    assert "Correlation of cocoa_msp (the score with the smallest p" in caption(analysis)
    rows = analysis.rows("correlation")
    smaller = [
        make_sample_size("beam_sum", "n=*", nan),
        make_sample_size("cocoa_mte", "n=*,steps=2500", 0.001),
        make_sample_size("cocoa_msp", "n=*", 0.02),
    ]
    assert "Correlation of cocoa_mte (" in caption(shown(*rows, sample_sizes=smaller))
    untested = caption(shown(*rows))
    assert "Correlation of beam_sum with" in untested
    assert "ANOVA" not in untested


def test_families_with_other_keys(make_sizes) -> None:
    names = [d.name for d in draw(summarise(make_sizes(extras=("", ",steps=500", ",steps=2500", ",lr=1e-4"))))]
    assert names == [
        "correlation_by_samples",
        "correlation_by_samples_fixed_steps_500",
        "correlation_by_samples_fixed_steps_2500",
        "correlation_by_samples_lr-1e-4",
        "correlation_by_samples_controlled",
    ]
    assert [d.name for d in draw(summarise(make_sizes(extras=(",steps=500",))))] == [
        "correlation_by_samples_fixed_steps"
    ]


@pytest.mark.parametrize("models", [1, 3])
def test_pictures_are_whole_and_reproducible(make_correlation, make_change, make_sizes, tmp_path, models) -> None:
    rows = [row for i in range(models) for row in curves(make_correlation, model=f"m{i}")]
    change = make_change("beam_sum", model="m0", verdict="degraded", mean=-0.2, ci_low=-0.3, ci_high=-0.1)
    sizes = make_sizes(models=[f"m{i}" for i in range(models)])
    analysis = shown(*rows, *sizes.rows("correlation"), changes=(change,), sample_sizes=sizes.rows("sample_size"))
    before = dict(matplotlib.rcParams)
    first, again = draw(summarise(analysis)), draw(summarise(analysis))
    assert dict(matplotlib.rcParams) == before
    assert first == again
    assert len(first) == 4
    for drawing in first:
        assert re.search(rb"<dc:date>|matplotlib\.org|Date", drawing.svg) is None
        csv, png, svg = sorted(drawing.save(tmp_path))
        assert [path.name for path in (csv, png, svg)] == [
            f"{drawing.name}.{kind}" for kind in ("csv", "png", "svg")
        ]
        image = matplotlib.image.imread(io.BytesIO(png.read_bytes()))
        assert image.shape[1] in (660, 1400)  # a column of a page, or both, at 200 dpi
        assert image.shape[0] <= 1800
        assert len(pd.read_csv(csv)) > 2
        assert drawing.caption.count(". ") <= 2
    assert LOOKS["beam_sum"].colour.lower() in first[0].svg.decode().lower()


@pytest.mark.parametrize("more", [pytest.param(1, marks=pytest.mark.thorough), 17])
def test_nothing_leaves_the_page(make_correlation, make_change, make_sizes, figures, more: int) -> None:
    """All that is drawn is inside the figure, in letters that can be read, with many and long names.

    The letters are as large as they are on a page, where a figure is one column wide or two.
    """
    scores = [*LOOKS, *(f"a_score_with_a_very_long_name[and=parameters,n={i}]" for i in range(more))]
    sizes = make_sizes(scores=scores, models=["an-organisation/a-model-7B"])
    rows = curves(make_correlation, scores=scores, model="an-organisation/a-model-7B", seeds=(0,), task="task")
    two = curves(make_correlation, scores=scores, model="two", epochs=(0, 1))
    changes = [make_change(score, model="two", verdict="inconclusive") for score in scores]
    rows += [*two, *sizes.rows("correlation")]
    draw(summarise(shown(*rows, changes=changes, sample_sizes=sizes.rows("sample_size"))))
    assert len(figures) == 5
    for figure in figures.values():
        assert figure.get_size_inches()[0] in (COLUMN, WIDTH)
        assert figure.get_size_inches()[1] <= PAGE
        smallest = min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip())
        assert smallest >= 5.5


def test_files(one_of_each, tmp_path) -> None:
    write_figures(summarise(one_of_each), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "captions.md", *(f"correlation_before_after.{kind}" for kind in ("csv", "png", "svg"))
    ]  # fmt: skip
    assert "- **correlation_before_after**: Tie-adjusted correlation" in (tmp_path / "captions.md").read_text()
    found = pd.read_csv(tmp_path / "correlation_before_after.csv", keep_default_na=False, dtype=str)
    absent = found[found.score == "absent"].iloc[0]
    assert (absent.adjusted_from, absent.adjusted_to, absent.change) == ("", "0.3", "")


def test_report_imports_neither_torch_nor_pyplot() -> None:
    code = (
        "import sys, aftertune.report.terminal, aftertune.report.page; assert 'matplotlib' not in sys.modules; "
        "import aftertune.report.figures; assert not {'torch', 'matplotlib.pyplot'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
