"""Which figure is drawn for what, from which numbers, and always the same bytes."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from math import nan

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from aftertune.report.figures import _size, draw, spread_out
from aftertune.report.palette import LOOKS, looks
from aftertune.report.series import panels
from aftertune.rows import Analysis


def curves(make_correlation, *, seeds=(0, 1), epochs=(0, 1, 2), scores=("beam_sum", "$x$<b>"), model="m"):
    return [
        make_correlation(
            score, epoch, 0.1 * epoch + 0.2 * seed - 0.3 * i, seed=seed, selected=epoch == 1, model=model
        )
        for i, score in enumerate(scores)
        for seed in seeds
        for epoch in epochs
    ]


def test_series_are_means_over_seeds(make_correlation) -> None:
    rows = curves(make_correlation)
    rows[1] = make_correlation("beam_sum", 1, nan, seed=0, ci_low=nan, ci_high=nan, selected=True)
    (panel,) = panels(Analysis(correlations=tuple(rows), changes=()))
    series = panel.series[0]
    np.testing.assert_allclose(series.rho, [0.1, 0.3, 0.3])
    np.testing.assert_allclose(series.low, [0.0, 0.2, 0.2])
    np.testing.assert_allclose(series.high, [0.2, 0.4, 0.4])
    assert panel.selected == {1.0: (0, 1)}
    assert panel.epochs == [0, 1, 2]


def test_which_figures(make_correlation, make_change, one_of_each) -> None:
    assert [d.name for d in draw(one_of_each)] == ["correlation_before_after"]
    rows = curves(make_correlation)
    assert [d.name for d in draw(Analysis(correlations=tuple(rows), changes=()))] == ["correlation_by_epoch"]
    both = Analysis(correlations=(*rows, *(r for r in one_of_each.correlations)), changes=one_of_each.changes)
    assert [d.name for d in draw(both)] == ["correlation_by_epoch"]  # one model and task: one panel
    other = curves(make_correlation, model="other")
    both = Analysis(correlations=(*other, *one_of_each.correlations), changes=one_of_each.changes)
    assert [d.name for d in draw(both)] == ["correlation_by_epoch", "correlation_before_after"]
    undefined = tuple(make_correlation("s", e, nan) for e in (0, 1, 2))
    assert draw(Analysis(correlations=undefined, changes=(make_change("s"),))) == ()
    assert draw(Analysis(correlations=(), changes=())) == ()


@pytest.mark.parametrize("models", [1, 3])
def test_pictures_are_whole_and_reproducible(make_correlation, make_change, tmp_path, models: int) -> None:
    rows = [row for i in range(models) for row in curves(make_correlation, model=f"m{i}")]
    change = make_change("beam_sum", model="m0", verdict="degraded", mean=-0.2, ci_low=-0.3, ci_high=-0.1)
    analysis = Analysis(correlations=tuple(rows), changes=(change,))
    before = dict(matplotlib.rcParams)
    (first,), (again,) = draw(analysis), draw(analysis)
    assert dict(matplotlib.rcParams) == before
    assert first.svg == again.svg
    assert first.png == again.png
    assert re.search(rb"<dc:date>|matplotlib\.org|Date", first.svg) is None
    png, svg = sorted(first.save(tmp_path))
    assert (png.name, svg.name) == ("correlation_by_epoch.png", "correlation_by_epoch.svg")
    image = matplotlib.image.imread(io.BytesIO(png.read_bytes()))
    assert image.shape[1] == 1440  # 7.2 inches at 200 dpi
    assert LOOKS["beam_sum"].colour.lower() in svg.read_text().lower()


def test_looks_do_not_depend_on_the_company() -> None:
    alone, together = looks(["cocoa_msp"]), looks([*LOOKS, "mine", "theirs"])
    assert alone["cocoa_msp"] == together["cocoa_msp"]
    assert looks(["theirs", "mine"]) == looks(["mine", "theirs"])
    assert len(set(together.values())) == len(together)


def test_labels_are_spread_as_little_as_possible() -> None:
    assert spread_out([0.1, 0.9], 0.2) == [0.1, 0.9]
    assert spread_out([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert spread_out([0.9, 0.1, 0.12], 0.1) == pytest.approx([0.9, 0.06, 0.16])
    rng = np.random.default_rng(0)
    positions = rng.random(13)
    placed = np.array(spread_out(list(positions), 0.05))
    assert np.diff(np.sort(placed)).min() > 0.05 - 1e-9
    assert (np.argsort(placed) == np.argsort(positions)).all()


def test_long_names_get_smaller_letters() -> None:
    assert _size("short", 1.4, 7) == 7
    assert 4.5 < _size("x" * 30, 1.4, 7) < 7


def test_report_imports_neither_torch_nor_pyplot() -> None:
    code = (
        "import sys, aftertune.report.terminal, aftertune.report.page; assert 'matplotlib' not in sys.modules; "
        "import aftertune.report.figures; assert not {'torch', 'matplotlib.pyplot'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
