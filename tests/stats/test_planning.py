"""Planned chances of verdicts are those of simulated studies."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aftertune.stats.effect import adjusted_rho, effects
from aftertune.stats.planning import Expected, Planner, draw, equally_correlated, qualities
from aftertune.stats.verdict import MOST_ITEMS, VERDICTS
from simulate.planning import compare, settled

KINDS = ("binary", "graded", "continuous")


def planner(kind: str = "binary", *, scores: int = 1, **changes: float) -> Planner:
    numbers = {"rho": 0.4, "stability": 0.3, "agreement": 0.3, "spread": 0.03, "margin": 0.1} | changes
    values = qualities(kind)
    together = equally_correlated(scores, 0.5)
    return Planner(Expected(**numbers, before=values, after=values, correlation=together))


@pytest.fixture(scope="module")
def usual() -> Planner:
    return planner()


def test_kinds_of_quality():
    assert qualities("binary", 0.8).mean() == pytest.approx(0.8)
    assert np.mean(qualities("graded") == 0) == pytest.approx(0.4)
    assert np.mean(qualities("graded") == 1) == pytest.approx(0.2)
    assert len(np.unique(qualities("continuous"))) == 1000


def test_latent_correlation_of_untied_quality_is_the_known_one():
    assert planner("continuous").before == pytest.approx(2 * np.sin(np.pi * 0.4 / 6), abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_is_what_is_expected(kind):
    one = planner(kind, stability=0.3, agreement=0.6)
    normal = np.random.default_rng(0).standard_normal((2, 4, 40_000))
    confidence, quality = draw(one.latent(-0.1, 2), one.expected, normal)
    values = [adjusted_rho(c, q) for c, q in zip(confidence, quality)]
    assert values == pytest.approx([0.4, 0.3, 0.3], abs=0.02)
    found = [effects(c[None], q).adjusted.deviation[0] for c, q in zip(confidence, quality)]
    correlation = np.corrcoef(found)
    assert correlation[0, 1] == pytest.approx(0.3, abs=0.03)
    assert correlation[1, 2] == pytest.approx(0.6, abs=0.03)


def test_chances_are_those_of_one_of_five_verdicts(usual):
    for runs in (1, 2, 3, 10, 30):
        found = usual.chances(-0.1, [50, 300, 5000], runs)
        assert tuple(found) == VERDICTS
        assert sum(found.values()) == pytest.approx(1.0)
        assert all((chance >= 0).all() for chance in found.values())


@pytest.mark.parametrize("question", ["holds", "falls", "usable"])
def test_more_items_and_a_name_beforehand_help(question):
    one = planner(scores=13)
    for runs in (1, 3, 10):
        chance = one.chance(question, [50, 100, 300, 1000, 3000], runs)
        assert (np.diff(chance) >= -0.02).all()
        assert (one.named().chance(question, [50, 100, 300, 1000, 3000], runs) >= chance - 1e-9).all()


def test_needed_items_reach_80_percent_and_fewer_do_not(usual):
    for question, runs in (("holds", 1), ("holds", 5), ("falls", 3)):
        items = usual.needed(question, runs)
        assert items is not None
        assert usual.chance(question, [items], runs)[0] >= 0.8 > usual.chance(question, [0.9 * items], runs)[0]
        assert len(str(items).rstrip("0")) <= 2


def test_no_number_of_items_makes_up_for_runs():
    wide = planner(spread=0.1)
    assert wide.needed("holds", 3) is None
    assert wide.needed("holds", 5) is None
    assert planner(spread=0.0, margin=0.03).needed("holds", 1) == MOST_ITEMS + 1


CELLS = [("binary", 300, 1, 0.0), ("graded", 100, 3, -0.2)]
MORE = list(itertools.product(KINDS, (100, 300, 1000), (1, 3, 5), (0.0, -0.2)))


def agree(planned: float, simulated: float, data_sets: int) -> bool:
    return abs(planned - simulated) <= 0.05 + 2 * np.sqrt(0.25 / data_sets)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "items", "runs", "change"), CELLS)
def test_simulated_studies(kind, items, runs, change):
    found = compare(kind, items, runs, change, 200)
    assert all(agree(planned, simulated, 200) for planned, simulated in zip(found[::2], found[1::2])), found


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "items", "runs", "change"), MORE)
def test_many_simulated_studies(kind, items, runs, change):
    found = compare(kind, items, runs, change, 600)
    assert all(agree(planned, simulated, 600) for planned, simulated in zip(found[::2], found[1::2])), found


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("runs", "change"), [(1, 0.0), (5, 0.0), (1, -0.2), (3, -0.2), (5, -0.2)])
def test_planned_items_settle_four_of_five(kind, runs, change):
    _, share = settled(kind, runs, change, 400, spread=0.03)
    assert 0.7 <= share <= 0.9
