"""Are verdicts, intervals and tests wrong as often as they say? In populations that are known.

Some cells of scripts/simulate/verdicts.py, whose tables are in docs/simulations.md. The standard error of a share
of .05 in 400 data sets is .011; limits are three of them away.
"""

from __future__ import annotations

import numpy as np
import pytest
from scripts.simulate.verdicts import KINDS, Design, new_run_covered, plain_falls, rates, settled

from aftertune.stats.change import spread_for_models
from aftertune.stats.correlation import rank_correlation, spearman_interval
from aftertune.stats.effect import effects
from aftertune.stats.permutation import Checkpoint, swap_test

DATA_SETS = 400
AT_MOST = 0.06 + 0.03


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["0/1, 60 % right", "F1-like", "continuous"])
@pytest.mark.parametrize(
    ("n", "runs"),
    [
        (50, 1),
        pytest.param(50, 3, marks=pytest.mark.thorough),
        pytest.param(100, 5, marks=pytest.mark.thorough),
    ],
)
def test_a_fall_is_shown_and_excluded_by_mistake_in_few(kind: str, n: int, runs: int) -> None:
    spread = 0.05 * (runs > 1)
    same = rates(Design(n=n, kind=kind, runs=runs, spread=spread), DATA_SETS)
    assert same.fall <= AT_MOST
    fallen = rates(Design(n=n, kind=kind, runs=runs, spread=spread, change=-0.1), DATA_SETS)
    assert fallen.holds <= AT_MOST


@pytest.mark.slow
@pytest.mark.parametrize("alike", [0.3, 0.8])
@pytest.mark.parametrize("runs", [1, pytest.param(3, marks=pytest.mark.thorough)])
def test_thirteen_intervals_hold_at_once(alike: float, runs: int) -> None:
    found = rates(Design(n=100, scores=13, alike=alike, runs=runs, spread=0.05 * (runs > 1)), 250)
    assert 1 - found.covered <= 0.06 + 0.04


@pytest.mark.slow
def test_accuracy_does_not_move_the_verdict() -> None:
    KINDS.setdefault("0/1, 50 % right", lambda latent: (latent > 0).astype(float))
    design = Design(n=1000, kind="0/1, 50 % right", kind_after="0/1, 90 % right", before=0.6)
    assert rates(design, 200).fall <= 0.06 + 0.03
    assert plain_falls(design, 50) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "spread"), [(3, 0.05), (3, 0.15), (10, 0.15)])
def test_a_new_run_is_covered(runs: int, spread: float) -> None:
    design = Design(n=100, kind="0/1, 60 % right", runs=runs, spread=spread, before=0.4, change=0.05)
    for share in new_run_covered(design, 500):
        assert 0.93 - 0.03 <= share <= 0.97 + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("change", [0.0, -0.3])
def test_rare_right_answers_are_covered(change: float) -> None:
    KINDS.setdefault("0/1, 5 % right", lambda latent: (latent > 1.6449).astype(float))
    found = rates(Design(n=300, kind="0/1, 5 % right", before=0.6, change=change), 600)
    assert found.covered >= 0.93 - 0.03


@pytest.mark.slow
def test_the_stated_number_of_items_settles_the_verdict() -> None:
    shares = [settled(Design(n=300, kind="continuous", change=change), 120)[0] for change in (0.0, -0.1, -0.15)]
    assert 0.7 <= np.mean(shares) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("to", ["another scale", "both tied", "tied"])
def test_rejection_rate_of_the_label_swap_under_the_null(to: str) -> None:
    # The last is no null of the labels, only one of rho: at the second checkpoint alone there are many ties.
    n, r = 100, 0.0 if to == "tied" else 0.4
    rng = np.random.default_rng(5)
    p = []
    for _ in range(1000):
        item = rng.normal(size=(2, n))
        quality, noise = np.sqrt(0.5) * item[:, None] + np.sqrt(0.5) * rng.normal(size=(2, 2, n))
        confidence = r * quality + np.sqrt(1 - r**2) * noise
        tied = slice(None) if to == "both tied" else slice(1, 2)
        if to != "another scale":
            confidence[tied] = np.maximum(np.round(confidence[tied]), 0)
            quality[tied] = KINDS["F1-like"](quality[tied])
        confidence[1], quality[1] = np.exp(2 * confidence[1]) - 7, 10 * quality[1]
        ends = tuple(Checkpoint(quality=quality[c], confidence=confidence[c][None]) for c in (0, 1))
        p.append(swap_test([ends], permutations=199, rng=rng)[0])
    assert 0.03 <= np.mean(np.array(p) <= 0.05) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("ties", ["none", "quality", "both"])
def test_coverage_of_the_interval_of_a_correlation(ties: str) -> None:
    rng = np.random.default_rng(11)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        quality, noise = rng.normal(size=(2, n))
        confidence = 0.5 * quality + np.sqrt(0.75) * noise
        if ties != "none":
            quality = KINDS["F1-like"](quality)
        return (np.maximum(confidence, 0) if ties == "both" else confidence), quality

    truth = rank_correlation(*draw(1_000_000))
    inside = []
    for _ in range(600):
        x, y = draw(200)
        half = spread_for_models(effects(x[None], y).spearman.deviation[None]).half_width(0)
        low, high, status = spearman_interval(x, y, rank_correlation(x, y), half)
        assert status == ("ci: influence" if ties == "both" else "ci: bonett-wright")
        inside.append(low <= truth <= high)
    assert 0.92 <= np.mean(inside) <= 0.98
